"""OpenAI realtime, over real sockets. Source: audio.md section 4.

Every event is also read with the vendor's own types, which were not written here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import av
import openai
import pytest
from openai.types.beta.realtime import RealtimeServerEvent as BetaEvent
from openai.types.realtime import RealtimeServerEvent as GaEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from simulator.providers.openai_realtime.wire import BETA_NAMES

Json = dict[str, Any]

MODEL = "gpt-4o-realtime-preview-2025-06-03"
GA_UPDATE: Json = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "Speak plainly.",
    "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None},
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
    },
}
BETA_UPDATE: Json = {
    "modalities": ["text", "audio"],
    "instructions": "Speak plainly.",
    "voice": "alloy",
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "turn_detection": None,
    "temperature": 0.8,
    "max_response_output_tokens": "inf",
}
WORDS = "Say good morning."

_TYPES: dict[str, TypeAdapter[Any]] = {"ga": TypeAdapter(GaEvent), "beta": TypeAdapter(BetaEvent)}
_BETA_ONLY = {name for name in BETA_NAMES.values() if name}
#: Of a response, or of the attempt.
ENDS = ("response.done", "error")

#: Longer than anything here takes; reached only by a broken simulator.
DEADLINE_S = 15


class Client:
    """A connection, and everything the server said on it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[Json] = []

    async def send(self, kind: str, **content: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **content}))

    async def next(self) -> Json:
        event: Json = json.loads(await asyncio.wait_for(self.socket.recv(), DEADLINE_S))
        self.seen.append(event)
        return event

    async def until(self, *kinds: str) -> Json:
        """The first event of one of these kinds."""
        while True:
            event = await self.next()
            if event["type"] in kinds:
                return event

    async def ask(self, words: str = WORDS, **response: Any) -> Json:
        """Say something and wait for the end of the response, or of the attempt."""
        await self.send("conversation.item.create", item=message(words))
        await self.send("response.create", **({"response": response} if response else {}))
        return await self.until(*ENDS)

    def types(self) -> list[str]:
        return [event["type"] for event in self.seen]

    def audio(self) -> bytes:
        kinds = ("response.output_audio.delta", "response.audio.delta")
        return b"".join(base64.b64decode(event["delta"]) for event in self.seen if event["type"] in kinds)

    def transcript(self) -> str:
        kinds = ("response.output_audio_transcript.delta", "response.audio_transcript.delta")
        return "".join(event["delta"] for event in self.seen if event["type"] in kinds)


def message(words: str) -> Json:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}


@contextlib.asynccontextmanager
async def session(
    simulator: Any,
    *,
    model: str = MODEL,
    key: str | None = "sk-test",
    protocols: list[str] | None = None,
    headers: dict[str, str] | None = None,
    simulate: str = "",
) -> AsyncIterator[Client]:
    """An open connection, past nothing."""
    sent = dict(headers or {})
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    if simulate:
        sent["x-simulate"] = simulate
    url = f"{simulator.url.replace('http', 'ws', 1)}/v1/realtime?model={model}"
    async with connect(url, additional_headers=sent, subprotocols=protocols, proxy=None) as socket:  # type: ignore[arg-type]
        yield Client(socket)


def talk(
    simulator: Any,
    *asked: Json,
    update: Json | None = GA_UPDATE,
    words: str | None = WORDS,
    ends: tuple[str, ...] = ENDS,
    **options: Any,
) -> Client:
    """A whole conversation: session, update, the events of `asked`, words, response."""

    async def converse() -> Client:
        async with session(simulator, **options) as client:
            await client.next()
            if update is not None:
                await client.send("session.update", session=update)
                await client.next()
            for event in asked:
                await client.socket.send(json.dumps(event))
            if words is not None:
                await client.send("conversation.item.create", item=message(words))
            await client.send("response.create")
            await client.until(*ends)
            return client

    return asyncio.run(converse())


