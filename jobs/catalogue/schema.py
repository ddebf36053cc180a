"""Small words for writing input schemas: `text(2500)`, `one_of("std", "pro")`, `open_text("kling-v1", …)`.

The result is plain JSON Schema; the words only keep the declarations short enough to be read as a table.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

#: How media may be given: an address, a data: URI, or a file uploaded before.
MEDIA: Schema = {
    "description": 'an https: URL, a data: URI, or {"file": "file_…"} (POST /v1/files)',
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {"file": {"type": "string", "pattern": "^file_[0-9a-f]{32}$"}},
            "required": ["file"],
            "additionalProperties": False,
        },
    ],
}


def fields(properties: dict[str, Schema], *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object with exactly these fields."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def text(longest: int | None = None, *, shortest: int = 1, **more: Any) -> Schema:
    schema: Schema = {"type": "string", "minLength": shortest, **more}
    return schema if longest is None else schema | {"maxLength": longest}


def prompt(longest: int) -> Schema:
    """Text with something in it: blanks alone are refused before they cost money."""
    return text(longest, pattern=r"\S")


def open_text(*known: str, **more: Any) -> Schema:
    """A name that may be newer than this file; the known ones are shown as examples."""
    return {"type": "string", "minLength": 1, "maxLength": 200, "examples": list(known), **more}


def one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def number(least: float, most: float) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most}


def flag() -> Schema:
    return {"type": "boolean"}


def array(items: Schema, *, least: int = 0, most: int | None = None) -> Schema:
    schema: Schema = {"type": "array", "items": items, "minItems": least}
    return schema if most is None else schema | {"maxItems": most}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
