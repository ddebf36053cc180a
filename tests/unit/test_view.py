"""How things look from outside, as far as no database is needed to see it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jobs import view


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("100", "100.00"),
        ("100.000000", "100.00"),
        ("0.013500", "0.0135"),
        ("0.000001", "0.000001"),
        ("2.5", "2.50"),
        ("1200", "1200.00"),
        ("1E+3", "1000.00"),
        ("0E-6", "0.00"),
    ],
)
def test_an_amount_is_shown_to_the_cent_or_as_much_finer_as_it_is(usd: str, shown: str) -> None:
    assert view.amount(Decimal(usd)) == shown


def test_an_unknown_amount_is_not_zero() -> None:
    assert view.amount(None) is None
