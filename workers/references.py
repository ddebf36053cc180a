"""Values of other jobs in an input: put in their places when the job starts, and the whole checked once more."""

from __future__ import annotations

from typing import Any

from jobs import references, submission, validation, view
from jobs.catalogue.spec import Operation
from jobs.errors import JobError
from jobs.models import Job
from jobs.queries import chains, schedule
from jobs.queries import jobs as job_queries
from jobs.references import Reference
from jobs.states import FINAL, JobState
from workers.chains import lost_to
from workers.context import Context

#: Problems of an input that are told.
_MOST_PROBLEMS = 5


class Unresolved(Exception):
    """The job cannot start: what it wants of another one is not there, or does not fit."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


class TooEarly(Exception):
    """A job that this one needs has not ended."""


def resolved(context: Context, job: Job, op: Operation) -> dict[str, Any]:
    """The job's input with the values of other jobs in it. References to artifacts are left in their places.

    Raises Unresolved (`reference_unresolved`; `invalid_input` where a value breaks a rule of the operation) and TooEarly.
    """
    wanted = references.names(job.input)
    if not wanted:
        return job.input
    finished = _finished(context, job, wanted)

    def value(reference: Reference) -> Any:
        if reference.get is None:
            return {"job": reference.job, "artifact": reference.artifact}
        try:
            return references.value_of(reference.get, finished[reference.job])
        except references.Unresolved as error:
            at, fields = validation.place(reference.path), ", ".join(finished[reference.job])
            message = f"{at} wants {reference.get!r} of {reference.job}, which {error}. That job has the fields {fields}."
            raise Unresolved(JobError(code="reference_unresolved", message=message)) from None

    given: dict[str, Any] = references.replace(job.input, value)
    if problems := submission.input_problems(op, given):
        told = "; ".join(f"{problem.loc} {problem.msg}" for problem in problems[:_MOST_PROBLEMS])
        message = f"With the values of the jobs it needs, the input breaks the operation's rules: {told}."
        raise Unresolved(JobError(code="invalid_input", message=message))
    return given


def _finished(context: Context, job: Job, wanted: list[str]) -> dict[str, dict[str, Any]]:
    """These jobs as the API shows them, without links: those die, and artifacts are asked for by their number."""
    with context.database.read() as session:
        found = chains.of_tenant(session, job.tenant_id, wanted)
        artifacts = job_queries.artifacts_of(session, wanted)
        attempts = schedule.attempts_of(session, found)
    shown: dict[str, dict[str, Any]] = {}
    for needed in found:
        if needed.status not in FINAL:
            raise TooEarly
        if needed.status != JobState.SUCCEEDED:
            raise Unresolved(lost_to(needed))
        shown[needed.id] = view.job_view(
            needed, artifacts[needed.id], attempts.get(needed.id), link=lambda *_: view.Links("", None), link_ttl_s=0
        )
        for artifact in shown[needed.id]["artifacts"]:
            for link in ("url", "preview_url", "expires_at"):
                del artifact[link]
    return shown
