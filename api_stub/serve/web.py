"""The API under uvicorn: one process that says when it is ready, or several."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from api_stub.serve import notify
from jobs import migrate
from jobs import settings as settings_module
from jobs.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from workers.context import Context

#: Seconds an open answer (a stream of events, a download) may last after SIGTERM.
_GRACE_S = 5

#: Database connections: requests run in up to 40 threads and hold one for milliseconds.
_POOL_SIZE = 10


def application() -> FastAPI:
    """The API of one of several processes. Raises SchemaOutdated and StorageError for what is not in order."""
    from api_stub.app import create_app

    return create_app(_open(settings_module.load()))


def _open(settings: Settings) -> Context:
    from workers import logs
    from workers.context import open_context

    check_database(settings)
    logs.set_up(settings)
    context = open_context(settings, pool_size=_POOL_SIZE)
    # What cannot be stored is better said now than after it is paid.
    context.store.check()
    return context


def check_database(settings: Settings) -> None:
    """Raises SchemaOutdated."""
    from jobs.db import Database

    database = Database(settings.database_url)
    try:
        migrate.check(database)
    finally:
        database.dispose()


def serve(settings: Settings, listener: socket.socket, workers: int) -> int:
    """Serve until SIGTERM or SIGINT."""
    if workers == 1:
        from api_stub.app import create_app

        context = _open(settings)
        try:
            _Server(_config(settings, create_app(context))).run([listener])
        finally:
            context.close()
        return 0
    check_database(settings)
    from uvicorn.supervisors import Multiprocess

    notify.ready()
    Multiprocess(_config(settings, f"{__name__}:application", factory=True, workers=workers), sockets=[listener]).run()
    return 0


class _Server(uvicorn.Server):
    def run(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn raises the signal that stopped it once more when it is done: with the default handler we would end by
        # a signal instead of exit code 0.
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: None)
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            notify.ready()


def _config(settings: Settings, app: FastAPI | str, **more: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # What uvicorn says goes the way of all our logs.
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        **more,  # type: ignore[arg-type]
    )
