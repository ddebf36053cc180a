"""One spoken reply over a realtime session, from the job to its WAV; and what a session that breaks has cost."""

from __future__ import annotations

import io
import logging
import wave
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from house import events_of, history_of, rows_of
from mill import Mill
from offers import PNG, Offer, data_uri, upload
from pydantic import SecretStr
from speaker import SPOKEN, WORDS, Act, Speaker, breaks, closes, mp3, refusal, say, sends, speaker
from sqlmodel import col

from jobs import catalogue
from jobs.catalogue import samples
from jobs.models import Gate, Job, Pause, Transition
from jobs.queries import pauses
from jobs.settings import UpstreamKey
from workers import logs, submit

GIVEN = {"model": "gpt-realtime", "text": "Say good morning.", "voice": "alloy"}
LOST = "upstream_outcome_unknown"


@pytest.fixture
def server() -> Iterator[Speaker]:
    with speaker() as kept:
        yield kept


@pytest.fixture
def talking_mill(mill_at: Callable[..., Mill], server: Speaker) -> Mill:
    return mill_at(server)


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.realtime._SILENCE_S", 0.2)


def asked(mill: Mill, **given: Any) -> Job:
    """A job after its one session."""
    return mill.submit(mill.accept("openai.realtime", GIVEN | given))


def paused(mill: Mill) -> list[str]:
    """What is paused, all of it by itself."""
    found = rows_of(mill.database, Pause)
    assert all(pause.automatic and pause.probe_at is not None for pause in found)
    return [pause.scope for pause in found]


def resume(mill: Mill, scope: str) -> None:
    with mill.database.transaction() as session:
        assert pauses.lift(session, scope)


def silence(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(seconds * 48_000))
    return out.getvalue()


def sound_of(mill: Mill, job: Job) -> bytes:
    """The samples of its first output, as a player reads them."""
    artifact = mill.artifacts(job.id)[0]
    assert (artifact.kind, artifact.media_type) == ("audio", "audio/wav")
    with wave.open(io.BytesIO(mill.stored(artifact))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        assert artifact.duration_s == pytest.approx(sound.getnframes() / 24_000, abs=0.01)
        return sound.readframes(sound.getnframes())


@pytest.mark.parametrize("dialect", ["current", "older"])
def test_a_reply_is_stored_as_a_wav_and_its_words_as_a_text(talking_mill: Mill, server: Speaker, dialect: Any) -> None:
    server.dialect = dialect
    job = talking_mill.run(asked(talking_mill, instructions="Be kind.").id)

    assert (job.status, job.error) == ("succeeded", None)
    assert sound_of(talking_mill, job) == SPOKEN
    _, words = talking_mill.artifacts(job.id)
    assert (words.kind, words.key, talking_mill.stored(words)) == ("text", f"jobs/{job.id}/1.txt", WORDS.encode())
    assert job.output == {
        "text": WORDS,
        "status": "completed",
        "reason": None,
        "response_id": "resp_1",
        "usage": {"total_tokens": 9},
    }
    assert [name for _, name, _, _ in history_of(talking_mill.database, job.id)] == ["claim", "receive", "finish"]
    assert server.types[-2:] == ["conversation.item.create", "response.create"]
    assert server.types.count("session.update") == (1 if dialect == "current" else 2)
    (handshake,) = server.handshakes
    assert handshake.path == "/v1/realtime?model=gpt-realtime"
    assert "origin" not in handshake.headers


def test_a_key_that_is_not_taken_in_a_header_is_offered_as_a_subprotocol(talking_mill: Mill, server: Speaker) -> None:
    server.key_in = "protocol"
    assert asked(talking_mill).status == "collecting"
    first, second = (handshake.headers for handshake in server.handshakes)
    assert (first["authorization"], "sec-websocket-protocol" in first) == ("Bearer sk-test", False)
    assert "authorization" not in second
    assert second["sec-websocket-protocol"] == "realtime, openai-insecure-api-key.sk-test"


def test_a_key_that_is_refused_inside_the_session_is_offered_as_a_subprotocol_too(talking_mill: Mill, server: Speaker) -> None:
    server.key_in = "either"
    error = {"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_api_key", "message": "no"}}
    server.on["open"] = [lambda socket: sends(error)(socket) and closes(1008)(socket)]
    assert asked(talking_mill).status == "collecting"
    assert ["authorization" in handshake.headers for handshake in server.handshakes] == [True, False]


