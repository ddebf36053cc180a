"""What tests of the core keep needing: jobs in a given state, a Life, threads that start together, and time that passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import exists, insert, select, update
from sqlmodel import Session, SQLModel, col

from jobs.db import Database, after, now
from jobs.ids import new_id
from jobs.life import Life, Moved
from jobs.models import Batch, Delivery, Event, Gate, Job, Pause, Tenant, Transition
from jobs.settings import DEFAULT_KEY
from jobs.states import JobState
from jobs.view import Links

T = TypeVar("T")

LIFE = Life(link=lambda artifact, _: Links(f"https://links.example/{artifact.key}", None), link_ttl_s=60, hint_s=30)

#: Threads in a race; the fixture's pool has room for all of them.
RACERS = 20


def tenant(database: Database, name: str = "acme") -> str:
    tenant_id = new_id("ten")
    with database.transaction() as session:
        session.execute(insert(Tenant).values(id=tenant_id, name=f"{name}-{tenant_id}"))
    return tenant_id


def job_row(tenant_id: str, **values: Any) -> dict[str, Any]:
    """A queued job that is due, or whatever `values` make of it."""
    return {
        "id": new_id("job"),
        "tenant_id": tenant_id,
        "operation": "kling.text_to_video",
        "modality": "video",
        "provider": "kling",
        "input": {"prompt": "a"},
        "meta": {},
        "due_at": after(-1),
        # Were its priority a head start.
        "rank_at": after(-60.0 * values.get("priority", 0)),
        **values,
    }


def add_jobs(database: Database, tenant_id: str, count: int = 1, **values: Any) -> list[str]:
    rows = [job_row(tenant_id, **values) for _ in range(count)]
    with database.transaction() as session:
        for row in rows:
            session.execute(insert(Job).values(row))
    return [row["id"] for row in rows]


def add_job(database: Database, tenant_id: str, **values: Any) -> str:
    return add_jobs(database, tenant_id, 1, **values)[0]


def add_batch(database: Database, tenant_id: str, jobs: int, **values: Any) -> tuple[str, list[str]]:
    batch_id = new_id("batch")
    with database.transaction() as session:
        session.execute(insert(Batch).values(id=batch_id, tenant_id=tenant_id, total=jobs, meta={}, **values))
    return batch_id, [add_job(database, tenant_id, batch_id=batch_id, line=line) for line in range(1, jobs + 1)]


def the_job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def rows_of(database: Database, table: type[SQLModel], *where: Any) -> list[Any]:
    with database.read() as session:
        return list(session.scalars(select(table).where(*where)))


def history_of(database: Database, job_id: str) -> list[tuple[int, str, str, str]]:
    rows = sorted(rows_of(database, Transition, col(Transition.job_id) == job_id), key=lambda row: row.version)
    return [(row.version, row.name, row.source, row.target) for row in rows]


def events_of(database: Database, job_id: str) -> list[str]:
    rows = sorted(rows_of(database, Event, col(Event.job_id) == job_id), key=lambda row: row.version)
    return [row.type for row in rows]


def move(database: Database, job_id: str, name: str, **options: Any) -> Moved | None:
    with database.transaction() as session:
        return LIFE.move(session, job_id, name, actor=options.pop("actor", "test"), **options)


def claim(database: Database, job_id: str, fence: int, owner: str = "worker") -> Moved | None:
    """As the submit step claims."""
    with database.transaction() as session:
        return LIFE.move(
            session, job_id, "claim", actor=owner, if_fence=fence, lease_owner=owner, due_at=after(60), fence=Job.fence + 1
        )


def hand_over(database: Database, job_id: str) -> bool:
    """As the dispatcher hands it over when its turn has come and whatever its provider asked for has passed.

    False when it is not to be started: its key is paused.
    """
    with database.transaction() as session:
        if session.scalars(select(Pause)).first() is not None:
            return False
        session.execute(update(Gate).values(closed_until=None))
        in_doubt = exists().where(col(Gate.provider) == col(Job.provider))
        session.execute(
            update(Job)
            .where(col(Job.id) == job_id, col(Job.status) == JobState.QUEUED, col(Job.released_at).is_(None))
            .values(released_at=now(), reserved=True, key_name=DEFAULT_KEY, probe=in_doubt)
        )
    return True


def let_time_pass(database: Database, job_id: str) -> None:
    """Whatever this job waits for is over."""
    with database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(due_at=after(-0.001)))


def let_time_pass_for_all(database: Database, table: type[Job] | type[Delivery] = Job) -> None:
    with database.transaction() as session:
        session.execute(update(table).where(col(table.due_at).is_not(None)).values(due_at=after(-0.001)))


def together(*works: Callable[[], T]) -> list[T]:
    """Run all of these at the same moment, each in a thread; their results, in order. An error in one is raised here."""
    gate = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(place: int, work: Callable[[], T]) -> None:
        try:
            gate.wait(10)
            results[place] = work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a racer hangs"
    if errors:
        raise errors[0]
    return results


def in_transaction(database: Database, work: Callable[[Session], T]) -> Callable[[], T]:
    def run() -> T:
        with database.transaction() as session:
            return work(session)

    return run


def values_of(session: Session, job_ids: Sequence[str], column: Any) -> list[Any]:
    return list(session.scalars(select(column).where(col(Job.id).in_(job_ids))))
