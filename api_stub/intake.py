"""Taking in one job: checked whole, stored once, shown. Every dialect submits through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from sqlmodel import Session

from api_stub import admission
from api_stub.admission import Demand, Unpriced
from api_stub.face import Face
from api_stub.idempotency import Claim, earlier, once
from api_stub.presenting import job_of, shown_job, shown_standing
from api_stub.problems import ApiProblem
from jobs import submission
from jobs.ids import new_id
from jobs.models import Job
from jobs.queries import chains, files, jobs
from jobs.states import JobState
from jobs.submission import CallbackCheck, Checked, FilesMissing, StatesOf
from jobs.validation import Problem
from jobs.view import amount
from workers import finish
from workers.egress import EgressRules, UrlRefused, check_url

#: States whose outputs may still be at the provider, paid for and not in storage.
_ENDED_BADLY = frozenset({JobState.FAILED, JobState.EXPIRED})
_RETRIABLE = frozenset({JobState.FAILED, JobState.CANCELED, JobState.EXPIRED})

#: What a job that only fetches outputs has in common with the one that made them.
_REPEATED = (
    "tenant_id",
    "operation",
    "modality",
    "provider",
    "input",
    "asked",
    "fallback",
    "meta",
    "custom_id",
    "priority",
    "callback_url",
    "events",
    "on_unknown",
)


class Taken(NamedTuple):
    """A job as the API shows it, its version for those who wait for the next, and whether an earlier call made it."""

    view: dict[str, Any]
    version: int
    replayed: bool

    @property
    def final(self) -> bool:
        return self.view["finished_at"] is not None


def check(face: Face, tenant_id: str, document: Any) -> Checked:
    """The request in `document`. Raises validation.Refused with all its problems; stores nothing."""
    return submission.check(
        document,
        callback=callback_check(face.rules),
        files_missing=files_missing(face, tenant_id),
        price=face.price,
        states_of=states_of(face, tenant_id),
    )


def submit(face: Face, tenant_id: str, document: Any, *, key: str | None = None) -> Taken:
    """Store the job that `document` asks for. With a `key` that was used before: what it made then.

    Raises validation.Refused, and ApiProblem as `admission.admit` does.
    """
    claim = Claim(tenant_id, key, submission.request_hash(document)) if key else None
    if first := earlier(face.context.database, claim):
        return look(face, tenant_id, first, replayed=True)
    checked = check(face, tenant_id, document)
    (row,) = submission.rows(tenant_id, [checked])
    return _store_row(face, tenant_id, claim, row, checked)


def look(face: Face, tenant_id: str, job_id: str, *, replayed: bool = False) -> Taken:
    """The job as it is now. 404 if the tenant has none of this id."""
    with face.context.database.read() as session:
        return _taken(face, session, tenant_id, job_id, replayed=replayed)


def look_closely(face: Face, tenant_id: str, job_id: str) -> dict[str, Any]:
    """The job as it is now, and where it stands while it waits. 404 if the tenant has none of this id."""
    with face.context.database.read() as session:
        job = job_of(session, tenant_id, job_id)
        return shown_job(face.context, session, job) | {"queue": shown_standing(face.context, session, job)}


def retry(face: Face, tenant_id: str, job_id: str, *, key: str | None = None) -> Taken:
    """A new job that asks the same as one that ended without success; it may cost money again."""
    claim = Claim(tenant_id, key, submission.request_hash(["retry", job_id])) if key else None
    if first := earlier(face.context.database, claim):
        return look(face, tenant_id, first, replayed=True)
    with face.context.database.read() as session:
        old = job_of(session, tenant_id, job_id)
    if old.status not in _RETRIABLE:
        raise ApiProblem(409, "not_retriable", f"the job is {old.status}; only a failed, canceled or expired one is retried")
    # Checked again: its files may be gone by now, the operation's rules have changed, or a job it needs has failed.
    checked = check(face, tenant_id, request_of(old))
    return _store_row(face, tenant_id, claim, _again(old, checked), checked)


def retry_download(face: Face, tenant_id: str, job_id: str, *, key: str | None = None) -> Taken:
    """A new job that fetches the outputs of one that was paid for and failed. It never generates anything."""
    claim = Claim(tenant_id, key, submission.request_hash(["retry-download", job_id])) if key else None
    if first := earlier(face.context.database, claim):
        return look(face, tenant_id, first, replayed=True)
    with face.context.database.read() as session:
        old = job_of(session, tenant_id, job_id)
        attempt = jobs.attempt_of(session, old)
    if old.status not in _ENDED_BADLY:
        raise ApiProblem(
            409, "nothing_to_download", f"the job is {old.status}; outputs are fetched again for a failed or expired one"
        )
    if attempt is not None and attempt.state == "accepted":
        status = JobState.RUNNING
    elif attempt is not None and attempt.state == "answered" and attempt.spool_key:
        status = JobState.COLLECTING
    else:
        raise ApiProblem(
            409, "nothing_to_download", "the provider never accepted this job, so it has no outputs to fetch; use retry"
        )
    # Not checked again: nothing is sent, and outputs must be had even of an operation that is no longer offered.
    row = _repeated(old) | {"status": status, "attempt_id": old.attempt_id, "polls": 0, "output": old.output}

    def write(session: Session) -> None:
        moment = jobs.clock(session)
        submission.store(session, [row | {"started_at": moment, "accepted_at": moment}])

    return _store(face, tenant_id, claim, row["id"], write)


def callback_check(rules: EgressRules) -> CallbackCheck:
    """Says what is wrong with a callback address. Remembers its answers: a batch names the same address on every line."""
    known: dict[str, Problem | None] = {}

    def check_callback(url: str) -> Problem | None:
        if url not in known:
            known[url] = _callback_problem(url, rules)
        return known[url]

    return check_callback


def files_missing(face: Face, tenant_id: str) -> FilesMissing:
    """Says which files the tenant does not have. Asks for each file once."""
    seen: dict[str, bool] = {}

    def missing(wanted: set[str]) -> set[str]:
        if new := wanted - seen.keys():
            with face.context.database.read() as session:
                gone = files.missing(session, tenant_id, new)
            seen.update({file_id: file_id in gone for file_id in new})
        return {file_id for file_id in wanted if seen[file_id]}

    return missing


def states_of(face: Face, tenant_id: str) -> StatesOf:
    """Says in which state jobs of the tenant are."""

    def states(wanted: set[str]) -> dict[str, JobState]:
        with face.context.database.read() as session:
            return chains.states(session, tenant_id, wanted)

    return states


def settle(face: Face, needs: Iterable[str]) -> None:
    """After the commit of what waits for these: one that ended since it was checked was not seen to be waited for."""
    if wanted := list(needs):
        face.afterwards.run(finish.settle, face.context, wanted)


def _callback_problem(url: str, rules: EgressRules) -> Problem | None:
    try:
        check_url(url, rules)
    except UrlRefused as error:
        return Problem("callback_url", "callback_url_refused", f"{error.reason}: {error}")
    return None


def _store_row(face: Face, tenant_id: str, claim: Claim | None, row: dict[str, Any], checked: Checked) -> Taken:
    demand = _demand(checked)

    def write(session: Session) -> None:
        moment = admission.admit(session, tenant_id, demand)
        submission.store(session, [row], ageing_s=face.context.settings.ageing_s, moment=moment)

    taken = _store(face, tenant_id, claim, row["id"], write)
    settle(face, row["needs"])
    return taken


def _demand(checked: Checked) -> Demand:
    quote = checked.quote
    if quote.usd is None:
        return Demand(1, Decimal(0), Decimal(0), [Unpriced(checked.operation.name, quote.unknown)])
    return Demand(1, quote.usd, dearest=quote.usd)


def _store(face: Face, tenant_id: str, claim: Claim | None, job_id: str, write: Callable[[Session], None]) -> Taken:
    taken: list[Taken] = []

    def write_and_look(session: Session) -> None:
        write(session)
        taken.append(_taken(face, session, tenant_id, job_id))

    made = once(face.context.database, claim, job_id, write_and_look)
    return taken[0] if made == job_id else look(face, tenant_id, made, replayed=True)


def _taken(face: Face, session: Session, tenant_id: str, job_id: str, *, replayed: bool = False) -> Taken:
    job = job_of(session, tenant_id, job_id)
    return Taken(shown_job(face.context, session, job), job.version, replayed)


def request_of(old: Job) -> dict[str, Any]:
    """The job as the request that could have made it: what was asked at first, with all that might be asked in its place.

    The times it was not to be started before or after belong to that job alone.
    """
    asked = old.asked or {"operation": old.operation, "input": old.input}
    lasted = (old.deadline_at - old.created_at).total_seconds() if old.deadline_at else None
    return {
        "operation": asked["operation"],
        "input": asked["input"],
        "fallbacks": old.fallbacks,
        "max_cost_usd": amount(old.max_cost_usd),
        "callback_url": old.callback_url,
        "events": old.events,
        "metadata": old.meta,
        "priority": old.priority,
        "deadline_s": min(max(lasted, 1.0), 604_800.0) if lasted is not None else None,
        "on_unknown": old.on_unknown,
        "custom_id": old.custom_id,
    }


def _again(old: Job, checked: Checked) -> dict[str, Any]:
    (row,) = submission.rows(old.tenant_id, [checked])
    return row | {"retry_of": old.id}


def _repeated(old: Job) -> dict[str, Any]:
    """A row like the old job's, without its deadline and its place in a batch."""
    return {name: getattr(old, name) for name in _REPEATED} | {
        "id": new_id("job"),
        "version": 0,
        "batch_id": None,
        "line": None,
        "start_at": None,
        "deadline_s": None,
        # What it points at was looked up when it was sent; nothing is sent again.
        "needs": [],
        "retry_of": old.id,
    }