def refusal(simulator: Any, **options: Any) -> tuple[int, Json]:
    """Status and body of a refused handshake."""

    async def knock() -> tuple[int, Json]:
        with pytest.raises(InvalidStatus) as refused:
            async with session(simulator, **options):
                pass
        response = refused.value.response
        assert response.headers["x-cometapi-request-id"]
        return response.status_code, json.loads(response.body or b"{}")

    return asyncio.run(knock())


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / 24_000


def test_a_spoken_reply_comes_in_the_order_of_the_vendor(simulator: Any) -> None:
    client = talk(simulator)

    assert client.types()[:2] == ["session.created", "session.updated"]
    collapsed = [kind for number, kind in enumerate(client.types()) if not kind.endswith(".delta") or number < 9]
    assert collapsed[2:] == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = client.seen[-1]["response"]
    assert (done["status"], done["status_details"]) == ("completed", None)
    (item,) = done["output"]
    assert item["content"] == [{"type": "output_audio", "transcript": client.transcript()}]
    assert "Say good morning" in client.transcript()
    assert abs(seconds(client.audio()) - len(client.transcript()) / 15) < 0.01
    assert any(client.audio())


def test_usage_adds_up_and_counts_what_was_played(simulator: Any) -> None:
    client = talk(simulator)

    usage = client.seen[-1]["response"]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_token_details"]["text_tokens"] == len(client.transcript().split())
    assert abs(usage["output_token_details"]["audio_tokens"] - seconds(client.audio()) * 20) <= 1
    assert usage["input_token_details"]["audio_tokens"] == 0


@pytest.mark.parametrize(
    ("simulate", "update", "names", "shape"),
    [
        ("", GA_UPDATE, "ga", "ga"),
        ("variant dialect=ga", GA_UPDATE, "ga", "ga"),
        ("", BETA_UPDATE, "beta", "beta"),
        ("variant dialect=beta", BETA_UPDATE, "beta", "beta"),
        ("variant dialect=beta", GA_UPDATE, "beta", "beta"),
        ("variant dialect=beta_only", BETA_UPDATE, "beta", "beta"),
        ("variant dialect=mixed", GA_UPDATE, "beta", "ga"),
    ],
)
def test_events_are_in_one_dialect(simulator: Any, simulate: str, update: Json, names: str, shape: str) -> None:
    client = talk(simulator, update=update, simulate=simulate)

    said = set(client.types())
    assert bool(said & _BETA_ONLY) is (names == "beta")
    assert bool(said & set(BETA_NAMES)) is (names == "ga")
    assert ("output_modalities" in client.seen[1]["session"]) is (shape == "ga")
    assert client.seen[-1]["response"]["output"][0]["content"][0]["type"] == ("output_audio" if shape == "ga" else "audio")
    assert seconds(client.audio()) > 1
    if names == shape:
        for event in client.seen[1:]:  # the first is sent before the update
            known = _TYPES[names].validate_python(event)
            assert known.type == event["type"]


@pytest.mark.parametrize(
    "asked", [{"headers": {"OpenAI-Beta": "realtime=v1"}}, {"protocols": ["realtime", "openai-beta.realtime-v1"]}]
)
def test_the_beta_is_spoken_to_whoever_asks_for_it(simulator: Any, asked: Json) -> None:
    client = talk(simulator, update=None, **asked)

    assert "modalities" in client.seen[0]["session"]
    assert "response.audio.delta" in client.types()


def test_a_directive_in_the_instructions_changes_the_dialect(simulator: Any) -> None:
    update = {**GA_UPDATE, "instructions": "Be kind. [[simulate:variant dialect=mixed]]"}

    assert "response.audio.delta" in talk(simulator, update=update).types()


