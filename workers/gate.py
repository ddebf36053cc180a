"""So many webhooks at once to one host, and not all threads of the process for webhooks: one dead receiver delays nobody else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Counts what is under way. A living receiver frees its place within milliseconds; whoever waits longer is sent away."""

    def __init__(self, *, for_host: int, for_all: int) -> None:
        self._for_host = for_host
        self._for_all = for_all
        self._under_way: Counter[str] = Counter()
        self._freed = threading.Condition()

    @contextmanager
    def place(self, host: str, *, patience_s: float) -> Iterator[bool]:
        """True when there is a place for this host within `patience_s`; it is held for the block."""
        got = self._take(host, time.monotonic() + patience_s)
        try:
            yield got
        finally:
            if got:
                self._give_back(host)

    def _take(self, host: str, until: float) -> bool:
        with self._freed:
            while self._under_way[host] >= self._for_host or self._under_way.total() >= self._for_all:
                if not self._freed.wait(until - time.monotonic()):
                    return False
            self._under_way[host] += 1
            return True

    def _give_back(self, host: str) -> None:
        with self._freed:
            self._under_way[host] -= 1
            # A host that nobody calls needs no entry: there may be thousands of them.
            self._under_way += Counter()
            self._freed.notify_all()
