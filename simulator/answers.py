"""How often what was answered, to calls and to polls, by operation and key.

Counted is what was sent, also by a fault: a connection closed without an answer is a ``none``. The status does not tell
everything, because some vendors refuse with 200; so the outcomes of calls are counted as the ledger has them, too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Literal

#: What is counted: statuses of answers to calls, outcomes of calls, statuses of answers to polls.
What = Literal["calls", "outcomes", "polls"]

#: Of an answer that never came.
NONE = "none"

#: Stands for the operation when a call was refused before anybody knew which one it was.
UNKNOWN = "unknown"


class Answers:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        self._since = self._clock()
        self._counts: Counter[tuple[What, str, str, str]] = Counter()

    def count(self, what: What, key: str, operation: str, answer: str) -> None:
        """`answer` is a status, or an outcome."""
        self._counts[what, key, operation or UNKNOWN, answer] += 1

    def as_json(self, key: str = "") -> dict[str, Any]:
        """The body of ``GET /_simulator/answers``, of all keys or of one by its name."""
        told: dict[str, defaultdict[str, Counter[str]]] = {
            "calls": defaultdict(Counter),
            "outcomes": defaultdict(Counter),
            "polls": defaultdict(Counter),
        }
        for (what, whose, operation, answer), times in sorted(self._counts.items()):
            if key in ("", whose):
                told[what][operation][answer] += times
        return {"since_s": round(self._clock() - self._since, 6), **told}
