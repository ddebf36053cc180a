"""Google's own client, with nothing changed but the address, with the version the gateway has, and the key."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from PIL import Image

TEXT = "gemini-2.5-flash"
PICTURES = "gemini-3-pro-image-preview"


@pytest.fixture
def client(simulator: Any) -> Iterator[genai.Client]:
    client = genai.Client(api_key="sk-test", http_options=types.HttpOptions(base_url=simulator.url, api_version="v1beta"))
    yield client
    client.close()


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    return content.getvalue()


def test_text_is_read(client: genai.Client) -> None:
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, max_output_tokens=200)

    answer = client.models.generate_content(model=TEXT, contents="Describe a red kite", config=config)

    assert "red kite" in (answer.text or "")
    assert answer.candidates
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert answer.usage_metadata
    assert answer.usage_metadata.total_token_count


def test_thoughts_are_left_out_of_the_text(client: genai.Client) -> None:
    thinking = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))

    plain = client.models.generate_content(model=TEXT, contents="a red kite")
    thought = client.models.generate_content(model=TEXT, contents="a red kite", config=thinking)

    assert thought.text == plain.text
    assert len(thought.parts or []) == 2


def test_a_stream_adds_up_to_the_answer(client: genai.Client) -> None:
    whole = client.models.generate_content(model=TEXT, contents="a red kite").text

    pieces = list(client.models.generate_content_stream(model=TEXT, contents="a red kite"))

    assert len(pieces) > 1
    assert "".join(piece.text or "" for piece in pieces) == whole


def test_a_picture_is_edited(client: genai.Client) -> None:
    contents: Any = [types.Part.from_bytes(data=png(), mime_type="image/png"), "make it blue"]
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"], image_config=types.ImageConfig(aspect_ratio="16:9", image_size="1K")
    )

    answer = client.models.generate_content(model=PICTURES, contents=contents, config=config)

    (inline,) = [part.inline_data for part in answer.parts or [] if part.inline_data]
    image = Image.open(io.BytesIO(inline.data or b""))
    assert (image.size, inline.mime_type) == ((1344, 768), "image/png")
    assert answer.text


def test_a_blocked_prompt_has_no_candidates(client: genai.Client) -> None:
    answer = client.models.generate_content(model=TEXT, contents="a kite [[simulate:moderation block=PROHIBITED_CONTENT]]")

    assert not answer.candidates
    assert answer.prompt_feedback
    assert answer.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("invalid", errors.ClientError, 400),
        ("rate_limit", errors.ClientError, 429),
        ("server_error", errors.ServerError, 500),
        ("no_money", errors.ClientError, 403),
    ],
)
def test_an_error_is_the_client_s_own(client: genai.Client, fault: str, error: type[errors.APIError], code: int) -> None:
    with pytest.raises(error) as raised:
        client.models.generate_content(model=TEXT, contents=f"a kite [[simulate:{fault}]]")

    assert raised.value.code == code
