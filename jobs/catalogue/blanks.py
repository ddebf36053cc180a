"""Checking an input that still has blanks: `{"job": …, "get": …}` stands for a value that an earlier job will have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs


def is_blank(value: Any) -> bool:
    """Whether this is a reference to a value of another job."""
    return isinstance(value, dict) and set(value) == {"job", "get"}


def blanks(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the blanks are."""
    if is_blank(value):
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from blanks(part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from blanks(part, (*path, place))


def errors(validator: jsonschema_rs.Validator, given: Any) -> list[jsonschema_rs.ValidationError]:
    """What is wrong whatever the blanks come to. Once they are filled, the whole input is checked again."""
    open_places = list(blanks(given))
    return [error for error in validator.iter_errors(given) if not _may_pass(error, open_places)]


def _may_pass(error: jsonschema_rs.ValidationError, open_places: list[tuple[str | int, ...]]) -> bool:
    at = tuple(error.instance_path)
    for place in open_places:
        if at[: len(place)] == place:
            return True
        # A choice between forms fails as a whole when one of its parts is a blank.
        if place[: len(at)] == at and error.kind.name in ("anyOf", "oneOf", "not"):
            return True
    return False
