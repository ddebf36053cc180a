"""Whether a job may start now and with which upstream key, or what it waits for. Pure: all that must be known is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from jobs.limits import Asking, Room, Rule
from jobs.models import Gate, Pause
from jobs.view import amount

#: Upstream keys that may be used for a provider, with their weights (`Settings.keys_of`).
KeysOf = Callable[[str], Mapping[str, float]]


class Candidate(Asking, Protocol):
    """A job whose turn it is."""

    @property
    def id(self) -> str: ...
    @property
    def modality(self) -> str: ...
    @property
    def batch_id(self) -> str | None: ...
    @property
    def quoted_usd(self) -> Decimal | None: ...


class Start(NamedTuple):
    """It may start, with this key. `probe`: what becomes of it decides about something that is in doubt."""

    key_name: str
    probe: bool = False


class Wait(NamedTuple):
    """It waits; `why` is for people, `reason` stays the same: paused, limit, window, provider, budget, no_key."""

    reason: str
    why: str


class Never(NamedTuple):
    """It would wait for ever."""

    code: str
    message: str


class Money(Protocol):
    """What may still be spent."""

    def most_today(self, tenant_id: str) -> Decimal | None:
        """The tenant's caps themselves, the lower one; None: there is none."""

    def left_today(self, tenant_id: str) -> Decimal | None:
        """Of the tenant's caps; None: there is none."""

    def left_of_batch(self, batch_id: str) -> Decimal | None:
        """Of the batch's cap; None: there is none."""

    def take(self, tenant_id: str, batch_id: str | None, usd: Decimal) -> None:
        """So much of both is set aside."""


