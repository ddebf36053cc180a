"""Every fault, asked of every operation that is answered at once."""

from __future__ import annotations

import io
from typing import Any

import httpx2
import pytest
from PIL import Image

from simulator.faults import FAULTS, SYNC_REACH, TASK_ONLY, Reach
from simulator.media import sound

CHAT = [{"role": "user", "content": "a kite"}]
CONTENTS = {"contents": [{"parts": [{"text": "a kite"}]}]}

#: Operation -> path and body.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai.image_edit": ("/v1/images/edits", {"model": "gpt-image-1", "prompt": "a kite"}),
    "openai.gpt4o_image": ("/v1/chat/completions", {"model": "gpt-4o-image", "messages": CHAT}),
    "openai.transcription": ("/v1/audio/transcriptions", {"model": "whisper-1"}),
    "openai.translation": ("/v1/audio/translations", {"model": "whisper-1"}),
    "openai.speech": ("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "a kite"}),
    "openai.chat": ("/v1/chat/completions", {"model": "gpt-4o", "messages": CHAT}),
    "openai.responses": ("/v1/responses", {"model": "gpt-4o", "input": "a kite"}),
    "openai.embeddings": ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "a kite"}),
    "anthropic.messages": ("/v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": CHAT}),
    "gemini.generate_content": ("/v1beta/models/gemini-2.5-flash:generateContent", CONTENTS),
    "gemini.image": ("/v1beta/models/gemini-2.5-flash-image:generateContent", CONTENTS),
    "veo.chat": ("/v1/chat/completions", {"model": "veo3", "messages": CHAT}),
}

#: Those that can be streamed -> what asks for it.
STREAMS = {
    "openai.gpt4o_image": "body",
    "openai.chat": "body",
    "openai.responses": "body",
    "anthropic.messages": "body",
    "gemini.generate_content": "path",
    "gemini.image": "path",
    "veo.chat": "body",
}

#: What an operation tells inside an answer, where others refuse.
TOLD = {
    "openai.gpt4o_image": {"moderation"},
    "openai.responses": {"moderation", "failed"},
    "anthropic.messages": {"moderation"},
    "gemini.generate_content": {"moderation"},
    "gemini.image": {"moderation"},
    "veo.chat": {"moderation", "failed"},
}

BREAKS_OFF = {"reset_after_accept", "hang_after_accept", "never_finishes", "truncated_body"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "PNG")
    path = tmp_path_factory.mktemp("recording") / "a.wav"
    sound.save(sound.melody("speech", 1, 16_000), path, "wav", 16_000)
    recording = {"file": ("a.wav", path.read_bytes())}
    image = {"image": ("a.png", picture.getvalue())}
    return {"openai.image_edit": image, "openai.transcription": recording, "openai.translation": recording}


def send(simulator: Any, fault: str, path: str, body: dict[str, Any], form: Any) -> None:
    """The call, which may break off where the fault says so."""
    headers = {"x-simulate": f"{fault} delay=0.01 seconds=0.1"}
    content = {"data": body, "files": form} if form else {"json": body}
    try:
        simulator.http.post(path, headers=headers, **content)
    except httpx2.RemoteProtocolError:
        assert fault in BREAKS_OFF


def is_paid(operation: str, fault: str) -> bool:
    reach = FAULTS[fault]
    return (reach if fault in TOLD.get(operation, ()) else SYNC_REACH.get(fault, reach)) is not Reach.REFUSAL


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_can_be_asked_of_every_operation(simulator: Any, files: Any, operation: str, fault: str) -> None:
    simulator.control(latency=0)

    send(simulator, fault, *CALLS[operation], files.get(operation))

    (row,) = simulator.ledger(event="paid_call")
    assert (row["operation"], row["charged"]) == (operation, is_paid(operation, fault))
    assert row["fault"] == (None if fault in TASK_ONLY else fault)


@pytest.mark.parametrize("operation", STREAMS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_can_be_asked_of_every_stream(simulator: Any, operation: str, fault: str) -> None:
    simulator.control(latency=0)
    path, body = CALLS[operation]
    if STREAMS[operation] == "path":
        path = path.replace("generateContent", "streamGenerateContent?alt=sse")
    else:
        body = {**body, "stream": True}

    send(simulator, fault, path, body, None)

    (row,) = simulator.ledger(event="paid_call")
    assert (row["operation"], row["charged"]) == (operation, is_paid(operation, fault))
