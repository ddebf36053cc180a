"""The reference pages of the operations, made from the catalogue: one page a provider, and a list of all.

    python -m jobs.catalogue.pages docs/reference/operations

A test fails while the folder does not hold exactly what this makes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from jobs import catalogue
from jobs.catalogue import showing
from jobs.catalogue.spec import Operation

_SHOWN_CHARS = 120
_KINDS = {
    "sync": "one call brings the result; it may last minutes",
    "async": "a task is submitted, then asked after",
    "websocket": "a session is opened, and its one reply kept",
    "repeat": "the same question is asked until the result is ready; asking again costs nothing more",
}


def pages() -> dict[str, str]:
    """File name → Markdown, for every page."""
    operations = sorted(catalogue.all_operations().values(), key=lambda one: one.provider)
    made = {"README.md": _index(operations)}
    for provider, group in groupby(operations, key=lambda one: one.provider):
        made[f"{provider}.md"] = _page(provider, list(group))
    return made


def _index(operations: list[Operation]) -> str:
    rows = [
        f"| [{one.name}]({one.provider}.md#{_anchor(one.name)}) | {one.modality} | {one.kind} | {one.summary} | {one.confidence} |"
        for one in sorted(operations, key=lambda one: one.name)
    ]
    return "\n".join(
        [
            "# Operations",
            "",
            f"All {len(operations)} operations a job may ask, as `mediamill operations` and `GET /v1/operations` show them.",
            "",
            "| operation | modality | kind | what it does | confidence |",
            "|---|---|---|---|---|",
            *rows,
            "",
            *(f"- **{kind}**: {said}" for kind, said in _KINDS.items()),
            "",
            "Confidence says how sure we are that the gateway behaves as declared: documented, seen in code, inferred or unknown.",
            "",
        ]
    )


def _page(provider: str, operations: list[Operation]) -> str:
    return "\n".join([f"# {provider}", "", *(line for one in operations for line in _section(one))])


def _section(operation: Operation) -> Iterator[str]:
    seen = showing.view(operation)
    yield from (f"## {operation.name}", "", f"{operation.summary}.", "")
    facts = {
        "modality": operation.modality,
        "kind": f"{operation.kind}: {_KINDS[operation.kind]}",
        "outputs": ", ".join(seen["outputs"]),
        "links live": operation.output_lifetime or "unknown",
        "price": _price(seen["price"]),
        "lost answer": seen["lost_answer"],
        "cancel": operation.cancel,
        "confidence": str(operation.confidence),
        "source": operation.source,
    }
    yield from ("| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in facts.items()), "")
    for ending in operation.deprecated:
        what = ", ".join(ending.models) or "This operation"
        use = f"use {ending.successor}" if ending.successor else "there is no successor"
        yield from (f"> **{what}** ended or ends on {ending.on}: {ending.note}; {use}.", "")
    if operation.unknown:
        yield from ("Not known:", "", *(f"- {what}" for what in operation.unknown), "")
    yield from ("| field | type | rules | |", "|---|---|---|---|")
    required = set(operation.input_schema.get("required", ()))
    for name, schema in _fields(operation.input_schema):
        mark = " *" if name in required else ""
        yield f"| `{name}`{mark} | {_cell(_type(schema))} | {_cell(_rules(schema))} | {_cell(schema.get('description', ''))} |"
    between = any(word in operation.input_schema for word in ("allOf", "anyOf", "oneOf", "not", "if"))
    yield from ("", "\\* required" + ("; further rules hold between fields, see `input_schema`" if between else ""), "")
    body = json.dumps({"operation": operation.name, "input": _short(operation.example)}, ensure_ascii=False, indent=2)
    yield from ("```json", *body.splitlines(), "```", "")


def _fields(schema: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        if not isinstance(field, dict):
            continue
        yield f"{path}{name}", field
        items = field.get("items")
        if depth < 2 and "x-media" not in field:
            yield from _fields(field, f"{path}{name}.", depth + 1)
            if isinstance(items, dict) and "x-media" not in items:
                yield from _fields(items, f"{path}{name}[].", depth + 1)


def _type(schema: Mapping[str, Any]) -> str:
    if "x-media" in schema:
        return "media"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in several))
    if "enum" in schema or "const" in schema:
        return "choice"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items') or {})}"
    said = schema.get("type", "any")
    return " or ".join(said) if isinstance(said, list) else str(said)


def _rules(schema: Mapping[str, Any]) -> str:
    if "x-media" in schema:
        return ""
    said = [_rules(one) for one in schema.get("anyOf") or schema.get("oneOf") or ()]
    if "enum" in schema:
        said.append(", ".join(f"`{_plain(value)}`" for value in schema["enum"]))
    if "const" in schema:
        said.append(f"only `{_plain(schema['const'])}`")
    if "minimum" in schema or "maximum" in schema:
        said.append(f"{schema.get('minimum', '…')} to {schema.get('maximum', '…')}")
    if "multipleOf" in schema:
        said.append(f"a multiple of {schema['multipleOf']}")
    if "maxLength" in schema and not schema.get("examples"):
        said.append(f"at most {schema['maxLength']} characters")
    if schema.get("minItems"):
        said.append(f"at least {schema['minItems']}")
    if "maxItems" in schema:
        said.append(f"at most {schema['maxItems']}")
    if schema.get("examples"):
        said.append("such as " + ", ".join(f"`{_plain(value)}`" for value in schema["examples"]))
    if "default" in schema:
        said.append(f"default `{_plain(schema['default'])}`")
    return "; ".join(dict.fromkeys(one for one in said if one))


def _price(prices: list[dict[str, Any]] | None) -> str:
    if not prices:
        return "unknown"
    return " · ".join(showing.priced(one) + (", less the gateway's discount" if one["discounted"] else "") for one in prices)


def _short(value: Any) -> Any:
    """The example with its inline media cut: a reader wants to see the request, not the picture."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARS and (value.startswith("data:") or " " not in value):
        return value[: value.find(",") + 9 if value.startswith("data:") else 24] + "…"
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value]
    return value


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _anchor(name: str) -> str:
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def main(folder: Path) -> None:
    """Make `folder` hold exactly these pages."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for stale in {path.name for path in folder.glob("*.md")} - made.keys():
        (folder / stale).unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
