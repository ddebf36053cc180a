"""The time that looking at one file may take."""

import time

from storage.errors import MediaRefused


class Deadline:
    """Ends `max_s` seconds from now. For loops over a stranger's data: each turn calls `check`."""

    def __init__(self, max_s: float) -> None:
        self.max_s = max_s
        self._ends_at = time.monotonic() + max_s

    def left_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._ends_at - time.monotonic())

    def check(self) -> None:
        """Raise MediaRefused (inspection_timed_out) once the time is over."""
        if not self.left_s():
            raise MediaRefused("inspection_timed_out", f"reading the file's structure took more than {self.max_s:g} s")
