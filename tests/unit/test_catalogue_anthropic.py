"""Anthropic's Messages: what is sent, what every documented answer means, and what is refused before it costs money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from jobs import catalogue, submission, validation
from jobs.catalogue import asking, media, wire
from jobs.catalogue.outcomes import Answered, Lost, NotAccepted, Rejected
from jobs.catalogue.spec import Operation

JSON = {"content-type": "application/json"}
LOST = "upstream_outcome_unknown"


def messages() -> Operation:
    found = catalogue.find("anthropic.messages")
    assert found is not None
    return found


def read(status: int, body: Any) -> Any:
    return wire.read_submit(messages(), status, JSON, body if isinstance(body, bytes) else json.dumps(body).encode())


def problems(given: Mapping[str, Any]) -> set[tuple[str, str]]:
    document = {"operation": "anthropic.messages", "input": dict(given)}
    try:
        submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
    except validation.Refused as refused:
        return {(problem.loc, problem.code) for problem in refused.problems}
    return set()


def test_the_example_is_sent_with_the_version_and_the_key_where_anthropic_has_it() -> None:
    request = asking.submit_request(messages(), messages().example, "ref")
    assert (request.method, request.path, request.json) == ("POST", "/v1/messages", messages().example)
    assert request.headers == {"anthropic-version": "2023-06-01"}
    assert request.auth == "x-api-key"


# Answers ------------------------------------------------------------------------------------------------------------------

USAGE = {"input_tokens": 9, "output_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "tide", "input": {"port": "Brest"}}


def answer(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_x",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
    } | more


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


TEXT = {"kind": "text", "extension": "txt"}
CALLS = {"kind": "text", "extension": "json", "text": json.dumps([CALL], separators=(",", ":"))}


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (answer(said("Hi.")), [{**TEXT, "text": "Hi."}]),
        # A text that quotes its sources comes in pieces.
        (answer({"type": "thinking", "thinking": "Hm."}, said("The tide "), said("turns.")), [{**TEXT, "text": "The tide turns."}]),
        (answer(said("Let me look."), CALL, stop_reason="tool_use"), [{**TEXT, "text": "Let me look."}, CALLS]),
        (answer(CALL, stop_reason="tool_use"), [CALLS]),
        (answer(said("Once upon"), stop_reason="max_tokens"), [{**TEXT, "text": "Once upon"}]),
        (answer(said("Wait."), stop_reason="pause_turn"), [{**TEXT, "text": "Wait."}]),
    ],
)
def test_an_answer_names_its_outputs(body: Any, outputs: list[dict[str, Any]]) -> None:
    outcome = read(200, body)
    assert isinstance(outcome, Answered), outcome
    assert outcome.result.outputs == outputs


def test_the_values_hold_what_later_jobs_build_on() -> None:
    outcome = read(200, answer(said("Let me look."), CALL, stop_reason="tool_use"))
    assert isinstance(outcome, Answered)
    assert outcome.result.values == {
        "id": "msg_x",
        "text": "Let me look.",
        "tool_calls": [CALL],
        "stop_reason": "tool_use",
        "model": "claude-x",
        "usage": USAGE,
    }


def native(kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": "no luck"}, "request_id": "req_011"}


def gateway(code: Any) -> dict[str, Any]:
    return {"error": {"message": "no luck (request id: 2026x)", "type": "comet_api_error", "param": "", "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code"),
    [
        (400, native("invalid_request_error"), Rejected, "invalid_input"),
        (401, native("authentication_error"), Rejected, "upstream_auth"),
        (402, native("billing_error"), Rejected, "upstream_payment"),
        (400, native("billing_error"), Rejected, "upstream_payment"),
        (403, native("permission_error"), Rejected, "upstream_forbidden"),
        (404, native("not_found_error"), Rejected, "model_unavailable"),
        (413, native("request_too_large"), Rejected, "invalid_input"),
        (429, native("rate_limit_error"), NotAccepted, "rate_limited"),
        (500, native("api_error"), Lost, LOST),
        (504, native("timeout_error"), Lost, LOST),
        (529, native("overloaded_error"), NotAccepted, "upstream_unavailable"),
        (529, gateway(""), NotAccepted, "upstream_unavailable"),
        (529, b"", NotAccepted, "upstream_unavailable"),
        (200, native("overloaded_error"), NotAccepted, "upstream_unavailable"),
        (400, gateway(""), Rejected, "invalid_input"),
        (400, gateway("sensitive_words_detected"), Rejected, "content_rejected"),
        (403, gateway("insufficient_user_quota"), Rejected, "upstream_payment"),
        (500, gateway("invalid_request"), Rejected, "invalid_input"),
        (500, gateway(""), Lost, LOST),
        (503, gateway("model_not_found"), NotAccepted, "upstream_unavailable"),
        (524, b"<html></html>", Lost, LOST),
        (200, answer(stop_reason="refusal"), Rejected, "content_rejected"),
        (200, answer(said("I was about to"), stop_reason="refusal"), Rejected, "content_rejected"),
        (200, answer(), Rejected, "no_output"),
        (200, answer(content="Hi."), Rejected, "no_output"),
    ],
)
def test_what_is_no_result_is_told_apart(status: int, body: Any, outcome: type, code: str) -> None:
    found: Any = read(status, body)
    assert (type(found), found.error.code) == (outcome, code), found


def test_the_name_of_the_request_is_kept_for_anthropics_support() -> None:
    outcome = read(400, native("invalid_request_error"))
    assert isinstance(outcome, Rejected)
    assert outcome.error.upstream is not None
    assert (outcome.error.upstream.code, outcome.error.upstream.request_id) == ("invalid_request_error", "req_011")


# Inputs -------------------------------------------------------------------------------------------------------------------

GOOD = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
FILE = {"file": "file_" + "0" * 32}
URL = "https://x.example/a.png"


def block(kind: str, **more: Any) -> dict[str, Any]:
    """Messages whose only block is this one."""
    return {"messages": [{"role": "user", "content": [{"type": kind, **more}]}]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        block("text", text="Hi", cache_control={"type": "ephemeral"}),
        block("image", source={"type": "base64", "media_type": "image/png", "data": "A" * 40}),
        *(block("image", source={"type": "base64", "data": data}) for data in (FILE, URL, "data:image/png;base64,AAAA")),
        block("image", source={"type": "url", "url": URL}),
        block("document", source={"type": "base64", "media_type": "application/pdf", "data": FILE}),
        block("document", source={"type": "text", "media_type": "text/plain", "data": "Plain words."}),
        block("document", source={"type": "file", "file_id": "file_011"}),
        block("tool_result", tool_use_id="toolu_1", content=[{"type": "image", "source": {"type": "url", "url": URL}}]),
        block("tool_result", tool_use_id="toolu_1", content="high water at nine"),
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [CALL]}]},
        {"system": "Be brief.", "temperature": 1, "top_k": 5, "stop_sequences": ["END"], "metadata": {"user_id": "u"}},
        {"system": [{"type": "text", "text": "Be brief."}], "stream": False, "service_tier": "auto"},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [{"name": "tide", "input_schema": {}}]},
        {"thinking": {"type": "disabled"}, "tool_choice": {"type": "auto"}, "output_config": {"effort": "low"}},
    ],
)
def test_an_input_that_anthropic_takes_is_taken(changes: dict[str, Any]) -> None:
    assert problems(GOOD | changes) == set()


@pytest.mark.parametrize(
    ("changes", "loc", "code"),
    [
        ({"max_tokens": 0}, "max_tokens", "out_of_range"),
        ({"messages": []}, "messages", "too_few"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role", "not_one_of"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_field"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "too_few"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content", "too_short"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "wrong_type"),
        (block("text"), "messages[0].content[0].text", "missing_field"),
        (block("image"), "messages[0].content[0].source", "missing_field"),
        (
            block("image", source={"type": "base64", "data": "A" * 40}),
            "messages[0].content[0].source",
            "wrong_form",
        ),
        (block("image", source={"type": "url", "url": "here"}), "messages[0].content[0].source", "wrong_form"),
        (block("image", source={"type": "url"}), "messages[0].content[0].source", "wrong_form"),
        (block("tool_result", content="x"), "messages[0].content[0].tool_use_id", "missing_field"),
        ({"temperature": 1.1}, "temperature", "out_of_range"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens", "missing_field"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens", "out_of_range"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name", "missing_field"),
        ({"stream": True}, "stream", "not_one_of"),
        ({"n": 2}, "n", "unknown_field"),
    ],
)
def test_an_input_that_anthropic_would_refuse_is_refused_here(changes: dict[str, Any], loc: str, code: str) -> None:
    found = problems(GOOD | changes)
    assert (f"input.{loc}", code) in found, found


@pytest.mark.parametrize("missing", GOOD)
def test_what_anthropic_requires_is_required(missing: str) -> None:
    assert (f"input.{missing}", "missing_field") in problems({name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize(
    ("source", "name", "form", "names_type"),
    [
        ({"type": "base64", "data": FILE}, "data", "base64", "media_type"),
        ({"type": "url", "url": FILE}, "url", "url", None),
    ],
)
def test_media_are_found_in_blocks_and_in_results_of_tools(
    source: dict[str, Any], name: str, form: str, names_type: str | None
) -> None:
    image = {"type": "image", "source": source}
    nested = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}
    found = media.places(messages(), GOOD | {"messages": [{"role": "user", "content": [image, nested]}]})
    assert {place.path[2:] for place in found} == {("content", 0, "source", name), ("content", 1, "content", 0, "source", name)}
    assert {(place.forms[0], place.media_type_field) for place in found} == {(form, names_type)}
