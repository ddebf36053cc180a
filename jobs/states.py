"""The life of a job, as one table. Nothing else in the program decides what may follow what.

README.md draws this table; tests/unit/test_states.py holds picture and table together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    #: Accepted and committed; waits for its turn (or for `start_at`). Costs nothing yet.
    QUEUED = "queued"
    #: A worker holds it; the paid call may be on the wire.
    SUBMITTING = "submitting"
    #: The provider has it and named a task; we poll.
    RUNNING = "running"
    #: The provider is done; outputs are on their way into storage.
    COLLECTING = "collecting"
    #: The paid call was sent and its answer was lost. Looked up, or decided by policy or a person; never blindly resent.
    UNKNOWN = "unknown"
    #: Every output is in storage, checksummed, its row committed.
    SUCCEEDED = "succeeded"
    #: Ended without a result; `error` says why and whether it may have been charged.
    FAILED = "failed"
    #: Ended on request.
    CANCELED = "canceled"
    #: Its own deadline passed first.
    EXPIRED = "expired"


FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED})
ACTIVE = frozenset(JobState) - FINAL


@dataclass(frozen=True, slots=True)
class Move:
    """One arrow: the states it may leave, the state it reaches, the event it tells the submitter (or None)."""

    sources: frozenset[JobState]
    target: JobState
    event: str | None = None


S = JobState
MOVES: dict[str, Move] = {
    "claim": Move(frozenset({S.QUEUED}), S.SUBMITTING),
    # The provider surely has not taken it: not sent, or refused for the moment.
    "requeue": Move(frozenset({S.SUBMITTING}), S.QUEUED),
    # What was asked first came to nothing and cost nothing: the next of the job's `fallbacks` is asked instead.
    "fallback": Move(frozenset({S.QUEUED, S.SUBMITTING, S.RUNNING}), S.QUEUED),
    # From unknown: the look-up found the task, or a person named it.
    "accept": Move(frozenset({S.SUBMITTING, S.UNKNOWN}), S.RUNNING, "job.running"),
    # A synchronous answer is safe in storage; what is left is taking it apart.
    # From unknown: the worker was thought dead and was only cut off from the database.
    "receive": Move(frozenset({S.SUBMITTING, S.UNKNOWN}), S.COLLECTING),
    "lose": Move(frozenset({S.SUBMITTING}), S.UNKNOWN, "job.unknown"),
    # A decision (the job's `on_unknown`, or a person): recorded with its actor and reason.
    "resubmit": Move(frozenset({S.UNKNOWN}), S.QUEUED),
    "collect": Move(frozenset({S.RUNNING}), S.COLLECTING),
    # The links died before we had the bytes: ask the provider for fresh ones.
    "repoll": Move(frozenset({S.COLLECTING}), S.RUNNING),
    "finish": Move(frozenset({S.COLLECTING}), S.SUCCEEDED, "job.succeeded"),
    # An equal job has run for both: its outputs are this one's as well.
    "share": Move(frozenset({S.QUEUED}), S.SUCCEEDED, "job.succeeded"),
    "fail": Move(ACTIVE, S.FAILED, "job.failed"),
    "cancel": Move(ACTIVE, S.CANCELED, "job.canceled"),
    "expire": Move(ACTIVE, S.EXPIRED, "job.expired"),
}

#: What a submitter may ask to be told (`events`), and what is told when nothing was asked.
JOB_EVENTS = tuple(sorted({move.event for move in MOVES.values() if move.event}))
EVENT_TYPES = (*JOB_EVENTS, "batch.completed")
DEFAULT_EVENTS = frozenset(EVENT_TYPES) - {"job.running"}

MODALITIES = ("image", "video", "music", "audio", "text", "model3d")