@pytest.mark.parametrize(
    ("simulate", "update", "code", "param"),
    [
        ("variant dialect=beta_only", GA_UPDATE, "unknown_parameter", "session.type"),
        ("variant dialect=ga", BETA_UPDATE, "unknown_parameter", "session.modalities"),
        ("variant dialect=ga", {"instructions": "x"}, "missing_required_parameter", "session.type"),
    ],
)
def test_a_server_of_one_shape_refuses_the_other(simulator: Any, simulate: str, update: Json, code: str, param: str) -> None:
    client = talk(simulator, update=update, simulate=simulate)

    assert client.seen[1]["type"] == "error"
    assert (client.seen[1]["error"]["code"], client.seen[1]["error"]["param"]) == (code, param)
    assert client.seen[-1]["response"]["status"] == "completed"  # an error is no end


def test_the_mixed_dialect_is_what_a_rule_can_order_too(simulator: Any) -> None:
    rule = {"match": {"operation": "openai.realtime"}, "fault": "variant", "dialect": "mixed"}
    simulator.control(faults=[rule]).raise_for_status()

    assert "response.audio.delta" in talk(simulator).types()
    assert "response.output_audio.delta" in talk(simulator).types()


def test_a_key_may_come_as_a_subprotocol(start: Callable[..., Any]) -> None:
    simulator = start("--latency", "0", "--key", "sk-right")
    protocols = ["realtime", "openai-insecure-api-key.sk-right"]

    async def accepted() -> str | None:
        async with session(simulator, key=None, protocols=protocols) as client:
            return client.socket.subprotocol

    assert asyncio.run(accepted()) == "realtime"
    status, body = refusal(simulator, key=None, protocols=["realtime", "openai-insecure-api-key.sk-wrong"])
    assert (status, body["error"]["type"]) == (401, "comet_api_error")
    assert refusal(simulator, key="sk-wrong")[0] == 401
    assert refusal(simulator, key=None)[0] == 401
    assert simulator.http.get("/_simulator/ledger").json() == []


def closing(simulator: Any, **options: Any) -> tuple[Json | None, int]:
    """The last event, and the code of the close that came after it."""

    async def listen_to_the_end() -> tuple[Json | None, int]:
        async with session(simulator, **options) as client:
            with pytest.raises((ConnectionClosedError, ConnectionClosedOK)):
                while True:
                    await client.next()
            return client.seen[-1] if client.seen else None, client.socket.close_code or 0

    return asyncio.run(listen_to_the_end())


@pytest.mark.parametrize(
    ("simulate", "model", "code", "close"),
    [
        ("bad_key", MODEL, "invalid_api_key", 1008),
        ("rate_limit", MODEL, "rate_limit_exceeded", 1008),
        ("server_error", MODEL, "server_error", 1011),
        ("", "gpt-5", "model_not_found", 1002),
    ],
)
def test_a_refusal_can_come_after_the_handshake(simulator: Any, simulate: str, model: str, code: str, close: int) -> None:
    event, closed = closing(simulator, model=model, simulate=f"variant refused=inside, {simulate}")

    assert event is not None
    assert (event["type"], event["error"]["code"], closed) == ("error", code, close)


def test_an_unknown_subprotocol_is_closed_with_1002(simulator: Any) -> None:
    async def speak_mqtt() -> int:
        async with session(simulator, protocols=["mqtt"]) as client:
            await client.socket.wait_closed()
            return client.socket.close_code or 0

    assert asyncio.run(speak_mqtt()) == 1002


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"simulate": "rate_limit"}, 429, ""),
        ({"simulate": "server_error"}, 500, "do_request_failed"),
        ({"simulate": "unavailable"}, 503, "get_channel_failed"),
        ({"simulate": "no_money"}, 403, "insufficient_user_quota"),
        ({"simulate": "bad_key"}, 401, ""),
        ({"model": "gpt-5"}, 404, "model_not_found"),
        ({"model": ""}, 400, "invalid_request"),
    ],
    ids=str,
)
def test_a_refused_handshake_is_plain_http_and_costs_nothing(simulator: Any, options: Json, status: int, code: str) -> None:
    answered, body = refusal(simulator, **options)

    assert (answered, body["error"]["code"]) == (status, code)
    (line,) = simulator.ledger()
    assert (line["operation"], line["charged"]) == ("openai.realtime", False)


