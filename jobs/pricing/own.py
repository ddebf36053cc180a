"""The operator's own prices: a TOML file in the form of prices.toml, with less ceremony and checked as strictly.

    [[price]]                                   # so much for each call
    operations = ["suno.music"]
    usd = "0.50"

    [[price]]                                   # or by what is counted, as the list does
    operations = ["openai.chat"]
    models = ["gpt-4o"]
    rates = { million_input_tokens = "2.00", million_output_tokens = "8.00" }

    [[free]]                                    # nothing at all, which is not the same as unknown
    operations = ["suno.lyrics"]

Its rows take the place of the list's for their operations; a row that names models only for these.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from jobs.catalogue import all_operations
from jobs.catalogue.spec import Operation
from jobs.pricing.tariff import Own, PriceList, Row, Words, both_hold, price_list, problems
from jobs.pricing.units import Unit

#: The source of a price whose row names none.
YOURS = "your own price list"
_TABLES = ("price", "free")


class PricesWrong(ValueError):
    """The operator's prices cannot be right; the message has a line for each mistake, with its file, row and field."""


class _Written(Own):
    """A row as the operator may write it."""

    basis: Literal["official", "gateway"] = "gateway"
    discounted: bool = False
    source: Words = YOURS

    @model_validator(mode="before")
    @classmethod
    def _of_a_call(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if "usd" in given and "rates" in given:
            raise ValueError("says its price twice: usd is for each call, rates by what is counted")
        if "usd" not in given:
            if "rates" not in given:
                raise ValueError('says no price: usd = "0.50" for each call, or rates by what is counted')
            return given
        return {name: value for name, value in given.items() if name != "usd"} | {"rates": {Unit.REQUEST.value: given["usd"]}}

    @model_validator(mode="before")
    @classmethod
    def _of_whose_list(cls, given: Any) -> Any:
        """The gateway takes its discount off official prices only."""
        return {"basis": "official", **given} if isinstance(given, dict) and given.get("discounted") is True else given


class _Free(Row):
    operations: Annotated[tuple[str, ...], Field(min_length=1)]
    models: tuple[Words, ...] = ()
    source: Words = YOURS

    def price(self) -> Own:
        """Zero for each call; not validated, because nobody else may say zero."""
        return Own.model_construct(
            operations=self.operations,
            models=self.models,
            rates={Unit.REQUEST: Decimal(0)},
            basis="gateway",
            discounted=False,
            source=self.source,
        )


class _Place(NamedTuple):
    """A row of the file: its table, its number there from 1, and the line it begins on (None: not found)."""

    table: str
    number: int
    line: int | None

    def __str__(self) -> str:
        at = f" (line {self.line})" if self.line else ""
        return f"[[{self.table}]] {self.number}{at}"


def in_force(own: Path | None) -> PriceList:
    """The list this program comes with, and before it the operator's own prices, if there are any.

    Read once a process. Raises PricesWrong that names every mistake.
    """
    return price_list() if own is None else _read(own.absolute(), called=str(own))


@cache
def _read(file: Path, *, called: str) -> PriceList:
    try:
        # Some editors of Windows begin a file with a mark that TOML does not know.
        return with_own(file.read_text("utf-8-sig"), price_list(), all_operations(), called=called)
    except OSError as error:
        raise PricesWrong(f"{called}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PricesWrong(f"{called}: is no text in UTF-8") from None


def with_own(text: str, listed: PriceList, operations: Mapping[str, Operation], *, called: str) -> PriceList:
    """`listed` with the prices of `text` (TOML) before it. Raises PricesWrong; `called`: the file's name in it."""
    try:
        # Decimal, so that an amount without its quotes is found and told where it stands.
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise PricesWrong(f"{called}: {error}") from None
    rows: list[tuple[_Place, Own]] = []
    mistakes: list[str] = []
    for table, entries in document.items():
        if table not in _TABLES:
            mistakes.append(f"{table} is no table of prices{_near(table, _TABLES)}; there are [[price]] and [[free]]")
        elif not isinstance(entries, list):
            mistakes.append(f"[{table}] is written [[{table}]], with two brackets: there may be many")
        else:
            for place, entry in zip(_places(text, table, len(entries)), entries, strict=True):
                read, wrong = _row(place, entry, listed, operations)
                rows += [(place, read)] if read is not None else []
                mistakes += wrong
    mistakes += _doubles(rows)
    if mistakes:
        raise PricesWrong("\n".join(f"{called}: {mistake}" for mistake in mistakes))
    return listed.with_own(row for _, row in rows)


def _row(place: _Place, entry: Any, listed: PriceList, operations: Mapping[str, Operation]) -> tuple[Own | None, list[str]]:
    """The row, if it can be read, and all that is wrong with it."""
    try:
        row = _Free.model_validate(entry).price() if place.table == "free" else _Written.model_validate(entry)
    except ValidationError as error:
        return None, [f"{place}{_field(one, entry)}: {_said(one, place.table)}" for one in error.errors()]
    wrong = []
    for name in row.operations:
        if (operation := operations.get(name)) is None:
            wrong.append(f"{place}, operations: there is no operation {name}{_near(name, operations)}")
        else:
            wrong += [f"{place}, {field}: {said}" for field, said in problems(operation, row, listed.measure(name))]
    return row, wrong


def _doubles(rows: list[tuple[_Place, Own]]) -> Iterator[str]:
    """Rows that both hold for some call. One that names a model goes before one that does not."""
    for (place, row), (other_place, other) in combinations(rows, 2):
        shared = [name for name in row.operations if name in other.operations]
        if shared and bool(row.models) == bool(other.models) and both_hold(row, other):
            yield f"{other_place}: prices {', '.join(shared)} for calls that {place} prices too"
    for place, row in rows:
        if len(set(row.operations)) < len(row.operations):
            yield f"{place}, operations: names one twice"


def _places(text: str, table: str, count: int) -> list[_Place]:
    header = re.compile(rf"\s*\[\[\s*[\"']?{table}[\"']?\s*\]\]")
    lines: list[int | None] = [number for number, line in enumerate(text.splitlines(), start=1) if header.match(line)]
    if len(lines) != count:  # written in another way, or quoted in a longer text
        lines = [None] * count
    return [_Place(table, number, line) for number, line in enumerate(lines, start=1)]


def _field(error: Any, entry: Any) -> str:
    names = [str(part) for part in error["loc"] if part != "[key]"]
    if names == ["rates", Unit.REQUEST.value] and "usd" in entry:
        names = ["usd"]
    return f", {'.'.join(names)}" if names else ""


def _said(error: Any, table: str) -> str:
    match error["type"]:
        case "extra_forbidden":
            known = _Free.model_fields if table == "free" else [*_Written.model_fields, "usd"]
            return f"is no field of [[{table}]]{_near(str(error['loc'][-1]), known)}"
        case "missing":
            return "is missing"
        case "tuple_type":
            return 'must be a list: ["…"]'
        case "dict_type":
            return 'must be a table: { … = "…" }'
        case "model_type":
            return f"must be a table: [[{table}]], and below it a line for each field"
        case "greater_than" if "rates" in error["loc"] and _is_zero(error["input"]):
            return "must be greater than 0; what costs nothing has a row [[free]]"
        case _:
            return str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _is_zero(written: Any) -> bool:
    try:
        return Decimal(written) == 0
    except (InvalidOperation, TypeError):
        return False


def _near(name: str, there: Collection[str]) -> str:
    near = difflib.get_close_matches(name, there, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
