"""Manners towards a provider that asks for patience or fails: when to stop, when to try again, how much at once.

After each refusal nothing is sent for a time that doubles; then one call tries, and each success lets twice as many follow, up to
half of what was too much, and from there one more a round. After several failures in a row the same: a circuit breaker with a
single probe. Calls made in vain are counted: where they are more than a tenth of the others, only single probes go on, one a
minute. Pure functions of a gate and the time; `jobs.queries.gates` keeps the gates.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from jobs.models import Gate
from jobs.policy import Chance

#: Calls at once that are as good as any number.
OPEN = 64.0
#: Calls in vain that are never too many, and the share of the others that may be.
_MOST_BUDGET = 10.0
_EARNED = 0.1
#: Failures in a row before a provider is taken for broken.
_MOST_FAILURES = 5
_FIRST_WAIT_S = {"throttled": 1.0, "failing": 5.0}
_MOST_WAIT_S = 60.0
#: A provider may ask for more patience than we would have, not for any.
_MOST_RETRY_AFTER_S = 3600.0
#: So long without a refusal, and the provider is like any other again.
_FORGOTTEN_S = 120.0


def new_gate(provider: str, key_name: str, moment: datetime) -> Gate:
    """One that changes nothing yet."""
    return Gate(
        provider=provider,
        key_name=key_name,
        cause="",
        throttled=0,
        failures=0,
        closed_until=None,
        allow=OPEN,
        ceiling=OPEN,
        budget=_MOST_BUDGET,
        refused_at=moment,
    )


def throttled(gate: Gate, moment: datetime, retry_after_s: float | None, *, probe: bool, chance: Chance = random.random) -> None:
    """A call was refused for there being too many (429)."""
    gate.budget -= 1 if probe else 0
    gate.refused_at = moment
    if _knows(gate, moment):
        # It was on its way when we knew already: it says nothing new but how long.
        _close(gate, moment, 0.0, retry_after_s)
        return
    gate.throttled += 1
    gate.cause = f"{gate.provider} asked for patience"
    _narrow(gate)
    _close(gate, moment, _wait_s(gate, "throttled", gate.throttled - 1, chance), retry_after_s)


def failed(
    gate: Gate, moment: datetime, what: str, retry_after_s: float | None, *, probe: bool, chance: Chance = random.random
) -> None:
    """A call failed in a way that is not the call's own fault: not reached, a 5xx, no answer."""
    gate.budget -= 1 if probe else 0
    gate.refused_at = moment
    if _knows(gate, moment):
        _close(gate, moment, 0.0, retry_after_s)
        return
    gate.failures += 1
    gate.cause = f"{gate.provider} failed {gate.failures} times in a row ({what})"
    if gate.failures >= _MOST_FAILURES:
        _narrow(gate)
        _close(gate, moment, _wait_s(gate, "failing", gate.failures - _MOST_FAILURES, chance), retry_after_s)
    elif retry_after_s:
        _close(gate, moment, 0.0, retry_after_s)


def succeeded(gate: Gate, moment: datetime) -> bool:
    """A call that was made in doubt was answered as it should be. True: all is well again, and the gate may go."""
    gate.throttled = gate.failures = 0
    gate.closed_until = None
    gate.budget = min(_MOST_BUDGET, gate.budget + _EARNED)
    if gate.allow < gate.ceiling:
        gate.allow = min(2 * gate.allow, gate.ceiling)
    elif gate.budget >= 1:
        gate.allow = min(gate.allow + 1 / gate.allow, OPEN)
    return gate.allow >= OPEN or (gate.allow >= gate.ceiling and (moment - gate.refused_at).total_seconds() >= _FORGOTTEN_S)


def _knows(gate: Gate, moment: datetime) -> bool:
    return gate.closed_until is not None and gate.closed_until > moment


def _narrow(gate: Gate) -> None:
    if gate.allow > 1:
        gate.ceiling = max(1.0, gate.allow / 2)
    gate.allow = 1.0


def _wait_s(gate: Gate, kind: str, times: int, chance: Chance) -> float:
    planned = _MOST_WAIT_S if gate.budget < 1 else min(_MOST_WAIT_S, _FIRST_WAIT_S[kind] * 2.0 ** min(times, 16))
    return planned * (0.75 + 0.25 * chance())


def _close(gate: Gate, moment: datetime, wait_s: float, retry_after_s: float | None) -> None:
    asked_s = min(retry_after_s or 0.0, _MOST_RETRY_AFTER_S)
    until = moment + timedelta(seconds=max(wait_s, asked_s))
    if until > moment:
        gate.closed_until = until if gate.closed_until is None else max(gate.closed_until, until)
