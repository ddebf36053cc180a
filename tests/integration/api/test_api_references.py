"""Jobs that point at other jobs: accepted, refused with the place and the cause, and named by custom_id inside a batch."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import servers
from callers import SPEECH, VIDEO, Caller, problem

from jobs import submission

Json = dict[str, Any]
NDJSON = {"content-type": "application/x-ndjson"}


def text(of: str, get: str = "output.text") -> Json:
    return {"job": of, "get": get}


def chat(*needs: str, **fields: Any) -> Json:
    """A job that needs the texts of others."""
    said = [{"role": "user", "content": text(name)} for name in needs] or [{"role": "user", "content": "Name a boat."}]
    return {"operation": "openai.chat", "input": {"model": "gpt-4o-mini", "messages": said}, **fields}


def needed(job: Json) -> list[str]:
    return [message["content"]["job"] for message in job["input"]["messages"]]


def lines(*documents: Json) -> bytes:
    return b"\n".join(json.dumps(document).encode() for document in documents)


def batch(caller: Caller, *documents: Json) -> dict[str, Json]:
    """A batch that is accepted; its jobs by custom_id."""
    answer = caller.http.post("/v1/batches", content=lines(*documents), headers=NDJSON)
    assert answer.status_code == 202, answer.text
    results = caller.http.get(f"/v1/batches/{answer.json()['id']}/results").text
    return {job["custom_id"]: job for job in map(json.loads, results.splitlines())}


def refused(caller: Caller, *documents: Json) -> list[Json]:
    """The errors of a batch that is refused whole."""
    found = problem(caller.http.post("/v1/batches", content=lines(*documents), headers=NDJSON), 422, "batch_invalid")
    assert caller.http.get("/v1/batches").json()["data"] == []
    errors: list[Json] = found["errors"]
    return errors


# One job ------------------------------------------------------------------------------------------------------------------


def test_a_job_that_points_at_a_running_one_waits(caller: Caller) -> None:
    first = caller.submit(VIDEO)["id"]
    second = caller.submit(chat(first))
    assert (second["status"], second["waits_for"]) == ("queued", [first])
    assert second["input"] == chat(first)["input"]
    assert caller.http.post("/v1/jobs?dry_run=true", json=chat(first)).json()["valid"] is True


def test_a_job_that_points_at_one_that_has_succeeded_does_not_wait(caller: Caller) -> None:
    first = caller.submit(SPEECH)["id"]
    caller.succeed(first)
    assert caller.submit(chat(first))["waits_for"] == []


def test_a_job_points_only_at_jobs_of_its_own_tenant(caller: Caller, stranger: Caller) -> None:
    theirs = stranger.submit(SPEECH)["id"]
    never = "job_" + "0" * 32
    found = problem(caller.http.post("/v1/jobs", json=chat(theirs, never)), 422, "unknown_job")
    assert [error["loc"] for error in found["errors"]] == ["input.messages[0].content", "input.messages[1].content"]
    assert found["errors"][0]["msg"] == f'"{theirs}" is no job of yours'
    problem(caller.http.post("/v1/jobs?dry_run=true", json=chat(theirs)), 422, "unknown_job")


def test_a_job_never_waits_for_one_that_has_failed(caller: Caller) -> None:
    first = caller.submit(SPEECH)["id"]
    caller.fail(first)
    problem(caller.http.post("/v1/jobs", json=chat(first)), 422, "dependency_failed")


def test_a_broken_reference_is_told_with_its_place(caller: Caller) -> None:
    document = chat() | {"input": chat()["input"] | {"temperature": text("job_x", "output["), "top_p": text("job_x")}}
    found = problem(caller.http.post("/v1/jobs?dry_run=true", json=document), 422, "invalid_request")
    assert {(error["loc"], error["code"]) for error in found["errors"]} == {
        ("input.temperature", "invalid_reference"),
        ("input.top_p", "unknown_job"),
    }


@pytest.mark.parametrize("how", ["cancel", "resolve"])
def test_ending_a_job_by_hand_ends_what_waits_for_it(caller: Caller, how: str) -> None:
    first = caller.submit(SPEECH)["id"]
    second = caller.submit(chat(first))["id"]
    third = caller.submit(chat(second))["id"]
    if how == "cancel":
        assert caller.http.post(f"/v1/jobs/{first}/cancel").status_code == 202
    else:
        caller.lose(first)
        assert caller.http.post(f"/v1/jobs/{first}/resolve", json={"as": "failed"}).status_code == 202

    last = servers.eventually(lambda: caller.job(third), lambda job: job["status"] == "failed", "the end of the last")

    assert last["error"]["code"] == "dependency_failed"
    assert last["error"]["message"].startswith(f"It needs {second}, which failed: It needs {first}, which ")
    assert (last["error"]["retryable"], last["error"]["may_have_been_charged"], last["attempts"]) == (False, False, 0)


def test_a_job_that_waits_can_be_canceled(caller: Caller) -> None:
    first = caller.submit(SPEECH)["id"]
    second = caller.submit(chat(first))["id"]
    assert caller.http.post(f"/v1/jobs/{second}/cancel").json()["status"] == "canceled"
    assert caller.job(first)["status"] == "queued"


def test_a_job_that_fails_between_the_check_and_the_commit_is_not_waited_for(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = caller.submit(SPEECH)["id"]
    made = submission.rows

    def rows_and_then_it_fails(*about: Any, **more: Any) -> Any:
        caller.fail(first)
        return made(*about, **more)

    monkeypatch.setattr(submission, "rows", rows_and_then_it_fails)
    second = caller.submit(chat(first))["id"]
    servers.eventually(lambda: caller.job(second)["status"], lambda status: status == "failed", "the end of the second")


def test_a_retry_keeps_what_it_points_at_and_is_checked_again(caller: Caller) -> None:
    first = caller.submit(SPEECH)["id"]
    second = caller.submit(chat(first))["id"]
    caller.fail(second)
    again = caller.http.post(f"/v1/jobs/{second}/retry").json()
    assert (again["input"], again["waits_for"], again["retry_of"]) == (chat(first)["input"], [first], second)

    caller.http.post(f"/v1/jobs/{first}/cancel")
    found = problem(caller.http.post(f"/v1/jobs/{second}/retry"), 422, "dependency_failed")
    assert found["errors"][0]["msg"] == f'"{first}" is canceled and will have no outputs; if it was retried, name the new job'


def test_the_member_of_a_chain_is_retried_when_what_it_needs_has_succeeded(caller: Caller) -> None:
    first = caller.submit(SPEECH)["id"]
    caller.succeed(first)
    second = caller.submit(chat(first))["id"]
    caller.fail(second)
    again = caller.http.post(f"/v1/jobs/{second}/retry")
    assert again.status_code == 202
    assert again.json()["waits_for"] == []


# A batch ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["lines", "json"])
def test_a_line_points_at_an_earlier_or_later_one_by_its_custom_id(caller: Caller, form: str) -> None:
    documents = [
        chat("b", "c", custom_id="a"),
        chat(custom_id="b"),
        VIDEO | {"custom_id": "c"},
        chat("b", "b", custom_id="d"),
    ]
    if form == "lines":
        jobs = batch(caller, *documents)
    else:
        made = caller.http.post("/v1/batches", json={"jobs": documents}).json()
        found = caller.http.get(f"/v1/batches/{made['id']}/results").text.splitlines()
        jobs = {job["custom_id"]: job for job in map(json.loads, found)}
    assert needed(jobs["a"]) == jobs["a"]["waits_for"] == [jobs["b"]["id"], jobs["c"]["id"]]
    assert needed(jobs["d"]) == [jobs["b"]["id"]] * 2
    assert (jobs["d"]["waits_for"], jobs["b"]["waits_for"]) == ([jobs["b"]["id"]], [])


def test_media_of_another_line_stand_where_media_stand(caller: Caller) -> None:
    picture = {"operation": "openai.image_generation", "input": {"model": "gpt-image-1", "prompt": "a boat"}, "custom_id": "p"}
    given = {"model": "doubao-seedream-4-0-250828", "prompt": "at night", "image": [{"job": "p", "artifact": 0}]}
    jobs = batch(caller, {"operation": "seedream.image_generation", "input": given, "custom_id": "q"}, picture)
    assert jobs["q"]["input"]["image"] == [{"job": jobs["p"]["id"], "artifact": 0}]


def test_a_batch_waits_for_jobs_outside_it_too(caller: Caller) -> None:
    done, running = (caller.submit(SPEECH)["id"] for _ in range(2))
    caller.succeed(done)
    jobs = batch(caller, chat(done, custom_id="a"), chat(running, "a", custom_id="b"))
    assert jobs["a"]["waits_for"] == []
    assert jobs["b"]["waits_for"] == [running, jobs["a"]["id"]]
    shown = caller.http.get(f"/v1/batches/{jobs['a']['batch_id']}").json()
    assert (shown["status"], shown["counts"]["queued"]) == ("running", 2)


def test_a_custom_id_wins_over_the_id_of_a_job(caller: Caller) -> None:
    other = caller.submit(SPEECH)["id"]
    jobs = batch(caller, chat(custom_id=other), chat(other, custom_id="b"))
    assert needed(jobs["b"]) == [jobs[other]["id"]] != [other]


def test_a_name_that_stands_for_nothing_is_told_with_its_line(caller: Caller, stranger: Caller) -> None:
    theirs = stranger.submit(SPEECH)["id"]
    failed = caller.submit(SPEECH)["id"]
    caller.fail(failed)
    errors = refused(caller, chat(custom_id="a"), chat("a", "A", custom_id="b"), SPEECH, chat(theirs), chat(failed, "a"))
    assert [(error["line"], error["loc"], error["code"]) for error in errors] == [
        (2, "input.messages[1].content", "unknown_job"),
        (4, "input.messages[0].content", "unknown_job"),
        (5, "input.messages[0].content", "dependency_failed"),
    ]
    assert errors[0]["msg"] == '"A" is neither a custom_id of this batch nor a job of yours'


def test_a_custom_id_of_another_batch_is_no_name_here(caller: Caller) -> None:
    batch(caller, chat(custom_id="a"))
    answer = caller.http.post("/v1/batches", content=lines(chat("a")), headers=NDJSON)
    assert problem(answer, 422, "batch_invalid")["errors"][0]["code"] == "unknown_job"


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        ([SPEECH, chat("a", custom_id="a")], [(2, "points at itself, so it could never start")]),
        (
            [chat("c", custom_id="a"), chat("a", custom_id="b"), chat("b", custom_id="c"), chat("a", custom_id="d")],
            [(1, "waits for itself: lines 1 → 3 → 2 → 1")],
        ),
        (
            [chat("b", custom_id="a"), chat("a", custom_id="b"), chat("c", custom_id="c")],
            [(1, "waits for itself: lines 1 → 2 → 1"), (3, "points at itself, so it could never start")],
        ),
    ],
)
def test_lines_that_wait_for_themselves_are_named(caller: Caller, documents: list[Json], told: list[tuple[int, str]]) -> None:
    errors = refused(caller, *documents)
    assert [(error["line"], error["msg"]) for error in errors] == told
    assert {error["code"] for error in errors} == {"reference_cycle"}


def test_a_long_circle_is_told_in_short(caller: Caller) -> None:
    (error,) = refused(caller, *(chat(str((n + 1) % 30), custom_id=str(n)) for n in range(30)))
    assert error["msg"] == "waits for itself: lines 1 → 2 → 3 → 4 → 5 → 6 → 7 → 8 → 9 → 10 → … → 1"


def test_what_is_wrong_with_a_line_is_told_before_what_it_points_at(caller: Caller) -> None:
    (error,) = refused(caller, chat("b", custom_id="a"), {"operation": "nope", "input": {}, "custom_id": "b"})
    assert (error["line"], error["code"]) == (2, "unknown_operation")


def test_the_hundred_wrong_lines_that_are_told_may_be_wrong_by_what_they_point_at(caller: Caller) -> None:
    assert len(refused(caller, *(chat(f"nobody {n}") for n in range(300)))) == 100


def test_a_batch_that_is_one_chain_of_five_thousand_links_is_accepted_quickly(caller: Caller) -> None:
    documents = [chat(*([str(n + 1)] if n < 4999 else []), custom_id=str(n)) for n in range(5000)]
    began = time.monotonic()
    answer = caller.http.post("/v1/batches", content=lines(*documents), headers=NDJSON)
    took_s = time.monotonic() - began
    assert answer.status_code == 202
    assert answer.json()["counts"]["queued"] == 5000
    assert took_s < 15, "it takes about three seconds on two cores"
    listed = caller.http.get(f"/v1/jobs?batch_id={answer.json()['id']}&limit=3").json()["data"]
    assert [len(job["waits_for"]) for job in listed] == [0, 1, 1]


def test_canceling_a_batch_ends_its_chains_without_calling_that_a_failure(caller: Caller) -> None:
    jobs = batch(caller, chat(custom_id="a"), chat("a", custom_id="b"), chat("b", custom_id="c"))
    name = jobs["a"]["batch_id"]
    assert caller.http.post(f"/v1/batches/{name}/cancel").status_code == 202
    shown = servers.eventually(
        lambda: caller.http.get(f"/v1/batches/{name}").json(), lambda one: one["finished_at"] is not None, "the batch over"
    )
    assert shown["counts"]["canceled"] == 3


def test_the_failure_of_one_line_is_the_end_of_its_batch_when_all_others_need_it(caller: Caller) -> None:
    jobs = batch(caller, chat(custom_id="a"), chat("a", custom_id="b"))
    caller.http.post(f"/v1/jobs/{jobs['a']['id']}/cancel")
    shown = servers.eventually(
        lambda: caller.http.get(f"/v1/batches/{jobs['a']['batch_id']}").json(),
        lambda one: one["finished_at"] is not None,
        "the batch over",
    )
    assert (shown["status"], shown["counts"]["canceled"], shown["counts"]["failed"]) == ("completed", 1, 1)
    assert '(custom_id "a"), which was canceled.' in caller.job(jobs["b"]["id"])["error"]["message"]
