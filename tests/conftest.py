"""Fixtures that all tests share: both databases migrated, and the real servers of `servers.py`, started when first asked for."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from jobs import db, migrate
from jobs.db import Database
from jobs.queries import keys

DATABASES = ("sqlite", "postgresql")

#: Files in memory, where a machine has that (Linux), and what must be free there: the suite leaves some hundred megabytes.
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30


#: Folders whose files take minutes each.
_LONG = ("acceptance", "contract")


def pytest_configure() -> None:
    """Keep temporary files in memory where there is room for them: no test pulls a plug, and waiting for the disk takes long."""
    if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait as well as work."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several run at once: mix the files, so that not all of them wait at one time and work at another, and spread the long
    ones, of which most start fleets of processes that would be in each other's way."""
    if not hasattr(config, "workerinput"):
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    mixed = sorted(files, key=lambda path: hashlib.sha256(path.name.encode()).digest())
    # The longest happen to be last in the alphabet, and are better begun early.
    long = sorted((path for path in mixed if path.parent.name in _LONG), reverse=True)
    others = [path for path in mixed if path not in long]
    every = len(others) // (len(long) + 1) + 1
    order = []
    for n in range(0, len(others), every):
        order += [*long[n // every : n // every + 1], *others[n : n + every]]
    items[:] = [item for path in order for item in files[path]]


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """Every test has an engine of its own, and each would compile the same statements again: a fifth of the suite's time."""
    known: dict[str, Engine] = {}

    def make(url: str, **options: Any) -> Engine:
        engine = create_engine(url, query_cache_size=5000, **options)
        first = known.setdefault(engine.dialect.name, engine)
        if getattr(first.dialect, "server_version_info", None) is None:
            known[engine.dialect.name] = engine  # it was never connected, so it knows nothing of its server
        else:
            # A compiled statement is kept under its dialect.
            engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "create_engine", make)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A running PostgreSQL."""
    server = servers.Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and nothing in them."""
    file = tmp_path_factory.mktemp("template") / "migrated.db"
    database = Database(f"sqlite:///{file}")
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(postgres: servers.Postgres) -> str:
    """Name of a PostgreSQL database with all tables and nothing in them."""
    name = postgres.create()
    database = Database(postgres.url(name))
    migrate.upgrade(database)
    database.dispose()  # a template must have no guests while it is copied
    return name


@pytest.fixture
def fresh_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes migrated and empty databases of a test's own: `fresh_database_url("sqlite")`."""
    lent: list[str] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            file = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
            shutil.copyfile(request.getfixturevalue("migrated_sqlite"), file)
            return f"sqlite:///{file}"
        server: servers.Postgres = request.getfixturevalue("postgres")
        lent.append(server.lend(request.getfixturevalue("migrated_postgresql")))
        return server.url(lent[-1])

    yield make
    for name in lent:
        request.getfixturevalue("postgres").take_back(request.getfixturevalue("migrated_postgresql"), name)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, fresh_database_url: Callable[[str], str]) -> str:
    """Each kind of database in turn, migrated and empty."""
    return fresh_database_url(request.param)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Each kind of database in turn, migrated and empty, opened with room for many threads."""
    opened = Database(database_url, pool_size=25)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.redis() as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of an S3 endpoint that takes any credentials."""
    with servers.s3() as url:
        yield url


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Simulator]:
    process = servers.Simulator("--latency", "0.05", "--data", str(tmp_path_factory.mktemp("simulator")))
    yield process
    process.stop()


@pytest.fixture
def upstream(simulator_process: servers.Simulator) -> servers.Simulator:
    """The simulator, as fresh as after a start."""
    simulator_process.reset()
    return simulator_process


@pytest.fixture(scope="session")
def receiver_process() -> Iterator[servers.Receiver]:
    with servers.receiver(keys.new_webhook_secret()) as kept:
        yield kept


@pytest.fixture
def receiver(receiver_process: servers.Receiver) -> servers.Receiver:
    """A receiver of webhooks that has received nothing yet."""
    receiver_process.forget()
    return receiver_process
