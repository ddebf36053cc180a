"""One connection: what the client says, event by event."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator import faults
from simulator.calls import Call, digest
from simulator.dialects import HTML_PAGE
from simulator.exchange import Exchange, Refused
from simulator.faults import FAULTS, Fault, Occasion, Reach
from simulator.fields import Fields
from simulator.providers.openai_realtime import settings, speech, wire
from simulator.providers.openai_realtime.reply import Reply
from simulator.providers.openai_realtime.settings import Settings
from simulator.providers.openai_realtime.wire import Json, Wrong
from simulator.spoiling import refusal
from simulator.world import World

#: Seconds a session may last. The vendor's is 30 to 60 minutes; only shown.
SESSION_S = 1800

#: The least the vendor accepts as something heard.
LEAST_HEARD_S = 0.1

#: Part of a message -> who may send it, in either shape.
PARTS = {
    "input_text": ("user", "system"),
    "input_audio": ("user",),
    "input_image": ("user",),
    "output_text": ("assistant",),
    "text": ("assistant",),
}

_MANY = 1000


class Conversation:
    def __init__(
        self, world: World, exchange: Exchange, socket: WebSocket, model: str, asked: Sequence[Fault], wants_beta: bool
    ) -> None:
        self.world = world
        self.exchange = exchange
        self.socket = socket
        self.model = model
        self.id = wire.new_id("conv")
        self.tongue = wire.TONGUES["beta" if wants_beta else ""]
        self.settings = Settings()
        self.items: list[Json] = []
        self._session_id = wire.new_id("sess")
        self._expires_at = int(world.now()) + SESSION_S
        self._buffer = bytearray()
        #: Items that no response has answered yet.
        self._unanswered: list[Json] = []
        #: Faults for every response, of the session's instructions, and for the next response.
        self._standing = list(asked)
        self._of_session: list[Fault] = []
        self._of_items: list[Fault] = []
        self._reply: Reply | None = None
        self._obey_variant(asked)
        self._does: dict[str, Callable[[Json], Awaitable[None]]] = {
            "session.update": self._update,
            "conversation.item.create": self._create_item,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }

    async def run(self) -> None:
        """Until the client leaves or the simulator stops."""
        try:
            await self.say("session.created", session=self._session())
            while True:
                message = await self.socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._hear(message.get("text") or "")
        except WebSocketDisconnect:
            return
        finally:
            if self._reply is not None:
                await self._reply.stop()

    async def say(self, name: str, /, **content: Any) -> None:
        """Send one event by its GA name. Raises WebSocketDisconnect when nobody listens any more."""
        said = wire.event(self.tongue, name, content)
        if said is not None:
            await self.socket.send_text(said)

    async def _hear(self, text: str) -> None:
        event_id = None
        try:
            event = _parse(text)
            event_id = event.get("event_id")
            kind = event.get("type")
            if kind not in self._does:
                raise Wrong("invalid_value", f"Invalid value: '{kind}'. Supported values are: {', '.join(self._does)}.", "type")
            await self._does[kind](event)
        except Wrong as wrong:
            await self.say("error", error={**wrong.error, "event_id": event_id})

    def _session(self) -> Json:
        return settings.session_of(self.tongue, self.settings, self._session_id, self.model, self._expires_at)

    def _obey_variant(self, asked: Sequence[Fault]) -> None:
        for fault in asked:
            if fault.name == "variant" and "dialect" in fault.options:
                self.tongue = wire.TONGUES.get(fault.options["dialect"], self.tongue)

    async def _update(self, event: Json) -> None:
        self._of_session = _known(faults.in_body(event))
        self._obey_variant(self._of_session)
        session = _object(event, "session")
        shape = settings.shape_of(session.given, self.tongue)
        self.settings = settings.read_session(session, shape, self.settings)
        if self.tongue.follows:
            self.tongue = wire.Tongue(shape, shape, follows=True)
        await self.say("session.updated", session=self._session())

    async def _create_item(self, event: Json) -> None:
        found = _known(faults.in_body(event))
        self._obey_variant(found)
        item = _read_item(_object(event, "item"))
        self._of_items += found
        await self._add(item)

    async def _append(self, event: Json) -> None:
        self._buffer += _decoded(Fields(event, wire.wrong_field), "audio")

    async def _commit(self, event: Json) -> None:
        heard_s = speech.seconds_of(self._buffer, self.settings.hears)
        if heard_s < LEAST_HEARD_S:
            raise Wrong(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {heard_s * 1000:.2f}ms of audio.",
            )
        item = _item("user", [{"type": "input_audio", "transcript": None, "audio": bytes(self._buffer)}])
        self._buffer.clear()
        await self.say("input_audio_buffer.committed", previous_item_id=self._last_item_id(), item_id=item["id"])
        await self._add(item)

    async def _clear(self, event: Json) -> None:
        self._buffer.clear()
        await self.say("input_audio_buffer.cleared")

    async def _add(self, item: Json) -> None:
        before = self._last_item_id()
        self.items.append(item)
        self._unanswered.append(item)
        shown = wire.item_of(self.tongue, item)
        await self.say("conversation.item.added", previous_item_id=before, item=shown)
        await self.say("conversation.item.done", previous_item_id=before, item=shown)

    def _last_item_id(self) -> str | None:
        return self.items[-1]["id"] if self.items else None

    async def _respond(self, event: Json) -> None:
        if self._reply is not None and self._reply.is_active:
            raise Wrong("conversation_already_has_active_response", "Conversation already has an active response.")
        own = _known(faults.in_body(event))
        self._obey_variant(own)
        wanted = _object(event, "response") if "response" in event else Fields({}, wire.wrong_field, "response.")
        wants = settings.read_response(wanted, settings.shape_of(wanted.given, self.tongue), self.settings)
        is_apart = wanted.one_of("conversation", ("auto", "none"), "auto") == "none"
        wanted.inside("metadata")
        answered = self._unanswered
        context = self.items
        if "input" in wanted.given:
            answered = context = [_read_item(item) for item in wanted.each("input", 0, _MANY)]

        call = self._call(answered, wants, own)
        refusals = call.of(Reach.REFUSAL)
        if refusals:
            await self._refuse(call, refusals[0])
            return
        try:
            await call.accept()
        except Refused as refused:
            await self._refuse(call, Fault(refused.kind))
            return
        # From here on it is paid, and only the reply knows how far it came.
        if answered is self._unanswered:
            self._unanswered = []
        self._reply = Reply(self, call, wants, wanted.given.get("metadata"), list(context), is_apart=is_apart)
        self._reply.start()

    def _call(self, answered: Sequence[Json], wants: Settings, own: Sequence[Fault]) -> Call:
        """One response as a paid call, with the faults that strike it."""
        prompt = _prompt_of(answered, wants)
        call = Call(self.world, wire.REALTIME, self.exchange, {"model": self.model, "input": prompt})
        asked = [*self._standing, *self._of_session, *self._of_items, *own]
        self._of_items = []
        where = digest(wire.REALTIME.name + prompt)
        call.faults = [fault for fault in asked if self.world.rules.strikes(fault, where)]
        occasion = Occasion("submit", wire.REALTIME.name, self.exchange.request.url.path, self.exchange.key, self.model, prompt)
        # The form of the answers was settled at the handshake.
        call.faults += self.world.rules.take(occasion, set(Reach) - {Reach.SHAPE})
        return call

    async def _refuse(self, call: Call, fault: Fault) -> None:
        await call.refuse(refusal(wire.REALTIME.dialect, fault, call.request_id), fault.name)
        if fault.name == "html":
            await self.socket.send_text(HTML_PAGE)
        else:
            await self.say("error", error=wire.refusal_body(fault))

    async def _cancel(self, event: Json) -> None:
        if self._reply is None or not self._reply.is_active:
            raise Wrong("response_cancel_not_active", "Cancellation failed: no active response found.")
        await self._reply.cancel()


def _parse(text: str) -> Json:
    try:
        event = _without_nulls(json.loads(text))
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise Wrong("invalid_json", "The event is not a JSON object.")
    return event


def _without_nulls(value: Any) -> Any:
    """A null is a member left out, except where it turns something off."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None or key == "turn_detection"}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _object(event: Json, name: str) -> Fields:
    fields = Fields(event, wire.wrong_field)
    fields.need(name)
    return fields.inside(name)


