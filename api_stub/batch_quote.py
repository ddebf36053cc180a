"""What the jobs of a batch are quoted, added up while its lines go by."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from api_stub.admission import Demand, Unpriced
from jobs.pricing import Quote
from jobs.view import amount

#: Lines of one reason that are named.
_MOST_LINES = 20


class Priced(NamedTuple):
    """A line that runs, and what it is quoted."""

    line: int
    job_id: str
    operation: str
    quote: Quote


@dataclass
class Tally:
    """The lines that run, by operation and kind of quote; those of unknown price by operation and reason; the others shared."""

    jobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    usd: defaultdict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    unpriced: defaultdict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    #: How many are quoted just so much.
    quotes: Counter[Decimal] = field(default_factory=Counter)
    #: Lines that cost nothing, because an equal job runs or has run for them.
    shared: int = 0

    def add(self, one: Priced) -> None:
        if one.quote.usd is None or one.quote.kind is None:
            self.unpriced[one.operation, one.quote.unknown].append(one.line)
        else:
            self.jobs[one.operation, one.quote.kind.value] += 1
            self.usd[one.operation, one.quote.kind.value] += one.quote.usd
            self.quotes[one.quote.usd] += 1

    def without(self, served: Iterable[Priced]) -> Tally:
        """As if these had never run: they share what others make."""
        rest = Tally(self.jobs.copy(), self.usd.copy(), quotes=self.quotes.copy(), shared=self.shared)
        lines: set[int] = set()
        for one in served:
            lines.add(one.line)
            rest.shared += 1
            if one.quote.usd is not None and one.quote.kind is not None:
                rest.jobs[one.operation, one.quote.kind.value] -= 1
                rest.usd[one.operation, one.quote.kind.value] -= one.quote.usd
                rest.quotes[one.quote.usd] -= 1
        for key, found in self.unpriced.items():
            rest.unpriced[key] = [line for line in found if line not in lines]
        return rest

    @property
    def total_usd(self) -> Decimal:
        return sum(self.usd.values(), Decimal(0))

    @property
    def shown_usd(self) -> Decimal | None:
        """The total; None where lines have a price that is unknown and none has one that is known: never zero for unknown."""
        return None if any(self.unpriced.values()) and not any(self.jobs.values()) else self.total_usd

    def demand(self, jobs: int) -> Demand:
        unknown = [Unpriced(operation, why, line) for (operation, why), lines in self.unpriced.items() for line in lines]
        dearest = max((usd for usd, jobs in self.quotes.items() if jobs), default=Decimal(0))
        return Demand(jobs, self.total_usd, dearest, sorted(unknown, key=lambda one: one.line or 0))

    def shown(self, jobs: int, max_cost_usd: Decimal | None) -> dict[str, Any]:
        """The quote of a batch as the API answers it."""
        return {
            "object": "batch_quote",
            "valid": True,
            "jobs": jobs,
            "estimated_usd": amount(self.shown_usd),
            "max_cost_usd": amount(max_cost_usd),
            "shared": self.shared,
            "unknown": {
                "jobs": sum(len(lines) for lines in self.unpriced.values()),
                "reasons": [
                    {"operation": operation, "why": why, "jobs": len(lines), "lines": lines[:_MOST_LINES]}
                    for (operation, why), lines in sorted(self.unpriced.items())
                    if lines
                ],
            },
            "operations": [
                {"operation": operation, "kind": kind, "jobs": count, "estimated_usd": amount(self.usd[operation, kind])}
                for (operation, kind), count in sorted(self.jobs.items())
                if count
            ],
        }
