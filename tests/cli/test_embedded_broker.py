"""The broker that needs no installation, asked by redis-py as Celery asks it."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from api_stub.serve import notify, ports


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes], Path]]:
    """Port, process and log of a running broker."""
    listener = ports.listen("127.0.0.1", 0)
    ready = notify.Listener()
    log = tmp_path / "broker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "api_stub.serve.broker", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            env=os.environ | {notify.VARIABLE: ready.address},
            stdout=out,
            stderr=out,
        )
    try:
        readable, _, _ = select.select([ready.socket], [], [], 20)
        assert readable, log.read_text()
        assert ready.heard_ready()
        yield ports.number(listener), process, log
    finally:
        process.kill()
        process.wait()
        listener.close()
        ready.close()


def test_it_answers_ping_runs_scripts_and_wakes_who_waits(broker: tuple[int, subprocess.Popen[bytes], Path]) -> None:
    port, process, log = broker
    with redis.Redis(port=port) as client, redis.Redis(port=port) as waiting:
        assert client.ping() is True
        assert client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "key", "value") == b"OK"
        assert client.get("key") == b"value"
        popped: list[object] = []
        waiter = threading.Thread(target=lambda: popped.append(waiting.brpop(["queue"], timeout=10)))
        waiter.start()
        client.lpush("queue", "message")
        waiter.join(timeout=10)
        assert popped == [[b"queue", b"message"]] or popped == [(b"queue", b"message")]
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert log.read_text() == ""


def test_a_client_that_leaves_in_the_middle_of_a_command_disturbs_nobody(
    broker: tuple[int, subprocess.Popen[bytes], Path],
) -> None:
    port, _, log = broker
    with redis.Redis(port=port) as client:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port)) as rude:
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not a goodbye
                rude.sendall(b"*2\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n*1\r\n$4\r\nPI")
        assert client.ping() is True
    assert log.read_text() == ""
