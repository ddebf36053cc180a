"""What a submitter may do to a job that exists: cancel it, decide an unknown one. Every move is `Life.move`'s."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from api_stub.face import Face
from api_stub.presenting import job_of, shown_job
from api_stub.problems import ApiProblem, invalid, misshapen
from jobs import catalogue
from jobs.db import now
from jobs.errors import JobError
from jobs.life import Hint, Moved
from jobs.models import Job
from jobs.queries import jobs
from jobs.states import FINAL, JobState
from workers import finish


class Decision(BaseModel):
    """What became of a paid call whose answer was lost."""

    model_config = ConfigDict(extra="forbid", strict=True)

    #: "retry": send it again, at the risk of paying twice. "failed": give up. "task": the provider has it, under `task_id`.
    as_: Literal["retry", "failed", "task"]
    task_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:\-]{1,200}$")] | None = None


_CALLED = {"retry": "to send it again", "failed": "to give it up", "task": "to follow the task"}


def actor(tenant_id: str) -> str:
    """Who did it, as the history names them."""
    return f"api:{tenant_id}"


def cancel(face: Face, tenant_id: str, job_id: str) -> dict[str, Any]:
    """End the job. 409 if it has ended already."""
    with face.context.database.transaction() as session:
        job = job_of(session, tenant_id, job_id)
        moved = face.context.life.move(session, job.id, "cancel", actor=actor(tenant_id), reason="asked for by the submitter")
        if moved is None:
            raise _too_late(session, job)
        answer = shown_job(face.context, session, moved.job)
    follow(face, moved)
    return answer


def resolve(face: Face, tenant_id: str, job_id: str, document: dict[str, Any]) -> dict[str, Any]:
    """Carry out a person's decision on a job in `unknown`."""
    decision = _decision(document)
    try:
        with face.context.database.transaction() as session:
            job = job_of(session, tenant_id, job_id, lock=True)
            if job.status != JobState.UNKNOWN:
                raise ApiProblem(409, "not_unknown", f"the job is {job.status}; only one that is unknown can be decided")
            moved = _decide(face, session, job, decision, actor(tenant_id))
            if moved is None:
                raise _too_late(session, job)
            answer = shown_job(face.context, session, moved.job)
    except IntegrityError:
        raise ApiProblem(409, "task_taken", "another job already follows this task") from None
    follow(face, moved)
    if decision.as_ == "retry":
        face.afterwards.nudge()
    return answer


def follow(face: Face, *moves: Moved) -> None:
    """After the commit: publish what the moves caused, finish the batches whose last jobs they ended, settle who waited."""
    hints: list[Hint] = [hint for moved in moves for hint in moved.hints]
    for batch_id in {moved.job.batch_id for moved in moves if moved.job.batch_id and moved.job.status in FINAL}:
        with face.context.database.transaction() as session:
            hints += face.context.life.complete_batch(session, batch_id)
    face.afterwards.deliver(hints)
    if ended := [moved.job.id for moved in moves if moved.job.status in FINAL]:
        face.afterwards.run(finish.settle, face.context, ended)


def _decision(document: dict[str, Any]) -> Decision:
    renamed = {"as_" if name == "as" else name: value for name, value in document.items()}
    try:
        decision = Decision.model_validate(renamed)
    except ValidationError as error:
        problem = misshapen(error)
        raise invalid([one | {"loc": "as" if one["loc"] == "as_" else one["loc"]} for one in problem.errors or []]) from None
    if (decision.as_ == "task") != (decision.task_id is not None):
        code, msg = (
            ("missing_field", "is required") if decision.task_id is None else ("unknown_field", 'goes with "as": "task" only')
        )
        raise invalid([{"loc": "task_id", "code": code, "msg": msg}])
    return decision


def _decide(face: Face, session: Session, job: Job, decision: Decision, by: str) -> Moved | None:
    life, reason = face.context.life, f"decided by the submitter: {_CALLED[decision.as_]}"
    if decision.as_ == "retry":
        return life.move(
            session, job.id, "resubmit", actor=by, reason=reason, due_at=now(), released_at=None, error=None, polls=0, oddities=0
        )
    if decision.as_ == "failed":
        error = JobError(
            code="upstream_outcome_unknown",
            message="The answer to the paid call was lost, and the submitter gave the job up.",
            may_have_been_charged=True,
        )
        return life.move(session, job.id, "fail", actor=by, reason=reason, error=error.as_json())
    operation = catalogue.find(job.operation)
    if job.attempt_id is None or (operation is not None and operation.synchronous):
        raise ApiProblem(409, "no_task", f"{job.operation} answers in one call: the provider has no task that could be followed")
    jobs.adopt_task(session, job.attempt_id, str(decision.task_id), f"task named by {by}")
    return life.move(
        session,
        job.id,
        "accept",
        actor=by,
        reason=f"{reason} {decision.task_id}",
        due_at=now(),
        accepted_at=now(),
        released_at=None,
        error=None,
        polls=0,
        oddities=0,
    )


def _too_late(session: Session, job: Job) -> ApiProblem:
    session.refresh(job)
    return ApiProblem(409, "already_final", f"the job is {job.status}; a job that has ended never changes")
