"""What will happen at a known time, and is done by whoever looks at it next.

A timer rings a little late, and a clock that is read decides what a poll sees. What must agree with the clock to the
moment, such as the refund of a task that a poll shows as failed, is put down here and done before anybody asks.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

#: Gets the Unix time it was put down for.
Deed = Callable[[float], None]


class Agenda:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        #: When, a number for equal times, and what.
        self._due: list[tuple[float, int, Deed]] = []

    def put(self, moment: float, deed: Deed) -> None:
        """`moment` is a Unix time; one that has passed is due at once."""
        heapq.heappush(self._due, (moment, next(self._numbers), deed))

    def catch_up(self) -> float:
        """Do what is due, in order of time; returns the time."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            moment, _, deed = heapq.heappop(self._due)
            deed(moment)
        return now

    def clear(self) -> None:
        self._due.clear()
