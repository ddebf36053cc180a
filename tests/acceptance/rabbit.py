"""A RabbitMQ of our own on loopback, where Debian's package is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from fleet import free_port, wait_for
from servers import cannot_have

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


#: What Erlang takes to start on a machine where everything else does as well.
_START_S = 180


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """Its amqp:// address. Node, port mapper and cookie are this folder's own, so nothing else on the machine is touched."""
    server = str(_SERVER) if _SERVER.exists() else shutil.which("rabbitmq-server")
    if server is None:
        cannot_have("RabbitMQ", "no rabbitmq-server; Debian has it as a package")
    for n in count(1):
        own = folder / str(n)
        own.mkdir()
        port, mapper = free_port(), free_port()
        with _node(server, own, port, mapper) as process:
            wait_for(
                lambda port=port, process=process: _listens(port) or process.poll() is not None or None,
                within_s=_START_S,
                what="RabbitMQ listens",
            )
            if process.poll() is None:
                yield f"amqp://guest:guest@127.0.0.1:{port}//"
                return
        # Between our choice and its start another may have taken a port.
        said = (own / "rabbitmq.out").read_text(errors="replace")[-2000:]
        assert n < 3, f"RabbitMQ does not start:\n{said}"


@contextmanager
def _node(server: str, folder: Path, port: int, mapper: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": "mediamill@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "db"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper),
    }
    with (folder / "rabbitmq.out").open("wb") as out:
        process = subprocess.Popen([server], env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _stop_port_mapper(mapper)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop_port_mapper(port: int) -> None:
    """Erlang's port mapper makes itself a daemon; ours is the one that was told our port."""
    wanted = f"ERL_EPMD_PORT={port}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes() and b"epmd" in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGTERM)
        except OSError:
            continue
