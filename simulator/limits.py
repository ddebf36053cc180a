"""How much the vendor takes at once, and how often: beyond that it answers 429, in its own words.

A limit says for whom it holds: for a key, a provider, an operation or some of these together, each by its name; ``*``
stands for each one by itself, and what is left out for all together. So ``{"provider": "kling", "key": "*", "units": 5}``
lets every key have 5 units of Kling in flight.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.keys import as_name
from simulator.load import Load, Scope

EACH = "*"

#: Seconds in which calls are counted, whenever they begin.
_WINDOW_S = 1.0

_SELECTORS = ("key", "provider", "operation")
MEMBERS = frozenset({*_SELECTORS, "units", "per_second", "retry_after"})


@dataclass(slots=True)
class Limit:
    """`units` in flight and calls `per_second`; None is no such limit."""

    key: str = ""
    provider: str = ""
    operation: str = ""
    units: int | None = None
    per_second: int | None = None
    #: Seconds, for the header of that name; None leaves it out.
    retry_after: float | None = 1
    #: Calls that were refused by it.
    refused: int = 0
    #: Unix times of the calls accepted within the window.
    _accepted: defaultdict[Scope, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def scope_of(self, key: str, operation: str) -> Scope | None:
        """What a call counts in here; None when the limit is not for it."""
        provider = operation.partition(".")[0]
        pairs = ((self.key, key), (self.provider, provider), (self.operation, operation))
        if any(wanted not in ("", EACH, actual) for wanted, actual in pairs):
            return None
        names_provider = self.provider or self.operation
        return (key if self.key else "", provider if names_provider else "", operation if self.operation else "")

    def is_reached(self, scope: Scope, units: int, load: Load, now: float) -> bool:
        if self.units is not None and load.units(scope) + units > self.units:
            return True
        if self.per_second is None:
            return False
        times = self._accepted[scope]
        while times and times[0] <= now - _WINDOW_S:
            times.popleft()
        return len(times) >= self.per_second

    def note(self, scope: Scope, now: float) -> None:
        if self.per_second is not None:
            self._accepted[scope].append(now)

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in (*_SELECTORS, "units", "per_second") if getattr(self, name) not in ("", None)}
        return {**told, "retry_after": self.retry_after, "refused": self.refused}


class Limits:
    """Those in force. A call must be within every one that is for it."""

    def __init__(self) -> None:
        self._limits: list[Limit] = []

    def set(self, limits: Iterable[Limit]) -> None:
        """In place of those before."""
        self._limits = list(limits)

    def reached_by(self, key: str, operation: str, units: int, load: Load, now: float) -> Limit | None:
        """The first limit that a call would go beyond; it counts the refusal."""
        for limit in self._limits:
            scope = limit.scope_of(key, operation)
            if scope is not None and limit.is_reached(scope, units, load, now):
                limit.refused += 1
                return limit
        return None

    def note(self, key: str, operation: str, now: float) -> None:
        """A call is accepted."""
        for limit in self._limits:
            scope = limit.scope_of(key, operation)
            if scope is not None:
                limit.note(scope, now)

    def as_json(self) -> list[dict[str, Any]]:
        return [limit.as_json() for limit in self._limits]


def limit_from_json(data: object) -> Limit:
    """One entry of ``POST /_simulator/control`` ``limits``. Raises ValueError with a sentence for the caller."""
    if not isinstance(data, dict) or not set(data) <= MEMBERS:
        raise ValueError(f"a limit may have: {', '.join(sorted(MEMBERS))}")
    for name in _SELECTORS:
        if not isinstance(data.get(name, ""), str):
            raise ValueError(f"{name!r} of a limit is a name, or {EACH} for each by itself")
    units, per_second = (_whole(data, name) for name in ("units", "per_second"))
    if units is None and per_second is None:
        raise ValueError("a limit needs 'units' or 'per_second'")
    retry_after = data.get("retry_after", 1)
    if retry_after is not None and (not isinstance(retry_after, int | float) or isinstance(retry_after, bool) or retry_after < 0):
        raise ValueError("'retry_after' is a number of seconds from 0, or null for no such header")
    key = data.get("key", "")
    return Limit(
        key if key in ("", EACH) else as_name(key),
        data.get("provider", ""),
        data.get("operation", ""),
        units,
        per_second,
        retry_after,
    )


def _whole(data: dict[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"{name!r} of a limit is a whole number from 0")
    return value
