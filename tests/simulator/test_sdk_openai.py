"""OpenAI's own client, with nothing changed but the address and the key."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from typing import Any

import av
import openai
import pytest
from PIL import Image

from simulator.media import sound


@pytest.fixture
def client(simulator: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=f"{simulator.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("recording") / "recording.wav"
    sound.save(sound.melody("speech", 4.2, 16_000), path, "wav", 16_000)
    return path.read_bytes()


def png(size: tuple[int, int] = (256, 256), mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, "red").save(content, "PNG")
    return content.getvalue()


def opened(b64_json: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(b64_json or "")))


def test_pictures_are_made(client: openai.OpenAI) -> None:
    answer = client.images.generate(model="gpt-image-1", prompt="a red kite", n=2, size="1536x1024", output_format="webp")

    pictures = [opened(item.b64_json) for item in answer.data or []]
    assert [(picture.size, picture.format) for picture in pictures] == [((1536, 1024), "WEBP")] * 2
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_a_picture_is_edited(client: openai.OpenAI) -> None:
    answer = client.images.edit(
        model="gpt-image-1",
        image=("kite.png", png()),
        mask=("mask.png", png(mode="RGBA")),
        prompt="make it blue",
        size="1024x1536",
        n=1,
        output_format="jpeg",
        output_compression=80,
    )

    (item,) = answer.data or []
    assert (opened(item.b64_json).size, opened(item.b64_json).format) == ((1024, 1536), "JPEG")


def test_several_pictures_are_edited_into_one(client: openai.OpenAI) -> None:
    answer = client.images.edit(model="gpt-image-1.5", image=[("a.png", png()), ("b.png", png((64, 32)))], prompt="join them")

    assert answer.usage
    assert answer.usage.input_tokens_details.image_tokens > 0
    assert len(answer.data or []) == 1


@pytest.mark.parametrize("response_format", ["mp3", "opus", "wav"])
def test_speech_is_made(client: openai.OpenAI, response_format: Any) -> None:
    text = "The ferry leaves at nine, be on time."

    answer = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input=text, response_format=response_format)

    with av.open(io.BytesIO(answer.read()), "r") as file:
        stream = file.streams.audio[0]
        heard = sum(frame.samples for frame in file.decode(stream)) / stream.rate
    assert abs(heard - len(text) / 15) < 0.15


def test_a_recording_is_written_down(client: openai.OpenAI, recording: bytes) -> None:
    file = ("speech.wav", recording)

    plain = client.audio.transcriptions.create(model="whisper-1", file=file)
    verbose = client.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    subtitles = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt")

    assert plain.text
    assert (verbose.text, float(verbose.duration)) == (plain.text, 4.2)
    assert verbose.segments
    assert verbose.words
    assert subtitles.startswith("1\n00:00:00,000 --> ")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client is about to drop it, the gateway has it
def test_a_recording_is_translated(client: openai.OpenAI, recording: bytes) -> None:
    plain = client.audio.translations.create(model="whisper-1", file=("speech.wav", recording))
    verbose = client.audio.translations.create(model="whisper-1", file=("speech.wav", recording), response_format="verbose_json")

    assert verbose.text == plain.text
    assert verbose.language == "english"


def test_a_chat_is_answered_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Describe a red kite"}]}

    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))

    assert "red kite" in (whole.choices[0].message.content or "")
    assert whole.choices[0].finish_reason == "stop"
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


@pytest.mark.parametrize(("model", "ending"), [("gpt-4o-image", ".png"), ("veo3-fast", ".mp4")])
def test_a_chat_that_makes_media_holds_a_link(client: openai.OpenAI, model: str, ending: str) -> None:
    chunks = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "a red kite"}], stream=True)

    assert f"{ending})" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_a_response_is_read_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="gpt-5-mini", input="Describe a red kite", reasoning={"effort": "low"})
    with client.responses.stream(model="gpt-5-mini", input="Describe a red kite") as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()

    assert "red kite" in whole.output_text
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert deltas == final.output_text == whole.output_text


def test_embeddings_are_unpacked(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-large", input=["a red kite", "a blue kite"], dimensions=256)

    assert [len(row.embedding) for row in answer.data] == [256, 256]
    assert all(math.isclose(math.hypot(*row.embedding), 1, rel_tol=1e-5) for row in answer.data)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert {"gpt-image-1", "whisper-1"} <= {model.id for model in client.models.list()}


@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")  # at the vendor's; the gateway has it
def test_a_video_is_made_fetched_and_remixed(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(model="sora-2", prompt="a red kite", seconds="4", size="720x1280", poll_interval_ms=50)
    again = client.videos.remix(video.id, prompt="a blue kite")

    assert (video.status, video.progress, video.model) == ("completed", 100, "sora-2")
    content = client.videos.download_content(video.id).read()
    with av.open(io.BytesIO(content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (720, 1280)
        assert file.duration == pytest.approx(4_000_000, rel=0.05)
    assert again.id != video.id
    assert client.videos.retrieve(again.id).remixed_from_video_id == video.id


@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
def test_a_video_is_made_from_a_picture(client: openai.OpenAI) -> None:
    video = client.videos.create(
        model="sora-2", prompt="a red kite", input_reference=("first.png", png((720, 1280)), "image/png"), size="720x1280"
    )

    assert video.status in {"queued", "in_progress"}


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("rate_limit", openai.RateLimitError, ""),
        ("server_error", openai.InternalServerError, "do_request_failed"),
        ("bad_key", openai.AuthenticationError, ""),
        ("no_money", openai.PermissionDeniedError, "insufficient_user_quota"),
        ("moderation", openai.BadRequestError, "sensitive_words_detected"),
    ],
)
def test_an_error_is_the_client_s_own(client: openai.OpenAI, fault: str, error: type[openai.APIStatusError], code: str) -> None:
    with pytest.raises(error) as raised:
        client.images.generate(model="gpt-image-1", prompt=f"a kite [[simulate:{fault}]]")

    assert raised.value.code == code
