"""Event types that a request names."""

from __future__ import annotations

from collections.abc import Iterable

from api_stub.problems import invalid
from jobs.states import EVENT_TYPES
from jobs.validation import shown


def event_types(loc: str, names: Iterable[str]) -> list[str]:
    """The names, each once. 422 for one that is no event."""
    wanted = list(dict.fromkeys(name.strip() for name in names))
    problems = [
        {"loc": loc, "code": "unknown_event", "msg": f"{shown(name)} is no event; there are {', '.join(EVENT_TYPES)}"}
        for name in wanted
        if name not in EVENT_TYPES
    ]
    if problems:
        raise invalid(problems)
    return wanted
