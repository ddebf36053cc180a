"""When to look again, try again, stop: each row worked by hand beside it."""

from __future__ import annotations

import pytest

from jobs import policy
from jobs.catalogue.spec import Poll

LEAST = 0.0
MOST = 1.0
HALF = 0.5


def _poll(*every_s: float) -> Poll:
    return Poll(path="/{id}", status=("status",), words={}, every_s=every_s, give_up_s=60)


@pytest.mark.parametrize(
    ("polls", "chance", "retry_after_s", "expected_s"),
    [
        (0, MOST, None, 2.0),  # 2 × (0.75 + 0.25 × 1)
        (0, LEAST, None, 1.5),  # 2 × 0.75
        (1, MOST, None, 5.0),
        (1, HALF, None, 4.375),  # 5 × 0.875
        (2, MOST, None, 10.0),
        (3, MOST, None, 10.0),  # repeats its last value
        (500, LEAST, None, 7.5),
        (0, MOST, 7.0, 7.0),  # a longer Retry-After wins
        (2, MOST, 7.0, 10.0),  # a shorter one does not
    ],
)
def test_polls_walk_their_list_and_repeat_its_end(
    polls: int, chance: float, retry_after_s: float | None, expected_s: float
) -> None:
    assert policy.next_poll_s(_poll(2, 5, 10), polls, retry_after_s, chance=lambda: chance) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("tries", "chance", "retry_after_s", "cap_s", "expected_s"),
    [
        (0, LEAST, None, 60, 0.5),  # never sooner than half a second
        (0, MOST, None, 60, 1.5),  # 0.5 + 2^0
        (1, MOST, None, 60, 2.5),  # 0.5 + 2
        (3, HALF, None, 60, 4.5),  # 0.5 + 8 / 2
        (6, MOST, None, 60, 60.5),  # 2^6 = 64, capped
        (3, MOST, None, 5, 5.5),  # a cap of its own
        (10_000, MOST, None, 60, 60.5),  # no overflow
        (0, LEAST, 30.0, 60, 30.0),  # the provider's word
        (6, MOST, 1.0, 60, 60.5),  # … unless ours is longer
    ],
)
def test_tries_back_off_with_full_jitter(
    tries: int, chance: float, retry_after_s: float | None, cap_s: float, expected_s: float
) -> None:
    assert policy.backoff_s(tries, retry_after_s, cap_s=cap_s, chance=lambda: chance) == pytest.approx(expected_s)


@pytest.mark.parametrize(("looks", "expected_s"), [(0, 5), (1, 10), (2, 45), (3, 240), (4, 300), (5, None), (99, None)])
def test_a_lost_answer_is_looked_for_five_times_in_ten_minutes(looks: int, expected_s: float | None) -> None:
    assert policy.lookup_wait_s(looks) == expected_s


def test_the_looks_for_a_lost_answer_take_ten_minutes_in_all() -> None:
    assert sum(policy.LOOKUP_AFTER_S) == 600  # 5 + 10 + 45 + 240 + 300


@pytest.mark.parametrize(
    ("step", "chance", "retry_after_s", "expected_s"),
    [
        (0, MOST, None, 0),
        (1, HALF, None, 5),  # 5 × (0.8 + 0.4 / 2)
        (1, LEAST, None, 4),  # −20 %
        (1, MOST, None, 6),  # +20 %
        (2, HALF, None, 300),
        (9, HALF, None, 86_400),
        (10, HALF, None, None),  # over
        (2, HALF, 400, 400),  # Retry-After between once and twice the wait
        (2, HALF, 10, 300),  # not sooner than planned
        (2, HALF, 1e9, 600),  # not later than twice
        (0, HALF, 900, 2),  # the first try has no wait to double: a second counts
    ],
)
def test_webhooks_are_retried_on_schedule(step: int, chance: float, retry_after_s: float | None, expected_s: float | None) -> None:
    found = policy.webhook_wait_s(step, retry_after_s, chance=lambda: chance)
    assert found == (None if expected_s is None else pytest.approx(expected_s))


def test_the_webhook_schedule_is_the_one_of_standard_webhooks() -> None:
    minute, hour = 60, 3600
    assert (
        0,
        5,
        5 * minute,
        30 * minute,
        2 * hour,
        5 * hour,
        10 * hour,
        14 * hour,
        20 * hour,
        24 * hour,
    ) == policy.WEBHOOK_WAITS_S
    assert sum(policy.WEBHOOK_WAITS_S) / hour == pytest.approx(75.6, abs=0.05)


def test_chance_itself_stays_within_its_bounds() -> None:
    waits = [policy.next_poll_s(_poll(4), 0) for _ in range(200)]
    assert all(3.0 <= wait_s <= 4.0 for wait_s in waits)
    assert len(set(waits)) > 100, "jobs that were submitted together must spread out"
