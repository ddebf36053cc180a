"""What a final answer holds: every output it names, in whatever shape, and what is known of each before its bytes are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jobs.catalogue.answers import first, holds, text
from jobs.catalogue.asking import NOTHING_ASKED, Asked, filled
from jobs.catalogue.links import linked
from jobs.catalogue.spec import FollowUp, Operation, Output, compiled


def outputs_of(op: Operation, document: Any, asked: Asked = NOTHING_ASKED) -> list[dict[str, Any]]:
    """Every output named in a final answer, in the declared order, each address once."""
    outputs: list[dict[str, Any]] = []
    seen: set[str] = set()
    for declared in op.outputs:
        about = _about(declared, asked)
        for item in _selected(declared, document, asked):
            address = item.get("url") or item.get("path")
            if address is not None:
                if address in seen:
                    continue
                seen.add(address)
            outputs.append({**about, **item})
    return outputs


def raw_outputs(op: Operation, asked: Asked) -> list[dict[str, Any]]:
    """The one output of an answer that is the media itself."""
    return [{**_about(output, asked), "body": True} for output in op.outputs if output.body]


def _about(declared: Output, asked: Asked) -> dict[str, Any]:
    """What is known of an output before its bytes are."""
    extension = text(first((declared.extension_by,), asked.given)) if declared.extension_by else None
    about: dict[str, Any] = {"kind": declared.kind}
    if extension := extension or declared.extension:
        about["extension"] = extension
    if declared.samples and holds(declared.samples.when, asked.given):
        about["samples"] = {"rate_hz": declared.samples.rate_hz, "channels": declared.samples.channels}
    return about


def _anything(value: Any) -> list[dict[str, Any]]:
    """Outputs of a model that may answer with any JSON."""
    addresses = list(_addresses(value))
    if addresses:
        return [{"url": address} for address in addresses]
    if isinstance(value, str) and value:
        return [{"kind": "text", "extension": "txt", "text": value}]
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        # Language models stream: their output is the list of the pieces.
        return [{"kind": "text", "extension": "txt", "text": "".join(value)}] if "".join(value) else []
    if value:
        return [{"kind": "text", "extension": "json", "text": json.dumps(value, ensure_ascii=False)}]
    return []


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(("https://", "http://")) and not any(char.isspace() for char in value):
            yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _addresses(part)


def _selected(declared: Output, document: Any, asked: Asked) -> list[dict[str, Any]]:
    if declared.anything is not None:
        return _anything(compiled(declared.anything).search(document))
    found = first(declared.select, document)
    items: list[dict[str, Any]] = []
    for item in found if isinstance(found, list) else [found] if found is not None else []:
        if isinstance(item, str) and item:
            items.append({"text": item} if declared.kind == "text" else {"url": item})
        elif isinstance(item, dict):
            kept = {key: value for key, value in item.items() if value is not None and value != ""}
            if any(isinstance(kept.get(key), str) for key in ("url", "b64", "text")):
                items.append(kept)
    if not items and declared.links is not None:
        items = [{"url": address} for address in linked(declared.links, document)]
    if not items and declared.follow_up is not None and (item := _followed(declared.follow_up, document, asked)):
        items = [item]
    return items


def _followed(follow_up: FollowUp, document: Any, asked: Asked) -> dict[str, Any] | None:
    ref = text(first(follow_up.ref, document)) if follow_up.ref else asked.task_id
    if not ref:
        return None
    return {"path": filled(follow_up.path, {"ref": ref}, safe=""), "address": list(follow_up.address)}
