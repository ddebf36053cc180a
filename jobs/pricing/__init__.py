"""What a call will cost, and what it has cost: pure arithmetic over a price list with sources.

Amounts are Decimal USD. A sum is rounded once, at its end, to six places, half to even: a millionth of a dollar is the smallest
amount there is, and less than half of one is none. What is not known is None, never zero.

The operator's own prices, in a file of the same form, go before those of the list: `in_force(path)`.

The gateway's discount (0.8: four fifths of the official price) is the caller's; it is taken off official prices only, where the
row of the list says so.

* `quote(operation, input, discount=…)` before the call: exact, an upper bound or an estimate, or unknown and why
* `actual(operation, input, values, artifacts, discount=…)` after a success: by the usage reported and by what was delivered
"""

from __future__ import annotations

from jobs.pricing.counting import Artifact
from jobs.pricing.own import PricesWrong, in_force
from jobs.pricing.reckoning import Kind, Line, Quote, actual, quote
from jobs.pricing.tariff import Price, PriceList, load, price_list
from jobs.pricing.units import Unit

__all__ = [
    "Artifact",
    "Kind",
    "Line",
    "Price",
    "PriceList",
    "PricesWrong",
    "Quote",
    "Unit",
    "actual",
    "in_force",
    "load",
    "price_list",
    "quote",
]

# Wrong tables stop the program when it starts, not the first job that is priced.
price_list()
