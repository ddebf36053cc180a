"""`operations`: what there is, and everything about one of them. Read from this installation; no server is needed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api_stub.cli.shell import DONE, JsonFlag, misuse, print_facts, print_json, print_table
from jobs import settings as settings_module

if TYPE_CHECKING:
    from jobs.catalogue.spec import Deprecated, Operation
    from jobs.pricing import PriceList


def register(app: typer.Typer) -> None:
    app.command("operations")(operations)


def operations(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show this one in full.")] = None,
    modality: Annotated[str | None, typer.Option(help="image, video, music, audio, text or model3d.")] = None,
    provider: Annotated[str | None, typer.Option(help="Such as kling.")] = None,
    text: Annotated[str | None, typer.Option(help="Words to look for in name and summary.")] = None,
    as_json: JsonFlag = False,
) -> int:
    """The catalogue: what a job may ask.

    Example: mediamill operations --modality video --text "lip sync"; mediamill operations kling.text_to_video
    """
    from jobs import catalogue, pricing
    from jobs.catalogue import showing

    prices = pricing.in_force(settings_module.load().prices)
    every = catalogue.all_operations()
    if name is not None:
        found = every.get(name)
        if found is None:
            near = difflib.get_close_matches(name, every, n=1)
            misuse(f"{name} is no operation" + (f"; did you mean {near[0]}?" if near else "; `mediamill operations` lists them"))
        if as_json:
            print_json(showing.view(found, prices))
        else:
            _describe(found, prices)
        return DONE
    _check("modality", modality, {one.modality for one in every.values()})
    _check("provider", provider, {one.provider for one in every.values()})
    chosen = showing.chosen(every.values(), modality=modality, provider=provider, text=text)
    if as_json:
        print_json([showing.view(one, prices) for one in chosen])
        return DONE
    rows = ((one.name, one.modality, one.summary, one.confidence, _ended(one)) for one in chosen)
    print_table(("OPERATION", "MODALITY", "WHAT IT DOES", "CONFIDENCE", ""), rows, empty="no operation is like that")
    return DONE


def _check(what: str, value: str | None, known: set[str]) -> None:
    if value is not None and value not in known:
        misuse(f"{value} is no {what} here; there are {', '.join(sorted(known))}")


def _ended(operation: Operation) -> str:
    whole = next((one for one in operation.deprecated if not one.models), None)
    if whole is None:
        return ""
    return f"{'ended' if whole.on <= datetime.now(UTC).date() else 'ends'} {whole.on}"


_ANSWERS = {
    "sync": "in one call, which may last minutes",
    "async": "later: the task is asked after",
    "websocket": "in one session, as a reply",
    "repeat": "when it is ready: the same question is asked until then",
}


def _ending(one: Deprecated) -> str:
    what = f"{', '.join(one.models)}: " if one.models else ""
    return f"{what}{one.on}, {one.note}; " + (f"use {one.successor}" if one.successor else "no successor")


def _describe(operation: Operation, prices: PriceList) -> None:
    from jobs.catalogue import showing

    seen = showing.view(operation, prices)
    print_facts(
        [
            ("operation", operation.name),
            ("does", operation.summary),
            ("modality", operation.modality),
            ("answers", _ANSWERS[operation.kind]),
            ("outputs", ", ".join(dict.fromkeys(output.kind for output in operation.outputs))),
            ("links live", operation.output_lifetime),
            ("confidence", str(operation.confidence)),
            *(("deprecated", _ending(one)) for one in operation.deprecated),
            ("price", "\n".join(showing.priced(one) for one in seen["price"] or ()) or "unknown"),
            (
                "priced by",
                "\n".join(dict.fromkeys(showing.origin(one) for one in seen["price"] or () if showing.origin(one))) or None,
            ),
            ("lost answer", seen["lost_answer"]),
            ("cancel", operation.cancel),
            ("source", operation.source),
        ]
    )
    typer.echo()
    required = set(operation.input_schema.get("required", ()))
    rows = [
        (f"{name} *" if name in required else name, _type(schema), _limits(schema), schema.get("description", ""))
        for name, schema in operation.input_schema.get("properties", {}).items()
    ]
    print_table(("FIELD", "TYPE", "LIMITS", ""), rows, empty="it takes no fields")
    typer.echo("\n* required" + ("; further rules hold between fields (--json has the schema)" if _has_rules(operation) else ""))
    if operation.unknown:
        typer.echo("\nNot known:")
        for what in operation.unknown:
            typer.echo(f"  - {what}")
    typer.echo("\nExample:")
    for line in _curl(operation):
        typer.echo(f"  {line}")


def _has_rules(operation: Operation) -> bool:
    return any(word in operation.input_schema for word in ("allOf", "anyOf", "oneOf", "if"))


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    several = schema.get("anyOf") or schema.get("oneOf")
    if not several:
        yield schema
    for one in several or ():
        yield from _alternatives(one)


def _type(schema: dict[str, Any]) -> str:
    names: list[str] = []
    for one in _alternatives(schema):
        if "enum" in one or "const" in one:
            values = one.get("enum", [one.get("const")])
            names.append("text" if all(isinstance(value, str) for value in values) else "value")
        else:
            said = one.get("type", "any")
            names += [said] if isinstance(said, str) else said
    return " or ".join(dict.fromkeys("text" if name == "string" else name for name in names))


def _limits(schema: dict[str, Any]) -> str:
    said: list[str] = []
    for one in _alternatives(schema):
        if "enum" in one:
            said.append(" | ".join(json.dumps(value, ensure_ascii=False).strip('"') for value in one["enum"]))
        if "const" in one:
            said.append(f"only {json.dumps(one['const'])}")
        if "minimum" in one or "maximum" in one:
            said.append(f"{one.get('minimum', '…')} to {one.get('maximum', '…')}")
        if "maxLength" in one and not one.get("examples"):
            said.append(f"at most {one['maxLength']:,} characters")
        if "maxItems" in one:
            said.append(f"at most {one['maxItems']} items")
        if one.get("examples"):
            said.append("such as " + ", ".join(str(value) for value in one["examples"]))
    return "; ".join(dict.fromkeys(said))


def _curl(operation: Operation) -> list[str]:
    body = json.dumps({"operation": operation.name, "input": operation.example}, ensure_ascii=False, indent=2)
    quoted = body.replace("'", "'\\''").splitlines()
    return [
        "curl -s $MEDIAMILL_PUBLIC_URL/v1/jobs \\",
        '  -H "Authorization: Bearer $MEDIAMILL_BOOTSTRAP_KEY" -H "Content-Type: application/json" \\',
        f"  -d '{quoted[0]}",
        *(f"  {line}" for line in quoted[1:-1]),
        f"  {quoted[-1]}'",
    ]
