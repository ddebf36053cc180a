"""The operator's price file as the commands and the API take it: in force for all of them, or a sentence before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from terminal import Command

GOOD = '[[price]]\noperations = ["suno.music"]\nusd = "0.50"\n'


@pytest.fixture
def prices(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDIAMILL_PRICES", "own.toml")
    return own_folder / "own.toml"


def test_the_catalogue_shows_the_operators_prices(mediamill: Command, prices: Path) -> None:
    prices.write_text(GOOD)
    shown = json.loads(mediamill("operations", "suno.music", "--json").out)
    assert shown["price"][0]["usd"] == {"request": "0.50"}
    assert "0.50 USD per request" in mediamill("operations", "suno.music").out
    (music,) = [one for one in json.loads(mediamill("operations", "--json").out) if one["name"] == "suno.music"]
    assert music["price"] == shown["price"]


def test_a_price_says_where_it_is_from(mediamill: Command, prices: Path) -> None:
    prices.write_text(GOOD + 'source = "our contract"\nread = 2026-11-22\n')
    assert "\npriced by    our contract, read 2026-11-22\n" in mediamill("operations", "suno.music").out
    said = mediamill("operations", "openai.chat").out
    assert "\n             2.50 USD per million input tokens" in said, "one below the other"
    assert "https://developers.openai.com/api/docs/pricing, read 2026-" in said


@pytest.mark.parametrize("command", ["operations", "api", "worker", "beat", "serve", "doctor"])
def test_a_wrong_file_stops_every_command_that_would_use_it(mediamill: Command, prices: Path, command: str) -> None:
    prices.write_text('[[price]]\noperations = ["suno.musik"]\nusd = 1\n')
    said = mediamill(command)
    assert said.code == (1 if command == "doctor" else 2)
    text = said.out if command == "doctor" else said.err
    assert "MEDIAMILL_PRICES: own.toml: [[price]] 1 (line 1), usd: an amount of money is written as text" in text


def test_a_missing_file_is_named(mediamill: Command, prices: Path) -> None:
    said = mediamill("operations")
    assert (said.code, said.out) == (2, "")
    assert said.err == "mediamill: MEDIAMILL_PRICES: own.toml: cannot be read: No such file or directory\n"
