"""The account's money, for the balance query.

Charged at submit, given back when a task fails, as the stock gateway does it (gateway-errors-billing.md section 8).
Kept in memory: the ledger file is the record.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any


class Till:
    KEY_NAME = "default"

    def __init__(self, balance_usd: float) -> None:
        self._filled_usd = balance_usd
        self._used_usd: defaultdict[date, float] = defaultdict(float)
        self._requests: defaultdict[date, int] = defaultdict(int)

    def charge(self, usd: float) -> None:
        today = datetime.now(UTC).date()
        self._used_usd[today] += usd
        self._requests[today] += 1

    def refund(self, usd: float) -> None:
        self._used_usd[datetime.now(UTC).date()] -= usd

    def statement(self, first: date | None = None, last: date | None = None) -> dict[str, Any]:
        """The body of ``GET /user/quota``; with both days given, also what each day between them used."""
        used = sum(self._used_usd.values())
        statement: dict[str, Any] = {
            "username": "simulator",
            "total_quota": round(self._filled_usd - used, 6),
            "total_used_quota": round(used, 6),
            "request_count": sum(self._requests.values()),
            "keys": [{"name": self.KEY_NAME, "remain_quota": -1, "used_quota": round(used, 6)}],
        }
        if first is not None and last is not None:
            statement["daily_quota"] = {
                day.isoformat(): [
                    {
                        "token_name": self.KEY_NAME,
                        "quota_used": round(self._used_usd[day], 6),
                        "request_count": self._requests[day],
                    }
                ]
                for day in sorted(self._used_usd)
                if first <= day <= last
            }
        return statement
