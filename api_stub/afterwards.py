"""What follows an answer: telling the queues. Never in the caller's way, never more than one release at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from jobs.life import Hint
from workers import dispatch
from workers.context import Context

log = structlog.get_logger()

_THREADS = 8


class Afterwards:
    """Runs in threads of its own: a broker that hangs for seconds must not use up those that answer requests."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="afterwards")
        self._lock = threading.Lock()
        self._nudging = self._again = False

    def nudge(self) -> None:
        """Release what was just submitted. A thousand submits make at most one running release and one waiting."""
        with self._lock:
            if self._nudging:
                self._again = True
                return
            self._nudging = True
        self.run(self._release)

    def nudge_outputs(self, modalities: Iterable[str]) -> None:
        self.run(dispatch.nudge_outputs, self._context, list(modalities))

    def deliver(self, hints: Iterable[Hint]) -> None:
        """Tell the webhook workers."""
        if due := list(hints):
            self.run(dispatch.publish_deliveries, self._context, due)

    def run(self, work: Callable[..., None], *args: Any) -> None:
        """Do `work` in a thread, soon."""
        try:
            self._pool.submit(self._safely, work, *args)
        except RuntimeError:
            log.info("left_to_the_tick", work=work.__name__)  # closing down: whatever is due is found by the next tick

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def _release(self) -> None:
        while True:
            dispatch.nudge(self._context)
            with self._lock:
                if not self._again:
                    self._nudging = False
                    return
                self._again = False

    @staticmethod
    def _safely(work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
        except Exception as error:
            log.warning("afterwards_failed", work=work.__name__, error=f"{type(error).__name__}: {error}"[:300])