def _known(found: Sequence[Fault]) -> list[Fault]:
    return [fault for fault in found if fault.name in FAULTS and fault.on == "submit"]


def _read_item(item: Fields) -> Json:
    item.need("type", "role")
    item.one_of("type", ("message",))
    role = item.one_of("role", ("user", "system", "assistant"))
    parts = []
    for part in item.each("content", 1, _MANY):
        part.need("type")
        kind = part.one_of("type", tuple(PARTS))
        if role not in PARTS[kind]:
            raise part.wrong("type", f"does not belong to role {role}")
        parts.append(_read_part(part, kind))
    return _item(role, parts, item.text("id"))


def _read_part(part: Fields, kind: str) -> Json:
    match kind:
        case "input_audio":
            return {"type": kind, "transcript": part.given.get("transcript"), "audio": _decoded(part, "audio")}
        case "input_image":
            part.need("image_url")
            return {"type": kind, "image_url": part.text("image_url")}
        case _:
            part.need("text")
            return {"type": "output_text" if kind == "text" else kind, "text": part.text("text")}


def _decoded(fields: Fields, name: str) -> bytes:
    fields.need(name)
    try:
        return base64.b64decode(fields.text(name), validate=True)
    except ValueError as reason:
        raise fields.wrong(name, "is not base64") from reason


def _item(role: str, parts: list[Json], item_id: str = "") -> Json:
    return {
        "id": item_id or wire.new_id("item"),
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": role,
        "content": parts,
    }


def _prompt_of(answered: Sequence[Json], wants: Settings) -> str:
    """What the response is about: the last things said, or else the instructions."""
    return " ".join(text for item in answered for text in _texts(item, wants)) or wants.instructions


def _texts(item: Json, wants: Settings) -> Iterator[str]:
    for part in item["content"]:
        if "audio" in part:
            heard_s = speech.seconds_of(part["audio"], wants.hears)
            yield f"your {heard_s:.1f} seconds of sound {digest(part['audio'].hex())[:6]}"
        elif "text" in part:
            yield part["text"]