def test_a_server_that_wants_a_subprotocol_is_given_one(talking_mill: Mill, server: Speaker) -> None:
    server.key_in, server.needs_protocol = "either", True
    assert asked(talking_mill).status == "collecting"
    assert len(server.handshakes) == 2


def test_a_key_that_is_refused_everywhere_is_paused_and_the_job_waits_for_one_that_is_not(
    talking_mill: Mill, server: Speaker
) -> None:
    server.key_in = "nowhere"
    job = asked(talking_mill)
    assert (job.status, job.error, job.released_at, job.key_name) == ("queued", None, None, None)
    assert [attempt.state for attempt in talking_mill.attempts(job.id)] == ["rejected"]
    assert len(server.handshakes) == 2
    assert paused(talking_mill) == ["key:default"]
    assert talking_mill.run(job.id).status == "queued", "it is not asked again with the same key"
    assert len(server.handshakes) == 2

    server.key_in = "header"
    resume(talking_mill, "key:default")
    assert talking_mill.run(job.id).status == "succeeded"
    assert server.bought == 1


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (refusal(429, {"error": {"message": "slow down"}}, retry_after="600"), "queued", None),
        (refusal(503, {"error": {"message": "busy"}}), "queued", None),
        (refusal(502, b"<html>", content_type="text/html"), "queued", None),
        (refusal(200, b"<html>Log in</html>", content_type="text/html"), "queued", None),
        (refusal(200, {"audio": "AAAA", "transcript": "no session at all"}), "queued", None),
        (refusal(404, {"error": {"code": "model_not_found", "message": "no"}}), "failed", "model_unavailable"),
        (refusal(402, {"error": {"message": "no money"}}), "queued", None),
        (refusal(403, {"error": {"message": "not for you"}}), "queued", None),
        (refusal(302, b"", location="http://127.0.0.1:9/elsewhere"), "failed", "upstream_bad_response"),
    ],
    ids=["429", "503", "502-html", "200-html", "200-json", "404", "402", "403", "302"],
)
def test_an_answer_that_opens_no_session_costs_nothing(
    talking_mill: Mill, server: Speaker, answer: Any, status: str, code: str | None
) -> None:
    # A key that is forbidden something is tried the other way as well.
    tries = 2 if answer.status_code == 403 else 1
    server.refusals = [answer] * tries
    before = talking_mill.clock()
    job = asked(talking_mill)
    assert (job.status, (job.error or {}).get("code")) == (status, code), job.error
    assert not (job.error or {}).get("may_have_been_charged")
    (attempt,) = talking_mill.attempts(job.id)
    assert attempt.state in ("not_accepted", "not_sent", "rejected")
    assert len(server.handshakes) == tries, "a redirect is not followed, a refusal not repeated at once"
    # What it says of all calls holds for all of them; what it says of this one is the job's to wait for.
    (gate,) = rows_of(talking_mill.database, Gate) or [None]
    closed = (gate.closed_until - before).total_seconds() if gate and gate.closed_until else None
    assert (closed is not None and 600 <= closed < 610) == (answer.status_code == 429)
    scopes = {402: ["key:default"], 403: ["key:default operation:openai.realtime"]}.get(answer.status_code, [])
    assert paused(talking_mill) == scopes
    if status == "queued":
        assert job.due_at is not None
        requeued = rows_of(talking_mill.database, Transition, col(Transition.name) == "requeue")[0]
        assert (job.due_at <= requeued.at) == (answer.status_code in (402, 403, 429)), "others wait by themselves"
        for scope in scopes:
            resume(talking_mill, scope)
        assert talking_mill.run(job.id).status == "succeeded"
    assert server.bought == (1 if status == "queued" else 0)


