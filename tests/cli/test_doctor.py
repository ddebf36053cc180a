"""`doctor` about money: what the accounts hold, which prices are old, what is paused. It warns, and the exit code stays 0."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import servers
from terminal import Command

from api_stub.cli.doctor import stale_prices
from jobs import pricing
from jobs.catalogue import all_operations


def findings(mediamill: Command, part: str) -> list[tuple[str, bool]]:
    """What it says of a part, and whether that is a warning."""
    told = json.loads(mediamill("doctor", "--json").out)
    return [(one["said"], one["warning"]) for one in told if one["part"] == part]


@pytest.fixture
def gateway(upstream: servers.Simulator, monkeypatch: pytest.MonkeyPatch) -> servers.Simulator:
    """The simulator in the gateway's place, its account with 50 USD."""
    monkeypatch.setenv("MEDIAMILL_UPSTREAM_URL", upstream.url)
    monkeypatch.setenv("MEDIAMILL_BALANCE_URL", f"{upstream.url}/user/quota")
    monkeypatch.setenv("COMETAPI_KEY", "sk-test")
    return upstream


@pytest.mark.usefixtures("gateway")
def test_the_account_of_each_key_is_asked_for(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(mediamill, "balance") == [("default: 50.00 USD", False)]
    monkeypatch.setenv("MEDIAMILL_UPSTREAM_KEYS", '{"main": {"key": "sk-1"}, "films": {"key": "sk-2"}}')
    assert [said for said, _ in findings(mediamill, "balance")] == [f"{name}: 50.00 USD" for name in ("default", "main", "films")]
    ((said, _),) = findings(mediamill, "upstream")
    assert said.endswith("answers and takes the keys default, main, films")


@pytest.mark.usefixtures("gateway")
def test_a_low_account_is_a_warning(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_LOW_BALANCE_USD", "60")
    ((said, warning),) = findings(mediamill, "balance")
    assert said.startswith("default: 50.00 USD, less than MEDIAMILL_LOW_BALANCE_USD (60.00)")
    assert warning
    assert "! balance   default: 50.00 USD" in mediamill("doctor").out


def test_an_account_without_a_limit_is_no_cause_for_worry(mediamill: Command, gateway: servers.Simulator) -> None:
    gateway.control(balance_usd="999999999")
    assert findings(mediamill, "balance") == [("default: the account has no limit", False)]


def test_a_balance_that_is_not_known_says_why(
    mediamill: Command, gateway: servers.Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAMILL_BALANCE_URL", f"{gateway.url}/somewhere/else")
    ((said, warning),) = findings(mediamill, "balance")
    assert said.startswith("default: unknown: the answer names no total_quota") and warning
    monkeypatch.setenv("MEDIAMILL_BALANCE_URL", "none")
    ((said, warning),) = findings(mediamill, "balance")
    assert "MEDIAMILL_BALANCE_URL" in said and not warning


def test_prices_that_are_known_are_counted_and_old_ones_named(
    mediamill: Command, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, all_ = len(pricing.price_list().priced()), len(all_operations())
    assert findings(mediamill, "prices")[0] == (f"{known} of {all_} operations have one; the others are unknown", False)
    monkeypatch.setenv("MEDIAMILL_PRICES", "own.toml")
    (own_folder / "own.toml").write_text(
        '[[price]]\noperations = ["suno.music"]\nmodels = ["chirp-v5"]\nusd = "1"\nread = 2020-01-31\n'
    )
    (counted, _), (old, warning) = findings(mediamill, "prices")
    assert counted == f"{known + 1} of {all_} operations have one, 1 of them by own.toml; the others are unknown"
    assert old.startswith("looked up more than 90 days ago: suno.music chirp-v5 (2020-01-31)") and warning


def test_a_price_is_old_after_ninety_days() -> None:
    prices = pricing.price_list()
    newest = max(row.read for _, row in prices if row.read)
    oldest = min(row.read for _, row in prices if row.read)
    assert stale_prices(prices, oldest + timedelta(days=90)) == []
    rows = sum(1 for _ in prices)
    assert len(stale_prices(prices, newest + timedelta(days=91))) == rows
    assert stale_prices(prices, date(2100, 1, 1))[0].endswith(f"({oldest})")


def test_what_is_paused_is_said_with_its_reason_and_what_waits(mediamill: Command) -> None:
    assert findings(mediamill, "pauses") == [("not known: see the database", True)]
    mediamill("db", "upgrade")
    assert findings(mediamill, "pauses") == [("nothing is paused", False)]
    mediamill("pause", "provider", "kling", "--reason", "maintenance until six")
    ((said, warning),) = findings(mediamill, "pauses")
    assert said.startswith("provider:kling: maintenance until six (by operator:") and said.endswith("; 0 jobs wait)")
    assert warning
