"""When to look again, when to try again, when to stop. Numbers from the reliability plan; pure functions of their arguments."""

from __future__ import annotations

import random
from collections.abc import Callable

from jobs.catalogue.spec import Poll

#: A number from 0 to 1; tests put their own in.
Chance = Callable[[], float]

#: Waits before each look for a task whose submit answer was lost, in seconds: ten minutes in all. Then policy decides.
LOOKUP_AFTER_S = (5.0, 10.0, 45.0, 240.0, 300.0)

#: Claims in a row that never ended before a job is set aside as the one that kills workers.
MOST_CRASHES = 5

#: Odd answers to polls in a row (HTML, 5xx, no status) before the job fails.
MOST_ODDITIES = 60

#: Refusals for the moment (no capacity) of a submit before the job fails. Rate limits do not count: they pass.
MOST_BUSY = 10

#: Times that a job is put back because no key may do what it asks (403), before it is the job that nobody may ask.
MOST_REFUSED_KEYS = 3

#: Tries at fetching one job's outputs, and fresh addresses asked for when links died.
MOST_COLLECT_TRIES = 8

#: Seconds between tries of a webhook: 75.6 hours in all (Standard Webhooks' recommendation).
WEBHOOK_WAITS_S = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)


def next_poll_s(poll: Poll, polls: int, retry_after_s: float | None = None, *, chance: Chance = random.random) -> float:
    """Seconds before look number `polls` (the first is 0).

    Walks `every_s` and repeats its last value, each time between 0.75 and 1 of it so that jobs submitted together spread out:
    (2, 5, 10) gives up to 2, 5, 10, 10, … A longer `retry_after_s` wins.
    """
    planned = poll.every_s[min(polls, len(poll.every_s) - 1)] * (0.75 + 0.25 * chance())
    return max(planned, retry_after_s or 0.0)


def backoff_s(tries: int, retry_after_s: float | None = None, *, cap_s: float = 60.0, chance: Chance = random.random) -> float:
    """Seconds before the next try after `tries` failed ones: full jitter under 1, 2, 4 … `cap_s`, at least half a second."""
    planned = 0.5 + chance() * min(cap_s, 2.0 ** min(tries, 16))
    return max(planned, retry_after_s or 0.0)


def lookup_wait_s(looks: int) -> float | None:
    """Seconds before look number `looks` (the first is 0) for a task whose submit answer was lost; None when they are over."""
    return LOOKUP_AFTER_S[looks] if looks < len(LOOKUP_AFTER_S) else None


def webhook_wait_s(step: int, retry_after_s: float | None = None, *, chance: Chance = random.random) -> float | None:
    """Seconds before try number `step` (the first is 0), ±20 %; None when the schedule is over.

    `Retry-After` is honoured between once and twice the planned wait: a receiver may slow us down, not switch us off.
    """
    if step >= len(WEBHOOK_WAITS_S):
        return None
    planned = WEBHOOK_WAITS_S[step] * (0.8 + 0.4 * chance())
    return planned if retry_after_s is None else min(max(retry_after_s, planned), 2 * max(planned, 1.0))