@pytest.mark.parametrize(
    ("mood", "status", "code"),
    [("refused", 401, ""), ("balance", 402, "insufficient_user_quota"), ("forbidden", 403, "access_denied")],
)
def test_a_key_out_of_order_gets_no_handshake(simulator: Any, mood: str, status: int, code: str) -> None:
    simulator.control(keys={"sk-test": {"mood": mood}}).raise_for_status()

    answered, body = refusal(simulator)

    assert (answered, body["error"]["code"]) == (status, code)


def test_a_rule_refuses_one_handshake(simulator: Any) -> None:
    simulator.control(faults=[{"match": {"operation": "openai.realtime"}, "fault": "rate_limit"}]).raise_for_status()

    assert refusal(simulator)[0] == 429
    assert talk(simulator).seen[-1]["response"]["status"] == "completed"


def test_response_create_is_charged_and_finished_with_its_sound(simulator: Any) -> None:
    client = talk(simulator)

    called, finished = simulator.ledger(event="paid_call")[0], simulator.finished()
    assert (called["outcome"], called["charged"], called["model"]) == ("accepted", True, MODEL)
    assert finished["call"] == called["n"]
    (file,) = finished["files"]
    assert simulator.get(file["url"]).content == client.audio()
    assert len(simulator.ledger(charged="true")) == 1


def test_a_conversation_without_a_response_costs_nothing(simulator: Any) -> None:
    async def only_talk() -> None:
        async with session(simulator) as client:
            await client.send("conversation.item.create", item=message(WORDS))
            await client.until("conversation.item.done")

    asyncio.run(only_talk())
    assert simulator.ledger() == []


def sound_of(seconds_long: float) -> str:
    return base64.b64encode(b"\x01\x02" * round(24_000 * seconds_long)).decode()


def test_sound_is_heard_when_it_is_committed(simulator: Any) -> None:
    heard = [{"type": "input_audio_buffer.append", "audio": sound_of(0.5)}] * 3

    client = talk(simulator, *heard, {"type": "input_audio_buffer.commit"}, words=None)

    types = client.types()
    assert types[2:5] == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert client.seen[2]["item_id"] == client.seen[3]["item"]["id"]
    assert client.seen[3]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert "your 1.5 seconds of sound" in client.transcript()
    assert client.seen[-1]["response"]["usage"]["input_token_details"]["audio_tokens"] == 15
    for event in client.seen:
        assert _TYPES["ga"].validate_python(event).type == event["type"]


def test_sound_may_also_come_as_an_item(simulator: Any) -> None:
    part = {"type": "input_audio", "audio": sound_of(2)}
    item = {"type": "message", "role": "user", "content": [part]}

    client = talk(simulator, {"type": "conversation.item.create", "item": item}, words=None)

    assert "your 2.0 seconds of sound" in client.transcript()


@pytest.mark.parametrize("before", [[], [{"type": "input_audio_buffer.append", "audio": sound_of(0.05)}]], ids=["nothing", "50 ms"])
def test_a_commit_needs_sound(simulator: Any, before: list[Json]) -> None:
    commit = {"type": "input_audio_buffer.commit", "event_id": "mine"}

    client = talk(simulator, *before, commit)

    error = client.seen[2]["error"]
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "mine")


def test_a_cleared_buffer_is_empty(simulator: Any) -> None:
    client = talk(
        simulator,
        {"type": "input_audio_buffer.append", "audio": sound_of(1)},
        {"type": "input_audio_buffer.clear"},
        {"type": "input_audio_buffer.commit"},
    )

    assert [event["type"] for event in client.seen[2:4]] == ["input_audio_buffer.cleared", "error"]


def updated(**changes: Any) -> Json:
    audio = {**GA_UPDATE["audio"], "output": {**GA_UPDATE["audio"]["output"], **changes.pop("output", {})}}
    return {**GA_UPDATE, "audio": audio, **changes}


