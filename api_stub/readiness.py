"""Whether this process can do its work, part by part, in words that say what to mend."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from jobs import migrate
from jobs.migrate import SchemaOutdated
from storage import StorageError, Store
from workers.context import Context

_BROKER_CONNECT_S = 1.0
_BROKER_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "amqp": 5672, "amqps": 5671}
#: Proving that storage works writes to it: done for the first asker of each half minute.
_STORAGE_PROVED_S = 30.0


@dataclass
class Readiness:
    """`wrong`: no work is possible. `warnings`: work is possible, but slow."""

    wrong: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)


def look(context: Context) -> Readiness:
    found = Readiness()
    try:
        migrate.check(context.database)
    except SchemaOutdated as error:
        found.wrong["database"] = str(error)
    except SQLAlchemyError as error:
        # The driver's text names hosts and users; it is for the log, not for whoever may ask.
        found.wrong["database"] = f"cannot be reached ({type(error).__name__})"
    if problem := _STORAGE.problem(context.store):
        found.wrong["storage"] = problem
    if problem := _broker_problem(context.settings.broker_url):
        found.warnings["broker"] = problem
    return found


class _StorageProof:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._proved_at = 0.0

    def problem(self, store: Store) -> str | None:
        with self._lock:
            if self._store is store and time.monotonic() - self._proved_at < _STORAGE_PROVED_S:
                return None
            try:
                store.check()
            except StorageError as error:
                return str(error)
            self._store, self._proved_at = store, time.monotonic()
            return None


_STORAGE = _StorageProof()


def _broker_problem(url: str) -> str | None:
    if not url:
        return "no broker is configured: jobs start with the next tick"
    parts = urlsplit(url)
    try:
        address = (parts.hostname or "127.0.0.1", parts.port or _BROKER_PORTS.get(parts.scheme, 6379))
        with socket.create_connection(address, timeout=_BROKER_CONNECT_S):
            return None
    except (OSError, ValueError):
        return "cannot be reached: jobs are taken and wait until it is back"