UPDATED = {"type": "session.updated"}
BEFORE: dict[str, dict[str, list[Act]]] = {
    "closed at once": {"open": [closes()]},
    "closed with a reason": {"open": [closes(1008, "policy: sk-test is not welcome")]},
    "broken at once": {"open": [breaks]},
    "closed instead of an answer": {"session.update": [closes(1011)]},
    "no JSON": {"session.update": [sends("<html>")]},
    "no event": {"session.update": [sends("[]")]},
    "a tower": {"open": [sends('{"type":' + "[" * 100_000)]},
    "bytes": {"open": [sends(b"\xff\xfe")]},
    "broken while listening": {"input_audio_buffer.append": [breaks]},
    "out of order": {"session.update": [sends({"type": "error", "error": {"type": "server_error", "message": "sorry"}})]},
}


@pytest.mark.parametrize("breaking", BEFORE)
def test_a_session_that_ends_before_the_reply_is_asked_for_is_opened_again(
    talking_mill: Mill, server: Speaker, breaking: str
) -> None:
    server.on = {moment: list(acts) for moment, acts in BEFORE[breaking].items()}
    # More than the kernel takes off our hands before the other end is known to be gone.
    given = {"audio": upload(talking_mill, silence(200), "question.wav", "audio/wav")} if "listening" in breaking else {}
    job = asked(talking_mill, **given)
    assert (job.status, job.error) == ("queued", None)
    assert "sk-test" not in str(history_of(talking_mill.database, job.id))
    (attempt,) = talking_mill.attempts(job.id)
    assert attempt.state in ("not_sent", "not_accepted")
    assert "nothing was bought" in (attempt.note or "")
    assert "sk-test" not in (attempt.note or "")
    assert talking_mill.run(job.id).status == "succeeded"
    assert server.bought == 1


@pytest.mark.parametrize("named", [False, True])
def test_a_server_that_quotes_our_key_is_not_quoted_itself(talking_mill: Mill, server: Speaker, named: bool) -> None:
    server.key_in = "either"
    server.on["open"] = [closes(1008, "an-unusual-key is not welcome")]
    unusual = SecretStr("an-unusual-key")
    changed = {"upstream_keys": {"default": UpstreamKey(key=unusual)}} if named else {"upstream_key": unusual}
    context = replace(talking_mill.context, settings=talking_mill.context.settings.model_copy(update=changed))
    job_id = talking_mill.accept("openai.realtime", GIVEN)
    talking_mill.hand_over(job_id)
    submit.submit(context, job_id, 0)
    context.leases.close()
    context.loop.close()
    (attempt,) = talking_mill.attempts(job_id)
    assert "*** is not welcome" in (attempt.note or "")


@pytest.mark.usefixtures("short_silence")
@pytest.mark.parametrize("moment", ["open", "session.update"])
def test_a_server_that_falls_silent_before_the_reply_is_asked_for_is_left(talking_mill: Mill, server: Speaker, moment: str) -> None:
    server.on = {moment: [server.hang]}
    assert asked(talking_mill).status == "queued"
    assert server.bought == 0


def half_a_reply(socket: Any) -> bool:
    say(socket, {"type": "response.created", "response": {"id": "resp_1"}})
    say(socket, {"type": "response.output_audio.delta", "response_id": "resp_1", "delta": "AAAA"})
    return True


AFTER: dict[str, Callable[[Speaker], Act]] = {
    "closed": lambda _: closes(),
    "closed in the middle": lambda _: lambda socket: half_a_reply(socket) and closes(1011)(socket),
    "broken": lambda _: breaks,
    "broken in the middle": lambda _: lambda socket: half_a_reply(socket) and breaks(socket),
    "no JSON": lambda _: sends("<html>"),
    "no base64": lambda _: sends({"type": "response.audio.delta", "delta": "not base64!"}),
    "failed there": lambda _: sends({"type": "error", "error": {"type": "server_error", "code": "server_error"}}),
    "silent": lambda server: server.hang,
}


