"""The database: one engine a process, short transactions, one clock.

Times are compared by the database's clock alone (`now()`, `after(seconds)`), so a worker whose own clock jumps steals no
lease. On SQLite the clock is a function of ours, which a test may move.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, create_engine, event
from sqlalchemy.engine import Connection, Dialect, Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

#: SQLAlchemy stores datetimes in SQLite as this text; comparing as text is comparing in time.
_SQLITE_TIME = "%Y-%m-%d %H:%M:%S.%f"

Clock = Callable[[], datetime]

_MILLIONTH = Decimal("0.000001")


class Money(TypeDecorator[Decimal]):
    """USD as a Decimal of six places, kept as whole millionths: both databases add them up without ever making a float."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"an amount of money is a Decimal, not a {type(value).__name__}")
        return int(value.quantize(_MILLIONTH).scaleb(6))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(int(value)).scaleb(-6)


class after(FunctionElement[datetime]):
    """`after(30)`: thirty seconds from now, by the database's clock. `after(0)` is now."""

    type = UTCDateTime()
    name = "after"
    inherit_cache = True


def now() -> ColumnElement[datetime]:
    """This moment, by the database's clock."""
    return after(0.0)


@compiles(after, "postgresql")
def _after_postgresql(element: after, compiler: Any, **kw: Any) -> str:
    # clock_timestamp, not now(): a transaction that waited for a lock must not work with the time it began at.
    return f"(clock_timestamp() + make_interval(secs => CAST({compiler.process(element.clauses, **kw)} AS double precision)))"


@compiles(after, "sqlite")
def _after_sqlite(element: after, compiler: Any, **kw: Any) -> str:
    return f"mediamill_after({compiler.process(element.clauses, **kw)})"


class Database:
    """One process's way to the database.

    `transaction()` commits at its end and rolls back on an error; `read()` never holds a write lock.
    """

    def __init__(self, url: str, *, pool_size: int = 5, overflow: int = 10, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite:")
        if self.sqlite:
            Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
            # Writers queue for the lock; 30 s is longer than the longest transaction (a batch of 50,000 jobs).
            self._write = create_engine(url, connect_args={"timeout": 30}, pool_size=pool_size, max_overflow=overflow)
            _prepare_sqlite(self._write, clock)
        else:
            self._write = create_engine(
                url,
                pool_size=pool_size,
                max_overflow=overflow,
                pool_timeout=10,
                pool_recycle=1800,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 5, "application_name": "mediamill"},
            )
        self._read = self._write.execution_options(mediamill_read=True)

    @property
    def engine(self) -> Engine:
        return self._write

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._session(self._write) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._session(self._read) as session:
            yield session

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        session = Session(engine, expire_on_commit=False)
        try:
            session.begin()
            yield session
            session.commit()
        except BaseException:
            # SQLite: a statement whose rows nobody read to the end (its cursor lives on in the traceback) would hold its lock
            # into the next transaction of this connection. A new connection costs a fraction of a millisecond.
            session.invalidate() if self.sqlite else session.rollback()
            raise
        finally:
            session.close()

    def dispose(self) -> None:
        self._write.dispose()


def is_disconnect(error: BaseException) -> bool:
    """True when the database could not be reached, went away, or had no connection free: the same call may work later."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _prepare_sqlite(engine: Engine, clock: Clock) -> None:
    def after_text(seconds: float) -> str:
        return (clock() + timedelta(seconds=seconds)).strftime(_SQLITE_TIME)

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own BEGIN is a deferred one: two writers that both began by reading would deadlock.
        connection.isolation_level = None
        connection.create_function("mediamill_after", 1, after_text, deterministic=False)
        for pragma in (
            "journal_mode=WAL",
            # With NORMAL a commit survives a killed process but not a power cut: too little for "intent before money".
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read = connection.get_execution_options().get("mediamill_read")
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")
