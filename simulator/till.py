"""The account's money: what each call cost, what came back, and what is left.

Charged at submit, given back when a task fails, as the stock gateway does it (gateway-errors-billing.md section 8).
Amounts are decimals from the price list to the answer: a cent that a float loses is a cent nobody finds again. Kept in
memory: the ledger file is the record.

The account's balance is only shown until somebody sets it; then it is enforced, as a balance of a key is from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from simulator.agenda import Agenda

_NOTHING = Decimal(0)


@dataclass(slots=True)
class Turnover:
    """What went out and what came back, in USD."""

    charged: Decimal = _NOTHING
    refunded: Decimal = _NOTHING
    #: Charges; a refund takes none of them back.
    times: int = 0

    @property
    def net(self) -> Decimal:
        return self.charged - self.refunded


class Till:
    """Money by key, operation and day. Keys go by their names in the ledger (see `keys`)."""

    def __init__(self, balance_usd: Decimal, clock: Callable[[], float]) -> None:
        self._refunds = Agenda(clock)
        self._filled_usd = balance_usd
        self._is_enforced = False
        #: What each key with a balance of its own has left.
        self._purses: dict[str, Decimal] = {}
        self._turnover: defaultdict[tuple[date, str, str], Turnover] = defaultdict(Turnover)

    def can_pay(self, key: str, usd: Decimal) -> bool:
        """What is free can always be paid, also by a key in debt."""
        if not usd:
            return True
        self._refunds.catch_up()
        purse = self._purses.get(key)
        if purse is not None and purse < usd:
            return False
        return not self._is_enforced or self.balance >= usd

    def charge(self, key: str, operation: str, usd: Decimal) -> None:
        turnover = self._turnover[_day_of(self._refunds.catch_up()), key, operation]
        turnover.charged += usd
        turnover.times += 1
        if key in self._purses:
            self._purses[key] -= usd

    def refund_at(self, moment: float, key: str, operation: str, usd: Decimal) -> None:
        """What was charged comes back at that Unix time."""

        def refund(at: float) -> None:
            self._turnover[_day_of(at), key, operation].refunded += usd
            if key in self._purses:
                self._purses[key] += usd

        self._refunds.put(moment, refund)

    @property
    def balance(self) -> Decimal:
        """The account's, in USD."""
        self._refunds.catch_up()
        return self._filled_usd - _sum(self._turnover.values()).net

    def fill(self, usd: Decimal) -> None:
        """The account has `usd` from now on, and what it has not it cannot pay."""
        self._filled_usd += usd - self.balance
        self._is_enforced = True

    def give_key(self, key: str, usd: Decimal | None) -> None:
        """The key has `usd` of its own from now on; None takes its balance away, so that only the account's counts."""
        self._refunds.catch_up()
        if usd is None:
            self._purses.pop(key, None)
        else:
            self._purses[key] = usd

    @property
    def is_enforced(self) -> bool:
        """Whether the account's balance is, since somebody set it."""
        return self._is_enforced

    def purses(self) -> dict[str, Decimal]:
        """What each key with a balance of its own has left."""
        self._refunds.catch_up()
        return dict(self._purses)

    def money(self) -> dict[str, Any]:
        """The body of ``GET /_simulator/money``."""
        self._refunds.catch_up()
        by_key: defaultdict[str, list[Turnover]] = defaultdict(list)
        by_operation: defaultdict[str, list[Turnover]] = defaultdict(list)
        for (_, key, operation), turnover in self._turnover.items():
            by_key[key].append(turnover)
            by_operation[operation].append(turnover)
        return {
            **_told(self._turnover.values()),
            "balance_usd": as_usd(self.balance),
            "by_key": {key: _told(by_key[key]) for key in sorted(by_key)},
            "by_operation": {operation: _told(by_operation[operation]) for operation in sorted(by_operation)},
        }

    def statement(self, asker: str, first: date | None = None, last: date | None = None) -> dict[str, Any]:
        """The body of ``GET /user/quota``, asked with the key `asker`; with both days given, also what each day used.

        The vendor's amounts are JSON numbers; they become floats here and nowhere earlier.
        """
        self._refunds.catch_up()
        total = _sum(self._turnover.values())
        keys = sorted({asker, *self._purses, *(key for _, key, _ in self._turnover)})
        statement: dict[str, Any] = {
            "username": "simulator",
            "total_quota": _number(self.balance),
            "total_used_quota": _number(total.net),
            "request_count": total.times,
            "keys": [
                {
                    "name": key,
                    "remain_quota": _number(self._purses[key]) if key in self._purses else -1,
                    "used_quota": _number(_sum(one for (_, whose, _), one in self._turnover.items() if whose == key).net),
                }
                for key in keys
            ],
        }
        if first is not None and last is not None:
            days = sorted({day for day, _, _ in self._turnover if first <= day <= last})
            statement["daily_quota"] = {day.isoformat(): self._day(day) for day in days}
        return statement

    def _day(self, day: date) -> list[dict[str, Any]]:
        rows = []
        for key in sorted({key for when, key, _ in self._turnover if when == day}):
            used = _sum(one for (when, whose, _), one in self._turnover.items() if (when, whose) == (day, key))
            rows.append({"token_name": key, "quota_used": _number(used.net), "request_count": used.times})
        return rows


def read_usd(given: object) -> Decimal:
    """An amount as decimal text or as a number, not negative. Raises ValueError with a sentence for the caller."""
    try:
        # A number is taken as it was written: its shortest text, not the binary fraction.
        usd = Decimal(str(given)) if isinstance(given, str | int | float) and not isinstance(given, bool) else None
    except InvalidOperation:
        usd = None
    if usd is None or not usd.is_finite() or usd < 0:
        raise ValueError('an amount of money is decimal text from "0"')
    return usd


def _day_of(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()


def as_usd(amount: Decimal) -> str:
    """``0.28``, ``3``, ``0``: no exponent, no zeros at the end."""
    return f"{amount.normalize():f}" if amount else "0"


def _sum(turnovers: Iterable[Turnover]) -> Turnover:
    total = Turnover()
    for one in turnovers:
        total.charged += one.charged
        total.refunded += one.refunded
        total.times += one.times
    return total


def _told(turnovers: Iterable[Turnover]) -> dict[str, str]:
    total = _sum(turnovers)
    return {
        "charged_usd": as_usd(total.charged),
        "refunded_usd": as_usd(total.refunded),
        "net_usd": as_usd(total.net),
    }


def _number(usd: Decimal) -> float:
    return float(round(usd, 6))
