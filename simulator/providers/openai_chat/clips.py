"""Veo in its old chat form: a chat completion that lives as long as the generation and ends with links to an MP4.

Source: veo.md section 4. A clip has 8 seconds with sound, 1280x720 (section 0; the size is not documented). Streamed, the
task id comes first and progress follows; whoever loses the stream has lost the clip. Text and links are as in the
documented example, with a page link among them that is no MP4. `moderation` and `failed` are told in the text, without
a link; in a stream `failed` is an error object in the place of a chunk. The frames models take pictures and need none:
the facts do not say.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal

from starlette.responses import Response, StreamingResponse

from simulator import prose
from simulator.calls import Body, Call, Operation, Output, base_url
from simulator.dialects import Dialect
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Clip
from simulator.providers.openai_chat import links, wire
from simulator.site import Site

MODELS = ("veo3", "veo3-fast", "veo3-pro", "veo3-frames", "veo3-fast-frames", "veo3-pro-frames")

_SECONDS = 8.0

#: Per cent of progress a stream tells on the way.
_TOLD = (12, 38, 71)

VEO_CHAT = Operation(
    "veo.chat",
    kind="video",
    price_usd=Decimal("0.8"),
    dialect=Dialect(),
    prompt=wire.prompt_of,
    tells=frozenset({"moderation", "failed"}),
)


def register(site: Site) -> None:
    site.sell(wire.PATH, VEO_CHAT, film, takes)
    site.world.models += [ModelCard(model, "Google", "video", "text-to-video", per_request=0.8) for model in MODELS]


def takes(body: Body) -> bool:
    return str(body.get("model")).startswith("veo")


async def film(call: Call) -> Response:
    wire.check(call)
    if not call.prompt:
        raise call.invalid("the last user message has no text")
    await call.accept()
    task_id = f"{call.model}:{uuid.uuid4()}"
    if wire.wants_stream(call.body):
        call.inline = False
        return StreamingResponse(_stream(call, task_id), media_type="text/event-stream")
    files = await call.deliver(_outputs(call), linked=True)
    text = _beginning(call, task_id) + _end(call, files)
    return wire.completion(wire.head(call), [wire.choice(0, text, "stop")], wire.usage(call.body, prose.tokens(text)))


async def _stream(call: Call, task_id: str) -> AsyncIterator[bytes]:
    start = wire.head(call)
    yield wire.delta(start, 0, {"role": "assistant", "content": ""})
    yield wire.delta(start, 0, {"content": _beginning(call, task_id)})
    making = asyncio.create_task(call.deliver(_outputs(call), linked=True))
    try:
        between = call.world.seconds_for("video", call.request_id) / (len(_TOLD) + 1)
        for percent in _TOLD:
            await asyncio.wait({making}, timeout=between)
            yield wire.delta(start, 0, {"content": f"> progress {percent}%\n"})
        with suppress(FileNotFoundError):  # a reset swept the files away
            files = await making
            if call.fault("failed"):
                yield b"data: " + bytes(call.operation.dialect.refuse("failed", call.request_id).body) + b"\n\n"
            else:
                yield wire.delta(start, 0, {"content": _end(call, files)})
                yield wire.delta(start, 0, {}, "stop")
            yield wire.DONE
    finally:
        making.cancel()


def _outputs(call: Call) -> list[Output]:
    if call.fault("moderation") or call.fault("failed"):
        return []
    return [Output(Clip(call.prompt, _SECONDS, 1280, 720, with_sound=True), f"veo-{call.request_id}")]


def _beginning(call: Call, task_id: str) -> str:
    page = f"{base_url(call.world, call.exchange)}/veo/tasks/{task_id}"
    return f"> id `{task_id}`\n> [task page]({page})\n"


def _end(call: Call, files: list[PublishedFile]) -> str:
    if call.fault("moderation"):
        return "> generation failed: the prompt was rejected by the content policy\n"
    if call.fault("failed"):
        return "> generation failed: the upstream service is busy, please try again\n"
    shown = [f"[watch]({links.watch(call, file)}) | [download]({links.download(call, file)})" for file in files]
    return "> progress 100%\n" + "".join(shown)
