"""Five minutes in which a provider takes nothing, with a clock that the test moves: how often it is bothered, and that nobody loses
a job over it. The gateway is the simulator; only the time is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import servers
from house import rows_of
from mill import Mill, open_mill
from sqlalchemy import func, select
from sqlmodel import col

from jobs.db import Database
from jobs.models import Gate, Job, Pause
from jobs.queries import keys
from jobs.queries.schedule import Ticket
from jobs.states import FINAL, JobState
from workers import collect, dispatch, poll, publish, submit, tick

JOBS = 200
STORM_S = 300.0


class Scaled:
    """A mill whose hours pass as fast as its work is done."""

    def __init__(self, mill: Mill) -> None:
        self.mill = mill
        self.moment = datetime.now(UTC)
        self.began = self.moment
        self.tickets: list[Ticket] = []

    @property
    def passed_s(self) -> float:
        return (self.moment - self.began).total_seconds()

    def clock(self) -> datetime:
        return self.moment

    def step(self, seconds: float = 0.5) -> None:
        """Some time, and whatever the queues would have brought at its end."""
        self.moment += timedelta(seconds=seconds)
        tick.tick(self.mill.context)
        handed_out, self.tickets = self.tickets, []
        for ticket in handed_out:
            submit.submit(self.mill.context, ticket.job_id, ticket.fence)
        for job in rows_of(self.mill.database, Job, col(Job.status).in_((JobState.RUNNING, JobState.COLLECTING))):
            if job.status == JobState.RUNNING:
                poll.poll(self.mill.context, [(job.id, job.fence)])
            else:
                collect.collect(self.mill.context, job.id, job.fence)

    def open(self) -> int:
        with self.mill.database.read() as session:
            return session.scalar(select(func.count()).where(col(Job.status).not_in(FINAL))) or 0


@pytest.fixture
def scaled(
    tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scaled]:
    held: list[Scaled] = []
    real = Database.__init__

    def with_our_clock(self: Database, url: str, **options: Any) -> None:
        real(self, url, **options, clock=lambda: held[0].clock() if held else datetime.now(UTC))

    monkeypatch.setattr(Database, "__init__", with_our_clock)
    with open_mill(tmp_path / "mill", fresh_database_url("sqlite"), upstream, keys.new_webhook_secret(), window=8) as mill:
        # The test is the queue; rounds are the tick's.
        monkeypatch.setattr(dispatch, "nudge", lambda _: None)
        held.append(Scaled(mill))
        monkeypatch.setattr(publish, "submits", lambda tickets: held[0].tickets.extend(tickets))
        yield held[0]


def test_a_storm_of_five_minutes_costs_few_calls_and_no_job(scaled: Scaled, upstream: servers.Simulator) -> None:
    mill = scaled.mill
    upstream.control(latency=0)
    job_ids = [mill.accept("openai.chat") for _ in range(JOBS)]
    for _ in range(4):
        scaled.step()
    started = JOBS - scaled.open()
    assert 0 < started < JOBS / 2
    upstream.control(faults=[{"match": {"provider": "openai"}, "fault": "rate_limit", "times": None}])
    while scaled.passed_s < STORM_S:
        scaled.step()
    assert scaled.open() == JOBS - started, "nothing got through"
    upstream.control(clear_faults=True)
    while scaled.open():
        scaled.step()
        assert scaled.passed_s < 2 * STORM_S, rows_of(mill.database, Gate)

    ended = rows_of(mill.database, Job, col(Job.id).in_(job_ids))
    assert {job.status for job in ended} == {JobState.SUCCEEDED}
    calls = sum(upstream.answers()["calls"]["openai.chat"].values())
    print(f"{calls} calls for {JOBS} jobs; all done {scaled.passed_s - STORM_S:.0f} s after the storm")
    assert calls <= 1.1 * JOBS


def test_a_provider_that_breaks_is_left_alone_and_tried_by_one_call_at_a_time(scaled: Scaled, upstream: servers.Simulator) -> None:
    mill = scaled.mill
    upstream.control(latency=0, faults=[{"match": {"provider": "openai"}, "fault": "unavailable", "times": None}])
    for _ in range(60):
        mill.accept("openai.chat")
    # Other providers go on.
    song = mill.accept("suno.music")
    while scaled.passed_s < 120:
        scaled.step()
    calls = sum(upstream.answers()["calls"]["openai.chat"].values())
    assert calls <= 8 + 8, "a full window before it was known, then one at a time, ever later"
    assert mill.job(song).status == "succeeded"
    (gate,) = rows_of(mill.database, Gate)
    assert gate.failures >= 5
    upstream.control(clear_faults=True)
    while scaled.open():
        scaled.step()
        assert scaled.passed_s < 600
    assert {job.status for job in rows_of(mill.database, Job)} == {JobState.SUCCEEDED}


@pytest.mark.parametrize(("mood", "scope"), [("refused", "key:default"), ("forbidden", "key:default operation:openai.chat")])
def test_a_key_that_is_refused_is_paused_and_goes_on_by_itself_when_it_is_good_again(
    scaled: Scaled, upstream: servers.Simulator, mood: str, scope: str
) -> None:
    mill = scaled.mill
    upstream.control(latency=0, keys={"sk-test": {"mood": mood}})
    job_ids = [mill.accept("openai.chat") for _ in range(20)]
    while scaled.passed_s < 300:
        scaled.step(5)
    (pause,) = rows_of(mill.database, Pause)
    assert (pause.scope, pause.automatic) == (scope, True)
    refused = sum(upstream.answers()["outcomes"].get("openai.chat", {}).values()) or 1
    assert refused <= 8, "what was in the window, and no more"
    assert {mill.job(job_id).status for job_id in job_ids} == {JobState.QUEUED}
    upstream.control(keys={"sk-test": {"mood": None}})
    while scaled.open():
        scaled.step(5)
        assert scaled.passed_s < 1300, "a job tries every ten minutes"
    assert rows_of(mill.database, Pause) == []
    assert {mill.job(job_id).status for job_id in job_ids} == {JobState.SUCCEEDED}
