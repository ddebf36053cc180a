"""What an answer to a paid call says about its provider and its key, written down for all processes.

A provider that is well costs nothing here: only calls that were refused, failed, or were made in doubt write anything.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlmodel import Session

from jobs import manners
from jobs.catalogue import outcomes
from jobs.catalogue.answers import GATEWAY_CODES
from jobs.catalogue.spec import Fault
from jobs.db import after, now
from jobs.errors import JobError
from jobs.models import Job
from jobs.queries import gates, pauses
from jobs.queries.release import PROBE_EVERY_S
from jobs.settings import DEFAULT_KEY
from workers.context import Context

log = structlog.get_logger()

#: Refusals that are about our key, not about the request.
KEY_FAULTS = frozenset({Fault.AUTH.value, Fault.PAYMENT.value, Fault.FORBIDDEN.value})


def learn(context: Context, job: Job, outcome: outcomes.SubmitOutcome) -> None:
    """Remember what this answer says. Never raises: a lesson that is missed comes again."""
    try:
        with context.database.transaction() as session:
            _learn(context, session, job, outcome)
    except Exception as error:
        log.warning("not_learned", job_id=job.id, error=f"{type(error).__name__}: {error}"[:200])


def is_about_the_key(error: JobError) -> bool:
    """The request may be fine: it was our key, or its account, that was refused."""
    return error.code in KEY_FAULTS and not error.may_have_been_charged


def _learn(context: Context, session: Session, job: Job, outcome: outcomes.SubmitOutcome) -> None:
    key_name = job.key_name or DEFAULT_KEY
    match outcome:
        case outcomes.NotAccepted(error, retry_after_s) if error.code == Fault.RATE_LIMITED.value:
            moment = _moment(session)
            gate = gates.opened(session, job.provider, key_name, moment)
            manners.throttled(gate, moment, retry_after_s, probe=job.probe)
            log.info("throttled", provider=job.provider, key=key_name, closed_until=str(gate.closed_until), budget=gate.budget)
        case outcomes.NotAccepted(error, retry_after_s):
            moment = _moment(session)
            gate = gates.opened(session, job.provider, key_name, moment)
            manners.failed(gate, moment, error.code, retry_after_s, probe=job.probe)
        case outcomes.Lost(error):
            moment = _moment(session)
            gate = gates.opened(session, job.provider, key_name, moment)
            manners.failed(gate, moment, error.code, None, probe=job.probe)
        case outcomes.Rejected(error) if is_about_the_key(error):
            _pause_key(context, session, job, key_name, error)
        case _ if job.probe:
            _well_again(session, job, key_name, key_is_good=not isinstance(outcome, outcomes.Rejected))


def _pause_key(context: Context, session: Session, job: Job, key_name: str, error: JobError) -> None:
    operation = None if _concerns_all_of(error) else job.operation
    paused = pauses.put(
        session,
        "key",
        key_name,
        operation=operation,
        reason=error.message[:300],
        actor=context.owner,
        automatic=True,
        probe_at=after(PROBE_EVERY_S),
    )
    if paused:
        log.error(
            "key_paused",
            scope=pauses.scope_of("key", key_name, operation),
            code=error.code,
            reason=error.message[:300],
            ends=pauses.lifted_by("key", key_name, operation),
        )


def _concerns_all_of(error: JobError) -> bool:
    """The gateway refused the key itself, or its account; not one vendor, and not one thing to do with it."""
    if error.code == Fault.FORBIDDEN.value:
        return False
    detail = error.upstream
    return detail is None or detail.status in (401, 402) or (detail.code or "").lower() in GATEWAY_CODES


def _well_again(session: Session, job: Job, key_name: str, *, key_is_good: bool) -> None:
    if (gate := gates.found(session, job.provider, key_name)) is not None and manners.succeeded(gate, _moment(session)):
        gates.remove(session, gate)
        log.info("provider_well_again", provider=job.provider, key=key_name)
    if key_is_good:
        for operation in (None, job.operation):
            scope = pauses.scope_of("key", key_name, operation)
            if pauses.lift(session, scope, only_automatic=True) is not None:
                log.info("key_resumed", scope=scope)


def _moment(session: Session) -> datetime:
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment
