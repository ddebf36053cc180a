"""Where media stands in an input: found by walking the input along its schema, where `schema.media` left its mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jobs.catalogue.spec import MediaForm, Operation

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """One medium in an input."""

    path: Path
    #: The forms the provider takes, the one it likes best first.
    forms: tuple[MediaForm, ...]
    #: A field beside it that names the media type.
    media_type_field: str | None = None


def places(op: Operation, given: Mapping[str, Any]) -> list[Place]:
    """Every medium of this input, each place once; files and artifacts also where the schema takes anything."""
    found = {place.path: place for place in _marked(op.input_schema, given, ())}
    default: tuple[MediaForm, ...] = op.submit.media if op.submit else ("url",)
    for path in _handles(given, ()):
        found.setdefault(path, Place(path, default))
    return list(found.values())


def is_file(value: Any) -> bool:
    """`{"file": "file_…"}`: an uploaded file."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("file"), str) and value["file"].startswith("file_")


def is_artifact(value: Any) -> bool:
    """`{"job": "job_…", "artifact": 0}`: what another job made."""
    return isinstance(value, dict) and set(value) == {"job", "artifact"}


def _marked(schema: Any, value: Any, path: Path) -> Iterator[Place]:
    if not isinstance(schema, dict):
        return
    if (mark := schema.get("x-media")) is not None:
        # In a choice between one medium and a list of them, only what could be a medium is one.
        if isinstance(value, str) or is_file(value) or is_artifact(value):
            yield Place(path, tuple(mark["forms"]), mark.get("media_type_field"))
        return
    for choice in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(choice, ()):
            yield from _marked(part, value, path)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, part in value.items():
            yield from _marked(properties.get(name, schema.get("additionalProperties")), part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _marked(schema.get("items"), part, (*path, place))


def _handles(value: Any, path: Path) -> Iterator[Path]:
    if is_file(value) or is_artifact(value):
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _handles(part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _handles(part, (*path, place))
