"""One spoken reply over a realtime session: what to say, given what was heard. Pure; who talks holds the socket.

    session.created → session.update → session.updated → the user's turn, response.create → deltas → response.done

Two dialects are understood. The session is described in the current one; a server that refuses it is told again in the older
one, which costs nothing: the reply is bought by `response.create` alone. Source: audio.md section 4 of the upstream facts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Samples a second of all sound, in both directions: 16 bit, one channel.
RATE_HZ = 24_000
#: Sound is sent in pieces of this many bytes, as a microphone would: some servers cap a message at 256 kB or more.
_PIECE_BYTES = 96_000

_AUDIO = frozenset({"response.output_audio.delta", "response.audio.delta"})
_TRANSCRIPT = frozenset({"response.output_audio_transcript.delta", "response.audio_transcript.delta"})
_TRANSCRIPT_DONE = frozenset({"response.output_audio_transcript.done", "response.audio_transcript.done"})


class Broken(Exception):
    """The server sent something that is no event, or sound that is none."""


class Talk:
    """The client's side of one session.

    `given`: text and/or audio (bare samples, bytes), instructions, voice, speed, max_output_tokens. `bought`: the request for
    the reply was handed over to be sent, from here on it costs money. `result`: the whole reply as a document, or
    `{"error": {…}}`; None until then.
    """

    def __init__(self, given: Mapping[str, Any], audio: bytes | None = None) -> None:
        self._given = given
        self._spoken = audio
        self._older = False
        self._configured = False
        self._response_id: str | None = None
        self._audio = bytearray()
        self._transcript: list[str] = []
        self._whole_transcript = ""
        self.bought = False
        self.result: dict[str, Any] | None = None

    def hear(self, event: Any) -> Iterable[dict[str, Any]]:
        """What to send now, each event to be sent before the next is taken. Raises Broken."""
        if not isinstance(event, dict) or not isinstance(kind := event.get("type"), str):
            raise Broken("a message of the session is no event")
        match kind:
            case "session.created":
                return [self._session()]
            case "session.updated" if not self._configured:
                self._configured = True
                return self._turn()
            case "error":
                return self._error(event)
            case "response.created":
                self._response_id = _text(_object(event, "response").get("id")) or None
            case "response.done":
                self._done(_object(event, "response"))
            case _ if self._is_ours(event):
                self._delta(kind, event)
        return []

    def _is_ours(self, event: dict[str, Any]) -> bool:
        return self._response_id is None or event.get("response_id") in (None, self._response_id)

    def _delta(self, kind: str, event: dict[str, Any]) -> None:
        delta = event.get("delta")
        if kind in _AUDIO and isinstance(delta, str):
            try:
                self._audio += base64.b64decode(delta, validate=True)
            except binascii.Error:
                raise Broken("a piece of the sound is not base64") from None
        elif kind in _TRANSCRIPT and isinstance(delta, str):
            self._transcript.append(delta)
        elif kind in _TRANSCRIPT_DONE:
            self._whole_transcript = _text(event.get("transcript"))

    def _error(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        if not self._configured and not self._older and _text(_object(event, "error").get("type")) == "invalid_request_error":
            code = _text(_object(event, "error").get("code"))
            if code != "invalid_api_key":
                self._older = True
                return [self._session()]
        if self._response_id is None:
            self.result = {"error": _object(event, "error") or {"message": "an error without words"}}
        # Once the reply is under way, errors are about side matters; how it ended is said by response.done.
        return []

    def _done(self, response: dict[str, Any]) -> None:
        status = _text(response.get("status"))
        details = _object(response, "status_details")
        if status in ("failed", "cancelled"):
            error = _object(details, "error")
            reason = _text(details.get("reason")) or status
            self.result = {"error": {"code": reason, "message": f"the reply was {status}: {reason}", **error}}
            return
        self.result = {
            "status": status or "completed",
            "reason": _text(details.get("reason")) or None,
            "audio": base64.b64encode(self._audio).decode() or None,
            "transcript": self._whole_transcript or "".join(self._transcript) or _transcript_of(response) or None,
            "response_id": self._response_id,
            "usage": response.get("usage"),
        }

    def _session(self) -> dict[str, Any]:
        """The description of the session, in the dialect that is tried now."""
        given = self._given
        if self._older:
            older = {
                "modalities": ["text", "audio"],
                "instructions": given.get("instructions"),
                "voice": given.get("voice"),
                "input_audio_format": "pcm16",
                "output_audio_format": "pcm16",
                "turn_detection": None,
                "max_response_output_tokens": given.get("max_output_tokens"),
            }
            kept = {name: value for name, value in older.items() if value is not None or name == "turn_detection"}
            return {"type": "session.update", "session": kept}
        form = {"type": "audio/pcm", "rate": RATE_HZ}
        voice = {name: given[name] for name in ("voice", "speed") if name in given}
        session = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": {"format": form, "turn_detection": None}, "output": {"format": form, **voice}},
            **{name: given[name] for name in ("instructions", "max_output_tokens") if name in given},
        }
        return {"type": "session.update", "session": session}

    def _turn(self) -> Iterator[dict[str, Any]]:
        """What the user says, and the request to answer it."""
        if self._spoken is not None:
            for start in range(0, len(self._spoken), _PIECE_BYTES):
                piece = self._spoken[start : start + _PIECE_BYTES]
                yield {"type": "input_audio_buffer.append", "audio": base64.b64encode(piece).decode()}
            yield {"type": "input_audio_buffer.commit"}
        if text := self._given.get("text"):
            content = [{"type": "input_text", "text": text}]
            yield {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
        self.bought = True
        yield {"type": "response.create"}


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _transcript_of(response: dict[str, Any]) -> str:
    items = response.get("output")
    contents = [item.get("content") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    parts = [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]
    return "".join(_text(part.get("transcript")) for part in parts)
