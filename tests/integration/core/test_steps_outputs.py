"""Media out: outputs that take one more request, and outputs that are no media file until we make them one."""

from __future__ import annotations

import hashlib
import io
import re
import wave
from collections.abc import Callable
from typing import Any

import pytest
from house import history_of
from mill import Mill
from offers import PNG, WAV, Offer, b64, data_uri, operation, task
from recorder import Answer, Recorder

from jobs.catalogue.schema import text
from jobs.catalogue.spec import FollowUp, Output, Samples, Submit
from jobs.states import JobState

CONTENT = "/v1/tasks/t1/content"
NOT_READY = {"error": {"type": "invalid_request_error", "message": "video is not ready yet"}}


def names(mill: Mill, job_id: str) -> list[str]:
    return [name for _, name, _, _ in history_of(mill.database, job_id)]


def made(mill: Mill) -> str:
    """A job whose task is done and whose outputs wait to be fetched."""
    job_id = mill.accept("test.make", {"prompt": "a kite"})
    mill.submit(job_id)
    mill.poll(job_id)
    assert mill.job(job_id).status == "collecting", mill.job(job_id).error
    return job_id


# The bytes are behind another request -------------------------------------------------------------------------------------


def content_behind(offer: Offer, gateway: Recorder, *content: Any, **submit: Any) -> None:
    """A task whose picture is at its own path, as videos of `/v1/videos` are."""
    output = Output(kind="image", select=("image_url",), follow_up=FollowUp(path="/v1/tasks/{ref}/content"))
    offer(task(outputs=(output,), submit=Submit(path="/v1/make", **submit)))
    gateway.serve({"/v1/make": {"id": "t1"}, "/v1/tasks/t1": {"id": "t1", "status": "done"}, CONTENT: list(content)})


@pytest.mark.parametrize(("auth", "header"), [("bearer", "authorization"), ("x-goog-api-key", "x-goog-api-key")])
def test_content_at_a_path_of_its_own_is_asked_for_with_the_key(
    own_mill: Mill, gateway: Recorder, offer: Offer, auth: str, header: str
) -> None:
    content_behind(offer, gateway, PNG, auth=auth, headers={"X-Version": "7"})
    job_id = made(own_mill)
    assert own_mill.collect(job_id).status == "succeeded"
    (artifact,) = own_mill.artifacts(job_id)
    assert own_mill.stored(artifact) == PNG
    (asked,) = gateway.to(CONTENT)
    assert asked.headers[header].removeprefix("Bearer ") == "sk-test"
    assert asked.headers["x-version"] == "7"


def test_an_address_in_the_answer_is_taken_before_the_path(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer
) -> None:
    content_behind(offer, gateway, PNG)
    world.serve({"/made.png": PNG})
    done = {"id": "t1", "status": "done", "image_url": f"{world.url}/made.png"}
    gateway.serve({"/v1/make": {"id": "t1"}, "/v1/tasks/t1": done})
    assert own_mill.collect(made(own_mill)).status == "succeeded"
    assert gateway.to(CONTENT) == []


@pytest.mark.parametrize("auth", ["bearer", "x-goog-api-key"])
def test_content_that_leads_to_a_link_is_fetched_there_without_the_key(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, auth: str
) -> None:
    world.serve({"/made.png": Answer(b"", 302, {"location": "/moved.png"}), "/moved.png": PNG})
    moved = Answer(b"", 302, {"location": f"{world.url}/made.png?sig=1"})
    content_behind(offer, gateway, moved, auth=auth, headers={"X-Version": "7"})
    job_id = made(own_mill)
    assert own_mill.collect(job_id).status == "succeeded"
    (artifact,) = own_mill.artifacts(job_id)
    assert own_mill.stored(artifact) == PNG
    assert [request.path for request in world.requests] == ["/made.png", "/moved.png"]
    for request in world.requests:
        assert "sk-test" not in str(request.headers)
        assert "x-version" not in request.headers


