"""A sign of life that costs nothing: a file whose age says when this role last got through to the broker.

Container health checks look at it (`compose.yaml`). A process that runs but is deaf lets it grow old.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from celery.signals import after_task_publish, heartbeat_sent

#: Touched at most this often, in seconds.
_EVERY_S = 5.0


class SignOfLife:
    """Touches `alive-{role}` in the data folder whenever the broker took a heartbeat or a tick."""

    def __init__(self, folder: Path, role: str) -> None:
        self.path = folder / f"alive-{role}"
        self._next = 0.0

    def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        heartbeat_sent.connect(self.show, weak=False)
        after_task_publish.connect(self.show, weak=False)

    def show(self, **_: Any) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            self.path.touch()