def test_speed_and_voice_are_heard(simulator: Any) -> None:
    plain, fast = talk(simulator), talk(simulator, update=updated(output={"speed": 1.5}))
    other = talk(simulator, update=updated(output={"voice": "verse"}))

    assert abs(seconds(plain.audio()) / seconds(fast.audio()) - 1.5) < 0.02
    assert plain.audio() != other.audio()
    assert len(plain.audio()) == len(other.audio())


@pytest.mark.parametrize(("audio_format", "codec"), [("audio/pcmu", "mulaw"), ("audio/pcma", "alaw")])
def test_g711_is_one_byte_a_sample_at_8_khz(simulator: Any, tmp_path: Any, audio_format: str, codec: str) -> None:
    client = talk(simulator, update=updated(output={"format": {"type": audio_format}}))

    raw = tmp_path / "reply"
    raw.write_bytes(client.audio())
    with av.open(str(raw), "r", format=codec, options={"sample_rate": "8000"}) as file:
        stream = file.streams.audio[0]
        samples = sum(frame.samples for frame in file.decode(stream))
    assert abs(samples / 8_000 - len(client.transcript()) / 15) < 0.01


def test_a_written_reply_has_no_sound(simulator: Any) -> None:
    client = talk(simulator, update=updated(output_modalities=["text"]))

    written = "".join(event["delta"] for event in client.seen if event["type"] == "response.output_text.delta")
    (part,) = client.seen[-1]["response"]["output"][0]["content"]
    assert part == {"type": "output_text", "text": written}
    assert client.audio() == b""
    assert client.seen[-1]["response"]["usage"]["output_token_details"]["audio_tokens"] == 0


def test_a_limit_of_tokens_leaves_the_response_incomplete(simulator: Any) -> None:
    client = talk(simulator, update=updated(max_output_tokens=30))

    done = client.seen[-1]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert 0 < done["usage"]["output_tokens"] <= 30
    assert done["output"][0]["status"] == "incomplete"


def test_a_response_may_be_set_for_itself_and_stand_apart(simulator: Any) -> None:
    async def converse() -> Client:
        async with session(simulator) as client:
            await client.next()
            own = {
                "conversation": "none",
                "output_modalities": ["text"],
                "metadata": {"job": "7"},
                "input": [message("count stars")],
            }
            await client.ask("Say good morning.", **own)
            return client

    client = asyncio.run(converse())
    done = client.seen[-1]["response"]
    assert (done["conversation_id"], done["metadata"], done["output_modalities"]) == (None, {"job": "7"}, ["text"])
    assert "count stars" in done["output"][0]["content"][0]["text"]
    assert client.types().count("conversation.item.added") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "transcription"},
        {"output_modalities": ["audio", "text"]},
        {"max_output_tokens": 0},
        {"max_output_tokens": 4097},
        {"output": {"speed": 1.6}},
        {"output": {"voice": "nova"}},
        {"output": {"format": {"type": "audio/mp3"}}},
        {"output": {"format": {"type": "audio/pcm", "rate": 16000}}},
        {"temperature": 0.8},
        {"voice": "alloy"},
    ],
    ids=str,
)
def test_settings_outside_the_field_table_are_refused(simulator: Any, wrong: Json) -> None:
    client = talk(simulator, update=updated(**wrong))

    assert client.seen[1]["type"] == "error"
    assert client.seen[1]["error"]["code"] in {"invalid_value", "unknown_parameter"}
    assert client.seen[1]["error"]["param"].startswith("session.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "conversation.item.create"},
        {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}},
        {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text"}]}},
        {"type": "conversation.item.create", "item": {"type": "message", "role": "robot", "content": []}},
        {"type": "conversation.item.create", "item": {**message("x"), "role": "assistant"}},
        {"type": "input_audio_buffer.append", "audio": "?"},
        {"type": "input_audio_buffer.append"},
        {"type": "response.cancel"},
        {"type": "song.sing"},
        {},
        [],
    ],
    ids=str,
)
def test_an_event_that_makes_no_sense_is_answered_with_an_error(simulator: Any, wrong: Any) -> None:
    client = talk(simulator, wrong, ends=("response.done",))

    assert client.seen[2]["type"] == "error"
    assert client.seen[2]["error"]["type"] == "invalid_request_error"
    assert client.seen[-1]["response"]["status"] == "completed"


