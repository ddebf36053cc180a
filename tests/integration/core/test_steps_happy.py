"""Every operation from acceptance to stored outputs, against the real simulator: what is stored is what it made."""

from __future__ import annotations

import hashlib
import io
import json
import wave

import pytest
from house import events_of, history_of, rows_of
from mill import Mill
from sqlmodel import col

from jobs.models import Event
from jobs.states import JobState

#: Moves of a job that is polled, and of one that is answered at once.
POLLED = ["claim", "accept", "collect", "finish"]
AT_ONCE = ["claim", "receive", "finish"]

#: operation → moves, and (kind, media type) of each output, in order.
EXPECTED = {
    "kling.text_to_video": (POLLED, [("video", "video/mp4")]),
    "suno.music": (
        POLLED,
        [
            ("audio", "audio/mpeg"),
            ("audio", "audio/mpeg"),
            ("video", "video/mp4"),
            ("image", "image/jpeg"),
            ("image", "image/jpeg"),
        ],
    ),
    "replicate.prediction": (POLLED, [("image", "image/png")]),
    "openai.image_generation": (AT_ONCE, [("image", "image/png")]),
    "seedream.image_generation": (AT_ONCE, [("image", "image/jpeg")]),
    "openai.speech": (AT_ONCE, [("audio", "audio/mpeg")]),
    "openai.chat": (AT_ONCE, [("text", "text/plain")]),
}


@pytest.mark.parametrize("operation", EXPECTED)
def test_the_example_of_every_operation_ends_in_storage(mill: Mill, operation: str) -> None:
    moves, outputs = EXPECTED[operation]
    job_id = mill.accept(operation)

    job = mill.run(job_id)

    assert (job.status, job.error) == ("succeeded", None)
    assert [name for _, name, _, _ in history_of(mill.database, job_id)] == moves
    artifacts = mill.artifacts(job_id)
    assert [(one.index, one.kind, one.media_type.partition(";")[0]) for one in artifacts] == [
        (index, *output) for index, output in enumerate(outputs)
    ]
    made = {file["sha256"]: file["bytes"] for file in mill.upstream.files()}
    for artifact in artifacts:
        stored = mill.stored(artifact)
        assert (hashlib.sha256(stored).hexdigest(), len(stored)) == (artifact.sha256, artifact.size_bytes)
        if operation != "openai.chat":  # its text is in the answer, not in a file
            assert made[artifact.sha256] == artifact.size_bytes
    assert (mill.calls, mill.charged) == (1, 1)
    (attempt,) = mill.attempts(job_id)
    assert attempt.state == ("accepted" if "accept" in moves else "answered")
    assert attempt.spool_key is None, "what was spooled is tidied up"


def test_media_facts_are_measured(mill: Mill) -> None:
    video_id, image_id = mill.accept("kling.text_to_video"), mill.accept("openai.image_generation")
    assert [mill.run(job_id).status for job_id in (video_id, image_id)] == ["succeeded"] * 2
    (video,), (image,) = mill.artifacts(video_id), mill.artifacts(image_id)
    assert (video.width, video.height) == (1280, 720)
    assert video.duration_s == pytest.approx(5, abs=0.3)
    assert (image.width, image.height, image.duration_s) == (1024, 1024, None)
    for artifact in (video, image):
        assert artifact.preview_key is not None
        with mill.context.store.open(artifact.preview_key) as stream:
            assert stream.read(12)[8:] == b"WEBP"


def test_the_text_of_a_chat_is_an_output_and_a_value(mill: Mill) -> None:
    job_id = mill.accept("openai.chat")
    job = mill.run(job_id)
    (artifact,) = mill.artifacts(job_id)
    assert mill.stored(artifact).decode() == job.output["text"]
    assert job.output["usage"]["total_tokens"] > 0


