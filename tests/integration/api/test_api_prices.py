"""Prices over HTTP: those of the operator go before those of the list, in the catalogue and in what a job is quoted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from callers import Serve


def test_the_operators_prices_are_shown_and_quoted(serve: Serve, new_database: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[price]]\noperations = ["suno.music"]\nusd = "0.50"\n')
    caller = serve(new_database("sqlite"), prices=file).tenant()
    shown = caller.http.get("/v1/operations/suno.music").json()["price"]
    assert [(one["usd"], one["source"]) for one in shown] == [({"request": "0.50"}, "your own price list")]
    listed = {one["name"]: one["price"] for one in caller.http.get("/v1/operations").json()["data"]}
    assert listed["suno.music"] == shown
    song = {"operation": "suno.music", "input": {"gpt_description_prompt": "a waltz"}}
    asked = caller.http.post("/v1/jobs?dry_run=true", json=song)
    assert asked.json()["cost"]["estimated_usd"] == "0.50", asked.text