def test_bytes_are_no_event(simulator: Any) -> None:
    async def converse() -> Json:
        async with session(simulator) as client:
            await client.next()
            await client.socket.send(b"\x00\x01")
            return await client.next()

    assert asyncio.run(converse())["error"]["code"] == "invalid_json"


def test_there_is_one_response_at_a_time(simulator: Any) -> None:
    async def converse() -> list[Json]:
        async with session(simulator) as client:
            await client.send("response.create")
            await client.send("response.create")
            first = await client.until("error", "response.done")
            return [first, await client.until("error", "response.done")]

    refused, done = asyncio.run(converse())
    assert refused["error"]["code"] == "conversation_already_has_active_response"
    assert done["response"]["status"] == "completed"
    assert len(simulator.ledger(charged="true")) == 1


def test_a_canceled_response_ends_with_what_was_said(simulator: Any) -> None:
    async def converse() -> Client:
        async with session(simulator, simulate="slow_body seconds=60") as client:
            await client.send("conversation.item.create", item=message(WORDS))
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            await client.send("response.cancel")
            await client.until("response.done")
            return client

    client = asyncio.run(converse())
    done = client.seen[-1]["response"]
    assert (done["status"], done["status_details"]) == ("cancelled", {"type": "cancelled", "reason": "client_cancelled"})
    assert done["output"][0]["content"][0]["transcript"] == client.transcript()
    assert 0 < seconds(client.audio()) < 1


def test_the_second_answer_is_about_the_second_question(simulator: Any) -> None:
    async def converse() -> list[Json]:
        async with session(simulator) as client:
            return [await client.ask("red kites"), await client.ask("blue boats")]

    first, second = (done["response"]["output"][0]["content"][0]["transcript"] for done in asyncio.run(converse()))
    assert "red kites" in first
    assert "blue boats" in second
    assert "red kites" not in second
    assert len(simulator.ledger(charged="true")) == 2


def test_moderation_cuts_the_answer_off(simulator: Any) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:moderation]]")

    done = client.seen[-1]["response"]
    assert (done["status"], done["status_details"]) == ("incomplete", {"type": "incomplete", "reason": "content_filter"})
    assert done["output"][0]["status"] == "incomplete"
    assert simulator.ledger(event="paid_call")[0]["fault"] == "moderation"


def test_a_failed_response_says_why(simulator: Any) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:failed code=rate_limit_exceeded]]")

    done = client.seen[-1]["response"]
    assert (done["status"], done["output"]) == ("failed", [])
    assert done["status_details"]["error"]["code"] == "rate_limit_exceeded"
    assert len(simulator.ledger(charged="true")) == 1


def test_a_response_may_have_nothing_in_it(simulator: Any) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:no_outputs]]")

    assert (client.seen[-1]["response"]["status"], client.seen[-1]["response"]["output"]) == ("completed", [])
    assert client.audio() == b""


def test_a_status_nobody_documented_can_be_ordered(simulator: Any) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:unknown_status word=dreaming]]")

    assert client.seen[-1]["response"]["status"] == "dreaming"


@pytest.mark.parametrize(
    ("directive", "kind", "code"),
    [
        ("rate_limit", "requests", "rate_limit_exceeded"),
        ("rate_limit code=slow_down", "requests", "slow_down"),
        ("server_error", "server_error", "server_error"),
        ("no_money", "insufficient_quota", "insufficient_quota"),
        ("no_money by=gateway", "comet_api_error", "insufficient_user_quota"),
        ("bad_key", "invalid_request_error", "invalid_api_key"),
        ("error_in_200", "server_error", "bad_response"),
    ],
)
def test_a_refusal_ordered_in_the_words_is_an_error_event(simulator: Any, directive: str, kind: str, code: str) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:{directive}]]")

    assert client.seen[-1]["type"] == "error"
    assert (client.seen[-1]["error"]["type"], client.seen[-1]["error"]["code"]) == (kind, code)
    assert "response.created" not in client.types()
    (line,) = simulator.ledger()
    assert line["charged"] is False


