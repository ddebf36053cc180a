"""What a batch would cost, asked before it is stored, and what it may cost at most."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from callers import SPEECH, VIDEO, Caller, Json, problem
from sqlmodel import col, select

from jobs.models import Batch

NDJSON = {"content-type": "application/x-ndjson"}
LONGER: Json = {"operation": "openai.speech", "input": SPEECH["input"] | {"input": "x" * 1000}}
PICTURE: Json = {"operation": "openai.image_generation", "input": {"model": "gpt-image-1", "prompt": "A lighthouse of books"}}


def post(caller: Caller, *documents: Json, query: str = "", **envelope: Any) -> httpx2.Response:
    return caller.http.post(f"/v1/batches{query}", json={"jobs": list(documents), **envelope})


def post_lines(caller: Caller, *documents: Json, query: str = "") -> httpx2.Response:
    body = b"\n".join(json.dumps(document).encode() for document in documents)
    return caller.http.post(f"/v1/batches{query}", content=body, headers=NDJSON)


def nothing_stored(caller: Caller) -> bool:
    return caller.http.get("/v1/jobs").json()["data"] == [] and caller.http.get("/v1/batches").json()["data"] == []


def test_a_dry_run_of_a_batch_adds_up_what_its_lines_are_quoted_and_stores_nothing(caller: Caller) -> None:
    answer = post(caller, SPEECH, LONGER, VIDEO, VIDEO, query="?dry_run=true")

    assert answer.status_code == 200, answer.text
    quoted = answer.json()
    assert (quoted["object"], quoted["valid"], quoted["jobs"], quoted["shared"]) == ("batch_quote", True, 4, 0)
    assert quoted["estimated_usd"] == "0.01224"
    assert quoted["operations"] == [{"operation": "openai.speech", "kind": "exact", "jobs": 2, "estimated_usd": "0.01224"}]
    assert quoted["unknown"]["jobs"] == 2
    (reason,) = quoted["unknown"]["reasons"]
    assert (reason["operation"], reason["jobs"], reason["lines"]) == ("kling.text_to_video", 2, [3, 4])
    assert reason["why"].startswith("no price is known")
    assert nothing_stored(caller)


def test_a_batch_of_which_no_price_is_known_is_not_quoted_zero(caller: Caller) -> None:
    quoted = post(caller, VIDEO, VIDEO, query="?dry_run=true").json()
    assert (quoted["estimated_usd"], quoted["unknown"]["jobs"], quoted["operations"]) == (None, 2, [])


def test_each_operation_is_told_by_what_its_quote_is_worth(caller: Caller) -> None:
    quoted = post_lines(caller, SPEECH, PICTURE, query="?dry_run=true").json()
    kinds = {one["operation"]: one["kind"] for one in quoted["operations"]}
    assert kinds == {"openai.speech": "exact", "openai.image_generation": "estimate"}


def test_a_dry_run_finds_what_is_wrong_as_a_submit_does(caller: Caller) -> None:
    twice = SPEECH | {"custom_id": "a"}
    assert problem(post(caller, twice, twice, query="?dry_run=true"), 422, "batch_invalid")["errors"][0]["line"] == 2
    problem(post(caller, query="?dry_run=true"), 422, "batch_empty")
    problem(post(caller, SPEECH, max_cost_usd="0.0001", query="?dry_run=true"), 422, "over_cap")
    problem(post(caller, SPEECH, query="?dry_run=perhaps"), 422, "invalid")


def test_a_dry_run_counts_equal_lines_once(caller: Caller) -> None:
    quoted = post(caller, *[SPEECH] * 5, LONGER, VIDEO, VIDEO, coalesce=True, query="?dry_run=true").json()
    assert (quoted["jobs"], quoted["shared"], quoted["estimated_usd"]) == (8, 5, "0.01224")
    assert quoted["unknown"]["jobs"] == 1
    assert nothing_stored(caller)


def test_a_batch_keeps_what_it_may_cost(caller: Caller) -> None:
    batch = post(caller, SPEECH, SPEECH, max_cost_usd="0.00048").json()
    assert batch["max_cost_usd"] == "0.00048"
    of_lines = post_lines(caller, SPEECH, query="?max_cost_usd=1").json()
    assert of_lines["max_cost_usd"] == "1.00"
    with caller.context.database.read() as session:
        kept = session.scalars(select(col(Batch.max_cost_usd)).where(col(Batch.tenant_id) == caller.tenant_id)).all()
    assert sorted(str(one) for one in kept) == ["0.000480", "1.000000"]


def test_a_batch_quoted_more_than_it_may_cost_is_not_taken(caller: Caller) -> None:
    found = problem(post(caller, SPEECH, SPEECH, SPEECH, max_cost_usd="0.00048"), 422, "over_cap")
    assert found["detail"] == "max_cost_usd: is less than what the jobs are quoted together: 0.00072 USD"
    problem(post_lines(caller, SPEECH, LONGER, query="?max_cost_usd=0.01"), 422, "over_cap")
    assert nothing_stored(caller)


def test_a_line_whose_price_is_not_known_is_named_where_the_batch_has_a_cap(caller: Caller) -> None:
    found = problem(post(caller, SPEECH, VIDEO, max_cost_usd="100"), 422, "price_unknown")
    assert [(error["line"], error["code"]) for error in found["errors"]] == [(2, "price_unknown")]
    assert "max_cost_usd of 100.00 could not be kept" in found["detail"]
    assert nothing_stored(caller)


@pytest.mark.parametrize("amount", [0.5, "much", "-1", "NaN", "0.0000001", "1000001", True])
def test_an_amount_is_text_of_a_sum_that_can_be(caller: Caller, amount: Any) -> None:
    found = problem(post(caller, SPEECH, max_cost_usd=amount), 422, "out_of_range" if amount in ("-1", "1000001") else "invalid")
    assert found["errors"][0]["loc"] == "max_cost_usd"
    assert nothing_stored(caller)


def test_what_goes_into_a_json_body_is_not_said_in_the_url(caller: Caller) -> None:
    for query in ("max_cost_usd=1", "coalesce=true", "reuse_within_s=60"):
        found = problem(post(caller, SPEECH, query=f"?{query}"), 422, "unknown_parameter")
        assert found["errors"][0]["loc"] == f"query.{query.partition('=')[0]}"
    problem(post(caller, SPEECH, reuse_within_s=0), 422, "invalid")
    problem(post_lines(caller, SPEECH, query="?reuse_within_s=-1"), 422, "invalid")
