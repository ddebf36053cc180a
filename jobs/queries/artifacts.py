"""Artifacts: outputs that are in storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from jobs.ids import new_id
from jobs.models import Artifact


def add(session: Session, **facts: Any) -> None:
    """Write down one output. Raises IntegrityError if the job has one in that place already."""
    session.execute(insert(Artifact).values(id=new_id("art"), **facts))
