"""A realtime server of a few lines: one spoken reply in either dialect, and whatever else a test wants it to do."""

from __future__ import annotations

import base64
import io
import json
import math
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import av
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, NegotiationError
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

Json = dict[str, Any]

#: What it says: a quarter of a second of sound, and the words.
SPOKEN = b"".join(int(9000 * ((n * 440 / 24_000) % 1 - 0.5)).to_bytes(2, "little", signed=True) for n in range(6000))
WORDS = "Good morning, harbour."

#: Does something at a moment of the session: sends, closes, waits. True: go on as if it had not been there.
Act = Callable[[ServerConnection], bool]


@dataclass
class Speaker:
    """`on` acts when an event of this type has come (`open`: at the start), once or as often as it is listed."""

    url: str = ""
    dialect: Literal["current", "older"] = "current"
    #: Where it takes the key; anything else is 401.
    key_in: Literal["header", "protocol", "either", "nowhere"] = "header"
    #: It answers 400 to whoever names no subprotocol.
    needs_protocol: bool = False
    #: Answers handshakes instead, one after the other.
    refusals: list[Response] = field(default_factory=list)
    on: dict[str, list[Act]] = field(default_factory=dict)
    #: What the reply ends with.
    ending: Json = field(default_factory=lambda: {"status": "completed", "usage": {"total_tokens": 9}})
    says: bytes = SPOKEN

    handshakes: list[Request] = field(default_factory=list)
    heard: list[Json] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def bought(self) -> int:
        """Replies that were asked for."""
        return self.types.count("response.create")

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.heard]

    @property
    def samples(self) -> bytes:
        """The sound it was sent."""
        return b"".join(base64.b64decode(event["audio"]) for event in self.heard if event["type"] == "input_audio_buffer.append")

    def hang(self, _: ServerConnection) -> bool:
        """Say nothing any more until the test is over."""
        self.let_go.wait(20)
        return False

    # As a server ----------------------------------------------------------------------------------------------------------

    def admit(self, _: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request)
        if self.refusals:
            return self.refusals.pop(0)
        protocols = [one.strip() for one in request.headers.get("sec-websocket-protocol", "").split(",")]
        known = {
            "header": request.headers.get("authorization") == "Bearer sk-test",
            "either": True,
            "protocol": "openai-insecure-api-key.sk-test" in protocols,
            "nowhere": False,
        }
        return None if known[self.key_in] else refusal(401, {"error": {"code": "invalid_api_key", "message": "no"}})

    def select(self, offered: Sequence[str]) -> Subprotocol | None:
        if self.needs_protocol and "realtime" not in offered:
            raise NegotiationError("missing subprotocol")
        return Subprotocol("realtime") if "realtime" in offered else None

    def talk(self, socket: ServerConnection) -> None:
        try:
            if not self._acts("open", socket):
                return
            say(socket, {"type": "session.created", "session": {"id": "sess_1"}})
            for message in socket:
                event = json.loads(message)
                self.heard.append(event)
                if not self._acts(event["type"], socket):
                    return
                self._answer(socket, event)
        except ConnectionClosed:
            return

    def _acts(self, moment: str, socket: ServerConnection) -> bool:
        acts = self.on.get(moment)
        return not acts or acts.pop(0)(socket)

    def _answer(self, socket: ServerConnection, event: Json) -> None:
        if event["type"] == "session.update":
            if ("type" in event["session"]) == (self.dialect == "current"):
                say(socket, {"type": "session.updated", "session": event["session"]})
            else:
                error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "Unknown parameter"}
                say(socket, {"type": "error", "error": error})
        elif event["type"] == "response.create":
            self._reply(socket)

    def _reply(self, socket: ServerConnection) -> None:
        prefix = "response.output_audio" if self.dialect == "current" else "response.audio"
        say(socket, {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
        for start in range(0, len(self.says), 5000):
            piece = base64.b64encode(self.says[start : start + 5000]).decode()
            say(socket, {"type": f"{prefix}.delta", "response_id": "resp_1", "delta": piece})
        for word in WORDS.split(" ") if self.says else ():
            say(socket, {"type": f"{prefix}_transcript.delta", "response_id": "resp_1", "delta": word})
        transcript = WORDS if self.says else ""
        say(socket, {"type": f"{prefix}_transcript.done", "response_id": "resp_1", "transcript": transcript})
        say(socket, {"type": "response.done", "response": {"id": "resp_1", **self.ending}})


def say(socket: ServerConnection, event: Json) -> None:
    socket.send(json.dumps(event))


def sends(message: str | bytes | Json) -> Act:
    """Say this, and go on."""

    def act(socket: ServerConnection) -> bool:
        socket.send(json.dumps(message) if isinstance(message, dict) else message)
        return True

    return act


def closes(code: int = 1000, reason: str = "") -> Act:
    def act(socket: ServerConnection) -> bool:
        socket.close(code, reason)
        return False

    return act


def breaks(socket: ServerConnection) -> bool:
    """The connection is gone without a word."""
    socket.socket.close()
    return False


def refusal(status: int, body: Any = None, **headers: str) -> Response:
    """An answer that opens no session."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, "", Headers({"content-length": str(len(content)), "connection": "close", **named}), content)


@contextmanager
def speaker() -> Iterator[Speaker]:
    kept = Speaker()
    with serve(
        kept.talk,
        "127.0.0.1",
        0,
        process_request=kept.admit,
        select_subprotocol=lambda _, offered: kept.select(offered),
        compression=None,
        max_size=None,
    ) as server:
        kept.url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            kept.let_go.set()
            server.shutdown()
            thread.join(20)


def mp3(seconds: float, rate_hz: int = 44_100) -> bytes:
    """A tone in both ears."""
    count = int(seconds * rate_hz)
    samples = array("h", (round(9000 * math.sin(n * 2 * math.pi * 440 / rate_hz)) for n in range(count) for _ in "lr"))
    frame = av.AudioFrame(format="s16", layout="stereo", samples=count)
    frame.planes[0].update(samples.tobytes())
    frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as file:
        stream = file.add_stream("libmp3lame", rate=rate_hz, layout="stereo")
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()