def test_a_link_on_the_gateway_itself_is_followed_without_the_key(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    content_behind(offer, gateway, Answer(b"", 307, {"location": "../../../files/made.png"}))
    gateway.serve(
        {
            "/v1/make": {"id": "t1"},
            "/v1/tasks/t1": {"status": "done"},
            CONTENT: Answer(b"", 307, {"location": "../../../files/made.png"}),
            "/files/made.png": PNG,
        }
    )
    assert own_mill.collect(made(own_mill)).status == "succeeded"
    (fetched,) = gateway.to("/files/made.png")
    assert "authorization" not in fetched.headers


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "file:///etc/passwd", "//10.0.0.1/x.png"])
def test_content_that_leads_where_we_may_not_go_ends_the_job(own_mill: Mill, gateway: Recorder, offer: Offer, target: str) -> None:
    content_behind(offer, gateway, Answer(b"", 302, {"location": target}))
    job = own_mill.collect(made(own_mill))
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "output_url_refused", True)


@pytest.mark.parametrize(
    "early",
    [
        Answer(NOT_READY, 400),
        Answer(NOT_READY, 200),  # saying so with a good status
        Answer(NOT_READY, 425),
        Answer(b"<html>502</html>", 502, {"content-type": "text/html"}),
        Answer(b"", 302),  # to nowhere
        Answer(PNG[:50], 200),
        Answer(PNG[:50], 200, {"content-length": str(len(PNG)), "connection": "close"}),
    ],
    ids=["400", "error-in-200", "425", "html", "redirect-to-nowhere", "half", "cut"],
)
def test_content_that_is_not_there_yet_is_asked_for_again(own_mill: Mill, gateway: Recorder, offer: Offer, early: Answer) -> None:
    content_behind(offer, gateway, early, PNG)
    job_id = made(own_mill)
    waiting = own_mill.collect(job_id)
    assert (waiting.status, waiting.collect_tries, waiting.error) == ("collecting", 1, None)
    assert own_mill.artifacts(job_id) == []
    assert own_mill.collect(job_id).status == "succeeded"
    assert (len(gateway.to("/v1/make")), len(gateway.to(CONTENT))) == (1, 2)


@pytest.mark.parametrize("status", [404, 410, 403])
def test_content_that_is_gone_sends_us_back_to_the_task(own_mill: Mill, gateway: Recorder, offer: Offer, status: int) -> None:
    content_behind(offer, gateway, Answer(NOT_READY, status), PNG)
    job_id = made(own_mill)
    assert own_mill.collect(job_id).status == "running"
    assert own_mill.run(job_id).status == "succeeded"
    assert names(own_mill, job_id) == ["claim", "accept", "collect", "repoll", "collect", "finish"]


def test_content_that_never_comes_ends_the_job_and_says_that_it_was_paid_for(
    own_mill: Mill, gateway: Recorder, offer: Offer
) -> None:
    content_behind(offer, gateway, Answer(NOT_READY, 404))
    job_id = made(own_mill)
    job = own_mill.run(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "output_expired", True)
    assert job.error["upstream"]["status"] == 404
    assert "not ready yet" in job.error["upstream"]["message"]
    assert (len(gateway.to("/v1/make")), len(gateway.to(CONTENT))) == (1, 9)


@pytest.mark.parametrize("directive", ["", "variant link=none", "variant link=none content=redirect"])
def test_a_video_of_the_simulator_is_stored_as_it_was_made(mill: Mill, directive: str) -> None:
    prompt = "a kite" + (f" [[simulate:{directive}]]" if directive else "")
    job_id = mill.accept("sora.self_developed_video", {"prompt": prompt, "seconds": "4", "size": "720x1280"})
    assert mill.run(job_id).status == "succeeded"
    (artifact,) = mill.artifacts(job_id)
    assert (artifact.media_type, artifact.width, artifact.height) == ("video/mp4", 720, 1280)
    assert hashlib.sha256(mill.stored(artifact)).hexdigest() in {file["sha256"] for file in mill.upstream.files()}


# The address is behind another request ------------------------------------------------------------------------------------

RETRIEVE = "/v1/files/retrieve"


