"""The price list and what it is applied to, read from two tables and checked whole: an error in them stops the program here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from itertools import combinations
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from jobs.catalogue import all_operations
from jobs.catalogue.spec import Expr, Operation
from jobs.pricing.units import INPUTS, OUTPUTS, TOKENS, Unit
from jobs.pricing.usage import DIALECTS

#: What means "the provider chooses" where a row says that it may.
LEFT_OPEN = (None, "auto")

#: Where an input names its model: the first of these that it has.
_MODEL_FIELDS = ("model", "model_name", "mv")


def _written_out(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('an amount of money is written as text ("0.50"), so that none of it is lost')
    return value


#: USD per unit, at most a million. Zero is no price: what is free is said otherwise than by a slip of the pen.
Usd = Annotated[Decimal, BeforeValidator(_written_out), Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Rates = Annotated[dict[Unit, Usd], Field(min_length=1)]
Words = Annotated[str, Field(min_length=1)]


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Long(Row):
    """Other rates, for all tokens of a call whose prompt is longer than this."""

    above_input_tokens: Annotated[int, Field(gt=0)]
    rates: Rates


class Price(Row):
    """One row of a price list; prices.toml says what its fields mean."""

    operations: Annotated[tuple[str, ...], Field(min_length=1)]
    models: tuple[Words, ...] = ()
    when: dict[str, Annotated[tuple[Words, ...], Field(min_length=1)]] = {}
    open: tuple[str, ...] = ()
    rates: Rates
    long: Long | None = None
    basis: Literal["official", "gateway"]
    discounted: bool
    use: Literal["both", "quote", "actual"] = "both"
    part: Words | None = None
    doubt: Words | None = None
    source: Words
    via: Words | None = None
    read: date | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Price:
        if self.basis == "gateway" and self.discounted:
            raise ValueError("a price of the gateway's own has its discount in it")
        if strange := set(self.open) - set(self.when):
            raise ValueError(f"left open, but no condition: {sorted(strange)}")
        if self.long and set(self.long.rates) != set(self.rates):
            raise ValueError("long prompts are priced by the same units as short ones")
        return self

    def allows(self, field: str, value: Any) -> bool:
        """This row holds for a field of this value, or may hold for what the provider will choose."""
        if value in LEFT_OPEN:
            return field in self.open
        return any(fnmatchcase(str(value), pattern) for pattern in self.when[field])

    def for_prompt_of(self, input_tokens: int) -> Mapping[Unit, Decimal]:
        """The rates for a prompt of so many tokens."""
        return self.long.rates if self.long and input_tokens > self.long.above_input_tokens else self.rates


class Listed(Price):
    """One of the list that this program comes with: it says which page it is from, and when that was read."""

    source: Annotated[str, Field(pattern=r"^https://\S+")]
    read: date


class Own(Price):
    """One of the operator's, which goes before those of the list."""

    @property
    def flat(self) -> bool:
        """So much for each call, whatever is in it."""
        return set(self.rates) == {Unit.REQUEST}


class Measure(Row):
    """What is counted where for these operations; measures.toml says what its fields mean."""

    operations: Annotated[tuple[str, ...], Field(min_length=1)]
    defaults: dict[str, str] = {}
    images: Expr | None = None
    images_most: Expr | None = None
    images_done: Expr | None = None
    seconds: Expr | None = None
    heard_s: Expr | None = None
    text: Expr | None = None
    answers: Expr = "`1`"
    answer_most: Expr | None = None
    usage: str | None = None
    apart: dict[str, Expr] = {}
    unseen: dict[str, Expr] = {}

    @model_validator(mode="after")
    def _read_somehow(self) -> Measure:
        if self.usage is not None and self.usage not in DIALECTS:
            raise ValueError(f"no such way to read a usage: {self.usage}")
        return self


class PriceList:
    """All prices by operation, and how each operation is measured.

    The operator's own prices for an operation, or for some of its models, take the place of those of the list.
    """

    def __init__(self, prices: Iterable[Price], measures: Iterable[Measure], own: Iterable[Own] = ()) -> None:
        self._rows, self._ways = tuple(prices), tuple(measures)
        self._prices: dict[str, list[Price]] = {}
        self._own: dict[str, list[Own]] = {}
        self._measures: dict[str, Measure] = {}
        for price in self._rows:
            for name in price.operations:
                self._prices.setdefault(name, []).append(price)
        for mine in own:
            for name in mine.operations:
                self._own.setdefault(name, []).append(mine)
        for measure in self._ways:
            for name in measure.operations:
                if self._measures.setdefault(name, measure) is not measure:
                    raise ValueError(f"{name} is measured twice")

    def with_own(self, own: Iterable[Own]) -> PriceList:
        """The same, with the operator's prices before it."""
        return PriceList(self._rows, self._ways, own)

    def prices(self, operation: str) -> tuple[Price, ...]:
        """Every row that concerns this operation, the operator's first; none: nothing is known."""
        own = self._own.get(operation, [])
        if any(not row.models for row in own):
            return tuple(own)
        taken = {model for row in own for model in row.models}
        listed = self._prices.get(operation, [])
        return (*own, *(row for row in listed if not row.models or not taken.issuperset(row.models)))

    def prices_for(self, operation: str, model: Any) -> list[Price]:
        """The rows that concern this operation when asked of this model.

        The operator's go before the list's, and of these one for the model before one for any.
        """
        own = self._own.get(operation, [])
        found: list[Price] = [row for row in own if model in row.models] or [row for row in own if not row.models]
        return found or [row for row in self._prices.get(operation, []) if not row.models or model in row.models]

    def measure(self, operation: str) -> Measure:
        """How it is measured; where nothing says so, only calls are counted."""
        return self._measures.get(operation) or Measure(operations=(operation,))

    def measured(self) -> frozenset[str]:
        return frozenset(self._measures)

    def priced(self) -> frozenset[str]:
        """The operations of which a price is known, if only for some calls."""
        return frozenset(self._prices) | frozenset(self._own)

    def own(self) -> frozenset[str]:
        """The operations that the operator priced."""
        return frozenset(self._own)

    def __iter__(self) -> Iterator[tuple[str, Price]]:
        """(operation, row), each row once for each of its operations."""
        return ((name, price) for name in sorted(self.priced()) for price in self.prices(name))


