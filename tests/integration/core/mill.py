"""The worker's steps called one by one, against the real simulator, on SQLite and a folder, with no queue in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import servers
from house import hand_over, let_time_pass, let_time_pass_for_all, rows_of, tenant, the_job
from sqlalchemy import select
from sqlmodel import col

from jobs import catalogue, submission
from jobs.db import now
from jobs.models import Artifact, Attempt, Delivery, DeliveryTry, Job
from jobs.settings import Settings
from jobs.states import FINAL, JobState
from workers import collect, deliver, lookup, poll, submit, tick
from workers.context import Context, open_context

#: Each step of a job that ends takes far fewer rounds than this.
_MOST_ROUNDS = 3000


class Mill:
    """One installation without its queue: a message is a call here."""

    def __init__(self, context: Context, upstream: servers.Simulator) -> None:
        self.context = context
        self.database = context.database
        self.upstream = upstream
        self.tenant_id = tenant(context.database)

    # Jobs -----------------------------------------------------------------------------------------------------------------

    def accept(self, operation: str, given: dict[str, Any] | None = None, **fields: Any) -> str:
        """A job as the API accepts it. Without an input: the operation's example."""
        found = catalogue.find(operation)
        assert found is not None
        document = {"operation": operation, "input": found.example if given is None else given, **fields}
        checked = submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
        made = submission.rows(self.tenant_id, [checked])
        with self.database.transaction() as session:
            submission.store(session, made)
        job_id: str = made[0]["id"]
        return job_id

    def job(self, job_id: str) -> Job:
        return the_job(self.database, job_id)

    def attempts(self, job_id: str) -> list[Attempt]:
        return sorted(rows_of(self.database, Attempt, col(Attempt.job_id) == job_id), key=lambda attempt: attempt.n)

    def artifacts(self, job_id: str) -> list[Artifact]:
        return sorted(rows_of(self.database, Artifact, col(Artifact.job_id) == job_id), key=lambda artifact: artifact.index)

    def stored(self, artifact: Artifact) -> bytes:
        with self.context.store.open(artifact.key) as stream:
            return stream.read()

    # Steps ----------------------------------------------------------------------------------------------------------------

    def hand_over(self, job_id: str) -> bool:
        return hand_over(self.database, job_id)

    def submit(self, job_id: str) -> Job:
        self.hand_over(job_id)
        submit.submit(self.context, job_id, self.job(job_id).fence)
        return self.job(job_id)

    def poll(self, *job_ids: str) -> None:
        poll.poll(self.context, [(job_id, self.job(job_id).fence) for job_id in job_ids])

    def poll_until(self, job_id: str, *states: JobState) -> Job:
        """Ask again until the task is over."""

        def ask() -> Job:
            self.poll(job_id)
            return self.job(job_id)

        return servers.eventually(ask, lambda job: JobState(job.status) in (states or FINAL | {JobState.COLLECTING}), f"{states}")

    def collect(self, job_id: str) -> Job:
        collect.collect(self.context, job_id, self.job(job_id).fence)
        return self.job(job_id)

    def look_up(self, job_id: str) -> Job:
        lookup.look_up(self.context, job_id, self.job(job_id).fence)
        return self.job(job_id)

    def tick(self) -> None:
        tick.tick(self.context)

    def clock(self) -> datetime:
        with self.database.read() as session:
            return session.execute(select(now())).scalar_one()

    def time_passes(self, job_id: str) -> None:
        let_time_pass(self.database, job_id)

    def run(self, job_id: str) -> Job:
        """Step after step as the queues would call them, no waiting, until it is final, or waits for a person or for a key."""
        for _ in range(_MOST_ROUNDS):
            job = self.job(job_id)
            match JobState(job.status):
                case JobState.QUEUED if self.hand_over(job_id):
                    self.submit(job_id)
                case JobState.RUNNING:
                    self.poll_until(job_id)
                case JobState.COLLECTING:
                    self.collect(job_id)
                case JobState.UNKNOWN if job.due_at is not None:
                    self.look_up(job_id)
                case _:
                    return job
        raise AssertionError(f"{job_id} goes round in circles: {job.status} {job.error}")

    # Webhooks -------------------------------------------------------------------------------------------------------------

    def deliveries(self, job_id: str) -> list[Delivery]:
        return sorted(rows_of(self.database, Delivery, col(Delivery.job_id) == job_id), key=lambda one: one.id)

    def tries(self, delivery: Delivery) -> list[DeliveryTry]:
        return sorted(rows_of(self.database, DeliveryTry, col(DeliveryTry.delivery_id) == delivery.id), key=lambda one: one.n)

    def deliver(self, delivery: Delivery) -> Delivery:
        """One try, at once."""
        (now_,) = rows_of(self.database, Delivery, col(Delivery.id) == delivery.id)
        deliver.deliver(self.context, delivery.id, now_.fence)
        (after,) = rows_of(self.database, Delivery, col(Delivery.id) == delivery.id)
        assert isinstance(after, Delivery)
        return after

    def deliveries_fall_due(self) -> None:
        let_time_pass_for_all(self.database, Delivery)

    # Money ----------------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> int:
        """Calls of a paid route that reached the gateway."""
        return len(self.upstream.paid_calls())

    @property
    def charged(self) -> int:
        """Calls that cost money."""
        return len(self.upstream.paid_calls(charged="true"))


@contextmanager
def open_mill(folder: Path, database_url: str, upstream: servers.Simulator, secret: str, **settings: Any) -> Iterator[Mill]:
    context = open_context(
        Settings(
            data=folder,
            database_url=database_url,
            broker_url="",
            storage_url=f"file://{folder}/media",
            upstream_url=upstream.url,
            upstream_key="sk-test",
            webhook_secret=secret,
            link_secret="a secret of these tests",
            egress_allow_cidrs="127.0.0.0/8",
            webhook_total_s=5,
            **settings,
        )
    )
    try:
        yield Mill(context, upstream)
    finally:
        context.close()
