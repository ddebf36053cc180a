"""Hints to the workers: which job, under which fence. Never state, never a prompt.

A hint that cannot be sent is not an error of whoever wanted to send it: the row's `due_at` brings it back. So nothing here raises.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import structlog

from jobs.life import Hint
from jobs.queries.schedule import Ticket
from workers import queues
from workers.app import app

log = structlog.get_logger()

#: A broker that is away is not tried again for so long: each try costs a time-out, and there may be thousands of hints.
_AWAY_S = 2.0
_away_until = 0.0


def submits(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        _one(f"{ticket.modality}.submit", queues.submit_lane(ticket.modality), ticket)


def collects(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        _one(f"{ticket.modality}.collect", queues.collect_lane(ticket.modality), ticket)


def lookups(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        _one(f"{ticket.modality}.lookup", queues.poll_lane(ticket.modality), ticket)


def polls(modality: str, tickets: Sequence[Ticket]) -> None:
    """One message for many jobs."""
    jobs = "1 job" if len(tickets) == 1 else f"{len(tickets)} jobs"
    shown = f"{jobs}: {', '.join(sorted({ticket.operation for ticket in tickets}))}"
    _send(
        f"{modality}.poll",
        queues.poll_lane(modality),
        {"jobs": [[ticket.job_id, ticket.fence] for ticket in tickets]},
        shown,
    )


def follows(modality: str, operation: str, attempt_ids: Sequence[str]) -> None:
    """One message for many attempts of one operation."""
    calls = "1 call" if len(attempt_ids) == 1 else f"{len(attempt_ids)} calls"
    _send(f"{modality}.follow", queues.poll_lane(modality), {"attempts": list(attempt_ids)}, f"{calls}: {operation}")


def deliveries(hints: Iterable[Hint]) -> None:
    for hint in hints:
        _send("webhook.deliver", queues.WEBHOOK, {"delivery": hint.delivery_id, "fence": hint.fence}, hint.delivery_id)


def _one(task: str, queue: str, ticket: Ticket) -> None:
    kwargs = {"job": ticket.job_id, "fence": ticket.fence, "operation": ticket.operation}
    _send(task, queue, kwargs, f"{ticket.operation} {ticket.job_id}")


def _send(task: str, queue: str, kwargs: dict[str, object], shown: str) -> None:
    global _away_until
    if not app.conf.broker_url or time.monotonic() < _away_until:
        return
    try:
        app.send_task(task, kwargs=kwargs, queue=queue, retry=False, argsrepr="()", kwargsrepr=shown, ignore_result=True)
    except Exception as error:
        _away_until = time.monotonic() + _AWAY_S
        log.warning("hint_not_sent", task=task, error=f"{type(error).__name__}: {error}"[:200])
