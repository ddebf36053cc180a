"""What is wrong with a request, in words: problems, made of what the two schema libraries say.

A problem names the field and the limit, never more than a few characters of what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jsonschema_rs
from pydantic import ValidationError

_SHOWN_CHARS = 64
#: Unknown fields named one by one; whoever sends more has another problem.
_MOST_UNKNOWN = 20


class Problem(NamedTuple):
    """One thing wrong with a request: where (`input.duration`), a stable code, a sentence."""

    loc: str
    code: str
    msg: str

    def as_json(self) -> dict[str, str]:
        return self._asdict()


class Refused(Exception):
    """The request has problems; nothing was stored."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.loc}: {problem.msg}" for problem in problems))
        self.problems = problems


def shown(value: object) -> str:
    """A value as a problem may show it: quoted, escaped, at most 64 characters."""
    text = (
        json.dumps(value, ensure_ascii=True)
        if isinstance(value, str | int | float | bool) or value is None
        else type(value).__name__
    )
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def place(path: Iterable[object]) -> str:
    """A place in an input as problems name it: `input.images[0].url`."""
    return _path(["input", *path])


_PYDANTIC_CODES = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "too_long": "too_many",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "greater_than": "out_of_range",
    "literal_error": "not_one_of",
}


def of_shape(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        loc = _path(detail["loc"]) or "body"
        code = _PYDANTIC_CODES.get(detail["type"], "wrong_type" if detail["type"].endswith("_type") else "invalid")
        message = "is not a field here" if code == "unknown_field" else detail["msg"][:1].lower() + detail["msg"][1:]
        yield Problem(loc, code, message)


def _path(parts: Iterable[object]) -> str:
    path = ""
    for part in parts:
        name = _cut(str(part))
        path += f"[{part}]" if isinstance(part, int) else f".{name}" if path else name
    return path


def _cut(name: str) -> str:
    """The name of a field as a problem may show it: it is the sender's own text, and may be of any length."""
    return name if len(name) <= _SHOWN_CHARS else name[: _SHOWN_CHARS - 1] + "…"


def of_schema(error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
    """One broken rule of an input schema as a sentence with the limit in it."""
    loc = place(error.instance_path)
    broken: Any = error.kind  # one class per rule, each with its own fields
    kind = broken.name
    rule = getattr(broken, "limit", None)
    match kind:
        case "required":
            yield Problem(f"{loc}.{broken.property}", "missing_field", "is required")
        case "additionalProperties":
            for name in list(broken.unexpected)[:_MOST_UNKNOWN]:
                yield Problem(f"{loc}.{_cut(name)}", "unknown_field", "is not a field of this operation")
        case "maximum" | "exclusiveMaximum":
            yield Problem(loc, "out_of_range", f"must be at most {rule}")
        case "minimum" | "exclusiveMinimum":
            yield Problem(loc, "out_of_range", f"must be at least {rule}")
        case "multipleOf":
            yield Problem(loc, "out_of_range", f"must be a multiple of {broken.multiple_of:g}")
        case "maxLength":
            yield Problem(loc, "too_long", f"must have at most {rule} characters")
        case "minLength":
            yield Problem(loc, "too_short", f"must have at least {rule} characters")
        case "maxItems":
            yield Problem(loc, "too_many", f"must have at most {rule} items")
        case "minItems":
            yield Problem(loc, "too_few", f"must have at least {rule} items")
        case "enum":
            options = ", ".join(json.dumps(option) for option in broken.options)
            yield Problem(loc, "not_one_of", f"must be one of {options}")
        case "const":
            yield Problem(loc, "not_one_of", f"must be {json.dumps(broken.expected_value)}")
        case "type":
            yield Problem(loc, "wrong_type", f"must be {_types(error.message)}")
        case "pattern":
            pattern = broken.pattern
            said = "must not be blank" if pattern == r"\S" else f"must match {pattern}"
            yield Problem(loc, "blank" if pattern == r"\S" else "wrong_form", said)
        case "falseSchema":
            yield Problem(loc, "not_with_this_model", "is not allowed together with the other values given")
        case "anyOf" | "oneOf":
            yield Problem(loc, "wrong_form", "has none of the forms that are allowed here (see GET /v1/operations)")
        case _:
            yield Problem(loc, "invalid", f"breaks the rule {kind!r} of this operation's schema")


def _types(message: str) -> str:
    # '9 is not of type "string"' or '… is not of types "null", "string"': the value in front is not repeated.
    _, _, names = message.rpartition("is not of type")
    return "of type " + names.lstrip("s ").replace('"', "")