def test_a_refusal_ordered_once_leaves_the_second_attempt_alone(simulator: Any) -> None:
    words = f"{WORDS} [[simulate:rate_limit times=1]]"

    assert [talk(simulator, words=words).seen[-1]["type"] for _ in range(2)] == ["error", "response.done"]


@pytest.mark.parametrize(
    ("orders", "code"),
    [
        ({"limits": [{"operation": "openai.realtime", "units": 0}]}, "rate_limit_exceeded"),
        ({"balance_usd": "0"}, "insufficient_quota"),
    ],
    ids=["limit", "money"],
)
def test_a_response_beyond_a_limit_or_the_money_is_an_error_event(simulator: Any, orders: Json, code: str) -> None:
    simulator.control(**orders).raise_for_status()

    client = talk(simulator)

    assert (client.seen[-1]["type"], client.seen[-1]["error"]["code"]) == ("error", code)
    (line,) = simulator.ledger()
    assert (line["charged"], line["usd"]) == (False, "0")


@pytest.mark.parametrize("directive", ["never_finishes", "timeout_after_accept", "failed", "no_outputs"])
def test_a_response_is_in_flight_until_it_ends_or_its_client_leaves(simulator: Any, directive: str) -> None:
    async def ask_and_leave() -> None:
        async with session(simulator) as client:
            await client.send("conversation.item.create", item=message(f"{WORDS} [[simulate:{directive}]]"))
            await client.send("response.create")
            await client.until("response.created", "error")

    asyncio.run(ask_and_leave())

    (told,) = simulator.poll("/_simulator/load", lambda told: told["total"]["now"] == 0)[-1:]
    assert (told["total"]["peak"], told["total"]["calls"]) == (1, 1)


def test_a_rule_finds_the_words(simulator: Any) -> None:
    match = {"operation": "openai.realtime", "prompt_contains": "morning"}
    simulator.control(faults=[{"match": match, "fault": "moderation"}]).raise_for_status()

    statuses = [talk(simulator, words=words).seen[-1]["response"]["status"] for words in ("good night", WORDS, WORDS)]

    assert statuses == ["completed", "incomplete", "completed"]


def broken(simulator: Any, directive: str, *, wait_s: float = DEADLINE_S) -> tuple[Client, int | None]:
    """Everything that came, and how the connection ended; None when it went on in silence for `wait_s`."""

    async def converse() -> tuple[Client, int | None]:
        async with session(simulator) as client:
            await client.send("conversation.item.create", item=message(f"{WORDS} [[simulate:{directive}]]"))
            await client.send("response.create")
            try:
                async with asyncio.timeout(wait_s):
                    while True:
                        await client.next()
            except TimeoutError:
                return client, None
            except (ConnectionClosedError, ConnectionClosedOK):
                return client, client.socket.close_code

    return asyncio.run(converse())


def test_a_connection_breaks_before_the_answer(simulator: Any) -> None:
    client, code = broken(simulator, "reset_after_accept")

    assert code == 1006
    assert "response.created" not in client.types()
    assert len(simulator.ledger(charged="true")) == 1


def test_a_connection_breaks_in_the_middle_of_the_sound(simulator: Any) -> None:
    client, code = broken(simulator, "truncated_body")

    assert code == 1006
    assert client.audio()
    assert "response.done" not in client.types()
    whole = simulator.get(simulator.finished()["files"][0]["url"]).content
    assert whole.startswith(client.audio())
    assert len(client.audio()) < len(whole) * 0.75


