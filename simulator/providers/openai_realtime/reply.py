"""One response: paid when it begins, told piece by piece."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

from simulator import prose
from simulator.calls import Call, Output
from simulator.damage import TRANSPORT
from simulator.providers.openai_realtime import speech, wire
from simulator.providers.openai_realtime.settings import Settings, response_settings
from simulator.providers.openai_realtime.speech import Utterance
from simulator.providers.openai_realtime.wire import Json

if TYPE_CHECKING:
    from simulator.providers.openai_realtime.conversation import Conversation

#: Sound in one delta.
CHUNK_S = 0.25

#: Seconds after which even an order to hang is over.
LONGEST_HANG_S = 600.0

#: Share of a response that is out before its moderation speaks.
MODERATED_AT = 0.25


class Reply:
    def __init__(
        self,
        conversation: Conversation,
        call: Call,
        settings: Settings,
        metadata: Json | None,
        context: Sequence[Json],
        *,
        is_apart: bool,
    ) -> None:
        self._conversation = conversation
        self._call = call
        self._settings = settings
        self._metadata = metadata
        self._context = context
        #: Not part of the conversation, like an aside.
        self._is_apart = is_apart
        self._id = wire.new_id("resp")
        self._item: Json | None = None
        self._said: list[str] = []
        self._played_s = 0.0
        self._is_told = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_active(self) -> bool:
        return self._task is not None and not self._is_told

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def cancel(self) -> None:
        """The client has heard enough; what it heard it keeps."""
        await self.stop()
        if not self._is_told:
            await self._end("cancelled", {"type": "cancelled", "reason": "client_cancelled"})

    async def _run(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            try:
                await self._tell()
            except FileNotFoundError:
                # A reset swept the files away while this was still drawn.
                await self._fail_event("server_error")
            finally:
                self._call.land()
        self._is_told = True

    async def _tell(self) -> None:
        call, world = self._call, self._call.world
        for fault in call.faults:
            match fault.name:
                case "timeout_after_accept":
                    await world.pause(fault.number("delay", 1))
                    await self._fail_event("timeout")
                    return
                case "hang_after_accept":
                    await world.pause(min(fault.number("delay", LONGEST_HANG_S), LONGEST_HANG_S))
                    return
                case "reset_after_accept":
                    await self._cut(abort=True)
                    return
        await self._say("response.created", response=self._response("in_progress", None, []))
        await self._say("rate_limits.updated", rate_limits=_LIMITS)
        if call.fault("never_finishes"):
            await world.pause(LONGEST_HANG_S)
            return
        if (failed := call.fault("failed")) is not None:
            await call.deliver([])
            code = failed.text("code", "server_error")
            error = {"type": "server_error", "code": code, "message": "The response could not be made."}
            await self._end("failed", {"type": "failed", "error": error})
            return
        uttered = speech.utterance(call.prompt, self._settings)
        audio = await self._made(uttered)
        if call.fault("no_outputs"):
            await self._end("completed", None)
            return
        if not await self._utter(uttered, audio):
            return
        if call.fault("moderation"):
            await self._end("incomplete", {"type": "incomplete", "reason": "content_filter"})
        elif uttered.is_cut:
            await self._end("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        else:
            await self._end("completed", None)

    async def _made(self, uttered: Utterance) -> bytes:
        """The sound as it travels; nothing for what is written. Returns when the latency is over."""
        wanted = [Output(uttered.sound(self._settings), self._id)] if uttered.seconds else []
        files = await self._call.deliver(wanted)
        if not files:
            return b""
        samples = await asyncio.to_thread(files[0].path.read_bytes)
        return await speech.encoded(samples, self._settings.plays)

    async def _utter(self, uttered: Utterance, audio: bytes) -> bool:
        """The item with its part, delta by delta. False when the connection was cut on the way."""
        call = self._call
        await self._open_item()
        slow, cut, moderated = (call.fault(name) for name in ("slow_body", "truncated_body", "moderation"))
        deltas = list(_deltas(uttered, audio, self._settings))
        for number, (words, piece) in enumerate(deltas):
            if cut is not None and number >= len(deltas) / 2:
                await self._cut(abort=False)
                return False
            if moderated is not None and number > len(deltas) * MODERATED_AT:
                break
            if words:
                await self._say_in_part(f"{self._text_event}.delta", delta=words)
                self._said.append(words)
            if piece:
                await self._say_in_part("response.output_audio.delta", delta=base64.b64encode(piece).decode())
                self._played_s += uttered.seconds * len(piece) / len(audio)
            if slow is not None:
                await call.world.pause(slow.number("seconds", 5) / len(deltas))
        return True

    @property
    def _text_event(self) -> str:
        return "response.output_audio_transcript" if self._settings.speaks else "response.output_text"

    async def _open_item(self) -> None:
        conversation = self._conversation
        before = conversation.items[-1]["id"] if conversation.items else None
        self._item = {
            "id": wire.new_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        await self._say("response.output_item.added", **self._place, item=self._item)
        if not self._is_apart:
            conversation.items.append(self._item)
            await self._say("conversation.item.added", previous_item_id=before, item=self._item)
        await self._say_in_part("response.content_part.added", part=self._part(""))

    async def _close_item(self, status: str) -> None:
        if self._item is None:
            return
        text = "".join(self._said)
        member, kind = ("transcript", "output_audio") if self._settings.speaks else ("text", "output_text")
        self._item["content"] = [{"type": kind, member: text}]
        self._item["status"] = "completed" if status == "completed" else "incomplete"
        if self._settings.speaks:
            await self._say_in_part("response.output_audio.done")
        await self._say_in_part(f"{self._text_event}.done", **{member: text})
        await self._say_in_part("response.content_part.done", part=self._part(text))
        shown = wire.item_of(self._conversation.tongue, self._item)
        if not self._is_apart:
            await self._say("conversation.item.done", previous_item_id=None, item=shown)
        await self._say("response.output_item.done", **self._place, item=shown)

    def _part(self, text: str) -> Json:
        return {"type": "audio", "transcript": text} if self._settings.speaks else {"type": "text", "text": text}

    @property
    def _place(self) -> Json:
        return {"response_id": self._id, "output_index": 0}

    async def _say_in_part(self, name: str, /, **content: Any) -> None:
        item_id = self._item["id"] if self._item is not None else ""
        await self._say(name, **self._place, item_id=item_id, content_index=0, **content)

    async def _say(self, name: str, /, **content: Any) -> None:
        await self._conversation.say(name, **content)

    async def _fail_event(self, kind: str) -> None:
        _, code, message = wire.ERRORS[kind]
        await self._say("error", error=wire.error_body("server_error", code, message))

    async def _end(self, status: str, details: Json | None) -> None:
        """What every response ends with, unless a fault spoils it."""
        self._is_told = True
        await self._close_item(status)
        call, socket = self._call, self._conversation.socket
        output = [wire.item_of(self._conversation.tongue, self._item)] if self._item is not None else []
        strange = call.fault("unknown_status")
        word = strange.text("word", "hibernating") if strange is not None else status
        done = {"response": self._response(word, details, output, self._usage())}
        if call.fault("truncated_json"):
            whole = wire.event(self._conversation.tongue, "response.done", done) or ""
            await socket.send_text(whole[: len(whole) // 2])
        elif call.fault("wrong_shape"):
            await socket.send_text(json.dumps({"ok": True, "result": "done"}))
        else:
            await self._say("response.done", **done)

    async def _cut(self, *, abort: bool) -> None:
        """The end of the connection, without a word of farewell where the server hands out its transport."""
        self._is_told = True
        socket = self._conversation.socket
        transport = socket.scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            await socket.close(1011)
        elif abort:
            transport.abort()
        else:
            transport.close()  # what is already written still goes out

    def _response(self, status: str, details: Json | None, output: list[Json], usage: Json | None = None) -> Json:
        return {
            "object": "realtime.response",
            "id": self._id,
            "status": status,
            "status_details": details,
            "output": output,
            "conversation_id": None if self._is_apart else self._conversation.id,
            **response_settings(self._conversation.tongue, self._settings),
            "metadata": self._metadata,
            "usage": usage,
        }

    def _usage(self) -> Json:
        read, heard = _asked(self._context, self._settings)
        read += prose.tokens(self._settings.instructions)
        written = prose.tokens("".join(self._said))
        played = Utterance((), self._played_s).audio_tokens
        return {
            "total_tokens": read + heard + written + played,
            "input_tokens": read + heard,
            "output_tokens": written + played,
            "input_token_details": {"text_tokens": read, "audio_tokens": heard, "cached_tokens": 0},
            "output_token_details": {"text_tokens": written, "audio_tokens": played},
        }


_LIMITS = [
    {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 60.0},
    {"name": "tokens", "limit": 50_000, "remaining": 49_000, "reset_seconds": 60.0},
]


def _deltas(uttered: Utterance, audio: bytes, settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Words, each group with the sound of about as long; what is written comes word by word."""
    count = max(1, round(uttered.seconds / CHUNK_S)) if audio else len(uttered.words)
    bytes_per_sample = 1 if settings.plays != "audio/pcm" else 2
    samples = len(audio) // bytes_per_sample
    words = [f" {word}" if number else word for number, word in enumerate(uttered.words)]
    for number in range(count):
        first, last = (len(words) * at // count for at in (number, number + 1))
        begin, end = (samples * at // count * bytes_per_sample for at in (number, number + 1))
        yield "".join(words[first:last]), audio[begin:end]


def _asked(context: Sequence[Json], settings: Settings) -> tuple[int, int]:
    """Tokens read and heard."""
    parts = [part for item in context for part in item["content"]]
    read = sum(prose.tokens(part.get("text") or part.get("transcript") or "") for part in parts)
    heard_s = sum(speech.seconds_of(part["audio"], settings.hears) for part in parts if "audio" in part)
    return read, round(heard_s * speech.HEARD_TOKENS_PER_S)