def test_bare_samples_of_speech_become_a_wav_that_anybody_can_play(mill: Mill) -> None:
    given = {"model": "tts-1", "voice": "alloy", "input": "The harbour is calm.", "response_format": "pcm"}
    job_id = mill.accept("openai.speech", given)
    assert mill.run(job_id).status == "succeeded"

    (artifact,) = mill.artifacts(job_id)
    assert artifact.media_type in ("audio/wav", "audio/x-wav")
    with wave.open(io.BytesIO(mill.stored(artifact))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        samples = sound.readframes(sound.getnframes())
    (made,) = mill.upstream.files()
    assert hashlib.sha256(samples).hexdigest() == made["sha256"]
    assert artifact.duration_s == pytest.approx(made["bytes"] / 48_000, abs=0.05)


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("meta/llama-4-chat", ["text"]),  # pieces of text
        ("someone/depth-anything", ["image", "image"]),  # an object of addresses
        ("someone/flux-1.1-pro", ["image"]),  # one address
        ("someone/wan-2", ["video"]),
    ],
)
def test_a_replicate_model_may_put_out_what_it_likes(mill: Mill, model: str, kinds: list[str]) -> None:
    job_id = mill.accept("replicate.prediction", {"model": model, "input": {"prompt": "a heron", "output_format": "jpg"}})
    assert mill.run(job_id).status == "succeeded"
    assert [artifact.kind for artifact in mill.artifacts(job_id)] == kinds


def test_many_songs_are_asked_for_in_one_request_and_each_gets_its_own(mill: Mill) -> None:
    job_ids = [mill.accept("suno.music", {"tags": f"style {n}", "title": f"Song {n}"}) for n in range(3)]
    for job_id in job_ids:
        assert mill.submit(job_id).status == "running"
    mill.upstream.wait_finished(3)
    mill.poll(*job_ids)
    jobs = [mill.job(job_id) for job_id in job_ids]
    assert [job.status for job in jobs] == ["collecting"] * 3
    tasks = [mill.attempts(job_id)[0].upstream_id for job_id in job_ids]
    assert [job.output["task_id"] for job in jobs] == tasks
    assert [job.output["clips"][0]["title"] for job in jobs] == [f"Song {n}" for n in range(3)]


def test_an_event_is_told_for_the_start_and_the_end_and_the_end_names_the_outputs(mill: Mill) -> None:
    job_id = mill.accept("kling.text_to_video", callback_url="http://127.0.0.1:1/hook", metadata={"order": "7"})
    mill.run(job_id)
    assert events_of(mill.database, job_id) == ["job.running", "job.succeeded"]
    (delivery,) = mill.deliveries(job_id)
    (event,) = rows_of(mill.database, Event, col(Event.id) == delivery.event_id)
    data = json.loads(event.body)["data"]
    (artifact,) = mill.artifacts(job_id)
    assert [one["sha256"] for one in data["artifacts"]] == [artifact.sha256]
    assert data["metadata"] == {"order": "7"}


def test_a_job_that_starts_later_waits_for_its_time(mill: Mill) -> None:
    job_id = mill.accept("openai.chat", start_at="2099-01-01T00:00:00Z")
    mill.tick()
    job = mill.job(job_id)
    assert (job.status, job.released_at) == (JobState.QUEUED, None)
    mill.time_passes(job_id)
    mill.tick()
    assert mill.job(job_id).released_at is not None


def test_what_is_stored_is_not_fetched_again_while_the_rest_is(mill: Mill) -> None:
    # Given five outputs whose addresses each fail the first time.
    job_id = mill.accept("suno.music", {"tags": "waltz [[simulate:dead_link_once]]"})
    seen: dict[int, object] = {}
    mill.submit(job_id)
    for _ in range(20):
        job = mill.job(job_id)
        if job.status == "running":
            mill.poll_until(job_id)
        elif job.status == "collecting":
            mill.collect(job_id)
        # When it goes back and forth, what is there stays as it is.
        rows = {artifact.index: artifact.created_at for artifact in mill.artifacts(job_id)}
        assert rows.items() >= seen.items()
        seen = dict(rows)
    assert (mill.job(job_id).status, sorted(seen), mill.calls) == ("succeeded", [0, 1, 2, 3, 4], 1)
    # And a message that comes late does nothing.
    mill.collect(job_id)
    assert events_of(mill.database, job_id).count("job.succeeded") == 1