@pytest.mark.parametrize(
    ("directive", "last"),
    [("hang_after_accept", "conversation.item.done"), ("never_finishes", "rate_limits.updated")],
)
def test_a_response_may_never_come(simulator: Any, directive: str, last: str) -> None:
    client, code = broken(simulator, directive, wait_s=0.6)

    assert (client.types()[-1], code) == (last, None)
    assert len(simulator.ledger(charged="true")) == 1


def test_a_timeout_after_acceptance_is_an_error_that_was_paid_for(simulator: Any) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:timeout_after_accept delay=0]]")

    assert (client.seen[-1]["type"], client.seen[-1]["error"]["code"]) == ("error", "timeout")
    assert len(simulator.ledger(charged="true")) == 1


def test_a_slow_answer_is_whole_in_the_end(simulator: Any) -> None:
    client = talk(simulator, words=f"{WORDS} [[simulate:slow_body seconds=0.3]]")

    assert abs(seconds(client.audio()) - len(client.transcript()) / 15) < 0.01


def frames(simulator: Any, directive: str) -> list[str]:
    """As they came, until `response.done` was due."""

    async def converse() -> list[str]:
        async with session(simulator) as client:
            await client.send("conversation.item.create", item=message(f"{WORDS} [[simulate:{directive}]]"))
            await client.send("response.create")
            came: list[str] = []
            while not came or not came[-1].startswith(("<", '{"ok"', '{"type": "response.done"')):
                came.append(str(await asyncio.wait_for(client.socket.recv(), DEADLINE_S)))
            return came

    return asyncio.run(converse())


def test_the_last_event_may_be_spoiled(simulator: Any) -> None:
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(frames(simulator, "truncated_json")[-1])
    assert json.loads(frames(simulator, "wrong_shape")[-1]) == {"ok": True, "result": "done"}
    assert frames(simulator, "html")[-1].startswith("<!doctype html>")


def test_what_cannot_strike_here_is_said_in_the_handshake(simulator: Any) -> None:
    async def warned() -> str:
        async with session(simulator, simulate="dead_link, hiccup") as client:
            response = client.socket.response
            assert response is not None
            return response.headers["x-simulator-warning"]

    assert asyncio.run(warned()) == "dead_link does not apply to a conversation; unknown fault hiccup"


def test_a_stopping_simulator_hangs_up(start: Callable[..., Any]) -> None:
    simulator = start("--latency", "0")

    async def converse() -> int | None:
        async with session(simulator, simulate="never_finishes") as client:
            await client.send("response.create")
            await client.until("rate_limits.updated")
            simulator.process.terminate()
            with pytest.raises((ConnectionClosedError, ConnectionClosedOK)):
                await client.until("response.done")
            return client.socket.close_code

    assert asyncio.run(converse()) == 1012
    assert simulator.stop() == 0


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(simulator: Any) -> None:
    async def leave() -> None:
        async with session(simulator, simulate="slow_body seconds=60") as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")

    asyncio.run(leave())
    assert talk(simulator).seen[-1]["response"]["status"] == "completed"


# The client enters its connection by hand, which the library below it has begun to warn about.
@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
def test_the_vendors_own_client_holds_a_conversation(simulator: Any) -> None:
    client = openai.OpenAI(api_key="sk-test", base_url=f"{simulator.url}/v1", max_retries=0)
    heard, transcript = b"", ""
    with client, client.realtime.connect(model="gpt-realtime") as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["audio"]})
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": WORDS}]}
        )
        connection.response.create()
        for event in connection:
            if event.type == "response.output_audio.delta":
                heard += base64.b64decode(event.delta)
            elif event.type == "response.output_audio_transcript.done":
                transcript = event.transcript
            elif event.type == "response.done":
                assert event.response.status == "completed"
                break

    assert abs(seconds(heard) - len(transcript) / 15) < 0.01


def test_a_socket_nobody_offers_is_refused(simulator: Any) -> None:
    async def knock() -> int:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(simulator.url.replace("http", "ws", 1) + "/v1/nothing", proxy=None):
                pass
        return refused.value.response.status_code

    assert asyncio.run(knock()) == 403
