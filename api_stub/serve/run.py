"""The life of one `serve`: lock, decide, start, say so, wait, stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from api_stub.client import Client, ClientError
from api_stub.serve import folder, notify, plan
from api_stub.serve.plan import Plan, Wish
from api_stub.serve.supervisor import PartFailed, Supervisor

#: Seconds between all parts being up and /readyz saying yes.
_READY_S = 30.0
_BROKER_S = 5.0

Say = Callable[[str], None]
#: What to do once everything is ready; its result is the exit code. The system stops when it returns.
Body = Callable[[Plan, asyncio.Event], Awaitable[int]]


class NotReady(Exception):
    """All parts run, and still the API does not take jobs."""


def serve(wish: Wish, body: Body, say: Say, *, cwd: Path | None = None) -> int:
    """Run the embedded system around `body`. The exit code is body's, 0 when a signal came first, 1 when a part failed.

    Raises what stops it before anything starts: SettingsError, FolderInUse, PortTaken.
    """
    settings = plan.load(wish)
    data = settings.data.absolute()
    with folder.locked(data):
        made = plan.make(wish, settings, folder.own_secrets(data))
        try:
            return asyncio.run(_serve(made, body, say, cwd))
        finally:
            made.close()


async def until_stopped(_: Plan, stop: asyncio.Event) -> int:
    """The body of plain `serve`."""
    await stop.wait()
    return 0


async def _serve(made: Plan, body: Body, say: Say, cwd: Path | None) -> int:
    stop = asyncio.Event()
    supervisor = Supervisor(logs=made.settings.data / "logs", env=made.env, say=say, cwd=cwd)
    with _signals(stop, supervisor):
        async with supervisor:
            work = asyncio.create_task(_work(made, supervisor, body, stop))
            failed = asyncio.create_task(supervisor.failed())
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({work, failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set() and not work.done():
                    # The body may be tidying up: it has seen the same event.
                    await asyncio.wait({work}, timeout=0.5)
                if failed.done():
                    say(str(failed.exception()))
                    return 1
                return _outcome(work, say) if work.done() else 0
            finally:
                (made.settings.data / "client.json").unlink(missing_ok=True)
                stop.set()
                for task in (work, failed, stopped):
                    task.cancel()
                await asyncio.gather(work, failed, stopped, return_exceptions=True)


def _outcome(work: asyncio.Task[int], say: Say) -> int:
    error = work.exception()
    if error is None:
        return work.result()
    if isinstance(error, PartFailed | NotReady):
        say(str(error))
        return 1
    raise error


async def _work(made: Plan, supervisor: Supervisor, body: Body, stop: asyncio.Event) -> int:
    await _start(made, supervisor)
    settings = made.settings
    key = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else ""
    folder.write_address(settings.data, url=made.url, public_url=settings.public_url, key=key)
    notify.ready()
    return await body(made, stop)


async def _start(made: Plan, supervisor: Supervisor) -> None:
    base = [part for part in made.parts if part.level == 0]
    rest = [part for part in made.parts if part.level > 0]
    # The tables first: every role looks at them when it starts. Broker and simulator need none.
    starting = [asyncio.create_task(supervisor.start(part)) for part in base]
    try:
        await asyncio.to_thread(_prepare, made)
        await asyncio.gather(*starting)
        await asyncio.gather(*(supervisor.start(part) for part in rest))
    finally:
        for task in starting:
            task.cancel()
    await _api_takes_jobs(made.url)


def _prepare(made: Plan) -> None:
    """Everything that is not ours to start must answer; the tables are brought up to date. Raises NotReady, StorageError."""
    from sqlalchemy.exc import SQLAlchemyError

    from jobs import migrate
    from jobs.db import Database
    from jobs.queries import keys
    from storage import open_store

    # The key only signs links, and none is made here.
    open_store(made.settings.storage_url, link_base=made.url, link_key=b"serve looks at files").check()
    if made.external_broker:
        from workers.roles import ping_broker

        if problem := ping_broker(made.settings.broker_url, _BROKER_S):
            raise NotReady(f"the broker does not answer: {problem} (MEDIAMILL_BROKER_URL)")
    database = Database(made.settings.database_url)
    try:
        migrate.upgrade(database)
        if made.settings.bootstrap_key is not None:
            keys.ensure_bootstrap(database, made.settings.bootstrap_key.get_secret_value())
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise NotReady(f"the database cannot be used: {reason} (MEDIAMILL_DATABASE_URL)") from error
    finally:
        database.dispose()


async def _api_takes_jobs(url: str) -> None:
    """Wait until /readyz is 200."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _READY_S

    def ask() -> Mapping[str, object] | None:
        with Client(url, timeout_s=5) as client:
            return client.not_ready()

    while True:
        try:
            problem = await asyncio.to_thread(ask)
        except ClientError as error:
            problem = {"error": str(error)}
        if problem is None:
            return
        if loop.time() > deadline:
            raise NotReady(f"{url}/readyz says: {problem}")
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def _signals(stop: asyncio.Event, supervisor: Supervisor) -> Iterator[None]:
    """The first signal stops in order, the second at once."""
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if stop.is_set():
            supervisor.kill()
        stop.set()

    names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for name in names:
        loop.add_signal_handler(name, heard)
    try:
        yield
    finally:
        for name in names:
            loop.remove_signal_handler(name)
