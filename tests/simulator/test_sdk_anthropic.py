"""Anthropic's own client, with nothing changed but the address and the key."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from PIL import Image

ASKED: Any = {"model": "claude-sonnet-5", "max_tokens": 200, "messages": [{"role": "user", "content": "Describe a red kite"}]}


@pytest.fixture
def client(simulator: Any) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-test", base_url=simulator.url, max_retries=0) as client:
        yield client


def test_a_message_is_read(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**ASKED)

    (block,) = message.content
    assert block.type == "text"
    assert "red kite" in block.text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == len(block.text.split())
    assert message._request_id


def test_a_picture_and_thinking_are_understood(client: anthropic.Anthropic) -> None:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    data = base64.b64encode(content.getvalue()).decode()
    blocks: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "text", "text": "What is this?"},
    ]

    message = client.messages.create(
        model="claude-opus-5",
        max_tokens=4000,
        system="Be brief.",
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[{"role": "user", "content": blocks}],
    )

    assert [block.type for block in message.content] == ["thinking", "text"]


def test_a_stream_is_put_together(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(**ASKED)

    with client.messages.stream(**ASKED) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    (block,) = whole.content
    assert block.type == "text"
    assert text == block.text
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate_limit", anthropic.RateLimitError),
        ("unavailable", anthropic.InternalServerError),
        ("invalid", anthropic.BadRequestError),
        ("bad_key", anthropic.AuthenticationError),
        ("no_money", anthropic.PermissionDeniedError),
    ],
)
def test_an_error_is_the_client_s_own(client: anthropic.Anthropic, fault: str, error: type[anthropic.APIStatusError]) -> None:
    with pytest.raises(error) as raised:
        client.messages.create(**ASKED, extra_headers={"x-simulate": fault})

    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["message"]
