"""The feed: a number that can be seen is larger than every number seen before, whichever transaction wrote first."""

from __future__ import annotations

import threading
from collections.abc import Callable

from house import LIFE, add_job, add_jobs, move, tenant, together
from sqlalchemy import select
from sqlmodel import col

from jobs.db import Database
from jobs.models import Event
from jobs.queries import events


def _number(database: Database, limit: int = 1000) -> int:
    with database.transaction() as session:
        return events.number(session, limit=limit)


def _read(database: Database, who: str, after: int = 0, limit: int = 1000, types: list[str] | None = None) -> list[Event]:
    with database.read() as session:
        return events.after(session, who, after, types=types, limit=limit)


def test_events_are_numbered_once_from_one_without_a_gap(database: Database) -> None:
    who = tenant(database)
    for job_id in add_jobs(database, who, 5):
        assert move(database, job_id, "cancel")
    assert _read(database, who) == [], "not before they are numbered"
    assert (_number(database, 3), _number(database), _number(database)) == (3, 2, 0)
    assert [event.sequence for event in _read(database, who)] == [1, 2, 3, 4, 5]
    with database.read() as session:
        assert not events.waiting(session)


def test_a_reader_gets_its_own_events_after_its_place_of_the_types_it_wants(database: Database) -> None:
    who, other = tenant(database), tenant(database, "other")
    for owner in (who, other, who):
        job_id = add_job(database, owner, status="submitting")
        assert move(database, job_id, "accept")
        assert move(database, job_id, "cancel")
    assert _number(database) == 6
    assert [event.type for event in _read(database, who)] == ["job.running", "job.canceled"] * 2
    assert [event.type for event in _read(database, who, types=["job.canceled"])] == ["job.canceled"] * 2
    first = _read(database, who, limit=1)[0]
    assert first.sequence is not None
    assert len(_read(database, who, after=first.sequence)) == 3


def test_a_transaction_that_commits_late_gets_a_later_number(fresh_database_url: Callable[[str], str]) -> None:
    # SQLite has one writer: nothing can commit late there.
    database = Database(fresh_database_url("postgresql"))
    # Given an event written first, its transaction still open.
    who = tenant(database)
    slow, quick = add_jobs(database, who, 2)
    written, go_on = threading.Event(), threading.Event()

    def commit_late() -> None:
        with database.transaction() as session:
            assert LIFE.move(session, slow, "cancel", actor="slow")
            written.set()
            assert go_on.wait(20)

    thread = threading.Thread(target=commit_late)
    thread.start()
    assert written.wait(20)
    # When one that was written later is committed, numbered and read.
    assert move(database, quick, "cancel")
    assert _number(database) == 1
    seen = _read(database, who)
    go_on.set()
    thread.join(20)
    # Then the first one appears behind it, not before.
    assert _number(database) == 1
    assert [event.job_id for event in _read(database, who)] == [quick, slow]
    assert [event.job_id for event in _read(database, who, after=seen[-1].sequence or 0)] == [slow]
    database.dispose()


def test_no_reader_misses_an_event_while_writers_and_sequencers_race(database: Database) -> None:
    who = tenant(database)
    job_ids = add_jobs(database, who, 60)
    done = threading.Event()
    read: list[str] = []

    def write(mine: list[str]) -> None:
        for job_id in mine:
            assert move(database, job_id, "cancel")

    def sequence() -> None:
        while not done.is_set():
            _number(database, 7)

    def follow() -> None:
        place = 0
        while len(read) < len(job_ids):
            for event in _read(database, who, after=place, limit=5):
                assert event.sequence is not None
                assert event.sequence > place
                place = event.sequence
                read.append(event.job_id or "")
        done.set()

    together(*(lambda n=n: write(job_ids[n::4]) for n in range(4)), sequence, sequence, follow)
    assert sorted(read) == sorted(job_ids)
    with database.read() as session:
        numbers = sorted(session.scalars(select(col(Event.sequence))))
    assert numbers == list(range(1, 61))


def test_what_happened_to_one_job_is_in_order(database: Database) -> None:
    who = tenant(database)
    job_id = add_job(database, who, status="submitting")
    for name in ("accept", "collect", "finish"):
        assert move(database, job_id, name)
    _number(database)
    found = _read(database, who)
    assert [event.type for event in found] == ["job.running", "job.succeeded"]
    assert [event.version for event in found] == sorted(event.version for event in found)
