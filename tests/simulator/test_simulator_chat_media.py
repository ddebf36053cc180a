"""Models that answer a chat with media. Source: openai-images.md section 3, veo.md section 4."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import av
import pytest
from PIL import Image

PATH = "/v1/chat/completions"
PICTURE = {"model": "gpt-4o-image", "messages": [{"role": "user", "content": "a red kite"}]}
CLIP = {"model": "veo3-fast", "messages": [{"role": "user", "content": "a red kite"}]}


def content_of(answer: dict[str, Any]) -> str:
    (choice,) = answer["choices"]
    content: str = choice["message"]["content"]
    return content


def links(text: str) -> list[str]:
    return re.findall(r"https?://[^)\s]+", text)


def pictures(text: str) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\((https?://[^)\s]+)\)", text)


def opened(simulator: Any, url: str) -> Image.Image:
    image = Image.open(io.BytesIO(simulator.get(url).raise_for_status().content))
    image.load()
    return image


def streamed(simulator: Any, body: dict[str, Any], simulate: str = "") -> list[dict[str, Any]]:
    answer = simulator.post(PATH, {**body, "stream": True}, simulate=simulate)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def told(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk.get("choices", ()))


def operations(simulator: Any) -> list[str]:
    return [row["operation"] for row in simulator.ledger(event="paid_call")]


def test_the_picture_is_a_markdown_link_among_progress_and_other_links(simulator: Any) -> None:
    answer = simulator.post(PATH, PICTURE).json()

    text = content_of(answer)
    assert text.startswith("> Queuing...\n> Generating...\n> Progress ")
    (url,) = pictures(text)
    image = opened(simulator, url)
    assert (image.size, image.format) == ((1024, 1024), "PNG")
    draft, _, download = links(text)
    assert (opened(simulator, draft).format, "?" in draft) == ("WEBP", True)
    assert "/download/" in download
    assert simulator.get(download).content == simulator.get(url).content
    assert answer["usage"]["total_tokens"] > 0
    assert operations(simulator) == ["openai.gpt4o_image"]


def test_there_can_be_several_pictures(simulator: Any) -> None:
    urls = pictures(content_of(simulator.post(PATH, PICTURE, simulate="variant pictures=3").json()))

    assert len({simulator.get(url).content for url in urls}) == 3


def test_the_picture_can_be_a_bare_link(simulator: Any) -> None:
    text = content_of(simulator.post(PATH, PICTURE, simulate="variant name=plain").json())

    assert pictures(text) == []
    (url,) = links(text)
    assert opened(simulator, url).size == (1024, 1024)


def test_the_draft_can_be_all_there_is(simulator: Any) -> None:
    text = content_of(simulator.post(PATH, PICTURE, simulate="variant name=progress_only").json())

    (url,) = links(text)
    assert text.rstrip().endswith(f"[100]({url})")
    assert opened(simulator, url).format == "WEBP"


def test_given_pictures_change_the_picture(simulator: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/kite.png"}}
    body = {**PICTURE, "messages": [{"role": "user", "content": [{"type": "text", "text": "a red kite"}, image]}]}

    (plain,), (edited,) = (pictures(content_of(simulator.post(PATH, one).json())) for one in (PICTURE, body))

    assert simulator.get(plain).content != simulator.get(edited).content


def test_a_streamed_picture_adds_up_to_the_same_text(simulator: Any) -> None:
    chunks = streamed(simulator, PICTURE)

    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    (url,) = pictures(told(chunks))
    assert opened(simulator, url).size == (1024, 1024)


@pytest.mark.parametrize(
    ("fault", "reason"), [("moderation", "content_filter"), ("no_outputs", "stop"), ("variant name=null", "stop")]
)
def test_a_chat_can_end_without_a_picture(simulator: Any, fault: str, reason: str) -> None:
    answer = simulator.post(PATH, PICTURE, simulate=fault)

    (choice,) = answer.json()["choices"]
    assert (answer.status_code, choice["finish_reason"]) == (200, reason)
    assert links(choice["message"]["content"] or "") == []


def test_a_link_to_a_picture_can_be_dead(simulator: Any) -> None:
    (url,) = pictures(content_of(simulator.post(PATH, PICTURE, simulate="dead_link status=403").json()))

    assert simulator.get(url).status_code == 403


def test_the_clip_is_behind_two_links_to_one_file(simulator: Any) -> None:
    answer = simulator.post(PATH, CLIP).json()

    text = content_of(answer)
    assert re.match(r"> id `veo3-fast:[0-9a-f-]{36}`\n", text)
    watch, download = (url for url in links(text) if url.endswith(".mp4"))
    assert "/download/" in download
    content = simulator.get(download).content
    assert content == simulator.get(watch).content
    with av.open(io.BytesIO(content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (1280, 720)
        assert len(file.streams.audio) == 1
        assert file.duration == pytest.approx(8_000_000, rel=0.02)
    assert operations(simulator) == ["veo.chat"]


def test_a_page_of_the_task_is_no_clip(simulator: Any) -> None:
    page = next(url for url in links(content_of(simulator.post(PATH, CLIP).json())) if not url.endswith(".mp4"))

    assert simulator.get(page).headers["content-type"].startswith("text/html")


def test_a_streamed_clip_tells_its_id_first_and_its_links_last(simulator: Any) -> None:
    chunks = streamed(simulator, CLIP)

    pieces = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert pieces[1].startswith("> id `veo3-fast:")
    assert next(piece for piece in pieces if piece.startswith("> progress")) == "> progress 12%\n"
    assert [url for url in links(pieces[-2]) if url.endswith(".mp4")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("body", [PICTURE, CLIP], ids=["picture", "clip"])
def test_whoever_leaves_a_stream_has_paid_all_the_same(simulator: Any, body: dict[str, Any]) -> None:
    with simulator.http.stream("POST", PATH, json={**body, "stream": True}) as answer:
        first = next(answer.iter_lines())

    assert "assistant" in first
    assert [(row["outcome"], row["charged"]) for row in simulator.ledger(event="paid_call")] == [("accepted", True)]


@pytest.mark.parametrize("fault", ["moderation", "failed", "no_outputs"])
def test_a_chat_can_end_without_a_clip(simulator: Any, fault: str) -> None:
    answer = simulator.post(PATH, CLIP, simulate=fault)

    assert answer.status_code == 200
    assert ".mp4" not in content_of(answer.json())


def test_a_stream_can_carry_an_error_instead_of_a_chunk(simulator: Any) -> None:
    chunks = streamed(simulator, CLIP, simulate="failed")

    assert chunks[-1]["error"]["type"] == "comet_api_error"
    assert ".mp4" not in told(chunks)


@pytest.mark.parametrize("body", [PICTURE, CLIP], ids=["picture", "clip"])
@pytest.mark.parametrize(
    ("fault", "status", "charged"), [("rate_limit", 429, False), ("timeout_after_accept delay=0", 504, True), ("html", 200, False)]
)
def test_refusals_and_losses_are_those_of_every_chat(
    simulator: Any, body: dict[str, Any], fault: str, status: int, charged: bool
) -> None:
    answer = simulator.post(PATH, body, simulate=fault)

    assert answer.status_code == status
    assert [row["charged"] for row in simulator.ledger(event="paid_call")] == [charged]


@pytest.mark.parametrize("body", [PICTURE, CLIP], ids=["picture", "clip"])
@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": ""}], [{"role": "assistant", "content": "x"}]], ids=str)
def test_a_chat_without_a_wish_is_refused(simulator: Any, body: dict[str, Any], messages: list[Any]) -> None:
    assert simulator.post(PATH, {**body, "messages": messages}).status_code == 400