def address_behind(offer: Offer, gateway: Recorder, *answers: Any) -> None:
    """A task that names a file, whose address is asked for at a price."""
    follow_up = FollowUp(path=RETRIEVE + "?file_id={ref}", ref=("file_id",), address=("file.download_url",))
    offer(task(outputs=(Output(kind="image", follow_up=follow_up),)))
    done = {"status": "done", "file_id": "f/1 2"}
    gateway.serve({"/v1/make": {"id": "t1"}, "/v1/tasks/t1": done, RETRIEVE: list(answers)})


def at(world: Recorder, path: str) -> dict[str, Any]:
    return {"file": {"file_id": "f/1 2", "download_url": f"{world.url}{path}"}, "base_resp": {"status_code": 0}}


def test_an_address_is_asked_for_once_right_before_the_fetch(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer
) -> None:
    world.serve({"/made.png": PNG})
    address_behind(offer, gateway, at(world, "/made.png"))
    job_id = made(own_mill)
    assert gateway.to(RETRIEVE) == [], "not while it is only known to be done"
    assert own_mill.collect(job_id).status == "succeeded"
    (asked,) = gateway.to(RETRIEVE)
    assert (asked.query, asked.headers["authorization"]) == ({"file_id": ["f/1 2"]}, "Bearer sk-test")
    (fetched,) = world.requests
    assert "authorization" not in fetched.headers
    own_mill.collect(job_id)
    assert len(gateway.to(RETRIEVE)) == 1, "a message that comes late costs nothing"


def test_an_address_that_died_is_replaced_by_a_fresh_one(own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer) -> None:
    world.serve({"/dead.png": Answer(b"expired", 403), "/fresh.png": PNG})
    address_behind(offer, gateway, at(world, "/dead.png"), at(world, "/fresh.png"))
    job_id = made(own_mill)
    assert own_mill.run(job_id).status == "succeeded"
    assert own_mill.stored(own_mill.artifacts(job_id)[0]) == PNG
    assert (len(gateway.to("/v1/make")), len(gateway.to(RETRIEVE))) == (1, 2)


@pytest.mark.parametrize(
    "early",
    [
        {"base_resp": {"status_code": 1000, "status_msg": "unknown error"}},
        Answer({"error": {"message": "no such file"}}, 404),
        Answer(b"<html>", 200),
        Answer({"error": {"message": "busy"}}, 500),
        {"file": {"download_url": ""}},
    ],
    ids=["error-in-200", "404", "html", "500", "no-address"],
)
def test_an_address_that_is_not_there_yet_is_asked_for_again(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, early: Any
) -> None:
    world.serve({"/made.png": PNG})
    address_behind(offer, gateway, early, at(world, "/made.png"))
    job_id = made(own_mill)
    assert own_mill.collect(job_id).status == "collecting"
    assert own_mill.collect(job_id).status == "succeeded"
    assert len(gateway.to("/v1/make")) == 1


def test_a_rate_limit_on_the_way_to_an_address_is_waited_out_however_long_it_lasts(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer
) -> None:
    world.serve({"/made.png": PNG})
    limited = Answer({"error": {"message": "slow down"}}, 429, {"retry-after": "90"})
    address_behind(offer, gateway, *[limited] * 12, at(world, "/made.png"))
    job_id = made(own_mill)
    for _ in range(12):
        before = own_mill.clock()
        job = own_mill.collect(job_id)
        assert (job.status, job.collect_tries) == ("collecting", 0)
        assert job.due_at is not None
        assert (job.due_at - before).total_seconds() >= 90
    assert own_mill.collect(job_id).status == "succeeded"


def test_an_address_that_never_comes_ends_the_job_and_says_that_it_was_paid_for(
    own_mill: Mill, gateway: Recorder, offer: Offer
) -> None:
    address_behind(offer, gateway, Answer({"error": {"message": "no such file"}}, 404))
    job = own_mill.run(made(own_mill))
    assert job.error is not None
    assert (job.status, job.error["may_have_been_charged"], job.error["retryable"]) == ("failed", True, True)
    assert "no such file" in job.error["message"]
    assert len(gateway.to(RETRIEVE)) == 9


