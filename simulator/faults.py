"""What can go wrong on demand, and the three ways to ask for it.

* a header on the request:        ``X-Simulate: rate_limit retry_after=1, slow_body``
* a directive in the prompt:      ``a red kite [[simulate:failed]]``, which reaches the simulator through any client
* a rule, through the control API: ``{"match": {"operation": "suno.music"}, "fault": "rate_limit", "times": 3}``

A rule strikes ``times`` times, or ``for_s`` seconds long from when it was ordered.

Options are ``key=value`` words after the name. Every fault knows these:

    times    how often it strikes; a directive counts per prompt, a rule for itself. Directive: always. Rule: once.
    on       ``submit`` (default) or ``poll``: a directive with ``on=poll`` spoils the answers to the task's polls

    by       ``gateway`` words a refusal in the gateway's envelope where the provider has its own

and some have their own, listed in `FAULTS`. A name nobody knows changes nothing; it is reported in the response
header ``x-simulator-warning``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from simulator.keys import as_name


class Reach(StrEnum):
    """What a fault touches."""

    #: Answered instead of doing the work: nothing accepted, nothing charged.
    REFUSAL = "refusal"
    #: The work is accepted and charged, then the answer goes wrong.
    ANSWER = "answer"
    #: The course of the task.
    TASK = "task"
    #: The form of the answers, for providers the gateway is known to answer for in two forms. They look for it themselves.
    SHAPE = "shape"
    #: The download of an output; for outputs inside the answer (base64, raw bytes), the answer itself.
    FILE = "file"


#: Every fault: what it touches.  Options with their defaults stand beside it.
FAULTS: Mapping[str, Reach] = {
    "rate_limit": Reach.REFUSAL,  # 429; retry_after=SECONDS adds the header; code=
    "server_error": Reach.REFUSAL,  # 500; code=
    "unavailable": Reach.REFUSAL,  # 503; code=
    "bad_key": Reach.REFUSAL,  # 401
    "no_money": Reach.REFUSAL,  # 403 insufficient_user_quota; code=
    "invalid": Reach.REFUSAL,  # 400; code=
    "html": Reach.REFUSAL,  # 200 text/html; status=200
    "error_in_200": Reach.REFUSAL,  # 200 with {"error": ...}
    "timeout_after_accept": Reach.ANSWER,  # 504; delay=1
    "hang_after_accept": Reach.ANSWER,  # no answer until the client leaves; delay=600 at most
    "reset_after_accept": Reach.ANSWER,  # connection closed without an answer
    "truncated_json": Reach.ANSWER,  # 200, body cut in the middle, Content-Length agrees
    "wrong_shape": Reach.ANSWER,  # 200, valid JSON, no id in it
    "moderation": Reach.TASK,  # task fails with a moderation reason; without a task: 400; code= and word= as for failed
    "failed": Reach.TASK,  # task fails; without a task: 500; code= and word= (status), if the provider has several
    "no_outputs": Reach.TASK,  # success with nothing in it
    "never_finishes": Reach.TASK,  # processing for ever; without a task: no answer
    "not_yet_visible": Reach.TASK,  # task_not_exist; seconds=3 from the first poll
    "unknown_status": Reach.TASK,  # a status nobody documented; polls=3, word=
    "wrapped": Reach.SHAPE,  # the gateway's envelope around the vendor's answer
    "variant": Reach.SHAPE,  # another documented answer of this provider; its options stand in the provider's docstring
    "dead_link": Reach.FILE,  # status=404
    "dead_link_once": Reach.FILE,  # the first GET only; status=404
    "slow_body": Reach.FILE,  # drips; seconds=5
    "truncated_body": Reach.FILE,  # half of what Content-Length promises
}

#: Faults of a task that mean nothing to a call which is answered at once.
TASK_ONLY = frozenset({"not_yet_visible", "unknown_status"})

#: What `Reach.TASK` becomes on a call that is answered at once.
SYNC_REACH: Mapping[str, Reach] = {
    "moderation": Reach.REFUSAL,
    "failed": Reach.REFUSAL,
    "never_finishes": Reach.ANSWER,
}

_DIRECTIVE = re.compile(r"\[\[simulate:([^\[\]\r\n]{1,200})\]\]")


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def on(self) -> str:
        return self.options.get("on", "submit")

    @property
    def times(self) -> int | None:
        """How often it strikes; None is always."""
        return int(self.number("times", 0)) or None

    def number(self, key: str, default: float) -> float:
        """An option as a finite number; anything else counts as absent."""
        try:
            number = float(self.options[key])
        except (KeyError, ValueError):
            return default
        return number if math.isfinite(number) else default

    def status(self, default: int) -> int:
        """The option ``status``, when it is one that can be sent."""
        status = int(self.number("status", default))
        return status if 200 <= status <= 599 else default

    def text(self, key: str, default: str) -> str:
        return self.options.get(key, default)


def option(fault: Fault | None, key: str, default: str = "") -> str:
    """An option of a fault that may not have been asked for."""
    return fault.text(key, default) if fault is not None else default


def parse(text: str) -> Fault:
    """``rate_limit retry_after=1`` as a fault, known or not."""
    name, *words = text.split() or [""]
    return Fault(name, dict(word.split("=", 1) for word in words if "=" in word))


def in_header(value: str) -> list[Fault]:
    return [parse(part) for part in value.split(",") if part.strip()]


def in_body(body: object) -> list[Fault]:
    """Directives anywhere in the strings of a JSON body: each provider keeps its prompt somewhere else."""
    return [parse(found) for text in _strings(body) for found in _DIRECTIVE.findall(text)]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a rule is compared with."""

    on: str
    operation: str
    path: str
    #: By its name.
    key: str
    model: str = ""
    prompt: str = ""

    @property
    def provider(self) -> str:
        return self.operation.partition(".")[0]


