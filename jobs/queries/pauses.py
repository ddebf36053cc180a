"""Pauses: what nothing new is started of, until somebody lifts them; and what waits because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col

from jobs.db import now
from jobs.models import Job, Pause
from jobs.states import JobState

#: Names of the upstream keys that may be used for a provider: `Settings.keys_of`.
KeysOf = Callable[[str], Iterable[str]]


class Lane(NamedTuple):
    """Jobs that are due and have not been handed out, of one tenant and one operation."""

    tenant_id: str
    provider: str
    operation: str
    jobs: int


def scope_of(kind: str, name: str, operation: str | None = None) -> str:
    """`provider:kling`; of a key that is refused one operation `key:main operation:kling.text_to_video`."""
    return f"{kind}:{name}" + (f" operation:{operation}" if operation else "")


def lifted_by(kind: str, name: str, operation: str | None = None) -> str:
    """The command that ends it, for people."""
    return f"mediamill resume {kind} {name}" + (f" --operation {operation}" if operation else "")


def put(
    session: Session,
    kind: str,
    name: str,
    *,
    reason: str,
    actor: str,
    operation: str | None = None,
    automatic: bool = False,
    probe_at: ColumnElement[datetime] | datetime | None = None,
) -> bool:
    """Pause it. False when it is paused already, which leaves the pause as it was: its reason is the first one.

    A person's pause takes the place of an automatic one. Never the other way round: what a person stopped, no probe starts.
    """
    values: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "operation": operation,
        "reason": reason,
        "actor": actor,
        "automatic": automatic,
        "probe_at": probe_at,
        "created_at": now(),
    }
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Pause).values(scope=scope_of(kind, name, operation), **values)
    if automatic:
        statement = statement.on_conflict_do_nothing()
    else:
        statement = statement.on_conflict_do_update(index_elements=["scope"], set_=values, where=col(Pause.automatic))
    return session.execute(statement.returning(col(Pause.scope))).first() is not None


def lift(session: Session, scope: str, *, only_automatic: bool = False) -> Pause | None:
    """End a pause; the pause that it was. `only_automatic`: a person's is left alone, and the answer is None."""
    statement = delete(Pause).where(col(Pause.scope) == scope)
    if only_automatic:
        statement = statement.where(col(Pause.automatic))
    return session.scalars(
        statement.returning(Pause), execution_options={"populate_existing": True, "synchronize_session": False}
    ).one_or_none()


def get(session: Session, scope: str) -> Pause | None:
    return session.scalars(select(Pause).where(col(Pause.scope) == scope)).one_or_none()


def listed(session: Session) -> list[Pause]:
    """All of them, the oldest first."""
    return list(session.scalars(select(Pause).order_by(col(Pause.created_at), col(Pause.scope))))


# What waits ---------------------------------------------------------------------------------------------------------------


def lanes(session: Session) -> list[Lane]:
    """What would start now if there were room and nothing in its way."""
    key = (col(Job.tenant_id), col(Job.provider), col(Job.operation))
    waiting = (col(Job.status) == JobState.QUEUED, col(Job.released_at).is_(None), col(Job.due_at) <= now())
    return [Lane(*row) for row in session.execute(select(*key, func.count()).where(*waiting).group_by(*key))]


def holding(lane: Lane, pauses: Sequence[Pause], keys_of: KeysOf) -> list[Pause]:
    """Those of the pauses that keep this lane back. A paused key does so where no other key is left."""
    names = {"tenant": lane.tenant_id, "provider": lane.provider, "operation": lane.operation}
    keys = set(keys_of(lane.provider))
    of_keys = [one for one in pauses if one.kind == "key" and one.name in keys and one.operation in (None, lane.operation)]
    found = [one for one in pauses if names.get(one.kind) == one.name]
    return found + of_keys if {one.name for one in of_keys} == keys else found


def waiting_for(scope: str, found: Iterable[Lane], pauses: Sequence[Pause], keys_of: KeysOf) -> int:
    """Jobs that this pause keeps back, maybe among other pauses."""
    return sum(lane.jobs for lane in found if any(one.scope == scope for one in holding(lane, pauses, keys_of)))


def freed_by(lifted: Pause, found: Iterable[Lane], others: Sequence[Pause], keys_of: KeysOf) -> int:
    """Jobs that only this pause kept back, beside those that still stand."""
    return sum(lane.jobs for lane in found if holding(lane, [*others, lifted], keys_of) and not holding(lane, others, keys_of))
