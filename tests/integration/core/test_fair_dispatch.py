"""Whose job starts when there is not enough for all, and what keeps a job back, on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from house import add_batch, add_job, add_jobs, in_transaction, job_row, let_time_pass, rows_of, tenant, the_job, together
from sqlalchemy import insert, update
from sqlmodel import Session, col

from jobs.db import Database, after
from jobs.models import Attempt, Batch, Bucket, Gate, Job, Pause, Tenant
from jobs.queries import intake, ledger, limits, pauses, release
from jobs.queries.release import House, Round
from jobs.states import MODALITIES, JobState

WIDE = dict.fromkeys(MODALITIES, 10_000)


def house(windows: dict[str, int] | None = None, keys: dict[str, float] | None = None) -> House:
    named = keys or {"default": 1.0}
    return House(windows=WIDE | (windows or {}), keys_of=lambda _: named, ageing_s=60, hint_s=30)


def run_round(database: Database, **how: Any) -> Round:
    with database.transaction() as session:
        return release.release(session, house(**how))


def released(database: Database, **how: Any) -> list[str]:
    return [ticket.job_id for ticket in run_round(database, **how).tickets]


def end(database: Database, *job_ids: str) -> None:
    """The provider is done with these: their places are free."""
    with database.transaction() as session:
        session.execute(
            update(Job)
            .where(col(Job.id).in_(job_ids))
            .values(status=JobState.COLLECTING, reserved=False, released_at=None, due_at=None)
        )


def pause(database: Database, kind: str, name: str, **more: Any) -> None:
    with database.transaction() as session:
        pauses.put(session, kind, name, reason="a test", actor="test", **more)


def limit(database: Database, **rule: Any) -> None:
    with database.transaction() as session:
        limits.put(session, **rule)


def weigh(database: Database, tenant_id: str, **values: Any) -> None:
    with database.transaction() as session:
        session.execute(update(Tenant).where(col(Tenant.id) == tenant_id).values(**values))


def flood(database: Database, tenant_id: str, count: int) -> None:
    rows = [job_row(tenant_id) for _ in range(count)]
    with database.transaction() as session:
        moment = datetime.now(UTC) - timedelta(seconds=30)
        for row in rows:
            row |= {"due_at": moment, "rank_at": moment}
        session.execute(insert(Job), rows)


# Turns --------------------------------------------------------------------------------------------------------------------


def test_a_job_behind_twenty_thousand_of_another_tenant_starts_within_one_round(database: Database) -> None:
    large, small = tenant(database, "a"), tenant(database, "b")
    flood(database, large, 20_000)
    first = released(database, windows={"video": 48})
    assert len(first) == 48
    wanted = add_job(database, small)
    # One place becomes free; whoever's turn it was, the next is the other's.
    end(database, *first[:2])
    assert wanted in released(database, windows={"video": 48})


@pytest.mark.parametrize(("room", "total"), [(1, 100), (7, 500), (48, 2_000)])
def test_tenants_are_served_by_their_weights(database: Database, room: int, total: int) -> None:
    three, one = tenant(database, "a"), tenant(database, "b")
    weigh(database, three, weight=3)
    for who in (three, one):
        flood(database, who, total)
    served: Counter[str] = Counter()
    while served.total() < total:
        found = released(database, windows={"video": room})
        for job in rows_of(database, Job, col(Job.id).in_(found)):
            served[job.tenant_id] += 1
        end(database, *found)
    assert abs(served[three] / served.total() - 0.75) <= 0.05 * 0.75


def test_units_are_what_is_shared_not_jobs(database: Database) -> None:
    """A tenant whose jobs are four times as large gets a quarter of the jobs."""
    large, small = tenant(database, "a"), tenant(database, "b")
    add_jobs(database, large, 40, units=4)
    add_jobs(database, small, 160)
    units: Counter[str] = Counter()
    for _ in range(40):
        found = released(database, windows={"video": 2})
        for job in rows_of(database, Job, col(Job.id).in_(found)):
            units[job.tenant_id] += job.units
        end(database, *found)
    assert abs(units[large] - units[small]) <= 4


def test_urgent_work_goes_first_whoever_asks_for_it(database: Database) -> None:
    one, two = tenant(database, "a"), tenant(database, "b")
    plain = add_job(database, one)
    urgent = add_jobs(database, two, 3, priority=5)
    assert released(database, windows={"video": 3}) == urgent
    assert released(database, windows={"video": 4}) == [plain]


def test_a_stream_of_urgent_work_does_not_starve_what_waits(database: Database) -> None:
    """Waiting for five times `ageing_s` is worth five priorities."""
    one, two = tenant(database, "a"), tenant(database, "b")
    old = add_job(database, one, rank_at=after(-301))
    add_jobs(database, two, 5, priority=5)
    assert old in released(database, windows={"video": 2})


def test_a_tenant_is_served_by_age_across_its_operations(database: Database) -> None:
    who = tenant(database)
    second = add_job(database, who, rank_at=after(-10))
    first = add_job(database, who, operation="kling.lip_sync", rank_at=after(-20))
    third = add_job(database, who, operation="kling.avatar", rank_at=after(-5))
    assert released(database, windows={"video": 3}) == [first, second, third]


def test_a_full_window_of_one_modality_holds_up_no_other(database: Database) -> None:
    who = tenant(database)
    add_jobs(database, who, 3, rank_at=after(-50))
    song = add_job(database, who, modality="music", operation="suno.music", provider="suno")
    assert len(released(database, windows={"video": 1})) == 2
    assert the_job(database, song).released_at is not None


# Limits -------------------------------------------------------------------------------------------------------------------


def test_a_limit_is_kept_to_the_unit_and_used_to_the_brim(database: Database) -> None:
    limit(database, provider="kling", concurrency=5)
    who = tenant(database)
    job_ids = add_jobs(database, who, 20)
    first = released(database)
    assert first == job_ids[:5]
    assert released(database) == []
    end(database, first[0], first[3])
    assert released(database) == job_ids[5:7]


def test_what_is_at_a_provider_counts_until_it_is_done(database: Database) -> None:
    limit(database, operation="kling.text_to_video", concurrency=2)
    who = tenant(database)
    job_ids = add_jobs(database, who, 3)
    first, _ = released(database)
    with database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == first).values(status=JobState.RUNNING, reserved=False, released_at=None))
        session.execute(
            insert(Attempt).values(
                id="att_1",
                job_id=first,
                n=1,
                provider="kling",
                tenant_id=who,
                operation="kling.text_to_video",
                key_name="default",
                units=1,
                held=True,
                client_ref="x",
            )
        )
    assert released(database) == []
    with database.transaction() as session:
        session.execute(update(Attempt).values(held=False))
    assert released(database) == job_ids[2:]


def test_four_who_release_at_once_keep_to_the_limit(database: Database) -> None:
    limit(database, concurrency=7)
    for name in "abc":
        add_jobs(database, tenant(database, name), 20)
    work: Callable[[Session], Round] = lambda session: release.release(session, house())  # noqa: E731
    found = together(*[in_transaction(database, work)] * 4)
    assert sum(len(one.tickets) for one in found) == 7


def test_a_large_job_is_not_overtaken_for_ever_by_small_ones(database: Database) -> None:
    limit(database, provider="kling", concurrency=4)
    who = tenant(database)
    small = add_jobs(database, who, 3, rank_at=after(-100))
    large = add_job(database, who, units=3, operation="kling.image_generation", modality="image", rank_at=after(-50))
    late = add_jobs(database, who, 3)
    assert released(database) == small, "one unit is left, and kept for the large one"
    end(database, small[0])
    assert released(database) == []
    end(database, small[1])
    assert released(database) == [large]
    end(database, small[2])
    assert released(database) == late[:1]


def test_a_job_that_no_limit_will_ever_let_through_is_named_and_holds_up_nothing(database: Database) -> None:
    limit(database, provider="kling", concurrency=4)
    who = tenant(database)
    giant = add_job(database, who, units=5, rank_at=after(-50))
    other = add_job(database, who)
    made = run_round(database)
    assert [ticket.job_id for ticket in made.tickets] == [other]
    assert made.never[giant].code == "over_limit"
    assert "provider=kling" in made.never[giant].message


def test_each_key_has_the_limit_for_itself_and_gets_its_share(database: Database) -> None:
    limit(database, provider="kling", each_key=True, concurrency=4)
    job_ids = add_jobs(database, tenant(database), 10)
    keys = {"main": 3.0, "spare": 1.0}
    assert released(database, keys=keys, windows={"video": 4}) == job_ids[:4]
    used = Counter(job.key_name for job in rows_of(database, Job, col(Job.key_name).is_not(None)))
    assert used == {"main": 3, "spare": 1}
    assert len(released(database, keys=keys)) == 4, "eight in all"
    used = Counter(job.key_name for job in rows_of(database, Job, col(Job.key_name).is_not(None)))
    assert used == {"main": 4, "spare": 4}


def test_a_tenants_own_limit_holds_up_no_other_tenant(database: Database) -> None:
    one, two = tenant(database, "a"), tenant(database, "b")
    weigh(database, one, max_running=2)
    add_jobs(database, one, 5)
    add_jobs(database, two, 5)
    found = Counter(job.tenant_id for job in rows_of(database, Job, col(Job.id).in_(released(database))))
    assert found == {one: 2, two: 5}


def test_a_claim_that_was_taken_back_gives_its_place_back(database: Database) -> None:
    limit(database, concurrency=1)
    (job_id,) = add_jobs(database, tenant(database), 1)
    assert released(database) == [job_id]
    let_time_pass(database, job_id)
    with database.transaction() as session:
        assert release.take_back_lost_hints(session) == 1
    assert (the_job(database, job_id).reserved, the_job(database, job_id).key_name) == (False, None)
    assert released(database) == [job_id]


# Rates --------------------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(clock: Clock, fresh_database_url: Callable[[str], str]) -> Iterator[Database]:
    """SQLite, with a clock that a test moves."""
    database = Database(fresh_database_url("sqlite"), clock=clock)
    yield database
    database.dispose()


def test_a_rate_is_spread_evenly(timed: Database, clock: Clock) -> None:
    limit(timed, operation="kling.text_to_video", per_minute=60)
    who = tenant(timed)
    add_jobs(timed, who, 200)
    assert len(released(timed)) == 1
    started = 0
    for _ in range(120):
        clock.passes(0.5)
        started += len(released(timed))
    assert started == 60, "sixty in a minute"
    clock.passes(600)
    assert len(released(timed)) == 1, "what was not used is not saved up"


def test_a_rate_of_many_a_second_loses_nothing_between_two_rounds(timed: Database, clock: Clock) -> None:
    limit(timed, per_second=20)
    add_jobs(timed, tenant(timed), 500)
    started = len(released(timed))
    for _ in range(20):
        clock.passes(0.5)
        started += len(released(timed))
    assert started == 20 + 200


def whole_limit_wanted(database: Database, clock: Clock, order: str) -> tuple[dict[str, str], str]:
    """Tenants, made in this order, of whom A has a job that needs the whole limit of a provider: them, and the job."""
    who = {}
    for name in order:
        clock.passes(0.01)
        who[name] = tenant(database, name)
    limit(database, provider="kling", concurrency=9)
    limit(database, provider="suno", concurrency=1)
    return who, add_job(database, who["A"], units=9, modality="image", operation="kling.image_generation")


def assert_it_starts(database: Database, clock: Clock, job_id: str, *, rounds: int) -> None:
    """While in each round one job of each provider ends."""
    under_way: dict[str, list[str]] = {"kling": [], "suno": []}
    for _ in range(rounds):
        found = released(database)
        if job_id in found:
            return
        for job in rows_of(database, Job, col(Job.id).in_(found)):
            under_way[job.provider].append(job.id)
        end(database, *(running.pop(0) for running in under_way.values() if running))
        clock.passes(1)
    raise AssertionError("it never started")


@pytest.mark.parametrize("order", ["ABC", "CBA"])
@pytest.mark.parametrize("other_work", [False, True])
def test_a_job_that_needs_a_whole_limit_is_not_overtaken_for_ever(
    timed: Database, clock: Clock, order: str, other_work: bool
) -> None:
    who, large = whole_limit_wanted(timed, clock, order)
    add_jobs(timed, who["B"], 200)
    if other_work:
        add_jobs(timed, who["C"], 200, modality="music", operation="suno.music", provider="suno")
    assert_it_starts(timed, clock, large, rounds=60)


@pytest.mark.parametrize("ends", ["together", "in turn"])
def test_two_who_want_the_same_share_it_while_a_third_starts_something_else(timed: Database, clock: Clock, ends: str) -> None:
    who = {name: tenant(timed, name) for name in "ABC"}
    for name in "AB":
        add_jobs(timed, who[name], 60)
    add_jobs(timed, who["C"], 60, modality="music", operation="suno.music", provider="suno")
    under_way: dict[str, list[str]] = {"kling": [], "suno": []}
    started: Counter[str] = Counter()
    for n in range(60):
        for job in rows_of(timed, Job, col(Job.id).in_(released(timed, windows={"video": 1, "music": 1}))):
            under_way[job.provider].append(job.id)
            started[job.tenant_id] += 1
        over = under_way if ends == "together" else [("kling", "suno")[n % 2]]
        end(timed, *(under_way[provider].pop() for provider in over if under_way[provider]))
        clock.passes(1)
    assert abs(started[who["A"]] - started[who["B"]]) <= 2


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_large_job_of_a_tenant_that_has_other_work_is_not_overtaken_for_ever(timed: Database, clock: Clock, order: str) -> None:
    who, large = whole_limit_wanted(timed, clock, order)
    add_jobs(timed, who["A"], 200, modality="music", operation="suno.music", provider="suno")
    add_jobs(timed, who["B"], 200)
    assert_it_starts(timed, clock, large, rounds=80)


def test_a_large_job_gets_its_turn_where_only_the_windows_are_small(timed: Database, clock: Clock) -> None:
    large, small, other = (tenant(timed, name) for name in "abc")
    add_jobs(timed, large, 20, units=4, modality="image", operation="kling.image_generation")
    add_jobs(timed, small, 100, modality="image", operation="openai.image_generation", provider="openai")
    add_jobs(timed, other, 500, modality="music", operation="suno.music", provider="suno")
    units: Counter[str] = Counter()
    for _ in range(60):
        found = released(timed, windows={"image": 1, "music": 6})
        for job in rows_of(timed, Job, col(Job.id).in_(found)):
            units[job.tenant_id] += job.units
        end(timed, *found)
        clock.passes(1)
    assert 0.5 <= units[large] / units[small] <= 2


def test_a_key_that_a_job_could_never_use_is_not_kept_for_it(database: Database) -> None:
    limit(database, key_name="small", concurrency=4)
    pause(database, "key", "main")
    large = tenant(database, "a")
    weigh(database, large, weight=9)
    add_job(database, large, units=9, modality="image", operation="kling.image_generation")
    others = add_jobs(database, tenant(database, "b"), 4)
    assert sorted(released(database, keys={"main": 1.0, "small": 1.0})) == sorted(others)


def test_a_tenant_that_is_in_its_own_way_keeps_nothing_from_the_others(database: Database) -> None:
    limit(database, provider="kling", concurrency=4)
    full = tenant(database, "a")
    weigh(database, full, max_running=3, weight=9)
    first = add_job(database, full, units=2, modality="image", operation="kling.image_generation")
    assert released(database) == [first]
    add_job(database, full, units=3, modality="image", operation="kling.image_generation")
    others = add_jobs(database, tenant(database, "b"), 2)
    assert sorted(released(database)) == sorted(others)


def test_jobs_whose_time_is_over_take_no_place_of_those_that_may_start(database: Database) -> None:
    late, other = tenant(database, "a"), tenant(database, "b")
    add_jobs(database, late, 300, deadline_at=after(-1), expire_at=after(-1))
    may_start = add_jobs(database, other, 4)
    assert sorted(released(database, windows={"video": 4})) == sorted(may_start)


def test_what_will_never_start_is_named_some_at_a_time(database: Database) -> None:
    who = tenant(database)
    weigh(database, who, cap_day_usd=Decimal("0.10"))
    add_jobs(database, who, 450, quoted_usd=Decimal("0.20"))
    assert 200 <= len(run_round(database).never) <= 201


def test_the_same_rate_in_other_words_is_no_second_one(timed: Database, clock: Clock) -> None:
    limit(timed, provider="kling", per_second=1, per_minute=60)
    add_jobs(timed, tenant(timed), 100)
    started = 0
    for _ in range(60):
        started += len(released(timed))
        clock.passes(1)
    assert started == 60


def test_a_clock_that_is_set_back_stops_nothing(timed: Database, clock: Clock) -> None:
    limit(timed, provider="kling", per_second=1)
    add_jobs(timed, tenant(timed), 100)
    assert len(released(timed)) == 1
    with timed.transaction() as session:
        session.execute(update(Job).values(due_at=after(-7200)))
    clock.passes(-3600)
    assert len(released(timed)) == 1


def test_a_limit_that_is_taken_away_leaves_others_as_they_are(timed: Database, clock: Clock) -> None:
    for rule in ({}, {"operation": "kling.text_to_video"}, {"key_name": "default"}, {"each_key": True}):
        limit(timed, provider="kling", per_minute=1, **rule)
    add_jobs(timed, tenant(timed), 7)
    assert len(released(timed)) == 1
    for scope in ("provider=kling", "provider=kling key=*"):
        with timed.transaction() as session:
            assert limits.remove(session, scope)
    assert {bucket.name.rpartition(" ")[0] for bucket in rows_of(timed, Bucket)} == {
        "provider=kling key=default",
        "provider=kling operation=kling.text_to_video",
    }


def test_what_tenants_may_submit_a_minute_is_no_concern_of_the_limits(timed: Database) -> None:
    limit(timed, provider="kling", per_second=5)
    who = tenant(timed)
    add_jobs(timed, who, 7)
    with timed.transaction() as session:
        intake.take_submit(session, who, 60)
    assert len(released(timed)) == 5
    with timed.transaction() as session:
        assert limits.remove(session, "provider=kling")
    assert len(rows_of(timed, Bucket)) == 1, "the tenant's own"


def test_a_limit_that_is_taken_away_leaves_nothing_behind(timed: Database) -> None:
    limit(timed, provider="kling", per_second=5)
    add_jobs(timed, tenant(timed), 7)
    assert len(released(timed)) == 5
    assert len(rows_of(timed, Bucket)) == 1
    with timed.transaction() as session:
        assert limits.remove(session, "provider=kling")
    assert rows_of(timed, Bucket) == []
    assert len(released(timed)) == 2


# Pauses and gates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"), [("provider", "kling"), ("operation", "kling.text_to_video"), ("tenant", ""), ("key", "default")]
)
def test_nothing_new_starts_of_what_is_paused(database: Database, kind: str, name: str) -> None:
    who, other = tenant(database), tenant(database)
    job_id = add_job(database, who)
    song = add_job(database, other, modality="music", operation="suno.music", provider="suno")
    pause(database, kind, name or who)
    assert released(database) == ([] if kind == "key" else [song])
    with database.transaction() as session:
        assert pauses.lift(session, pauses.scope_of(kind, name or who))
    assert job_id in released(database)


def test_jobs_take_another_key_while_one_is_paused(database: Database) -> None:
    pause(database, "key", "main")
    pause(database, "key", "spare", operation="kling.lip_sync")
    who = tenant(database)
    video = add_job(database, who)
    lips = add_job(database, who, operation="kling.lip_sync")
    assert released(database, keys={"main": 1.0, "spare": 1.0}) == [video]
    assert the_job(database, video).key_name == "spare"
    assert the_job(database, lips).released_at is None


def test_a_pause_that_came_by_itself_is_tried_by_one_job_from_time_to_time(timed: Database, clock: Clock) -> None:
    pause(timed, "key", "default", automatic=True, probe_at=clock.now + timedelta(seconds=600))
    job_ids = add_jobs(timed, tenant(timed), 3)
    assert released(timed) == []
    clock.passes(601)
    assert released(timed) == job_ids[:1]
    assert the_job(timed, job_ids[0]).probe
    assert released(timed) == []
    clock.passes(601)
    assert released(timed) == job_ids[1:2]


def test_a_closed_gate_lets_one_through_when_its_time_has_come(timed: Database, clock: Clock) -> None:
    with timed.transaction() as session:
        session.add(
            Gate(
                provider="kling",
                key_name="default",
                cause="kling asked for patience",
                closed_until=clock.now + timedelta(seconds=8),
                allow=1.0,
                ceiling=8.0,
                budget=5.0,
            )
        )
    who = tenant(timed)
    job_ids = add_jobs(timed, who, 3)
    song = add_job(timed, who, modality="music", operation="suno.music", provider="suno")
    assert released(timed) == [song], "another provider"
    clock.passes(9)
    assert released(timed) == job_ids[:1]
    assert the_job(timed, job_ids[0]).probe
    assert released(timed) == []


# Money --------------------------------------------------------------------------------------------------------------------


def _spent(session: Session, who: str, job_id: str, usd: str, at: datetime) -> None:
    session.execute(insert(Attempt).values(id=f"att_{job_id}", job_id=job_id, n=1, provider="kling", client_ref=job_id))
    ledger.reserve(session, session.get_one(Job, job_id), f"att_{job_id}", key_name="default", usd=Decimal(usd), at=at)
    ledger.settle(session, f"att_{job_id}", Decimal(usd))


def test_a_pause_that_is_to_be_tried_is_not_tried_with_what_another_keeps_back(database: Database) -> None:
    pause(database, "key", "default", automatic=True, probe_at=after(-1))
    pause(database, "key", "default", operation="kling.image_generation")
    who = tenant(database)
    add_job(database, who, modality="image", operation="kling.image_generation", rank_at=after(-100))
    tried = add_job(database, who)
    assert released(database) == [tried]


def test_what_a_tenant_may_spend_on_a_day_is_kept_and_the_rest_waits_for_the_next(timed: Database, clock: Clock) -> None:
    who, other = tenant(timed, "a"), tenant(timed, "b")
    weigh(timed, who, cap_day_usd=Decimal("1.00"))
    spent = add_job(timed, who, status=JobState.SUCCEEDED, due_at=None, finished_at=after(0))
    with timed.transaction() as session:
        _spent(session, who, spent, "0.40", clock.now)
    job_ids = add_jobs(timed, who, 5, quoted_usd=Decimal("0.25"))
    theirs = add_jobs(timed, other, 5, quoted_usd=Decimal("0.25"))
    assert sorted(released(timed)) == sorted([*job_ids[:2], *theirs])
    assert released(timed) == [], "what is on its way counts"
    clock.passes(86_400)
    end(timed, *job_ids[:2])
    assert released(timed) == job_ids[2:]


def test_a_job_that_is_dearer_than_a_whole_day_is_named_and_holds_up_nothing(database: Database) -> None:
    who = tenant(database)
    weigh(database, who, cap_day_usd=Decimal("0.20"))
    dear, cheap = add_job(database, who, quoted_usd=Decimal("0.28")), add_job(database, who, quoted_usd=Decimal("0.01"))
    made = run_round(database)
    assert {job_id: never.code for job_id, never in made.never.items()} == {dear: "budget_exceeded"}
    assert [ticket.job_id for ticket in made.tickets] == [cheap]


@pytest.mark.parametrize("whose", ["tenant", "day", "batch"])
def test_what_has_no_price_is_not_started_where_there_is_a_cap(database: Database, whose: str) -> None:
    """It was let in before there was one, or is asked instead of something that has a price."""
    who = tenant(database)
    batch_id, (unpriced,) = add_batch(database, who, 1, max_cost_usd=Decimal(9) if whose == "batch" else None)
    if whose != "batch":
        weigh(database, who, **{"cap_usd" if whose == "tenant" else "cap_day_usd": Decimal(9)})
    priced = add_job(database, who, quoted_usd=Decimal("0.01"), batch_id=batch_id, line=2)
    made = run_round(database)
    assert {job_id: never.code for job_id, never in made.never.items()} == {unpriced: "price_unknown"}
    assert [ticket.job_id for ticket in made.tickets] == [priced]


def test_a_call_that_has_cost_nobody_knows_what_counts_as_what_was_set_aside_for_it(database: Database) -> None:
    who = tenant(database)
    job_ids = add_jobs(database, who, 3, status=JobState.SUCCEEDED, due_at=None, finished_at=after(0))
    with database.transaction() as session:
        for job_id, usd in zip(job_ids, ("0.28", "0.30", None), strict=True):
            session.execute(insert(Attempt).values(id=f"att_{job_id}", job_id=job_id, n=1, provider="kling", client_ref=job_id))
            quote = None if usd is None else Decimal(usd)
            ledger.reserve(session, session.get_one(Job, job_id), f"att_{job_id}", key_name=None, usd=quote, at=datetime.now(UTC))
        assert ledger.settle(session, f"att_{job_ids[0]}", None)
        assert ledger.refund(session, f"att_{job_ids[1]}", "not taken")
        assert ledger.settle(session, f"att_{job_ids[2]}", None)
        assert ledger.committed(session, tenant_id=who) == ledger.claimed(session, who) == Decimal("0.28")


def test_what_is_asked_again_after_a_lost_answer_is_promised_again(database: Database) -> None:
    who = tenant(database)
    job_id = add_job(database, who, quoted_usd=Decimal("0.28"), attempt_id="att_1", attempts=1)
    with database.transaction() as session:
        session.execute(insert(Attempt).values(id="att_1", job_id=job_id, n=1, provider="kling", client_ref="x", state="unknown"))
        job = session.get_one(Job, job_id)
        ledger.reserve(session, job, "att_1", key_name=None, usd=Decimal("0.28"), at=datetime.now(UTC))
        assert ledger.claimed(session, who) == Decimal("0.56")


def test_a_job_that_its_batch_cannot_pay_is_named(database: Database) -> None:
    who = tenant(database)
    batch_id, job_ids = add_batch(database, who, 3)
    with database.transaction() as session:
        session.execute(update(Batch).values(max_cost_usd=Decimal("0.50")))
        session.execute(update(Job).where(col(Job.batch_id) == batch_id).values(quoted_usd=Decimal("0.25")))
    made = run_round(database)
    assert len(made.tickets) == 2
    assert {never.code for never in made.never.values()} == {"budget_exceeded"}
    assert set(made.never) < set(job_ids)
    assert rows_of(database, Pause) == []
