"""A bound on memory that all threads of a process share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """`total` units, bytes or pixels, for all threads together.

    First come, first served: many small takers cannot starve a large one.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._left = total
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until `size` units are left, and take them. More than the total counts as the total."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._left >= min(size, self._total))
            self._left -= min(size, self._total)

    def give(self, size: int) -> None:
        """Give back what was taken with the same `size`."""
        with self._changed:
            self._left += min(size, self._total)
            self._changed.notify_all()

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Take `size` for the length of the block."""
        self.take(size)
        try:
            yield
        finally:
            self.give(size)