@dataclass
class Desk:
    """What is free at one moment. Whatever starts is taken off it."""

    moment: datetime
    #: Places in the hot window, by modality.
    windows: dict[str, int]
    room: Room
    pauses: Iterable[Pause]
    gates: Iterable[Gate]
    #: Jobs on their way that were handed out in doubt, by (provider, key).
    probes: Mapping[tuple[str, str], int]
    keys_of: KeysOf
    money: Money

    #: Automatic pauses that a job tries now.
    tried: list[Pause] = field(init=False, default_factory=list)
    _pauses: dict[tuple[str, str], Pause] = field(init=False)
    _key_pauses: dict[tuple[str, str], Pause] = field(init=False)
    _gates: dict[tuple[str, str], Gate] = field(init=False)
    _open: dict[tuple[str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        pauses = list(self.pauses)
        self._pauses = {(one.kind, one.name): one for one in pauses if one.kind != "key"}
        self._key_pauses = {(one.name, one.operation or ""): one for one in pauses if one.kind == "key"}
        self._gates = {(one.provider, one.key_name): one for one in self.gates}
        self._open = {where: max(1, int(gate.allow)) - self.probes.get(where, 0) for where, gate in self._gates.items()}

    def full(self) -> bool:
        """Nothing can start any more, whatever it is."""
        return all(free <= 0 for free in self.windows.values())

    def start(self, job: Candidate) -> Start | Wait | Never:
        """Decide, and set aside what the job needs if it starts. Where it waits, what it waits for is kept for it."""
        decided = self.verdict(job)
        if isinstance(decided, Start):
            self._take(job, decided)
        return decided

    def verdict(self, job: Candidate) -> Start | Wait | Never:
        """Decide. A job that a limit has no room for closes it for those behind it."""
        if (pause := self._paused(job)) is not None:
            return Wait("paused", f"{pause.kind} {pause.name} is paused: {pause.reason}")
        if self.windows.get(job.modality, 0) <= 0:
            return Wait("window", f"as many {job.modality} jobs as may be on their way at once are on their way")
        if (problem := self._too_dear(job)) is not None:
            return problem
        return self._with_some_key(job)

    def _paused(self, job: Candidate) -> Pause | None:
        scopes = (("provider", job.provider), ("operation", job.operation), ("tenant", job.tenant_id))
        return next((self._pauses[scope] for scope in scopes if scope in self._pauses), None)

    def _too_dear(self, job: Candidate) -> Wait | Never | None:
        usd = job.quoted_usd
        left = None if job.batch_id is None else self.money.left_of_batch(job.batch_id)
        most = self.money.most_today(job.tenant_id)
        if left is None and most is None:
            return None
        if usd is None:
            whose = "batch" if left is not None else "tenant"
            return Never("price_unknown", f"What it costs is not known, so the cap of its {whose} could not be kept.")
        if left is not None and usd > left:
            return Never(
                "budget_exceeded",
                f"Its batch may cost {amount(max(left, Decimal(0)))} USD more, and this job is quoted {amount(usd)} USD.",
            )
        if most is not None and usd > most:
            return Never("budget_exceeded", f"Its tenant may spend {amount(most)} USD, and this job is quoted {amount(usd)} USD.")
        if (left := self.money.left_today(job.tenant_id)) is not None and usd > left:
            return Wait(
                "budget",
                f"the tenant may spend {amount(max(left, Decimal(0)))} USD more for now, and the job is quoted {amount(usd)} USD",
            )
        return None

    def _with_some_key(self, job: Candidate) -> Start | Wait | Never:
        keys = self.keys_of(job.provider)
        if not keys:
            return Wait("no_key", f"no upstream key is for {job.provider}: MEDIAMILL_UPSTREAM_KEYS says what each is for")
        # One whose pause is to be tried goes first: nothing else ever ends that pause. Then the least burdened for its weight.
        order = sorted(keys, key=lambda name: (not self._trials(job, name), self._burden(job, name) / keys[name], name))
        waits: list[Wait] = []
        blocking: list[tuple[Rule, str]] = []
        nevers = {name: rule for name in keys if (rule := self.room.never(job, name)) is not None}
        if len(nevers) == len(keys):
            rule = nevers[order[0]]
            message = f"It counts for {job.units} units; the limit {rule.scope} lets {rule.concurrency} be at work at once."
            return Never("over_limit", message)
        for name in order:
            if (wait := self._closed(job, name)) is not None:
                waits.append(wait)
            elif found := self.room.in_the_way(job, name):
                if name not in nevers:
                    # What is the tenant's own to free keeps nothing from the others.
                    blocking += [one for one in found if one[0].tenant_id is not None] or found
                waits.append(Wait("limit", f"the limit {found[0][0].scope} is used up"))
            else:
                return Start(name, probe=(job.provider, name) in self._gates or bool(self._trials(job, name)))
        self.room.close(blocking)
        return next((wait for wait in waits if wait.reason == "limit"), waits[0])

    def _burden(self, job: Candidate, name: str) -> int:
        return self.room.by_key[job.provider, name] + job.units

    def _closed(self, job: Candidate, name: str) -> Wait | None:
        """Why nothing may be asked of the provider with this key."""
        for pause in self._pauses_of_key(job, name):
            if not self._may_try(pause):
                return Wait("paused", f"the upstream key {name} is paused: {pause.reason}")
        gate = self._gates.get((job.provider, name))
        if gate is None:
            return None
        if gate.closed_until is not None and gate.closed_until > self.moment:
            return Wait("provider", f"{gate.cause}; nothing is sent to {job.provider} before {gate.closed_until:%H:%M:%S} UTC")
        if self._open[job.provider, name] <= 0:
            return Wait("provider", f"{gate.cause}; {job.provider} is tried with few calls at once")
        return None

    def _pauses_of_key(self, job: Candidate, name: str) -> list[Pause]:
        """Of the key as a whole, and for this operation."""
        scopes = ((name, ""), (name, job.operation))
        return [self._key_pauses[scope] for scope in scopes if scope in self._key_pauses]

    def _trials(self, job: Candidate, name: str) -> list[Pause]:
        """The pauses that end if this job does well with the key; none where one of them is not to be tried."""
        pauses = self._pauses_of_key(job, name)
        return pauses if all(self._may_try(pause) for pause in pauses) else []

    def _may_try(self, pause: Pause) -> bool:
        return pause.automatic and pause.probe_at is not None and pause.probe_at <= self.moment and pause not in self.tried

    def _take(self, job: Candidate, start: Start) -> None:
        self.windows[job.modality] -= 1
        if (job.provider, start.key_name) in self._open:
            self._open[job.provider, start.key_name] -= 1
        self.tried += self._trials(job, start.key_name)
        self.room.take(job, start.key_name)
        self.money.take(job.tenant_id, job.batch_id, job.quoted_usd or Decimal(0))
