"""Providers in doubt, and what keeps a job from being called at the last moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from jobs import manners
from jobs.db import now
from jobs.models import Gate, Job, Pause


def opened(session: Session, provider: str, key_name: str, moment: datetime) -> Gate:
    """The gate of this provider and key, locked; a new one where there was none."""
    fresh = manners.new_gate(provider, key_name, moment)
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(Gate).values(fresh.model_dump()).on_conflict_do_nothing())
    gate: Gate = session.scalars(_locked(provider, key_name)).one()
    return gate


def found(session: Session, provider: str, key_name: str) -> Gate | None:
    """The gate, locked, if there is one."""
    return session.scalars(_locked(provider, key_name)).one_or_none()


def remove(session: Session, gate: Gate) -> None:
    session.execute(
        delete(Gate).where(col(Gate.provider) == gate.provider, col(Gate.key_name) == gate.key_name),
        execution_options={"synchronize_session": False},
    )
    session.expunge(gate)


def listed(session: Session) -> list[Gate]:
    return list(session.scalars(select(Gate).order_by(col(Gate.provider), col(Gate.key_name))))


def objection(session: Session, job: Job) -> str | None:
    """Why this job, which was handed out, is not to be called after all; None: nothing came up since."""
    if job.expire_at is not None and job.expire_at <= session.execute(select(now())).scalar_one():
        return "the time that it named was over before its call"
    pauses = session.scalars(
        select(Pause).where(
            or_(
                (col(Pause.kind) == "provider") & (col(Pause.name) == job.provider),
                (col(Pause.kind) == "operation") & (col(Pause.name) == job.operation),
                (col(Pause.kind) == "tenant") & (col(Pause.name) == job.tenant_id),
                (col(Pause.kind) == "key")
                & (col(Pause.name) == job.key_name)
                & (col(Pause.operation).is_(None) | (col(Pause.operation) == job.operation)),
            )
        )
    )
    pause = next((one for one in pauses if not (one.automatic and job.probe)), None)
    if pause is not None:
        return f"{pause.kind} {pause.name} is paused: {pause.reason}"
    closed = select(Gate).where(
        col(Gate.provider) == job.provider, col(Gate.key_name) == job.key_name, col(Gate.closed_until) > now()
    )
    gate = session.scalars(closed).first()
    return gate.cause if gate is not None else None


def _locked(provider: str, key_name: str) -> Select[Any]:
    return (
        select(Gate)
        .where(col(Gate.provider) == provider, col(Gate.key_name) == key_name)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
