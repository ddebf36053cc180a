"""The command line, the start and the end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from simulator.cli import main


def test_port_0_prints_the_real_port_when_it_is_open(start: Callable[..., Any]) -> None:
    simulator = start()

    assert re.fullmatch(r"simulator ready http://127\.0\.0\.1:[1-9]\d+", simulator.ready_line)
    assert simulator.get("/_simulator/health").status_code == 200


def test_a_taken_port_is_one_line_and_exit_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run([sys.executable, "-m", "simulator", "--port", str(port)], capture_output=True, text=True, timeout=15)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == f"simulator: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_it_serves_on_a_socket_that_it_is_handed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = (sys.executable, "-m", "simulator", "--listen-fd", str(listener.fileno()), "--data", str(tmp_path))
        with subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, text=True) as process:
            # It is asked before it is up, and answers when it is.
            assert httpx2.get(f"http://127.0.0.1:{port}/_simulator/health", timeout=30).status_code == 200
            process.terminate()
            said = process.communicate(timeout=15)[0]

    assert said == f"simulator ready http://127.0.0.1:{port}\n"
    assert process.returncode == 0


def test_sigterm_does_not_wait_for_a_hanging_call(start: Callable[..., Any]) -> None:
    simulator = start("--latency", "0")
    ended: list[Exception] = []

    def hang() -> None:
        try:
            httpx2.post(
                f"{simulator.url}/suno/submit/music",
                json={"prompt": "x [[simulate:hang_after_accept]] [[simulate:never_finishes]]"},
                headers={"authorization": "Bearer k"},
                timeout=30,
            )
        except httpx2.HTTPError as error:
            ended.append(error)

    caller = threading.Thread(target=hang)
    caller.start()
    deadline = time.monotonic() + 10
    while not simulator.ledger():
        assert time.monotonic() < deadline

    before = time.monotonic()
    assert simulator.stop() == 0
    took_s = time.monotonic() - before
    caller.join(timeout=5)

    assert took_s < 6  # a second, and the time the interpreter needs to leave; the call would have hung for 30
    assert len(ended) == 1


def test_a_temporary_data_directory_is_removed(start: Callable[..., Any], monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    simulator = start("--latency", "0")
    simulator.post("/v1/audio/speech", {"model": "tts-1", "input": "hi", "voice": "alloy"})
    assert list(tmp_path.glob("simulator-*/files/*.mp3"))

    simulator.stop()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--latency", "-1"], ["--latency-image", "soon"]], ids=str)
def test_wrong_options_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)

    assert arguments[0] in capsys.readouterr().err
