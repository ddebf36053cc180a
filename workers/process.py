"""The context of this worker process: opened when the first task needs it, the same for all its threads."""

from __future__ import annotations

import threading

from jobs import settings as configuration
from workers.context import Context, open_context

_lock = threading.Lock()
_context: Context | None = None

#: Database connections of a worker: its threads hold one only for the milliseconds of a transaction.
_POOL_SIZE = 8


def context() -> Context:
    global _context
    if _context is None:
        with _lock:
            if _context is None:
                _context = open_context(configuration.load(), pool_size=_POOL_SIZE)
    return _context