@cache
def price_list() -> PriceList:
    """The list this program comes with."""
    here = resources.files(__package__)
    return load((here / "prices.toml").read_text("utf-8"), (here / "measures.toml").read_text("utf-8"), all_operations())


def load(prices: str, measures: str, operations: Mapping[str, Operation]) -> PriceList:
    """Reads both tables (TOML). Raises ValueError for whatever cannot be right, and says what."""
    listed = PriceList(
        TypeAdapter(list[Listed]).validate_python(_rows(prices, "price")),
        TypeAdapter(list[Measure]).validate_python(_rows(measures, "measure")),
    )
    for name in {*listed.measured(), *(name for name, _ in listed)}:
        if name not in operations:
            raise ValueError(f"there is no operation {name}")
    for name, price in listed:
        if name not in listed.measured():
            raise ValueError(f"{name} has a price, but nothing says how it is measured")
        for _, problem in problems(operations[name], price, listed.measure(name)):
            raise ValueError(problem)
    for name in listed.measured():
        for price, other in combinations(listed.prices(name), 2):
            if both_hold(price, other):
                raise ValueError(f"{name} is priced twice for the same call ({price.source}; {other.source})")
    return listed


def _rows(text: str, table: str) -> Any:
    document = tomllib.loads(text, parse_float=_no_floats)
    if strange := set(document) - {table}:
        raise ValueError(f"not a table of {table}s: {sorted(strange)}")
    return document.get(table, [])


def _no_floats(text: str) -> NoReturn:
    raise ValueError(f"money is never a float: {text}")


def model_field(operation: Operation) -> str:
    """The field of the input that names the model."""
    fields = operation.input_schema.get("properties", {})
    return next((name for name in _MODEL_FIELDS if name in fields), _MODEL_FIELDS[0])


def problems(operation: Operation, price: Price, measure: Measure) -> Iterator[tuple[str, str]]:
    """(field of the row, what is wrong with it). A condition must be a field of the input that can have the value; a unit must
    be one that can be counted.
    """
    fields: Mapping[str, Any] = operation.input_schema.get("properties", {})
    conditions = [(f"when.{field}", field, values) for field, values in price.when.items()]
    if price.models:
        conditions.append(("models", model_field(operation), price.models))
    for place, field, values in conditions:
        if field not in fields:
            yield place, f"{operation.name} has no field {field}"
            continue
        known = fields[field].get("enum")
        if strange := [value for value in values if known is not None and "*" not in value and value not in known]:
            yield place, f"{operation.name}: {field} is never {strange}"
    if strange_units := sorted(set(price.rates) - _countable(operation, measure)):
        yield "rates", f"{operation.name}: nothing counts {', '.join(strange_units)}"
    elif missing := _unpriced(price, measure):
        yield "rates", f"{operation.name}: prices tokens, and not those that every call takes; write {missing} too"


def _unpriced(price: Price, measure: Measure) -> str | None:
    """The kind of token that every call takes and this row, which prices others, does not."""
    priced, counted = set(price.rates), DIALECTS[measure.usage].units if measure.usage else frozenset()
    # Words beside a sound that is heard are the exception.
    if priced & TOKENS and Unit.INPUT not in priced and measure.heard_s is None:
        return Unit.INPUT
    if priced <= INPUTS and (written := counted & OUTPUTS):
        return " or ".join(sorted(written))
    return None


def _countable(operation: Operation, measure: Measure) -> set[Unit]:
    countable = {Unit.REQUEST}
    countable |= TOKENS if measure.usage else set()
    countable |= {Unit.IMAGE} if measure.images or measure.images_done else set()
    countable |= {Unit.SECOND_OF_VIDEO} if operation.modality == "video" else set()
    countable |= {Unit.MINUTE_OF_AUDIO} if measure.heard_s else set()
    countable |= {Unit.CHARACTERS} if measure.text else set()
    return countable


def both_hold(one: Price, other: Price) -> bool:
    """Some call fits both rows, and both are used at the same moment."""
    if "both" not in (one.use, other.use) and one.use != other.use:
        return False
    if one.models and other.models and set(one.models).isdisjoint(other.models):
        return False
    shared = set(one.when) & set(other.when)
    return all(any(_meet(a, b) for a in one.when[field] for b in other.when[field]) for field in shared)


def _meet(one: str, other: str) -> bool:
    return fnmatchcase(one, other) or fnmatchcase(other, one)
