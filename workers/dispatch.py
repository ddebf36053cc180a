"""From SQL to the queues: as much as the windows have room for, as soon as it is due.

Called right after each commit that makes something due, and by every tick for what a crash or a flush left behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import structlog

from jobs.life import Hint
from jobs.queries import schedule
from jobs.queries.schedule import Ticket
from jobs.states import JobState
from workers import publish
from workers.context import Context

log = structlog.get_logger()

#: Jobs handed out by one tick for one purpose. What is left comes with the next.
_MOST_A_TICK = 4000


def nudge(context: Context, modalities: Iterable[str]) -> None:
    """Release what these modalities have room for. Never raises: the tick comes anyway."""
    for modality in modalities:
        try:
            release(context, modality)
        except Exception as error:
            log.warning("not_released", modality=modality, error=f"{type(error).__name__}: {error}"[:200])


def publish_deliveries(context: Context, hints: Iterable[Hint]) -> None:
    """Tell the webhook workers of deliveries that just became due. Never raises."""
    publish.deliveries(hints)


def release(context: Context, modality: str) -> int:
    """Hand over waiting jobs of this modality; returns how many."""
    settings = context.settings
    with context.database.transaction() as session:
        tickets = schedule.release(session, modality, settings.window_of(modality), settings.hint_s)
    publish.submits(tickets)
    return len(tickets)


def release_outputs(context: Context, modality: str) -> int:
    """Hand over jobs whose outputs wait to be fetched; returns how many."""
    settings = context.settings
    with context.database.transaction() as session:
        tickets = schedule.release_collecting(session, modality, settings.collect_window, settings.hint_s)
    publish.collects(tickets)
    return len(tickets)


def nudge_outputs(context: Context, modalities: Iterable[str]) -> None:
    for modality in modalities:
        try:
            release_outputs(context, modality)
        except Exception as error:
            log.warning("not_released", modality=modality, error=f"{type(error).__name__}: {error}"[:200])


def hand_out_polls(context: Context) -> int:
    """Publish the status requests that are due, many jobs a message."""
    with context.database.transaction() as session:
        tickets = schedule.hand_out_due(session, JobState.RUNNING, context.settings.hint_s, _MOST_A_TICK)
    by_modality: defaultdict[str, list[Ticket]] = defaultdict(list)
    for ticket in tickets:
        by_modality[ticket.modality].append(ticket)
    size = context.settings.poll_batch
    for modality, due in by_modality.items():
        # Neighbours of one operation share one request where the provider allows it.
        due.sort(key=lambda ticket: ticket.operation)
        for start in range(0, len(due), size):
            publish.polls(modality, due[start : start + size])
    return len(tickets)


def hand_out_lookups(context: Context) -> int:
    """Publish the look-ups of lost answers that are due."""
    with context.database.transaction() as session:
        tickets = schedule.hand_out_due(session, JobState.UNKNOWN, context.settings.hint_s, _MOST_A_TICK)
    publish.lookups(tickets)
    return len(tickets)


def hand_out_deliveries(context: Context) -> int:
    with context.database.transaction() as session:
        due = schedule.hand_out_deliveries(session, context.settings.hint_s, _MOST_A_TICK)
    publish.deliveries(Hint(delivery_id, fence) for delivery_id, fence in due)
    return len(due)
