"""The arithmetic: which rows of the list hold for a call, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any, Literal

from jobs.catalogue.spec import Operation
from jobs.pricing import counting
from jobs.pricing.counting import Artifact, Count, Unknown
from jobs.pricing.tariff import LEFT_OPEN, Measure, Own, Price, PriceList, model_field, price_list
from jobs.pricing.units import INPUTS, OUTPUTS, TOKENS, Unit

#: The smallest amount of money there is.
_MILLIONTH = Decimal("0.000001")
#: No call costs more, in USD: a larger sum says that something was miscounted, and fits into no ledger.
_MOST_USD = Decimal(1_000_000_000)
#: Why there is no price for it.
_TOO_DEEP = "the input is nested too deep to be counted"


class Kind(StrEnum):
    """How a quote relates to the bill, as far as the list goes."""

    #: Everything that is counted is in the input.
    EXACT = "exact"
    #: The bill will not be higher.
    UPPER_BOUND = "upper bound"
    #: The bill may be somewhat higher or lower.
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Line:
    """So much of something at such a price. `amount` counts single images, seconds, tokens, …; `usd` is per `unit`."""

    unit: Unit
    amount: Decimal
    usd: Decimal
    #: What the price is multiplied by; 1: no discount.
    factor: Decimal
    basis: Literal["official", "gateway"]
    source: str
    #: When the source said so; None: the operator's own price.
    read: date | None

    @property
    def total(self) -> Decimal:
        """Not rounded."""
        return self.usd * self.amount * self.factor / self.unit.size


@dataclass(frozen=True, slots=True)
class Quote:
    """Before the call. `usd` and `kind` are None when the price is not known; `why` then says why, and else what to be aware of."""

    usd: Decimal | None
    kind: Kind | None
    lines: tuple[Line, ...] = ()
    why: str | None = None

    @property
    def unknown(self) -> str:
        """Why the price is not known, when it is not."""
        return self.why or "no price is known"


def quote(operation: Operation, given: Mapping[str, Any], *, discount: Decimal, prices: PriceList | None = None) -> Quote:
    """What this call will cost.

    given: the input of a job, already found valid. Raises TypeError or ValueError for a discount that is none.
    """
    _check_discount(discount)
    try:
        return _quoted(operation, given, discount, prices or price_list())
    except Unknown as reason:
        return Quote(None, None, why=str(reason))
    except RecursionError:
        return Quote(None, None, why=_TOO_DEEP)


def actual(
    operation: Operation,
    given: Mapping[str, Any],
    values: Any,
    artifacts: Iterable[Artifact],
    *,
    discount: Decimal,
    prices: PriceList | None = None,
) -> Decimal | None:
    """What a call that succeeded has cost, by the usage in its result and by what it delivered; None: not known.

    given: the input as it was sent. values: the job's `output`. artifacts: what was stored of it.
    """
    _check_discount(discount)
    try:
        return _spent(operation, given, values, artifacts, discount, prices or price_list())
    except (Unknown, RecursionError):
        return None


def _quoted(operation: Operation, given: Mapping[str, Any], discount: Decimal, listed: PriceList) -> Quote:
    rows, measure, whole = _fitting(operation, given, listed, "quote")
    choices = [(row, *_lines_before(operation, measure, whole, row, discount)) for row in rows]
    row, lines, exact = max(choices, key=lambda choice: _sum(choice[1]))
    if row.doubt or row.use == "quote":
        kind, why = Kind.ESTIMATE, row.doubt or "the bill is made by tokens"
    elif not exact or len(rows) > 1:
        kind, why = Kind.UPPER_BOUND, "the most it can be"
    else:
        kind, why = Kind.EXACT, None
    return Quote(_rounded(_sum(lines)), kind, lines, why)


def _spent(
    operation: Operation,
    given: Mapping[str, Any],
    values: Any,
    artifacts: Iterable[Artifact],
    discount: Decimal,
    listed: PriceList,
) -> Decimal:
    rows, measure, whole = _fitting(operation, given, listed, "actual")
    if len(rows) > 1:
        raise Unknown("the result does not say what the provider chose")
    row = rows[0]
    counted = counting.after(row.rates, operation, measure, whole, values, artifacts)
    rates = row.for_prompt_of(int(sum(amount for unit, amount in counted.items() if unit in INPUTS)))
    if strange := set(counted) - set(rates):
        raise Unknown(f"no price is known for {', '.join(sorted(strange))}")
    return _rounded(_sum([_line(row, unit, rates[unit], amount, discount) for unit, amount in counted.items()]))


def _fitting(
    operation: Operation, given: Mapping[str, Any], listed: PriceList, moment: str
) -> tuple[list[Price], Measure, dict[str, Any]]:
    """The rows that hold for this call, how it is measured, and its input as the provider takes it. Raises Unknown."""
    if not listed.prices(operation.name):
        raise Unknown("no price is known for this operation")
    measure = listed.measure(operation.name)
    whole = counting.taken(operation, measure, given)
    model = whole.get(model_field(operation))
    rows = listed.prices_for(operation.name, model)
    # Who says what a call costs has thought of what is in it.
    flat = bool(rows) and all(isinstance(row, Own) and row.flat for row in rows)
    if not flat and (reason := counting.beyond(measure.apart, whole)) is not None:
        raise Unknown(f"no price is known for {reason}")
    if not rows:
        raise Unknown(f"no price is known for the model {model}")
    rows = [row for row in rows if row.use in ("both", moment)]
    if not rows:
        raise Unknown("the price is known only after the call" if moment == "quote" else "the price is known only as an estimate")
    for field in sorted({field for row in rows for field in row.when}):
        rows = [row for row in rows if field not in row.when or row.allows(field, whole.get(field))]
        if not rows:
            raise Unknown(_not_priced(field, whole.get(field)))
    if part := next((row for row in rows if row.part), None):
        raise Unknown(f"only a part of the price is known: {part.part}")
    return rows, measure, whole


def _not_priced(field: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"the price depends on {field}, which another job will make"
    return f"no price is known {f'without {field}' if value in LEFT_OPEN else f'for {field} {value}'}"


def _lines_before(
    operation: Operation, measure: Measure, whole: Mapping[str, Any], row: Price, discount: Decimal
) -> tuple[tuple[Line, ...], bool]:
    """What this row makes of the call, and whether all of it was counted exactly."""
    counts: dict[Unit, Count] = {}
    for unit in row.rates:
        if unit not in TOKENS:
            counts[unit] = counting.before(unit, operation, measure, whole)
    # Which tokens will be cached, spoken or drawn is not known: all that come out are taken for the dearest kind.
    for kinds in (INPUTS, OUTPUTS):
        if own := [unit for unit in row.rates if unit in kinds]:
            counts[own[0]] = counting.before(own[0], operation, measure, whole)
    read = sum((int(count.amount) for unit, count in counts.items() if unit in INPUTS), 0)
    rates = row.for_prompt_of(read)
    lines = []
    for unit, count in counts.items():
        priced = _dearest(unit, rates, whole) if unit in TOKENS else unit
        lines.append(_line(row, priced, rates[priced], count.amount, discount))
    return tuple(lines), all(count.exact for count in counts.values())


def _dearest(unit: Unit, rates: Mapping[Unit, Decimal], whole: Mapping[str, Any]) -> Unit:
    """The kind of token that costs most of those that this one may turn out to be."""
    if unit in OUTPUTS:
        kinds = OUTPUTS
    elif counting.asks_to_keep(whole):
        kinds = INPUTS
    else:
        kinds = frozenset({Unit.INPUT})
    if not (priced := [one for one in rates if one in kinds]):
        raise Unknown(f"no price is known for {', '.join(sorted(kinds))}")
    return max(priced, key=lambda one: rates[one])


def _line(row: Price, unit: Unit, usd: Decimal, amount: Decimal, discount: Decimal) -> Line:
    return Line(unit, amount, usd, discount if row.discounted else Decimal(1), row.basis, row.source, row.read)


def _sum(lines: Iterable[Line]) -> Decimal:
    return sum((line.total for line in lines), Decimal())


def _rounded(usd: Decimal) -> Decimal:
    """To the smallest amount there is. Raises Unknown for more than a call can cost."""
    if usd > _MOST_USD:
        raise Unknown("it comes to more than any call costs")
    return usd.quantize(_MILLIONTH, ROUND_HALF_EVEN)


def _check_discount(discount: Decimal) -> None:
    if not isinstance(discount, Decimal):
        raise TypeError(f"a discount is a Decimal, not a {type(discount).__name__}")
    if not discount.is_finite() or discount <= 0:
        raise ValueError(f"no discount: {discount}")
