"""The API behind a real HTTP server, once per kind of database. Each test has tenants of its own, so tests do not meet."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
import terminal
import uvicorn
from callers import Caller, Json, Serve, Served, next_number
from terminal import Command

from api_stub.app import create_app
from jobs.life import Hint
from jobs.settings import Settings
from workers import dispatch
from workers.context import Context, open_context


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts an API on a database: `serve(url, max_batch_jobs=5)`."""
    stops: list[Callable[[], None]] = []

    def start(database_url: str, **settings: Any) -> Served:
        folder = tmp_path_factory.mktemp("api")
        port = servers.free_port()
        bootstrap = f"bootstrap-{next_number()}"
        chosen: Json = {
            "data": folder,
            "storage_url": f"file://{folder / 'media'}",
            "public_url": f"http://127.0.0.1:{port}",
            "bootstrap_key": bootstrap,
        }
        context = open_context(Settings(_env_file=None, database_url=database_url, **(chosen | settings)))  # type: ignore[call-arg]
        app = create_app(context)
        config = uvicorn.Config(app, port=port, ws="none", log_level="error", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="uvicorn")
        thread.start()
        servers.eventually(lambda: server.started, what="uvicorn listening")

        running = Served(f"http://127.0.0.1:{port}", context, bootstrap, app.state.face.afterwards, server)

        def stop() -> None:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server did not stop"
            running.close()

        stops.append(stop)
        return running

    yield start
    for stop in stops:
        stop()


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Makes a migrated database of this kind and gives its URL."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            file = tmp_path_factory.mktemp("database") / "api.db"
            template: Path = request.getfixturevalue("migrated_sqlite")
            shutil.copyfile(template, file)
            return f"sqlite:///{file}"
        server: servers.Postgres = request.getfixturevalue("postgres")
        return server.url(server.create(request.getfixturevalue("migrated_postgresql")))

    return make


@pytest.fixture(scope="session", params=("sqlite", "postgresql"))
def served(request: pytest.FixtureRequest, serve: Serve, new_database: Callable[[str], str]) -> Served:
    """The API over each kind of database in turn."""
    return serve(new_database(request.param))


@pytest.fixture(scope="session")
def small(serve: Serve, new_database: Callable[[str], str]) -> Served:
    """An API whose caps are low enough to be reached."""
    return serve(
        new_database("sqlite"),
        max_batch_jobs=5,
        max_line_bytes=1024,
        max_batch_bytes=16_384,
        max_body_bytes=4096,
        max_upload_bytes=10_000,
    )


@pytest.fixture
def caller(served: Served) -> Caller:
    """A tenant nobody else is."""
    return served.tenant()


@pytest.fixture
def stranger(served: Served) -> Caller:
    """Another tenant, who must not see anything of the first."""
    return served.tenant()


@pytest.fixture
def command(caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `mediamill …` in this process, in an empty folder, as the caller."""
    terminal.settle_in(tmp_path, monkeypatch)
    monkeypatch.setenv("MEDIAMILL_PUBLIC_URL", caller.served.url)
    monkeypatch.setenv("MEDIAMILL_BOOTSTRAP_KEY", caller.key)
    return terminal.commands(capsys)


@pytest.fixture
def delivered(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[Hint]:
    """Hints that this API published, instead of being sent to a broker that is not there."""
    served.rest()
    hints: list[Hint] = []
    # Another of this process may still be at what an earlier test asked of it.
    monkeypatch.setattr(dispatch, "publish_deliveries", lambda by, due: hints.extend(due) if by is served.context else None)
    return hints


@pytest.fixture
def nudged(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[Context]:
    """Nudges of the dispatcher by this API; it starts nothing."""
    served.rest()
    seen: list[Context] = []
    monkeypatch.setattr(dispatch, "nudge", lambda by: seen.append(by) if by is served.context else None)
    return seen