@pytest.mark.parametrize(("directive", "retrieved"), [("", 1), ("dead_link_once", 2), ("wrapped file=yes", 0)])
def test_a_file_of_the_simulator_is_looked_up_as_often_as_needed(mill: Mill, directive: str, retrieved: int) -> None:
    prompt = "a kite" + (f" [[simulate:{directive}]]" if directive else "")
    job_id = mill.accept("minimax.video", {"model": "T2V-01", "prompt": prompt})
    assert mill.run(job_id).status == "succeeded"
    assert len(mill.upstream.ledger(event="file_retrieved")) == retrieved
    assert mill.charged == 1


# Bare samples -------------------------------------------------------------------------------------------------------------

SAMPLES = bytes(range(256)) * 100


def heard(mill: Mill, job_id: str) -> list[tuple[int, int, bytes]]:
    """Rate, channels and samples of each output, as a player reads them."""
    found = []
    for artifact in mill.artifacts(job_id):
        assert (artifact.kind, artifact.media_type) == ("audio", "audio/wav")
        with wave.open(io.BytesIO(mill.stored(artifact))) as sound:
            found.append((sound.getframerate(), sound.getnchannels(), sound.readframes(sound.getnframes())))
            assert sound.getsampwidth() == 2
            assert artifact.duration_s == pytest.approx(sound.getnframes() / sound.getframerate(), abs=0.01)
    return found


def speaking(offer: Offer, *, raw: bool, **samples: Any) -> None:
    rules = Samples(when="format == 'pcm'", **({"rate_hz": 16_000} | samples))
    output = Output(kind="audio", body=True, samples=rules) if raw else Output(kind="audio", select=("audio",), samples=rules)
    schema = {"format": text()}
    offer(operation(schema, modality="audio", submit=Submit(path="/v1/make", raw=raw), outputs=(output,)))