@dataclass(slots=True)
class Rule:
    """A fault that waits for its occasion.

    `match` may hold ``operation``, ``provider``, ``key``, ``path``, ``model`` (all equal), ``on`` (``any`` is both) and
    ``prompt_contains``.
    """

    match: Mapping[str, str]
    fault: Fault
    #: Strikes left; None is without end.
    left: int | None
    #: Unix time from which it strikes no more; None is never.
    until: float | None = None

    MATCHES = frozenset({"operation", "provider", "key", "on", "path", "model", "prompt_contains"})

    def fits(self, occasion: Occasion) -> bool:
        if self.match.get("on", self.fault.on) not in ("any", occasion.on):
            return False
        if self.match.get("prompt_contains", "") not in occasion.prompt:
            return False
        return all(
            self.match.get(key, actual) == actual
            for key, actual in (
                ("operation", occasion.operation),
                ("provider", occasion.provider),
                ("key", occasion.key),
                ("path", occasion.path),
                ("model", occasion.model),
            )
        )

    def is_over(self, now: float) -> bool:
        return self.left == 0 or (self.until is not None and now >= self.until)

    def as_json(self, now: float) -> dict[str, Any]:
        told = {"match": dict(self.match), "fault": self.fault.name, "left": self.left, **self.fault.options}
        return told if self.until is None else {**told, "for_s": round(self.until - now, 3)}


class Rules:
    """The rules in force, and how often each counted directive has struck."""

    #: Counted directives remembered; the oldest is forgotten first.
    REMEMBERED = 10_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rules: list[Rule] = []
        self._strikes: dict[tuple[str, ...], int] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, rules: Iterable[Rule]) -> None:
        self._rules.extend(rules)

    def clear(self) -> None:
        self._rules.clear()
        self._strikes.clear()

    def as_json(self) -> list[dict[str, Any]]:
        now = self._clock()
        return [rule.as_json(now) for rule in self._rules if not rule.is_over(now)]

    def take(self, occasion: Occasion, reaches: Collection[Reach] = frozenset(Reach)) -> list[Fault]:
        """The faults of every rule that fits and has one of these reaches; each of them has then struck once more."""
        now = self._clock()
        taken = []
        for rule in self._rules:
            if not rule.is_over(now) and rule.fits(occasion) and FAULTS[rule.fault.name] in reaches:
                taken.append(rule.fault)
                if rule.left is not None:
                    rule.left -= 1
        self._rules = [rule for rule in self._rules if not rule.is_over(now)]
        return taken

    def strikes(self, fault: Fault, where: str) -> bool:
        """False once a fault with ``times`` has struck that often in the same place (prompt, task)."""
        if fault.times is None:
            return True
        key = (fault.name, *(f"{k}={v}" for k, v in sorted(fault.options.items())), where)
        struck = self._strikes.pop(key, 0) + 1
        self._strikes[key] = struck
        if len(self._strikes) > self.REMEMBERED:
            del self._strikes[next(iter(self._strikes))]
        return struck <= fault.times


def rule_from_json(data: object, now: float) -> Rule:
    """One entry of ``POST /_simulator/control`` ``faults``. Raises ValueError with a sentence for the caller."""
    if not isinstance(data, dict) or str(data.get("fault")) not in FAULTS:
        raise ValueError(f"a fault needs 'fault', one of: {', '.join(FAULTS)}")
    match = data.get("match", {})
    if not isinstance(match, dict) or not set(match) <= Rule.MATCHES:
        raise ValueError(f"'match' may hold: {', '.join(sorted(Rule.MATCHES))}")
    for_s = data.get("for_s")
    if for_s is not None and (not isinstance(for_s, int | float) or isinstance(for_s, bool) or for_s <= 0):
        raise ValueError("'for_s' is a number of seconds above 0")
    times = data.get("times", 1 if for_s is None else None)
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise ValueError("'times' is a whole number from 1, or null for always")
    options = {k: str(v) for k, v in data.items() if k not in {"fault", "match", "times", "for_s"}}
    if str(match.get("on", options.get("on", "submit"))) not in {"submit", "poll", "any"}:
        raise ValueError("'on' is submit, poll or any")
    wanted = {k: as_name(str(v)) if k == "key" else str(v) for k, v in match.items()}
    return Rule(wanted, Fault(str(data["fault"]), options), times, None if for_s is None else now + for_s)