@pytest.mark.usefixtures("short_silence")
@pytest.mark.parametrize("breaking", AFTER)
def test_a_session_that_ends_after_the_reply_was_asked_for_leaves_the_question_open(
    talking_mill: Mill, server: Speaker, breaking: str
) -> None:
    server.on = {"response.create": [AFTER[breaking](server)]}
    job = asked(talking_mill)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("unknown", LOST, True)
    assert [attempt.state for attempt in talking_mill.attempts(job.id)] == ["unknown"]
    assert talking_mill.run(job.id).status == "unknown"
    assert (server.bought, len(server.handshakes)) == (1, 1)
    assert events_of(talking_mill.database, job.id) == ["job.unknown"]


def test_a_reply_that_never_ends_is_left_after_the_operations_time(talking_mill: Mill, server: Speaker, offer: Offer) -> None:
    realtime = catalogue.find("openai.realtime")
    assert realtime is not None
    assert realtime.submit is not None
    offer(realtime.model_copy(update={"submit": realtime.submit.model_copy(update={"total_s": 0.5})}))

    def drips(socket: Any) -> bool:
        while not server.let_go.wait(0.05):
            sends({"type": "rate_limits.updated"})(socket)
        return False

    server.on = {"response.create": [drips]}
    assert asked(talking_mill).status == "unknown"


def test_a_reply_larger_than_may_be_kept_is_left(mill_at: Callable[..., Mill], server: Speaker) -> None:
    mill = mill_at(server, max_inline_bytes=10_000)
    job = asked(mill)
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("unknown", LOST)
    assert "more than 10,000 bytes" in job.error["message"]


def test_a_message_larger_than_may_be_kept_is_left(mill_at: Callable[..., Mill], server: Speaker) -> None:
    mill = mill_at(server, max_answer_bytes=1024)
    assert asked(mill).status == "unknown"


@pytest.mark.parametrize(
    ("ending", "says", "status", "code"),
    [
        ({"status": "failed", "status_details": {"error": {"code": "rate_limit_exceeded"}}}, b"", "queued", None),
        ({"status": "incomplete", "status_details": {"reason": "content_filter"}}, b"", "failed", "content_rejected"),
        ({"status": "cancelled", "status_details": {"reason": "turn_detected"}}, b"", "failed", "upstream_failed"),
        ({"status": "completed"}, b"", "failed", "no_output"),
        ({"status": "incomplete", "status_details": {"reason": "max_output_tokens"}}, SPOKEN, "collecting", None),
    ],
    ids=["rate-limit", "filtered", "cancelled", "nothing", "cut-short"],
)
def test_how_a_reply_ended_decides_what_becomes_of_the_job(
    talking_mill: Mill, server: Speaker, ending: dict[str, Any], says: bytes, status: str, code: str | None
) -> None:
    server.ending, server.says = ending, says
    job = asked(talking_mill)
    assert (job.status, (job.error or {}).get("code")) == (status, code)


