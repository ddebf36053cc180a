"""Who is next where there is not enough for all: by priority, then in turn among tenants by their weights, then by age.

Pure: no clock, no database. `jobs.queries.release` asks it with what there is, and writes down what it says.

Waiting raises a job: after each `ageing_s` it counts as one of the next higher priority, so a stream of urgent work delays the
rest and never starves it. `rank_at` is that rule as a moment: when the job would have come, were its priority a head start.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import dropwhile
from typing import Generic, Protocol, TypeVar

#: What a tenant without a weight of its own gets of each turn.
WEIGHT = 1.0

#: How many tenants' places are remembered at most.
REMEMBERED = 1000


class Waiting(Protocol):
    """A job that waits for its turn, as far as its turn goes."""

    @property
    def id(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def units(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def rank_at(self) -> datetime: ...


J = TypeVar("J", bound=Waiting)


class Verdict(Enum):
    """What became of a job whose turn it was."""

    #: It starts, and is paid for with its tenant's turn.
    STARTED = "started"
    #: It will never start; the next of its lane has the turn.
    DROPPED = "dropped"
    #: There is no room for it. Nor for what stands behind it in its lane, for as long as this round lasts.
    NO_ROOM = "no room"


@dataclass
class Ring:
    """Deficit round robin: whose turn it is, and what each has left of it.

    A turn brings a tenant its weight in units, and it is served until that is used up. What it could not use of a turn because a
    larger job stood first, it keeps for the next; what it could not use because there was no room for it is gone, except what
    such a larger job took several turns to earn: it is asked first until there is room for it.
    """

    #: Who was served longest ago comes first, and who never was before all.
    order: list[str] = field(default_factory=list)
    left: dict[str, float] = field(default_factory=dict)

    def next(self, costs: Mapping[str, int], weights: Mapping[str, float]) -> str:
        """Who is asked next of those who want something, by what their next job costs."""
        known = set(self.order)
        self.order[:0] = sorted(name for name in costs if name not in known)
        names = [name for name in self.order if name in costs]
        for name in names:
            # In the middle of its turn, or refused for want of room in an earlier one.
            if self.left.get(name, 0.0) >= costs[name]:
                return name
        while True:
            for name in names:
                self.left[name] = self.left.get(name, 0.0) + weights.get(name, WEIGHT)
                if self.left[name] >= costs[name]:
                    return name

    def end_turn(self, name: str) -> None:
        """It has used up its turn. Nobody who was only asked has: rooms fill and empty one by one, and the next may be its."""
        self.order.remove(name)
        self.order.append(name)

    def charge(self, name: str, cost: int) -> None:
        self.left[name] -= cost

    def forget(self, name: str) -> None:
        self.left.pop(name, None)

    def keep(self, wanting: Collection[str]) -> None:
        """Forget who wants nothing any more. Not his place, until all who want something were served after him: one who comes
        with job after job would be new, and so the first, each time."""
        self.left = {name: left for name, left in self.left.items() if name in wanting}
        self.order = list(dropwhile(lambda name: name not in wanting, self.order))[-REMEMBERED:]

    def copy(self) -> Ring:
        return Ring(list(self.order), dict(self.left))


@dataclass
class Lane(Generic[J]):
    """Jobs that start in the order of their ranks, one after the other: the first, and how more are had."""

    head: J
    #: Those that come after this one, in order; asked again when they are used up. Empty: there are no more.
    more: Callable[[J], Sequence[J]]
    _known: list[J] = field(default_factory=list)

    def advance(self) -> bool:
        """To the next job. False when there is none."""
        if not self._known:
            self._known = list(reversed(self.more(self.head)))
        if not self._known:
            return False
        self.head = self._known.pop()
        return True


def serve(
    lanes: Iterable[Lane[J]],
    ring: Ring,
    weights: Mapping[str, float],
    *,
    moment: datetime,
    ageing_s: float,
    try_to_start: Callable[[J], Verdict],
    full: Callable[[], bool],
) -> tuple[list[J], Ring]:
    """One round: start what may start, in order, until nothing more fits. The jobs that started, and the ring after them.

    full: nothing at all can start any more, whoever asks.
    """
    started: list[J] = []
    queue = _Queue(lanes, moment, ageing_s)
    # A turn that led to nothing does not count: what is full for one is mostly full for all, and would cost each his turn.
    ring, asking = ring.copy(), ring.copy()
    while queue and not full():
        tenant_id = asking.next(queue.costs, weights)
        job = queue.first_of(tenant_id)
        verdict = try_to_start(job)
        if verdict is Verdict.STARTED:
            started.append(job)
            asking.charge(tenant_id, job.units)
        queue.pop(tenant_id, goes_on=verdict is not Verdict.NO_ROOM)
        if verdict is Verdict.STARTED:
            if asking.left[tenant_id] < queue.costs.get(tenant_id, math.inf):
                asking.end_turn(tenant_id)
            ring = asking.copy()
        elif tenant_id not in queue.costs:
            # A job that takes more than one turn to earn keeps what it earned: it is asked first from now on.
            if job.units > weights.get(tenant_id, WEIGHT):
                asking.left[tenant_id] = min(asking.left[tenant_id], job.units)
            else:
                asking.forget(tenant_id)
    ring.keep(queue.tenants)
    return started, ring


class _Queue(Generic[J]):
    """The lanes that may have the turn now: those whose first job counts as much as the most urgent one that is left."""

    def __init__(self, lanes: Iterable[Lane[J]], moment: datetime, ageing_s: float) -> None:
        self._moment = moment
        self._ageing_s = ageing_s
        self._lanes = dict(enumerate(lanes))
        self._priorities = Counter(lane.head.priority for lane in self._lanes.values())
        #: Who wants anything, now or later.
        self.tenants = {lane.head.tenant_id for lane in self._lanes.values()}
        self._rebuild()

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def first_of(self, tenant_id: str) -> J:
        return self._lanes[self._ready[tenant_id][0][2]].head

    def pop(self, tenant_id: str, *, goes_on: bool) -> None:
        """The first job of this tenant is dealt with; its lane goes on with the next one, or is closed."""
        heap = self._ready[tenant_id]
        number = heapq.heappop(heap)[2]
        lane = self._lanes[number]
        self._priorities[lane.head.priority] -= 1
        if goes_on and lane.advance():
            self._priorities[lane.head.priority] += 1
            if self._counts_for(lane.head) >= self._top:
                heapq.heappush(heap, self._entry(number))
        else:
            del self._lanes[number]
        self._priorities = +self._priorities
        if self._lanes and max(self._priorities) != self._top:
            self._rebuild()
        elif heap:
            self.costs[tenant_id] = self.first_of(tenant_id).units
        else:
            del self._ready[tenant_id], self.costs[tenant_id]

    def _rebuild(self) -> None:
        self._top = max(self._priorities, default=0)
        self._ready: dict[str, list[tuple[datetime, str, int]]] = {}
        for number, lane in self._lanes.items():
            if self._counts_for(lane.head) >= self._top:
                self._ready.setdefault(lane.head.tenant_id, []).append(self._entry(number))
        for heap in self._ready.values():
            heapq.heapify(heap)
        self.costs = {tenant_id: self.first_of(tenant_id).units for tenant_id in self._ready}

    def _counts_for(self, job: J) -> float:
        """Its priority, and one more for each `ageing_s` that it has waited."""
        return max(job.priority, (self._moment - job.rank_at).total_seconds() / self._ageing_s)

    def _entry(self, number: int) -> tuple[datetime, str, int]:
        head = self._lanes[number].head
        return head.rank_at, head.id, number
