"""Turns, gates and rates by themselves: what must hold whatever comes, tried with whatever Hypothesis thinks of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs import manners
from jobs.fairness import Lane, Ring, Verdict, serve
from jobs.limits import refilled
from jobs.models import Gate

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Job:
    id: str
    tenant_id: str
    units: int = 1
    priority: int = 0
    age_s: float = 0.0

    @property
    def rank_at(self) -> datetime:
        return NOON - timedelta(seconds=self.age_s + 60 * self.priority)


def lanes_of(jobs: list[Job]) -> list[Lane[Job]]:
    by_tenant: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=lambda one: (one.rank_at, one.id)):
        by_tenant.setdefault(job.tenant_id, []).append(job)

    def lane(own: list[Job]) -> Lane[Job]:
        return Lane(own[0], lambda last: own[own.index(last) + 1 :])

    return [lane(own) for own in by_tenant.values()]


def served(jobs: list[Job], room: int, ring: Ring | None = None, weights: dict[str, float] | None = None) -> tuple[list[Job], Ring]:
    left = [room]

    def start(job: Job) -> Verdict:
        if job.units > left[0]:
            return Verdict.NO_ROOM
        left[0] -= job.units
        return Verdict.STARTED

    return serve(
        lanes_of(jobs), ring or Ring(), weights or {}, moment=NOON, ageing_s=60, try_to_start=start, full=lambda: left[0] <= 0
    )


some_jobs = st.lists(
    st.builds(
        Job,
        id=st.uuids().map(str),
        tenant_id=st.sampled_from("abcd"),
        units=st.integers(1, 4),
        priority=st.integers(-3, 3),
        age_s=st.floats(0, 600),
    ),
    max_size=40,
    unique_by=lambda job: job.id,
)


@given(jobs=some_jobs, room=st.integers(0, 60))
def test_no_job_starts_twice_and_none_is_left_that_fits(jobs: list[Job], room: int) -> None:
    started, _ = served(jobs, room)
    assert len({job.id for job in started}) == len(started)
    left = room - sum(job.units for job in started)
    assert left >= 0
    # Each tenant's next did not fit.
    for lane in lanes_of([job for job in jobs if job not in started]):
        assert lane.head.units > left or room == 0


@given(jobs=some_jobs, room=st.integers(1, 60))
def test_a_tenants_jobs_start_in_the_order_of_their_ranks(jobs: list[Job], room: int) -> None:
    started, _ = served(jobs, room)
    for name in "abcd":
        own = [job.rank_at for job in started if job.tenant_id == name]
        assert own == sorted(own)


@given(weights=st.lists(st.integers(1, 5), min_size=2, max_size=5), rooms=st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_shares_follow_the_weights_however_the_room_comes(weights: list[int], rooms: list[int]) -> None:
    """In units, and never further from its due than a turn of everybody's."""
    named = {chr(97 + n): float(weight) for n, weight in enumerate(weights)}
    waiting = [Job(f"{name}{n:04}", name) for name in named for n in range(sum(rooms))]
    ring = Ring()
    got: Counter[str] = Counter()
    for room in rooms:
        started, ring = served(waiting, room, ring, named)
        got.update(job.tenant_id for job in started)
        waiting = [job for job in waiting if job not in started]
    for name, weight in named.items():
        assert abs(got[name] - sum(rooms) * weight / sum(weights)) <= sum(weights)


def test_a_tenant_whose_queue_was_empty_does_not_catch_up() -> None:
    ring = Ring()
    for n in range(10):
        _, ring = served([Job(f"{n}", "a")], 1, ring)
    started, _ = served([Job(f"a{n}", "a") for n in range(9)] + [Job(f"b{n}", "b") for n in range(9)], 6, ring)
    assert Counter(job.tenant_id for job in started) == {"a": 3, "b": 3}


def test_whoever_comes_new_is_the_next() -> None:
    _, ring = served([Job(f"a{n}", "a") for n in range(9)], 3)
    started, _ = served([Job("a9", "a"), Job("b0", "b")], 1, ring)
    assert [job.tenant_id for job in started] == ["b"]


@given(jobs=st.integers(1, 3), rooms=st.integers(8, 40))
def test_whoever_comes_with_job_after_job_is_not_new_each_time(jobs: int, rooms: int) -> None:
    """`a` and `c` have work waiting always, `b` comes with its next ones whenever its last ones have started."""
    ring, got, before = Ring(), Counter[str](), 0
    for n in range(rooms):
        always = [Job(f"{name}{n}", name) for name in "ac"]
        # It sees that its job started, and is back only in the round after that.
        comes = [Job(f"b{n}{m}", "b") for m in range(jobs)] if n % 2 == 0 or got["b"] == before else []
        before = got["b"]
        started, ring = served([*always, *comes], 1, ring)
        got.update(job.tenant_id for job in started)
    assert got["b"] <= rooms / 3 + 1
    assert abs(got["a"] - got["c"]) <= 1