# Sound in -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["wav", "mp3"])
def test_recorded_speech_is_heard_as_bare_samples_whatever_file_it_came_in(
    talking_mill: Mill, server: Speaker, source: str
) -> None:
    if source == "wav":  # 8 bits, 8 kHz, inline
        audio: Any = samples.tone(1.5)
    else:  # two channels, 44.1 kHz, uploaded
        audio = upload(talking_mill, mp3(1.5), "question.mp3", "audio/mpeg")
    job = asked(talking_mill, audio=audio, text="And what is this?")
    assert job.status == "collecting", job.error
    sound = array("h", server.samples)
    assert len(sound) == pytest.approx(1.5 * 24_000, rel=0.05)
    assert max(sound) > 5000, "as loud as it was"
    crossings = sum(1 for one, next_ in pairwise(sound) if one < 0 <= next_)
    assert crossings == pytest.approx(1.5 * (330 if source == "wav" else 440), rel=0.05), "as high as it was"
    assert server.types[0] == "session.update"
    assert server.types[-3:] == ["input_audio_buffer.commit", "conversation.item.create", "response.create"]


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (PNG, "a.mp3"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "a.mp3"),
        (mp3(0.2)[:300], "a.mp3"),
        (b"MThd\0\0\0\6", "a.mid"),
        (b"RIFF", "a.wav"),
    ],
    ids=["picture", "playlist", "cut", "notes", "stump"],
)
def test_what_holds_no_sound_is_refused_before_a_session_is_opened(
    talking_mill: Mill, server: Speaker, content: bytes, filename: str
) -> None:
    job = asked(talking_mill, audio=upload(talking_mill, content, filename, "audio/mpeg"))
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "invalid_input", False)
    assert job.error["message"].startswith("input.audio is not usable: ")
    assert server.handshakes == []


def test_a_picture_given_inline_is_no_sound_either(talking_mill: Mill, server: Speaker) -> None:
    assert asked(talking_mill, audio=data_uri(PNG)).status == "failed"
    assert server.handshakes == []


def test_sound_longer_than_a_turn_is_refused(talking_mill: Mill, server: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sound._MOST_S", 1)
    job = asked(talking_mill, audio=samples.tone(1.5))
    assert (job.status, server.handshakes) == ("failed", [])


def test_neither_key_nor_words_are_logged(
    talking_mill: Mill, server: Speaker, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in logs._QUIET:  # as every process sets them
        caplog.set_level(logging.WARNING, logger=name)
    caplog.set_level(logging.DEBUG)
    server.key_in = "protocol"
    talking_mill.run(asked(talking_mill, text="CANARY-TEXT").id)
    # The server's own log is in the same process.
    said = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server"))
    said += "".join(capfd.readouterr())
    assert "submitted" in said
    for secret in ("sk-test", "CANARY-TEXT", WORDS):
        assert secret not in said


# And beside the real simulator --------------------------------------------------------------------------------------------


def meets(mill: Mill, fault: str, **options: Any) -> None:
    """The simulator's sessions go wrong in this way."""
    mill.upstream.control(faults=[{"fault": fault, "match": {"operation": "openai.realtime"}, **options}])


@pytest.mark.parametrize("dialect", ["", "ga", "beta", "beta_only", "mixed"])
def test_the_simulator_is_understood_in_every_dialect(mill: Mill, dialect: str) -> None:
    if dialect:
        meets(mill, "variant", dialect=dialect, times=5)
    job = mill.run(mill.accept("openai.realtime", GIVEN))
    assert (job.status, job.error) == ("succeeded", None)
    assert len(sound_of(mill, job)) > 4800
    assert job.output["text"] == mill.stored(mill.artifacts(job.id)[1]).decode()
    assert mill.charged == 1


@pytest.mark.parametrize(
    ("fault", "options", "status", "code", "charged"),
    [
        ("unavailable", {"times": 2}, "succeeded", None, 1),
        ("rate_limit", {"times": 1, "retry_after": 1}, "succeeded", None, 1),
        ("bad_key", {"times": 9}, "queued", None, 0),
        ("no_money", {"times": 9}, "queued", None, 0),
        ("reset_after_accept", {"times": 1}, "unknown", LOST, 1),
        ("truncated_json", {"times": 1}, "unknown", LOST, 1),
        ("failed", {"times": 1, "code": "server_error"}, "unknown", LOST, 1),
    ],
)
def test_what_goes_wrong_in_a_session_of_the_simulator_is_told_apart(
    mill: Mill, fault: str, options: dict[str, Any], status: str, code: str | None, charged: int
) -> None:
    meets(mill, fault, **options)
    job = mill.run(mill.accept("openai.realtime", GIVEN))
    assert (job.status, (job.error or {}).get("code"), mill.charged) == (status, code, charged), job.error
    assert paused(mill) == (["key:default"] if status == "queued" else [])
