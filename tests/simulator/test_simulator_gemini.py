"""Gemini text and pictures. Source: text.md section 4, gemini-images.md section 1."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import httpx2
import pytest
from PIL import Image

TEXT = "/v1beta/models/gemini-2.5-flash:generateContent"
OLD = "/v1beta/models/gemini-2.5-flash-image:generateContent"
NEW = "/v1beta/models/gemini-3-pro-image-preview:generateContent"
BODY: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "a red kite"}]}]}


def config(**generation: Any) -> dict[str, Any]:
    return {**BODY, "generationConfig": generation}


def parts_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = answer["candidates"][0]["content"]["parts"]
    return parts


def pictures_of(answer: dict[str, Any]) -> list[Image.Image]:
    found = [part["inlineData"] for part in parts_of(answer) if "inlineData" in part and not part.get("thought")]
    assert all(inline["mimeType"] == "image/png" for inline in found)
    return [Image.open(io.BytesIO(base64.b64decode(inline["data"]))) for inline in found]


def png() -> str:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def test_the_text_stands_in_a_part(simulator: Any) -> None:
    answer = simulator.post(TEXT, BODY).json()

    assert "a red kite" in parts_of(answer)[0]["text"]
    assert (answer["candidates"][0]["finishReason"], answer["modelVersion"]) == ("STOP", "gemini-2.5-flash")
    usage = answer["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    (line,) = simulator.ledger(event="paid_call")
    assert (line["operation"], line["model"]) == ("gemini.generate_content", "gemini-2.5-flash")


def test_the_vendor_s_own_key_header_lets_in(simulator: Any) -> None:
    own = httpx2.post(simulator.url + TEXT, json=BODY, headers={"x-goog-api-key": "sk-test"})
    none = httpx2.post(simulator.url + TEXT, json=BODY)

    assert (own.status_code, none.status_code) == (200, 401)


def test_candidates_limits_and_json_are_as_configured(simulator: Any) -> None:
    several = simulator.post(TEXT, config(candidateCount=3)).json()["candidates"]
    cut = simulator.post(TEXT, config(maxOutputTokens=3)).json()["candidates"][0]
    as_json = simulator.post(TEXT, config(responseMimeType="application/json")).json()

    assert len({one["content"]["parts"][0]["text"] for one in several}) > 1
    assert (cut["finishReason"], len(cut["content"]["parts"][0]["text"].split())) == ("MAX_TOKENS", 3)
    assert "answer" in json.loads(parts_of(as_json)[0]["text"])


def test_thoughts_are_parts_that_say_so(simulator: Any) -> None:
    answer = simulator.post(TEXT, config(thinkingConfig={"includeThoughts": True})).json()

    assert [part.get("thought", False) for part in parts_of(answer)] == [True, False]
    assert answer["usageMetadata"]["thoughtsTokenCount"] > 0


@pytest.mark.parametrize("name", ["generation_config", "generationConfig"])
def test_both_spellings_are_understood(simulator: Any, name: str) -> None:
    inner = {"max_output_tokens": 2} if "_" in name else {"maxOutputTokens": 2}

    assert simulator.post(TEXT, {**BODY, name: inner}).json()["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_a_picture_comes_as_base64_beside_text(simulator: Any) -> None:
    answer = simulator.post(OLD, config(responseModalities=["TEXT", "IMAGE"], imageConfig={"aspectRatio": "16:9"})).json()

    (image,) = pictures_of(answer)
    assert image.size == (1344, 768)
    assert parts_of(answer)[0]["text"]
    assert answer["usageMetadata"]["candidatesTokenCount"] > 1290
    assert simulator.ledger(event="paid_call")[0]["operation"] == "gemini.image"


def test_a_picture_can_come_alone_or_not_at_all(simulator: Any) -> None:
    alone = simulator.post(OLD, config(responseModalities=["IMAGE"])).json()
    none = simulator.post(OLD, config(responseModalities=["TEXT"])).json()

    assert (len(pictures_of(alone)), len(parts_of(alone))) == (1, 1)
    assert (pictures_of(none), none["candidates"][0]["finishReason"]) == ([], "STOP")


def test_newer_models_draw_larger_sign_their_parts_and_show_drafts(simulator: Any) -> None:
    sizes = {"imageConfig": {"imageSize": "2K", "aspectRatio": "3:2"}, "thinkingConfig": {"includeThoughts": True}}

    answer = simulator.post(NEW, config(**sizes)).json()

    (image,) = pictures_of(answer)
    assert image.size == (2496, 1664)
    assert all(part["thoughtSignature"] for part in parts_of(answer))
    assert [part.get("thought", False) for part in parts_of(answer)] == [True, False, False]


def test_there_can_be_several_pictures_and_the_other_spelling(simulator: Any) -> None:
    several = simulator.post(OLD, BODY, simulate="variant pictures=2").json()
    snake = simulator.post(OLD, BODY, simulate="variant name=snake_case").json()

    assert len(pictures_of(several)) == 2
    (inline,) = (part["inline_data"] for part in parts_of(snake) if "inline_data" in part)
    assert inline["mime_type"] == "image/png"
    assert "usage_metadata" in snake


@pytest.mark.parametrize(
    "inline", [{"inlineData": {"mimeType": "image/png"}}, {"inline_data": {"mime_type": "image/png"}}], ids=str
)
def test_a_picture_sent_along_is_taken_in_either_spelling(simulator: Any, inline: dict[str, Any]) -> None:
    ((name, fields),) = inline.items()
    parts = [{"text": "make it blue"}, {name: {**fields, "data": png()}}]

    answer = simulator.post(OLD, {"contents": [{"role": "user", "parts": parts}]})

    assert len(pictures_of(answer.json())) == 1


@pytest.mark.parametrize(
    ("path", "fault", "block", "reason"),
    [
        (TEXT, "moderation", "SAFETY", None),
        (TEXT, "moderation reason=RECITATION", None, "RECITATION"),
        (OLD, "moderation", None, "IMAGE_SAFETY"),
        (OLD, "moderation block=PROHIBITED_CONTENT", "PROHIBITED_CONTENT", None),
        (OLD, "no_outputs", None, "STOP"),
        (OLD, "no_outputs reason=NO_IMAGE", None, "NO_IMAGE"),
        (TEXT, "no_outputs", None, "STOP"),
    ],
)
def test_a_soft_failure_has_status_200(simulator: Any, path: str, fault: str, block: str | None, reason: str | None) -> None:
    answer = simulator.post(path, BODY, simulate=fault)

    told = answer.json()
    assert answer.status_code == 200
    assert told.get("promptFeedback", {}).get("blockReason") == block
    assert [one["finishReason"] for one in told.get("candidates", ())] == ([reason] if reason else [])
    if reason:
        assert pictures_of(told) == []


@pytest.mark.parametrize("path", [TEXT, NEW])
@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        ("rate_limit", 429, "RESOURCE_EXHAUSTED"),
        ("server_error", 500, "INTERNAL"),
        ("failed", 500, "INTERNAL"),
        ("unavailable", 503, "UNAVAILABLE"),
        ("invalid code=FAILED_PRECONDITION", 400, "FAILED_PRECONDITION"),
        ("timeout_after_accept delay=0", 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_the_vendor_words_its_own_errors(simulator: Any, path: str, fault: str, status: int, word: str) -> None:
    answer = simulator.post(path, BODY, simulate=fault)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, word)


@pytest.mark.parametrize(("fault", "status"), [("unavailable by=gateway", 503), ("no_money", 403), ("bad_key", 401)])
def test_the_gateway_words_the_rest(simulator: Any, fault: str, status: int) -> None:
    answer = simulator.post(OLD, BODY, simulate=fault)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "comet_api_error")


def test_a_stream_adds_up_to_the_answer(simulator: Any) -> None:
    whole = parts_of(simulator.post(TEXT, BODY).json())[0]["text"]
    path = TEXT.replace("generateContent", "streamGenerateContent")

    events = simulator.post(f"{path}?alt=sse", BODY)
    array = simulator.post(path, BODY).json()

    chunks = [json.loads(line.removeprefix("data: ")) for line in events.text.splitlines() if line]
    for told in (chunks, array):
        assert "".join(parts_of(chunk)[0]["text"] for chunk in told) == whole
        assert [chunk["candidates"][0].get("finishReason") for chunk in told][-2:] == [None, "STOP"]


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (TEXT, {"contents": []}),
        (TEXT, {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
        (TEXT, {"contents": [{"parts": []}]}),
        (TEXT, {"contents": [{"parts": [{}]}]}),
        (TEXT, {"contents": [{"parts": [{"text": "x", "inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}]}),
        (TEXT, {"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]}),
        (TEXT, {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "data:image/png;base64,AAAA"}}]}]}),
        (OLD, {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}]}),
        (NEW, {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": png()}}] * 15}]}),
        (TEXT, {"generationConfig": {"temperature": 3}}),
        (TEXT, {"generationConfig": {"candidateCount": 9}}),
        (TEXT, {"generationConfig": {"responseModalities": ["IMAGE"]}}),
        (OLD, {"generationConfig": {"responseModalities": ["SMELL"]}}),
        (OLD, {"generationConfig": {"imageConfig": {"aspectRatio": "7:3"}}}),
        (OLD, {"generationConfig": {"imageConfig": {"imageSize": "2K"}}}),
        (NEW, {"generationConfig": {"imageConfig": {"imageSize": "8K"}}}),
        (TEXT, {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT"}]}),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_values_outside_the_field_list_are_refused(simulator: Any, path: str, wrong: dict[str, Any]) -> None:
    answer = simulator.post(path, {**BODY, **wrong})

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert [row["charged"] for row in simulator.ledger(event="paid_call")] == [False]
