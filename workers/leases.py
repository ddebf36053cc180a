"""The leases this process holds, renewed in one statement for all of them.

A synchronous call may take ten minutes, a lease lasts one. As long as the process lives and reaches the database it keeps what it
holds; when it falls silent the lease runs out and the tick gives the job to somebody else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from jobs.db import Database
from jobs.queries import schedule

log = structlog.get_logger()


class Leases:
    """Renews every held lease four times within its life, from one daemon thread."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database = database
        self._lease_s = lease_s
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, job_id: str, fence: int) -> Iterator[None]:
        """Keep the lease of this job for as long as the block runs."""
        with self._lock:
            self._held[job_id] = fence
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_for_ever, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(job_id) == fence:
                    del self._held[job_id]

    def close(self) -> None:
        self._stop.set()

    def _renew_for_ever(self) -> None:
        while not self._stop.wait(self._lease_s / 4):
            with self._lock:
                held = list(self._held.items())
            if not held:
                continue
            try:
                with self._database.transaction() as session:
                    kept = schedule.renew(session, held, self._lease_s)
            except Exception as error:
                # The next round tries again; three rounds fit into one lease.
                log.warning("leases_not_renewed", jobs=len(held), error=type(error).__name__)
                continue
            for job_id, _ in held:
                if job_id not in kept:
                    log.info("lease_lost", job_id=job_id)
