"""Waiting for a job to move, for `Prefer: wait` and for streams. However many wait, the database is asked once a round."""

from __future__ import annotations

import asyncio

import structlog
from starlette.concurrency import run_in_threadpool

from jobs.db import Database
from jobs.queries import jobs

log = structlog.get_logger()

_EVERY_S = 0.1
_MOST_AT_ONCE = 500


class Watch:
    """One event loop's look-out: no thread and no connection is held while nothing happens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, list[tuple[int, asyncio.Event]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def past(self, job_id: str, version: int, wait_s: float) -> None:
        """Return once the job is beyond `version`, or when `wait_s` is over."""
        entry = (version, asyncio.Event())
        self._waiting.setdefault(job_id, []).append(entry)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(wait_s):
                await entry[1].wait()
        except TimeoutError:
            pass
        finally:
            entries = self._waiting[job_id]
            entries.remove(entry)
            if not entries:
                del self._waiting[job_id]

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(_EVERY_S)
            wanted = list(self._waiting)
            try:
                versions = await run_in_threadpool(self._versions, wanted)
            except Exception as error:  # whatever it is, those who wait must not wait for nothing
                log.warning("watch_failed", error=f"{type(error).__name__}: {error}"[:300])
                await asyncio.sleep(1)
                continue
            for job_id, version in versions.items():
                for seen, event in self._waiting.get(job_id, ()):
                    if version > seen:
                        event.set()

    def _versions(self, wanted: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for start in range(0, len(wanted), _MOST_AT_ONCE):
            with self._database.read() as session:
                found |= jobs.versions(session, wanted[start : start + _MOST_AT_ONCE])
        return found
