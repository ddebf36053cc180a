"""What must be written down is written down, however often the database goes away meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from workers import finish


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("workers.finish.time.sleep", waited.append)
    return waited


def failing(error: DBAPIError, times: int) -> tuple[Callable[[], None], list[str]]:
    done: list[str] = []

    def work() -> None:
        done.append("tried")
        if len(done) <= times:
            raise error

    return work, done


def away() -> OperationalError:
    return OperationalError("COMMIT", {}, sqlite3.OperationalError("server closed the connection"))


def test_a_database_that_comes_back_gets_what_was_waiting(waits: list[float]) -> None:
    work, done = failing(away(), 4)
    finish.surely(work)
    assert (len(done), len(waits)) == (5, 4)


def test_what_a_database_refuses_is_not_tried_again(waits: list[float]) -> None:
    work, done = failing(IntegrityError("INSERT", {}, sqlite3.IntegrityError("twice")), 1)
    with pytest.raises(IntegrityError):
        finish.surely(work)
    assert (len(done), waits) == (1, [])


def test_patience_ends(waits: list[float]) -> None:
    work, done = failing(away(), 1)
    with pytest.raises(OperationalError):
        finish.surely(work, for_s=0)
    assert len(done) == 1