def test_the_places_of_those_who_left_are_not_remembered_for_ever() -> None:
    ring = Ring()
    for n in range(1100):
        _, ring = served([Job("z", "z", units=3), Job(f"{n}", f"one-of-many-{n}")], 2, ring)
    assert len(ring.order) == 1000
    _, ring = served([Job("z", "z")], 1, ring)
    _, ring = served([Job("y", "y")], 1, ring)
    assert ring.order == ["y"]


def test_full_room_takes_nobodys_turn() -> None:
    """A place comes free one by one: whoever was refused for want of one is still the next."""
    ring = Ring()
    got: Counter[str] = Counter()
    waiting = [Job(f"{name}{n}", name) for name in "ab" for n in range(40)]
    for _ in range(40):
        started, ring = served(waiting, 1, ring, {"a": 3.0})
        got.update(job.tenant_id for job in started)
        waiting = [job for job in waiting if job not in started]
    assert got == {"a": 30, "b": 10}


@given(
    urgent=st.integers(1, 9),
    wait_s=st.floats(0, 1200),
)
def test_waiting_is_worth_a_priority_for_each_ageing(urgent: int, wait_s: float) -> None:
    old, new = Job("old", "a", age_s=wait_s), Job("new", "a", priority=urgent)
    ((first, *_), _) = served([old, new], 1)
    assert (first is old) == (wait_s >= 60 * urgent) or wait_s == 60 * urgent


# Gates --------------------------------------------------------------------------------------------------------------------


def _gate() -> Gate:
    return manners.new_gate("kling", "main", NOON)


def test_each_refusal_doubles_the_wait_up_to_a_minute() -> None:
    gate, moment = _gate(), NOON
    waits = []
    for _ in range(9):
        manners.throttled(gate, moment, None, probe=False, chance=lambda: 1.0)
        assert gate.closed_until is not None
        waits.append((gate.closed_until - moment).total_seconds())
        moment = gate.closed_until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_was_on_its_way_when_the_gate_closed_says_nothing_new() -> None:
    gate = _gate()
    for _ in range(40):
        manners.throttled(gate, NOON, None, probe=False)
    assert (gate.throttled, gate.budget) == (1, 10)


def test_a_provider_is_given_the_time_it_asks_for_but_not_any() -> None:
    gate = _gate()
    manners.throttled(gate, NOON, 90, probe=False)
    assert gate.closed_until == NOON + timedelta(seconds=90)
    manners.throttled(gate, NOON, 1e9, probe=False)
    assert gate.closed_until == NOON + timedelta(hours=1)


def test_after_a_storm_calls_double_up_to_half_of_what_was_too_much() -> None:
    gate = _gate()
    manners.throttled(gate, NOON, None, probe=False)
    allowed = []
    for _ in range(8):
        allowed.append(int(gate.allow))
        assert not manners.succeeded(gate, NOON)
    assert allowed == [1, 2, 4, 8, 16, 32, 32, 32]
    assert manners.succeeded(gate, NOON + timedelta(seconds=121)), "two good minutes, and it is forgotten"


def test_five_failures_in_a_row_open_the_breaker_and_one_success_closes_it() -> None:
    gate = _gate()
    for n in range(4):
        manners.failed(gate, NOON + timedelta(seconds=n), "upstream_unavailable", None, probe=False)
    assert gate.closed_until is None
    manners.failed(gate, NOON, "upstream_unavailable", None, probe=False, chance=lambda: 1.0)
    assert (gate.allow, gate.closed_until) == (1, NOON + timedelta(seconds=5))
    manners.failed(gate, NOON + timedelta(seconds=6), "upstream_unavailable", None, probe=True, chance=lambda: 1.0)
    assert gate.closed_until == NOON + timedelta(seconds=16)
    manners.succeeded(gate, NOON + timedelta(seconds=17))
    assert (gate.failures, gate.closed_until) == (0, None)


@given(st.lists(st.booleans(), min_size=50, max_size=600))
def test_calls_in_vain_stay_a_tenth_of_the_others_and_one_a_minute(answers: list[bool]) -> None:
    """Whatever the provider says to the calls that the gate lets through, one after the other."""
    gate, moment = _gate(), NOON
    good = vain = 0
    for fine in answers:
        moment = max(moment, gate.closed_until or moment)
        if fine:
            good += 1
            if manners.succeeded(gate, moment):
                gate = _gate()
        else:
            vain += 1
            manners.throttled(gate, moment, None, probe=True)
    minutes = (moment - NOON).total_seconds() / 45
    assert vain <= 11 + 0.1 * good + minutes


@given(left=st.floats(0, 50), per_second=st.floats(0.01, 100), passed_s=st.floats(-5, 1e6))
def test_a_rate_comes_back_with_time_and_is_not_saved_up(left: float, per_second: float, passed_s: float) -> None:
    after = refilled(left, per_second, passed_s)
    assert after <= max(1.0, per_second) or after == left