def test_bare_samples_as_an_answer_become_a_wav(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": Answer(SAMPLES, headers={"content-type": "audio/pcm"})})
    speaking(offer, raw=True, rate_hz=24_000)
    job_id = own_mill.accept("test.make", {"format": "pcm"})
    assert own_mill.run(job_id).status == "succeeded"
    assert heard(own_mill, job_id) == [(24_000, 1, SAMPLES)]


def test_bare_samples_inside_json_become_a_wav_each(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": {"audio": [{"b64": b64(SAMPLES)}, {"b64": b64(SAMPLES[:400])}]}})
    speaking(offer, raw=False, channels=2)
    job_id = own_mill.accept("test.make", {"format": "pcm"})
    assert own_mill.run(job_id).status == "succeeded"
    assert heard(own_mill, job_id) == [(16_000, 2, SAMPLES), (16_000, 2, SAMPLES[:400])]


def test_half_a_sample_at_the_end_is_left_out(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": Answer(SAMPLES + b"\x01", headers={"content-type": "audio/pcm"})})
    speaking(offer, raw=True)
    job_id = own_mill.accept("test.make", {"format": "pcm"})
    assert own_mill.run(job_id).status == "succeeded"
    assert heard(own_mill, job_id) == [(16_000, 1, SAMPLES)]


@pytest.mark.parametrize("raw", [True, False])
def test_what_has_a_header_already_keeps_it(own_mill: Mill, gateway: Recorder, offer: Offer, raw: bool) -> None:
    gateway.serve({"/v1/make": Answer(WAV, headers={"content-type": "audio/wav"}) if raw else {"audio": [{"b64": b64(WAV)}]}})
    speaking(offer, raw=raw)
    job_id = own_mill.accept("test.make", {"format": "wav"})
    assert own_mill.run(job_id).status == "succeeded"
    (artifact,) = own_mill.artifacts(job_id)
    assert own_mill.stored(artifact) == WAV


@pytest.mark.parametrize(
    "written",
    [
        lambda: re.sub("(.{76})", r"\1\r\n", b64(PNG)),  # in lines, as in mail
        lambda: b64(PNG).rstrip("="),
        lambda: b64(PNG).replace("+", "-").replace("/", "_"),  # the alphabet of addresses
        lambda: data_uri(PNG),
    ],
    ids=["lines", "no-padding", "urlsafe", "data-uri"],
)
def test_base64_is_read_however_it_is_written(own_mill: Mill, gateway: Recorder, offer: Offer, written: Callable[[], str]) -> None:
    gateway.serve({"/v1/make": {"images": [{"b64": written()}]}})
    offer(operation(outputs=(Output(kind="image", select=("images",)),)))
    job_id = own_mill.accept("test.make", {"prompt": "a kite"})
    assert own_mill.run(job_id).status == "succeeded"
    assert own_mill.stored(own_mill.artifacts(job_id)[0]) == PNG


def test_base64_that_is_none_ends_the_job_and_keeps_the_answer(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": {"images": [{"b64": "§" + b64(PNG)}]}})
    offer(operation(outputs=(Output(kind="image", select=("images",)),)))
    job_id = own_mill.accept("test.make", {"prompt": "a kite"})
    job = own_mill.run(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", "output_unreadable")
    (attempt,) = own_mill.attempts(job_id)
    assert attempt.spool_key is not None
    with own_mill.context.store.open(attempt.spool_key) as stream:
        assert b64(PNG).encode() in stream.read()


# Texts and drawings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response_format", "extension", "media_type", "begins"),
    [
        ("json", "txt", "text/plain; charset=utf-8", ""),
        ("text", "txt", "text/plain; charset=utf-8", ""),
        ("srt", "srt", "application/x-subrip", "1\n00:00:00,000 --> "),
        ("vtt", "vtt", "text/vtt", "WEBVTT"),
        ("verbose_json", "json", "application/json", "{"),
    ],
)
def test_a_transcript_is_stored_as_the_file_that_was_asked_for(
    mill: Mill, response_format: str, extension: str, media_type: str, begins: str
) -> None:
    given = {"model": "whisper-1", "file": data_uri(WAV, "audio/wav"), "response_format": response_format}
    job_id = mill.accept("openai.transcription", given)
    job = mill.run(job_id)
    assert (job.status, job.error) == ("succeeded", None)
    (artifact,) = mill.artifacts(job_id)
    assert (artifact.kind, artifact.media_type, artifact.key) == ("text", media_type, f"jobs/{job_id}/0.{extension}")
    stored = mill.stored(artifact).decode()
    assert stored.startswith(begins)
    assert stored if response_format == "verbose_json" else stored == job.output["text"]


def drawing(inside: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="9" height="9"/>{inside}</svg>'.encode()


@pytest.mark.parametrize("inline", [True, False])
def test_a_drawing_is_stored_where_one_was_ordered(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, inline: bool
) -> None:
    world.serve({"/made": drawing()})
    gateway.serve({"/v1/make": {"images": [{"b64": b64(drawing())} if inline else {"url": f"{world.url}/made"}]}})
    offer(operation(outputs=(Output(kind="image", select=("images",), extension="svg"),)))
    job_id = own_mill.accept("test.make", {"prompt": "a kite"})
    assert own_mill.run(job_id).status == "succeeded"
    (artifact,) = own_mill.artifacts(job_id)
    assert (artifact.kind, artifact.media_type, artifact.key) == ("image", "image/svg+xml", f"jobs/{job_id}/0.svg")
    assert (artifact.width, artifact.height, own_mill.stored(artifact)) == (40, 30, drawing())


@pytest.mark.parametrize(
    ("extension", "content"),
    [("svg", drawing("<script>alert(1)</script>")), ("svg", PNG), ("svg", b"<html></html>"), (None, drawing())],
    ids=["script", "no-drawing", "html", "not-ordered"],
)
def test_a_drawing_that_acts_or_that_nobody_ordered_is_not_stored(
    own_mill: Mill, gateway: Recorder, offer: Offer, extension: str | None, content: bytes
) -> None:
    gateway.serve({"/v1/make": {"images": [{"b64": b64(content)}]}})
    offer(operation(outputs=(Output(kind="image", select=("images",), extension=extension),)))
    job_id = own_mill.accept("test.make", {"prompt": "a kite"})
    job = own_mill.run(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"].startswith("output_")) == (JobState.FAILED, True)
    assert own_mill.artifacts(job_id) == []
