"""mediamill as an operator runs it: each role a process of its own, told everything by environment variables."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2

MEDIAMILL = str(Path(sys.executable).with_name("mediamill"))
KEY = "acceptance-key-0001"
#: For all requests: loading the CA bundle takes longer than most of them.
TLS = httpx2.create_ssl_context()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


T = TypeVar("T")


def wait_for(look: Callable[[], T | None], *, within_s: float, what: str, every_s: float = 0.1) -> T:
    """The first true result of `look`; fails with `what` when there is none in time."""
    give_up = time.monotonic() + within_s
    while True:
        if found := look():
            return found
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {within_s:.0f} s: {what}")
        time.sleep(every_s)


@dataclass
class Fleet:
    """Roles under way. `environment` is all that they are told."""

    environment: dict[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return subprocess.run(
            [MEDIAMILL, *arguments], env=self._environment(), cwd=self.folder, capture_output=True, text=True, timeout=timeout_s
        )

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """One role, in the background; its words go to `{name}.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [MEDIAMILL, *arguments], env=self._environment(), cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
            )
        self.processes[name] = process
        return process

    def start_all(self) -> None:
        """What compose starts, in fewer processes."""
        assert self.run("db", "upgrade").returncode == 0
        self.start("api", "api", "--port", str(self.port))
        self.start_worker()
        self.start_control()
        self.start("beat", "beat")
        self.wait_until_ready()

    def start_worker(self) -> None:
        self.start("work", "worker", "image", "video", "music", "audio", "text", "model3d", "--concurrency", "32")

    def start_control(self) -> None:
        self.start("control", "worker", "control", "webhook", "--concurrency", "8")

    def wait_until_ready(self) -> None:
        def ready() -> bool | None:
            try:
                return httpx2.get(f"{self.url}/readyz", timeout=2, verify=TLS).status_code == 200 or None
            except httpx2.TransportError:
                assert self.processes["api"].poll() is None, self.log("api")
                return None

        wait_for(ready, within_s=90, what=f"the API is ready\n{self.log('api')}")

    def kill(self, name: str) -> None:
        """SIGKILL: no goodbye, no clean-up."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIAMILL_", "COMETAPI_"))}
        return {**ours, "MEDIAMILL_PUBLIC_URL": self.url, **self.environment}


@contextmanager
def fleet_of(environment: dict[str, str], folder: Path) -> Iterator[Fleet]:
    fleet = Fleet(environment, folder)
    try:
        yield fleet
    finally:
        fleet.stop()


@dataclass(frozen=True)
class Api:
    """A client as a user would write one."""

    url: str

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        return httpx2.request(method, f"{self.url}{path}", headers=headers, timeout=60, verify=TLS, **options)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, operation: str, input_: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer = self.request("POST", "/v1/jobs", json={"operation": operation, "input": input_, **more})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def submit_batch(self, lines: list[str], callback_url: str | None = None, **headers: str) -> dict[str, Any]:
        answer = self.request(
            "POST",
            "/v1/batches",
            params={"callback_url": callback_url} if callback_url else None,
            content="\n".join(lines).encode(),
            headers={"Content-Type": "application/x-ndjson", **headers},
        )
        assert answer.status_code == 202, answer.text
        batch: dict[str, Any] = answer.json()
        return batch

    def wait_for_job(self, job_id: str, *statuses: str, within_s: float = 60) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job: dict[str, Any] = self.get(f"/v1/jobs/{job_id}")
            return job if job["status"] in statuses else None

        return wait_for(look, within_s=within_s, what=f"{job_id} is {' or '.join(statuses)}: {self.get(f'/v1/jobs/{job_id}')}")

    def wait_for_batch(self, batch_id: str, *, within_s: float) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            batch: dict[str, Any] = self.get(f"/v1/batches/{batch_id}")
            return batch if batch["status"] != "running" else None

        return wait_for(look, within_s=within_s, what=f"{batch_id} is over: {self.get(f'/v1/batches/{batch_id}')}")

    def results(self, batch_id: str) -> list[dict[str, Any]]:
        answer = self.request("GET", f"/v1/batches/{batch_id}/results")
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]
