"""How much is being worked on: now, at most, and over time. Measured where the work is, not where it was ordered.

A call is in flight from the moment it is accepted until its work ends, and weighs its `units`. Gauges change at that
moment and not by sampling, so a peak is the exact maximum. The end of a task is known before it comes (as soon as its
outputs are drawn), and is booked for that time: whoever sees a final status and asks at once, with a poll, a question
about the load or the next submit, finds the place already free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.agenda import Agenda

#: Key, provider and operation; empty is any. The provider is named wherever the operation is.
Scope = tuple[str, str, str]

EVERYTHING: Scope = ("", "", "")


@dataclass(slots=True)
class Gauge:
    """One scope's load. `changed_at` is where the integral ends."""

    changed_at: float
    now: int = 0
    peak: int = 0
    unit_seconds: float = 0.0
    calls: int = 0

    def change(self, units: int, at: float) -> None:
        self.catch_up(at)
        self.now += units
        if self.now > self.peak:
            self.peak = self.now

    def catch_up(self, at: float) -> None:
        if at > self.changed_at:
            self.unit_seconds += self.now * (at - self.changed_at)
            self.changed_at = at

    def as_json(self) -> dict[str, Any]:
        return {"now": self.now, "peak": self.peak, "unit_seconds": round(self.unit_seconds, 6), "calls": self.calls}


@dataclass(slots=True)
class Flight:
    """A call in flight, and the gauges it is counted in."""

    units: int
    gauges: tuple[Gauge, ...]
    is_over: bool = False


class Load:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._ends = Agenda(clock)
        self._since = clock()
        self._gauges: dict[Scope, Gauge] = {}
        #: The gauges of a key and an operation, so that accepting a call need not gather them again.
        self._together: dict[tuple[str, str], tuple[Gauge, ...]] = {}

    def begin(self, key: str, operation: str, units: int) -> Flight:
        """A call is accepted."""
        now = self._ends.catch_up()
        gauges = self._together.get((key, operation)) or self._gather(key, operation, now)
        for gauge in gauges:
            gauge.change(units, now)
            gauge.calls += 1
        return Flight(units, gauges)

    def end(self, flight: Flight) -> None:
        """Its work ends now. A flight ends once, whoever says so again."""
        self._end(flight, self._ends.catch_up())

    def end_at(self, flight: Flight, moment: float) -> None:
        """Its work will end at that Unix time."""
        self._ends.put(moment, lambda at: self._end(flight, at))

    def units(self, scope: Scope) -> int:
        """In flight now."""
        self._ends.catch_up()
        gauge = self._gauges.get(scope)
        return gauge.now if gauge is not None else 0

    def reset(self) -> None:
        """Peaks, integrals and counts begin anew; what is in flight stays in flight."""
        self._since = now = self._ends.catch_up()
        # A gauge at 0 belongs to no flight that has an end to come.
        self._gauges = {scope: gauge for scope, gauge in self._gauges.items() if gauge.now}
        self._together.clear()
        for gauge in self._gauges.values():
            gauge.changed_at, gauge.peak, gauge.unit_seconds, gauge.calls = now, gauge.now, 0.0, 0

    def clear(self) -> None:
        """Nothing is in flight. Flights of before still end, in gauges that nobody reads."""
        self._ends.clear()
        self._gauges.clear()
        self.reset()

    def as_json(self) -> dict[str, Any]:
        """The body of ``GET /_simulator/load``."""
        now = self._ends.catch_up()
        told: dict[str, Any] = {
            "since_s": round(now - self._since, 6),
            "total": Gauge(now).as_json(),
            "by_provider": {},
            "by_operation": {},
            "by_key": {},
            "by_key_and_provider": {},
            "by_key_and_operation": {},
        }
        for scope in sorted(self._gauges):
            gauge = self._gauges[scope]
            gauge.catch_up(now)
            match scope:
                case ("", "", ""):
                    told["total"] = gauge.as_json()
                case ("", provider, ""):
                    told["by_provider"][provider] = gauge.as_json()
                case ("", _, operation):
                    told["by_operation"][operation] = gauge.as_json()
                case (key, "", ""):
                    told["by_key"][key] = gauge.as_json()
                case (key, provider, ""):
                    told["by_key_and_provider"][f"{key} {provider}"] = gauge.as_json()
                case (key, _, operation):
                    told["by_key_and_operation"][f"{key} {operation}"] = gauge.as_json()
        return told

    def _gather(self, key: str, operation: str, now: float) -> tuple[Gauge, ...]:
        provider = operation.partition(".")[0]
        scopes: tuple[Scope, ...] = (
            EVERYTHING,
            ("", provider, ""),
            ("", provider, operation),
            (key, "", ""),
            (key, provider, ""),
            (key, provider, operation),
        )
        gathered = tuple(self._gauges.setdefault(scope, Gauge(now)) for scope in scopes)
        self._together[key, operation] = gathered
        return gathered

    def _end(self, flight: Flight, at: float) -> None:
        if flight.is_over:
            return
        flight.is_over = True
        for gauge in flight.gauges:
            gauge.change(-flight.units, at)
