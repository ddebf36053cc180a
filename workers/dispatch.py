"""From SQL to the queues: as much as the windows have room for, as soon as it is due.

Called right after each commit that makes something due, and by every tick for what a crash or a flush left behind.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

import structlog

from jobs import catalogue
from jobs.life import Hint
from jobs.queries import attempts, schedule
from jobs.queries import release as queries
from jobs.queries.release import House, Round
from jobs.queries.schedule import Ticket
from jobs.settings import Settings
from jobs.states import MODALITIES, JobState
from workers import publish
from workers.context import Context

log = structlog.get_logger()

#: Jobs handed out by one tick for one purpose. What is left comes with the next.
_MOST_A_TICK = 4000


def nudge(context: Context) -> None:
    """Start what may start. Never raises: the tick comes anyway.

    Many call this at once. One of them works, one waits to see what came up meanwhile, and the others leave it to that one.
    """
    desk = context.dispatching
    if not desk.waiting.acquire(blocking=False):
        return
    with desk.working:
        # Under load what came up meanwhile is worth a round; what comes up in the next moments makes it worth more.
        time.sleep(desk.rest_s())
        desk.waiting.release()
        began = time.monotonic()
        try:
            release(context)
            desk.took(time.monotonic() - began)
        except Exception as error:
            log.warning("not_released", error=f"{type(error).__name__}: {error}"[:200])


def freed(context: Context) -> None:
    """A provider is done with something: nudge, if that may have been what others waited for."""
    if context.dispatching.held_back:
        nudge(context)


def publish_deliveries(context: Context, hints: Iterable[Hint]) -> None:
    """Tell the webhook workers of deliveries that just became due. Never raises."""
    publish.deliveries(hints)


def release(context: Context) -> Round:
    """Hand over what may start. What it found that will never start is the caller's to end, or the next tick's."""
    settings = context.settings
    with context.database.transaction() as session:
        made = queries.release(session, house_of(settings))
    context.dispatching.held_back = made.held_back
    publish.submits(made.tickets)
    return made


def house_of(settings: Settings) -> House:
    """How this installation hands out its jobs."""
    return House(
        windows={modality: settings.window_of(modality) for modality in MODALITIES},
        keys_of=settings.keys_of,
        ageing_s=settings.ageing_s,
        hint_s=settings.hint_s,
    )


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


def hand_out_followed(context: Context) -> int:
    """Publish the looks at what providers do although its job has ended, many a message."""
    with context.database.transaction() as session:
        due = attempts.hand_out_due(session, context.settings.hint_s, _MOST_A_TICK)
    by_lane: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for attempt_id, operation, key_name in due:
        found = catalogue.find(operation)
        by_lane[found.modality if found else MODALITIES[0], operation, key_name].append(attempt_id)
    size = context.settings.poll_batch
    for (modality, operation, _), ids in by_lane.items():
        for start in range(0, len(ids), size):
            publish.follows(modality, operation, ids[start : start + size])
    return len(due)
