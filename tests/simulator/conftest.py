"""A real simulator in its own process, asked over real sockets, as every user of it will."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

#: Long enough for the slowest encoder on a busy machine; reached only by a broken simulator.
DEADLINE_S = 15.0

Json = dict[str, Any]


class Simulator:
    """The process and a client with a key."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "simulator", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline().strip()
        assert self.ready_line, self.process.stderr.read() if self.process.stderr else ""
        self.url = self.ready_line.split()[-1]
        self.http = httpx2.Client(base_url=self.url, headers={"authorization": "Bearer sk-test"}, timeout=DEADLINE_S)

    def stop(self) -> int:
        """Stops it and returns the exit code; anything it complained about fails the test."""
        self.http.close()
        self.process.terminate()
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        assert errors == ""
        return self.process.returncode

    def post(self, path: str, body: Json, simulate: str = "") -> httpx2.Response:
        return self.http.post(path, json=body, headers={"x-simulate": simulate} if simulate else {})

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.http.get(path, **options)

    def poll(self, path: str, is_over: Callable[[Json], bool]) -> list[Json]:
        """Everything the polls answered, the last one first to satisfy `is_over`."""
        seen: list[Json] = []
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            seen.append(self.get(path).raise_for_status().json())
            if is_over(seen[-1]):
                return seen
            time.sleep(0.02)
        raise AssertionError(f"{path} never got there: {seen[-1]}")

    def ledger(self, **wanted: str) -> list[Json]:
        rows: list[Json] = self.get("/_simulator/ledger", params=wanted).json()
        return rows

    def finished(self) -> Json:
        """The first ``finished`` line, as soon as it is there."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            rows = self.ledger(event="finished")
            if rows:
                return rows[0]
            time.sleep(0.02)
        raise AssertionError("nothing finished")

    def control(self, **body: Any) -> httpx2.Response:
        return self.http.post("/_simulator/control", json=body)


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    data: Path = tmp_path_factory.mktemp("simulator")
    simulator = Simulator("--latency", "0.15", "--data", str(data))
    yield simulator
    assert simulator.stop() == 0


@pytest.fixture
def simulator(process: Simulator) -> Simulator:
    """As fresh as after a start."""
    process.http.post("/_simulator/reset").raise_for_status()
    return process


@pytest.fixture
def start() -> Iterator[Callable[..., Simulator]]:
    """Starts more of them, and stops what the test left running."""
    started: list[Simulator] = []

    def begin(*arguments: str) -> Simulator:
        started.append(Simulator(*arguments))
        return started[-1]

    yield begin
    for simulator in started:
        if simulator.process.returncode is None:
            simulator.stop()


@pytest.fixture
def receiver() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A callback URL and what arrives there."""
    arrived: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", arrived
    server.shutdown()
    thread.join()
    server.server_close()
