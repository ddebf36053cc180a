"""`mediamill serve`: everything in one command, on a machine with nothing installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fleet import KEY, MEDIAMILL, Api, free_port, wait_for


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The running command, its address, and what it said until it was ready."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIAMILL_", "COMETAPI_"))}
    process = subprocess.Popen(
        [MEDIAMILL, "serve", "--port", str(free_port()), "--data", str(folder / "data"), *arguments],
        env={**clean, "MEDIAMILL_BOOTSTRAP_KEY": KEY, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("ready http://"):
                break
        else:
            raise AssertionError("".join(said))
        # Keep reading: a full pipe would stop the command.
        listener = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        listener.start()
        yield process, said[-1].split()[1], said
        process.terminate()
        process.wait(timeout=30)
        listener.join(timeout=10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def alive_in(folder: Path) -> list[str]:
    """Processes that were told to work in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [command for command in found if "pytest" not in command]


def test_a_job_of_each_kind_goes_through_and_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-flower") as (process, url, _):
        api = Api(url)
        alone = [one for one in api.get("/v1/operations")["data"] if '"job"' not in json.dumps(one["example"])]
        of_each_kind = {(one["modality"], one["kind"]): one for one in alone}
        jobs = [api.submit(one["name"], one["example"]) for one in of_each_kind.values()]
        for job in jobs:
            done = api.wait_for_job(job["id"], "succeeded", "failed", within_s=60)
            assert done["status"] == "succeeded", (job["operation"], done["error"])
            link = httpx2.get(done["artifacts"][0]["url"], timeout=30)
            assert (link.status_code, len(link.content)) == (200, done["artifacts"][0]["bytes"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    wait_for(lambda: not alive_in(tmp_path) or None, within_s=5, what=f"nothing is left: {alive_in(tmp_path)}")


def test_killing_it_outright_leaves_no_orphan(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-flower") as (process, _, _):
        process.kill()
        process.wait(timeout=10)
    wait_for(lambda: not alive_in(tmp_path) or None, within_s=15, what=f"nothing is left: {alive_in(tmp_path)}")


def test_a_killed_worker_is_started_again_and_the_next_job_runs(tmp_path: Path) -> None:
    # The embedded broker may hand a message to a connection whose worker is dead; it is repeated after this long.
    with serving(tmp_path, "--no-flower", MEDIAMILL_HINT_S="4") as (_, url, said):
        api = Api(url)
        workers = [pid for pid in _pids(tmp_path) if "worker" in _command(pid)]
        assert workers
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        job = api.submit("openai.chat", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
        api.wait_for_job(job["id"], "succeeded", within_s=60)
        assert any("restart" in line.lower() or "again" in line.lower() for line in said), said


def test_flower_is_up_behind_its_password_and_shows_the_queues(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, "--flower-port", str(port), MEDIAMILL_FLOWER_PASSWORD="open-sesame") as (_, url, _):
        flower = f"http://127.0.0.1:{port}"

        def answers() -> int | None:
            try:
                return httpx2.get(f"{flower}/tasks", timeout=5).status_code
            except httpx2.TransportError:
                return None

        assert wait_for(answers, within_s=30, what="Flower answers") == 401
        login = httpx2.BasicAuth("admin", "open-sesame")
        api = Api(url)
        job = api.submit("openai.speech", {"model": "tts-1", "voice": "alloy", "input": "Hello"})
        api.wait_for_job(job["id"], "succeeded", within_s=60)

        def tasks() -> list[dict[str, Any]] | None:
            found = list(httpx2.get(f"{flower}/api/tasks", auth=login, timeout=10).json().values())
            names = {task["name"] for task in found}
            return found if {"audio.submit", "audio.collect"} <= names else None

        shown = wait_for(tasks, within_s=20, what="Flower shows the tasks of the job")
        submit = next(task for task in shown if task["name"] == "audio.submit")
        assert job["id"] in submit["kwargs"] and "openai.speech" in submit["kwargs"]
        assert "Hello" not in json.dumps(shown), "prompts have no business in Flower"

        def queues() -> set[str]:
            # Flower asks the workers when it starts, and gives each a second: a busy one is left out until it is asked again.
            httpx2.get(f"{flower}/api/workers", params={"refresh": "true"}, auth=login, timeout=10)
            found = httpx2.get(f"{flower}/api/queues/length", auth=login, timeout=10).json()["active_queues"]
            return {queue["name"] for queue in found}

        expected = {"image", "video", "video.poll", "music.collect", "webhook", "control"}
        wait_for(lambda: expected <= queues() or None, within_s=20, what="Flower shows the queues")


class Gateway(BaseHTTPRequestHandler):
    """Any HTTP server: records what it is asked and answers as a chat model would."""

    asked: list[tuple[str, str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, self.headers["authorization"], body))
        answer = {
            "id": "x",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Aye."}}],
        }
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    handler = type("Recording", (Gateway,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler.asked
    server.shutdown()
    server.server_close()


def test_with_a_key_set_the_same_program_talks_to_the_gateway_it_is_pointed_at(
    tmp_path: Path, gateway: tuple[str, list[tuple[str, str, dict[str, Any]]]]
) -> None:
    address, asked = gateway
    message = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Ready?"}]}
    with serving(tmp_path, "--no-flower", COMETAPI_KEY="sk-real", MEDIAMILL_UPSTREAM_URL=address) as (_, url, _):
        api = Api(url)
        job = api.submit("openai.chat", message)
        done = api.wait_for_job(job["id"], "succeeded", "failed", within_s=30)
        assert done["output"]["text"] == "Aye."
        assert "simulator" not in " ".join(alive_in(tmp_path))
    assert asked == [("/v1/chat/completions", "Bearer sk-real", message)]


def _pids(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
