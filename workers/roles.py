"""The roles that Celery plays: worker, beat, Flower. Each runs in the foreground until it is told to stop."""

from __future__ import annotations

import os
import socket

from kombu.connection import Connection

from jobs.settings import Settings
from workers import logs, queues
from workers.alive import SignOfLife
from workers.app import configure


class RoleRefused(Exception):
    """The role cannot start; the message says what to set or mend."""


def run_worker(settings: Settings, names: list[str], concurrency: int | None = None, hostname: str | None = None) -> int:
    """Work off these queues (see `queues.resolve`). Returns the exit code."""
    _need_broker(settings, "worker")
    chosen = queues.resolve(names)
    logs.set_up(settings)
    app = configure(settings)
    from workers import process

    process.context()  # a database that is away is said now, not by the first task
    label = hostname or "-".join(names) or "all"
    SignOfLife(settings.data, label).start()
    worker = app.Worker(
        queues=chosen,
        hostname=f"{label.replace('.', '-')}@{socket.gethostname()}-{os.getpid()}",
        pool="threads",
        concurrency=concurrency or settings.concurrency,
        loglevel=settings.log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        task_events=True,
        optimization="fair",
    )
    worker.start()
    return int(worker.exitcode or 0)


def run_beat(settings: Settings) -> int:
    """Send the tick. Two beats are harmless: ticks are idempotent."""
    _need_broker(settings, "beat")
    logs.set_up(settings)
    app = configure(settings)
    SignOfLife(settings.data, "beat").start()
    # Two ticks a second would fill Flower's list and push the jobs out of it.
    app.conf.task_send_sent_event = False
    app.Beat(loglevel=settings.log_level.upper(), quiet=True, scheduler_cls="celery.beat:Scheduler").run()
    return 0


def run_flower(settings: Settings, host: str, port: int) -> int:
    """Show the queues and tasks. Refuses to start without a password, or with its API left open."""
    _need_broker(settings, "flower")
    if settings.flower_password is None:
        raise RoleRefused("Flower shows and controls every worker: set MEDIAMILL_FLOWER_PASSWORD first")
    if os.environ.get("FLOWER_UNAUTHENTICATED_API"):
        raise RoleRefused("FLOWER_UNAUTHENTICATED_API opens Flower's API to anybody: unset it")
    try:
        import flower  # noqa: F401
    except ImportError:
        raise RoleRefused("Flower is not installed: pip install 'mediamill[flower]'") from None
    logs.set_up(settings)
    app = configure(settings)
    credentials = f"{settings.flower_user}:{settings.flower_password.get_secret_value()}"
    # By environment and not as an argument: arguments are shown to every user of the machine.
    os.environ["FLOWER_BASIC_AUTH"] = credentials
    app.start(
        argv=[
            "flower",
            f"--address={host}",
            f"--port={port}",
            "--max_tasks=10000",
            "--purge_offline_workers=300",
            "--task_runtime_metric_buckets=0.05,0.1,0.5,1,5,30,120,600,inf",
            "--enable_events",
            # Which job a task was about, at a glance: kwargs are shown as "operation job id".
            "--tasks_columns=name,kwargs,state,received,runtime,worker,uuid",
        ]
    )
    return 0


def ping_broker(url: str, timeout_s: float = 5.0) -> str | None:
    """None if the broker answers, else a sentence that says what is wrong."""
    options = {"socket_connect_timeout": timeout_s, "socket_timeout": timeout_s} if url.startswith("redis") else {}
    try:
        with Connection(url, connect_timeout=timeout_s, transport_options=options) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, timeout=timeout_s)
            connection.default_channel.client.ping() if url.startswith("redis") else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return None


def _need_broker(settings: Settings, role: str) -> None:
    if not settings.broker_url:
        raise RoleRefused(
            f"`mediamill {role}` is one role of many and needs MEDIAMILL_BROKER_URL; `mediamill serve` brings everything itself"
        )
