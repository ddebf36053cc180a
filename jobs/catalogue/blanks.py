"""Checking an input that still has blanks: `{"job": …, "get": …}` stands for a value that an earlier job will have."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from jobs.references import Path


def errors(validator: jsonschema_rs.Validator, given: Any, open_places: list[Path]) -> list[jsonschema_rs.ValidationError]:
    """What is wrong whatever the blanks come to. Once they are filled, the whole input is checked again."""
    return [error for error in validator.iter_errors(given) if not _may_yet_fit(error, open_places)]


def _may_yet_fit(error: jsonschema_rs.ValidationError, open_places: list[Path]) -> bool:
    """Whether this broken rule is one of a value that is not there yet: at its place, or among the forms of what holds it."""
    at = tuple(error.instance_path)
    choice = error.kind.name in ("anyOf", "oneOf", "not")
    return any(at[: len(path)] == path or (choice and path[: len(at)] == at) for path in open_places)
