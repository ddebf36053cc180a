"""Who gets what when, on both databases: release, claims, leases, hints that were lost. Time passes by moving `due_at`."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from house import (
    RACERS,
    add_batch,
    add_job,
    add_jobs,
    claim,
    history_of,
    in_transaction,
    let_time_pass,
    move,
    rows_of,
    tenant,
    the_job,
    together,
)
from sqlalchemy import select, text, update
from sqlmodel import col

from jobs.db import Database, after, now
from jobs.models import Delivery, Job
from jobs.queries import deliveries, release, schedule
from jobs.queries.release import House
from jobs.queries.schedule import Snooze, Ticket
from jobs.states import JobState

HINT_S = 30


def _house(window: int, modality: str) -> House:
    return House(windows={modality: window}, keys_of=lambda _: {"default": 1.0}, ageing_s=60, hint_s=HINT_S)


def _release(database: Database, window: int, modality: str = "video") -> list[Ticket]:
    with database.transaction() as session:
        return release.release(session, _house(window, modality)).tickets


def _ids(tickets: list[Ticket]) -> list[str]:
    return [ticket.job_id for ticket in tickets]


# Release ------------------------------------------------------------------------------------------------------------------


def test_a_release_fills_the_window_oldest_first_and_no_further(database: Database) -> None:
    job_ids = add_jobs(database, tenant(database), 10)
    assert _ids(_release(database, 4)) == job_ids[:4]
    assert _release(database, 4) == [], "the window is full"
    assert _ids(_release(database, 6)) == job_ids[4:6], "what was released counts"


def test_a_released_job_keeps_its_place_until_the_provider_answered(database: Database) -> None:
    job_ids = add_jobs(database, tenant(database), 3)
    (ticket,) = _release(database, 1)
    assert claim(database, ticket.job_id, ticket.fence)
    assert _release(database, 1) == [], "submitting is still in the window"
    assert move(database, ticket.job_id, "accept", released_at=None)
    assert _ids(_release(database, 1)) == job_ids[1:2]


def test_a_release_hands_over_job_fence_operation_and_modality_and_nothing_else(database: Database) -> None:
    job_id = add_job(database, tenant(database), fence=4)
    assert _release(database, 1) == [Ticket(job_id, 4, "kling.text_to_video", "video")]


def test_higher_priority_goes_first_then_age(database: Database) -> None:
    who = tenant(database)
    low = add_job(database, who, priority=-5)
    plain = add_jobs(database, who, 2)
    urgent = add_jobs(database, who, 2, priority=50)
    assert _ids(_release(database, 3)) == [*urgent, plain[0]]
    assert _ids(_release(database, 10)) == [plain[1], low]


def test_one_job_of_a_small_tenant_does_not_wait_for_five_hundred_of_a_large_one(database: Database) -> None:
    # Given a window full of jobs of A, and 500 more of them waiting.
    large, small = tenant(database, "a"), tenant(database, "b")
    add_jobs(database, large, 500)
    first = _release(database, 10)
    # When B submits one, and two places become free.
    wanted = add_job(database, small)
    for ticket in first[:2]:
        assert claim(database, ticket.job_id, ticket.fence)
        assert move(database, ticket.job_id, "accept", released_at=None)
    # Then B's job is among the two.
    assert _ids(_release(database, 10))[0] == wanted


def test_tenants_are_served_in_turn(database: Database) -> None:
    tenants = [tenant(database, name) for name in "abc"]
    owner = {job_id: who for who in tenants for job_id in add_jobs(database, who, 20)}
    released = _ids(_release(database, 9))
    assert Counter(owner[job_id] for job_id in released) == dict.fromkeys(tenants, 3)
    assert [owner[job_id] for job_id in released[:3]] != [tenants[0]] * 3


def test_a_tenant_that_comes_later_is_served_in_turn_from_then_on(database: Database) -> None:
    one, two = tenant(database, "a"), tenant(database, "b")
    add_jobs(database, one, 10)
    assert len(_release(database, 4)) == 4  # all of tenant a
    owner = dict.fromkeys(add_jobs(database, two, 10), two)
    assert Counter(owner.get(job_id, one) for job_id in _ids(_release(database, 8))) == {one: 2, two: 2}


def test_modalities_have_windows_of_their_own(database: Database) -> None:
    who = tenant(database)
    add_jobs(database, who, 3)
    songs = add_jobs(database, who, 3, modality="music", operation="suno.music", provider="suno")
    assert len(_release(database, 2)) == 2
    assert _ids(_release(database, 2, "music")) == songs[:2]


def test_a_job_with_a_start_time_is_not_released_before_it(database: Database) -> None:
    job_id = add_job(database, tenant(database), due_at=after(3600))
    assert _release(database, 10) == []
    let_time_pass(database, job_id)
    assert _ids(_release(database, 10)) == [job_id]


def test_a_job_without_a_time_is_not_released(database: Database) -> None:
    add_job(database, tenant(database), due_at=None)
    assert _release(database, 10) == []


def test_four_who_release_at_once_release_each_job_once_and_keep_to_the_window(database: Database) -> None:
    for name in "ab":
        add_jobs(database, tenant(database, name), 60)
    tickets = [
        _ids(found)
        for found in together(
            *[in_transaction(database, lambda session: release.release(session, _house(40, "video")).tickets)] * 4
        )
    ]
    released = [job_id for found in tickets for job_id in found]
    assert len(released) == len(set(released))
    assert len(released) == 40


def test_a_lost_hint_comes_back_after_its_time_and_not_before(database: Database) -> None:
    job_id = add_job(database, tenant(database))
    (ticket,) = _release(database, 1)
    with database.transaction() as session:
        assert release.take_back_lost_hints(session) == 0
    due_in = the_job(database, job_id).due_at
    with database.read() as session:
        moment = session.execute(select(now())).scalar_one()
    assert due_in is not None
    assert timedelta(seconds=HINT_S - 5) < due_in - moment <= timedelta(seconds=HINT_S)

    let_time_pass(database, job_id)
    with database.transaction() as session:
        assert release.take_back_lost_hints(session) == 1
    assert _release(database, 1) == [ticket], "the same hint again"


def test_a_claimed_job_is_no_lost_hint(database: Database) -> None:
    job_id = add_job(database, tenant(database))
    (ticket,) = _release(database, 1)
    assert claim(database, job_id, ticket.fence)
    let_time_pass(database, job_id)
    with database.transaction() as session:
        assert release.take_back_lost_hints(session) == 0
        assert [job.id for job in schedule.silent_submits(session, 10)] == [job_id]


def test_two_messages_for_one_job_have_one_effect(database: Database) -> None:
    job_id = add_job(database, tenant(database))
    (ticket,) = _release(database, 1)
    first, second = together(*(lambda n=n: claim(database, job_id, ticket.fence, f"w{n}") for n in range(2)))
    assert (first is None) != (second is None)
    assert len(history_of(database, job_id)) == 1


# Claims of started jobs ---------------------------------------------------------------------------------------------------


def _running(database: Database, count: int = 1) -> list[str]:
    return add_jobs(database, tenant(database), count, status=JobState.RUNNING, fence=2)


def _claim(database: Database, pairs: list[tuple[str, int]], owner: str = "w") -> list[Job]:
    with database.transaction() as session:
        return schedule.claim(session, pairs, JobState.RUNNING, owner, 60)


def test_a_claim_takes_the_lease_raises_the_fence_and_happens_once(database: Database) -> None:
    (job_id,) = _running(database)
    claims = together(*(lambda n=n: _claim(database, [(job_id, 2)], f"w{n}") for n in range(RACERS)))
    winners = [found[0] for found in claims if found]
    assert [(job.fence, job.id) for job in winners] == [(3, job_id)]
    assert the_job(database, job_id).lease_owner == winners[0].lease_owner


def test_a_claim_takes_what_is_free_of_many_and_leaves_the_rest(database: Database) -> None:
    free, held, stale, moved_on = _running(database, 4)
    assert _claim(database, [(held, 2)], "somebody")
    assert move(database, moved_on, "collect")
    pairs = [(free, 2), (held, 3), (stale, 1), (moved_on, 2), ("job_nobody", 0)]
    assert [job.id for job in _claim(database, pairs)] == [free]


def test_a_lease_that_ran_out_can_be_claimed_and_its_old_owner_is_fenced_off(database: Database) -> None:
    (job_id,) = _running(database)
    (old,) = _claim(database, [(job_id, 2)], "silent")
    let_time_pass(database, job_id)
    (new,) = _claim(database, [(job_id, 3)], "next")
    with database.transaction() as session:
        assert schedule.renew(session, [(job_id, old.fence)], 60) == set()
        assert not schedule.touch(session, job_id, old.fence, polls=9)
        assert schedule.renew(session, [(job_id, new.fence)], 60) == {job_id}


def test_a_snooze_gives_up_the_lease_and_counts_the_look(database: Database) -> None:
    (job_id,) = _running(database)
    (job,) = _claim(database, [(job_id, 2)])
    with database.transaction() as session:
        schedule.snooze(session, [Snooze(job_id, job.fence, 5, 0.4, "processing", 1)])
    slept = the_job(database, job_id)
    assert (slept.status, slept.lease_owner, slept.fence) == ("running", None, 3)
    assert (slept.polls, slept.progress, slept.upstream_status, slept.oddities) == (1, 0.4, "processing", 1)
    assert (slept.attempts, slept.version) == (job.attempts, job.version), "waiting is not failing, and no move"


def test_many_snoozes_are_written_at_once_and_foreign_rows_left_alone(database: Database) -> None:
    job_ids = _running(database, 30)
    jobs = _claim(database, [(job_id, 2) for job_id in job_ids])
    assert move(database, job_ids[0], "cancel")
    with database.transaction() as session:
        schedule.snooze(session, [Snooze(job.id, job.fence, 5, None, "processing", 0) for job in jobs])
    assert [the_job(database, job_id).polls for job_id in job_ids] == [0] + [1] * 29


def test_due_steps_are_handed_out_once_a_hint_oldest_first_and_as_many_as_asked(database: Database) -> None:
    job_ids = _running(database, 5)
    with database.transaction() as session:
        for place, job_id in enumerate(reversed(job_ids)):
            session.execute(update(Job).where(col(Job.id) == job_id).values(due_at=after(-100 + place)))
    later = add_job(database, tenant(database), status=JobState.RUNNING, due_at=after(60))

    def hand_out(limit: int) -> set[str]:
        with database.transaction() as session:
            return {ticket.job_id for ticket in schedule.hand_out_due(session, JobState.RUNNING, HINT_S, limit)}

    assert hand_out(2) == set(job_ids[3:])
    assert hand_out(100) == set(job_ids[:3])
    assert hand_out(100) == set(), "handed out; due again when the hint is lost"
    let_time_pass(database, job_ids[0])
    assert hand_out(100) == {job_ids[0]}
    assert the_job(database, later).due_at is not None


@pytest.mark.parametrize("analyzed", [False, True])
def test_no_more_is_handed_out_than_asked_for_whatever_the_planner_thinks(database: Database, analyzed: bool) -> None:
    """A subquery with a limit may be run again for each row: PostgreSQL then hands out more than the limit."""
    add_jobs(database, tenant(database), 40, status=JobState.COLLECTING)
    _running(database, 40)
    if analyzed:
        with database.transaction() as session:
            session.execute(text("ANALYZE"))
    with database.transaction() as session:
        assert len(schedule.hand_out_due(session, JobState.RUNNING, HINT_S, 7)) == 7
        assert len(schedule.release_collecting(session, "video", 5, HINT_S)) == 5


def test_four_ticks_at_once_hand_out_each_due_job_once(database: Database) -> None:
    job_ids = _running(database, 80)
    found = together(*[in_transaction(database, lambda session: schedule.hand_out_due(session, JobState.RUNNING, HINT_S, 50))] * 4)
    handed = [ticket.job_id for tickets in found for ticket in tickets]
    assert len(handed) == len(set(handed))
    assert set(handed) <= set(job_ids)
    assert len(handed) >= 50


def test_a_held_job_is_not_handed_out_until_its_lease_runs_out(database: Database) -> None:
    (job_id,) = _running(database)
    assert _claim(database, [(job_id, 2)])
    with database.transaction() as session:
        assert schedule.hand_out_due(session, JobState.RUNNING, HINT_S, 10) == []
    let_time_pass(database, job_id)
    with database.transaction() as session:
        assert [(one.job_id, one.fence) for one in schedule.hand_out_due(session, JobState.RUNNING, HINT_S, 10)] == [(job_id, 3)]


# Outputs to fetch ---------------------------------------------------------------------------------------------------------


def test_outputs_are_fetched_oldest_first_within_their_window(database: Database) -> None:
    job_ids = add_jobs(database, tenant(database), 6, status=JobState.COLLECTING)
    with database.transaction() as session:
        for place, job_id in enumerate(job_ids):
            session.execute(update(Job).where(col(Job.id) == job_id).values(due_at=after(-100 + place)))

    def release(window: int) -> set[str]:
        with database.transaction() as session:
            return {ticket.job_id for ticket in schedule.release_collecting(session, "video", window, HINT_S)}

    assert release(2) == set(job_ids[:2])
    assert release(2) == set()
    assert move(database, job_ids[0], "finish")
    assert release(2) == {job_ids[2]}


def test_outputs_whose_fetcher_fell_silent_are_handed_over_again(database: Database) -> None:
    (job_id,) = add_jobs(database, tenant(database), 1, status=JobState.COLLECTING, lease_owner="silent")

    def release() -> list[str]:
        with database.transaction() as session:
            return _ids(schedule.release_collecting(session, "video", 1, HINT_S))

    assert release() == [job_id]
    assert release() == []
    let_time_pass(database, job_id)
    assert release() == [job_id]
    assert the_job(database, job_id).lease_owner is None


# Deadlines ----------------------------------------------------------------------------------------------------------------


def test_only_open_jobs_past_their_deadline_are_overdue(database: Database) -> None:
    who = tenant(database)
    late = add_job(database, who, expire_at=after(-1))
    add_job(database, who, expire_at=after(60))
    add_job(database, who)
    ended = add_job(database, who, expire_at=after(-1))
    assert move(database, ended, "cancel")
    with database.transaction() as session:
        assert [job.id for job in schedule.overdue(session, 10)] == [late]


# Deliveries ---------------------------------------------------------------------------------------------------------------


def _delivery(database: Database) -> str:
    job_id = add_job(database, tenant(database), callback_url="https://receiver.example/")
    moved = move(database, job_id, "cancel")
    assert moved is not None
    (hint,) = moved.hints
    with database.transaction() as session:
        session.execute(update(Delivery).where(col(Delivery.id) == hint.delivery_id).values(due_at=after(-1)))
    return hint.delivery_id


def test_a_delivery_is_handed_out_once_a_hint_and_claimed_by_one(database: Database) -> None:
    delivery_id = _delivery(database)
    with database.transaction() as session:
        assert schedule.hand_out_deliveries(session, HINT_S, 10) == [(delivery_id, 0)]
        assert schedule.hand_out_deliveries(session, HINT_S, 10) == []
    claims = together(
        *[in_transaction(database, lambda session: schedule.claim_delivery(session, delivery_id, 0, "w", 60))] * RACERS
    )
    assert [one.fence for one in claims if one] == [1]


@pytest.mark.parametrize(
    ("status", "wait_s", "due", "finished"),
    [("delivered", None, False, True), ("failed", None, False, True), ("pending", 300.0, True, False)],
)
def test_a_try_settles_a_delivery_or_puts_it_off(
    database: Database, status: str, wait_s: float | None, due: bool, finished: bool
) -> None:
    delivery_id = _delivery(database)
    with database.transaction() as session:
        claimed = schedule.claim_delivery(session, delivery_id, 0, "w", 60)
        assert claimed is not None
        deliveries.record_try(session, claimed, duration_ms=3, status_code=200)
        assert deliveries.settle(session, claimed, status=status, wait_s=wait_s)
        assert not deliveries.settle(session, Delivery(id=delivery_id, fence=0), status="failed", wait_s=None), "stale"
    (row,) = rows_of(database, Delivery)
    assert (row.status, row.tries, row.step, row.lease_owner) == (status, 1, 1, None)
    assert (row.due_at is not None, row.finished_at is not None) == (due, finished)


def test_a_resend_starts_the_schedule_again_and_keeps_the_tries(database: Database) -> None:
    delivery_id = _delivery(database)
    with database.transaction() as session:
        claimed = schedule.claim_delivery(session, delivery_id, 0, "w", 60)
        assert claimed is not None
        assert deliveries.settle(session, claimed, status="failed", wait_s=None)
        (tenant_id,) = session.scalars(select(col(Delivery.tenant_id)))
        assert deliveries.resend(session, "ten_other", delivery_id, HINT_S) is None
        assert deliveries.resend(session, tenant_id, delivery_id, HINT_S) is not None
    (row,) = rows_of(database, Delivery)
    assert (row.status, row.tries, row.step, row.finished_at) == ("pending", 1, 0, None)


def test_a_delivery_somebody_is_sending_is_not_resent(database: Database) -> None:
    delivery_id = _delivery(database)
    with database.transaction() as session:
        claimed = schedule.claim_delivery(session, delivery_id, 0, "w", 60)
        assert claimed is not None
        assert deliveries.resend(session, claimed.tenant_id, delivery_id, HINT_S) is None


def test_a_batch_of_many_tenants_backlog_is_found_without_reading_it(database: Database) -> None:
    """Distinct tenants by hopping through the index: the answer must be right for one, two and many."""
    assert _release(database, 10) == []
    tenants = [tenant(database, f"t{n}") for n in range(12)]
    for who in tenants:
        add_batch(database, who, 2)
    tickets = _release(database, 12)
    owners = {job.id: job.tenant_id for job in rows_of(database, Job)}
    assert {owners[ticket.job_id] for ticket in tickets} == set(tenants)
