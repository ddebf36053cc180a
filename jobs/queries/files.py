"""Input media that tenants uploaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select
from sqlmodel import Session, col

from jobs.models import InputFile


def get(session: Session, tenant_id: str, file_id: str) -> InputFile | None:
    return session.scalars(
        select(InputFile).where(col(InputFile.tenant_id) == tenant_id, col(InputFile.id) == file_id)
    ).one_or_none()


def missing(session: Session, tenant_id: str, file_ids: Iterable[str]) -> set[str]:
    """Which of these the tenant does not have."""
    wanted = set(file_ids)
    have = session.scalars(select(col(InputFile.id)).where(col(InputFile.tenant_id) == tenant_id, col(InputFile.id).in_(wanted)))
    return wanted - set(have)


def remove(session: Session, tenant_id: str, file_id: str) -> bool:
    result = session.execute(
        delete(InputFile).where(col(InputFile.tenant_id) == tenant_id, col(InputFile.id) == file_id).returning(col(InputFile.id))
    )
    return result.first() is not None


def add(session: Session, file_id: str, tenant_id: str, **facts: Any) -> InputFile:
    return session.scalars(insert(InputFile).values(id=file_id, tenant_id=tenant_id, **facts).returning(InputFile)).one()
