"""How much may be under way at once, or be started in a time: rules, what is used of them, and whether one more fits. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

#: What the names of rates end in, and of nothing else.
PER_SECOND = "/s"
#: A rate that was not used is kept for so long, so that a round that comes late loses nothing of it.
_BURST_S = 1.0


class Use(NamedTuple):
    """Units under way of what is the same for every rule."""

    tenant_id: str
    provider: str
    operation: str
    key_name: str
    units: int


class Asking(Protocol):
    """What wants to start."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def units(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit on whatever fits all of its selectors (None fits all). `each_key`: on each upstream key by itself."""

    scope: str
    provider: str | None = None
    operation: str | None = None
    key_name: str | None = None
    tenant_id: str | None = None
    each_key: bool = False
    #: Units at once.
    concurrency: int | None = None
    #: Starts a second.
    rates: tuple[float, ...] = ()

    def fits(self, tenant_id: str, provider: str, operation: str, key_name: str) -> bool:
        pairs = (
            (self.tenant_id, tenant_id),
            (self.provider, provider),
            (self.operation, operation),
            (self.key_name, key_name),
        )
        return all(wanted in (None, given) for wanted, given in pairs)


#: A rule, and the key it is counted for; empty: for all keys together.
_Counter = tuple[str, str]


def bucket_name(scope: str, key_name: str, per_second: float) -> str:
    rate = f"{per_second:g}{PER_SECOND}"
    return f"{scope} key={key_name} {rate}" if key_name else f"{scope} {rate}"


def is_bucket_of(scope: str, name: str) -> bool:
    """Whether `bucket_name` has made this name of this scope: that of another rule may begin with the same words."""
    start, *rest = name.removeprefix(f"{scope} ").split()
    return name.startswith(f"{scope} ") and (not rest or (len(rest) == 1 and start.startswith("key=") and scope.endswith("key=*")))


def most_left(per_second: float) -> float:
    """The most that is kept of a rate that nobody uses; one start at least."""
    return max(1.0, per_second * _BURST_S)


def refilled(left: float, per_second: float, passed_s: float) -> float:
    """What is left of a rate after this time. The clock was set back: nobody knows how much has passed, and it is whole again."""
    return min(most_left(per_second), left + passed_s * per_second) if passed_s >= 0 else most_left(per_second)


@dataclass
class Room:
    """What is free within all rules, as of one moment. Whatever starts is taken off it."""

    rules: tuple[Rule, ...]
    uses: Iterable[Use]
    #: What is left of the rates, by `bucket_name`; one that is not there is whole.
    levels: Mapping[str, float]

    used: Counter[_Counter] = field(init=False)
    #: Starts taken of each bucket, with what it had.
    spent: dict[str, float] = field(init=False, default_factory=dict)
    #: Units under way by (provider, key).
    by_key: Counter[tuple[str, str]] = field(init=False)
    _closed: set[_Counter] = field(init=False, default_factory=set)
    _fitting: dict[tuple[str, str, str, str], tuple[tuple[Rule, _Counter], ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.used, self.by_key = Counter(), Counter()
        for use in self.uses:
            self.by_key[use.provider, use.key_name] += use.units
            for rule, counter in self._rules_for(use.tenant_id, use.provider, use.operation, use.key_name):
                if rule.concurrency is not None:
                    self.used[counter] += use.units

    def in_the_way(self, job: Asking, key_name: str) -> list[tuple[Rule, str]]:
        """The rules that have no room for this job with this key, and which key each is counted for."""
        found = []
        for rule, counter in self._rules_for(job.tenant_id, job.provider, job.operation, key_name):
            over = rule.concurrency is not None and self.used[counter] + job.units > rule.concurrency
            dry = any(self._left(rule, counter[1], rate) < 1 for rate in rule.rates)
            if over or dry or counter in self._closed:
                found.append((rule, counter[1]))
        return found

    def never(self, job: Asking, key_name: str) -> Rule | None:
        """A rule that this job does not fit within, even if nothing else were under way."""
        for rule, _ in self._rules_for(job.tenant_id, job.provider, job.operation, key_name):
            if rule.concurrency is not None and job.units > rule.concurrency:
                return rule
        return None

    def close(self, blocking: Iterable[tuple[Rule, str]]) -> None:
        """What is left of these is kept for whoever was first: smaller jobs behind it would take it away for ever."""
        self._closed |= {(rule.scope, key_name) for rule, key_name in blocking}

    def take(self, job: Asking, key_name: str) -> None:
        """This job starts."""
        self.by_key[job.provider, key_name] += job.units
        for rule, counter in self._rules_for(job.tenant_id, job.provider, job.operation, key_name):
            if rule.concurrency is not None:
                self.used[counter] += job.units
            for rate in rule.rates:
                self.spent[bucket_name(rule.scope, counter[1], rate)] = self._left(rule, counter[1], rate) - 1

    def _left(self, rule: Rule, key_name: str, rate: float) -> float:
        name = bucket_name(rule.scope, key_name, rate)
        if name in self.spent:
            return self.spent[name]
        return self.levels.get(name, most_left(rate))

    def _rules_for(self, tenant_id: str, provider: str, operation: str, key_name: str) -> tuple[tuple[Rule, _Counter], ...]:
        what = (tenant_id, provider, operation, key_name)
        if (known := self._fitting.get(what)) is None:
            known = tuple((rule, (rule.scope, key_name if rule.each_key else "")) for rule in self.rules if rule.fits(*what))
            self._fitting[what] = known
        return known
