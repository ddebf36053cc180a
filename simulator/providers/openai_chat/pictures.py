"""gpt-4o-image: a chat completion whose text holds the picture as a Markdown link, among progress and other links.

Source: openai-images.md section 3 (older CometAPI page, sister gateways of the same model). The pictures are PNG of
1024x1024; the facts do not say. The link behind the progress is a draft: a smaller WebP with a signature that expires.

``variant`` gives the other shapes of the text. ``name=``: ``plain`` (a bare link, no Markdown picture), ``progress_only``
(nothing but the draft's link), ``null`` (no content). ``pictures=3``: so many of them. `moderation` is told in the text,
with finish reason ``content_filter``.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal

from starlette.responses import Response, StreamingResponse

from simulator import prose
from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect
from simulator.faults import Fault, option
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Picture
from simulator.providers.openai_chat import links, wire
from simulator.site import Site

MODEL = "gpt-4o-image"

_REFUSAL = "I can't create that picture because the request goes against our content policy."

_NO_PICTURE = "I was not able to draw a picture for this request."

_WAITING = "> Queuing...\n> Generating...\n"

GPT4O_IMAGE = Operation(
    "openai.gpt4o_image",
    kind="image",
    price_usd=Decimal("0.04"),
    dialect=Dialect(),
    prompt=wire.prompt_of,
    tells=frozenset({"moderation"}),
)


def register(site: Site) -> None:
    site.sell(wire.PATH, GPT4O_IMAGE, draw, takes)
    site.world.models.append(ModelCard(MODEL, "OpenAI", "image", "text-to-image", per_request=0.04))


def takes(body: Body) -> bool:
    return body.get("model") == MODEL


async def draw(call: Call) -> Response:
    wire.check(call)
    if not call.prompt:
        raise call.invalid("the last user message has no text")
    await call.accept()
    if wire.wants_stream(call.body):
        call.inline = False
        return StreamingResponse(_stream(call), media_type="text/event-stream")
    files = await call.deliver(_outputs(call), linked=True)
    text = _text(call, files)
    choices = [wire.choice(0, text, _finish_reason(call))]
    return wire.completion(wire.head(call), choices, wire.usage(call.body, prose.tokens(text or "")))


async def _stream(call: Call) -> AsyncIterator[bytes]:
    """The waiting is told at once, the links when there is something behind them."""
    start = wire.head(call)
    yield wire.delta(start, 0, {"role": "assistant", "content": ""})
    yield wire.delta(start, 0, {"content": _WAITING})
    with suppress(FileNotFoundError):  # a reset swept the files away
        files = await call.deliver(_outputs(call), linked=True)
        rest = (_text(call, files) or "").removeprefix(_WAITING)
        for line in rest.splitlines(keepends=True):
            yield wire.delta(start, 0, {"content": line})
        yield wire.delta(start, 0, {}, _finish_reason(call))
        yield wire.DONE


def _outputs(call: Call) -> list[Output]:
    if call.fault("moderation"):
        return []
    sources = wire.images_of(call.body)
    label = f"after {len(sources)} given" if sources else ""
    signature = f"se=2099-01-18&sig={secrets.token_hex(8)}"
    draft = Output(Picture(call.prompt, 512, 512, "webp", label="draft"), f"raw-{call.request_id}", query=signature)
    count = int((call.fault("variant") or Fault("variant")).number("pictures", 1))
    pictures = [
        Output(Picture(call.prompt, 1024, 1024, "png", label=label, variation=number), f"gen-{call.request_id}-{number}")
        for number in range(count)
    ]
    return [draft, *pictures]


def _finish_reason(call: Call) -> str:
    return "content_filter" if call.fault("moderation") else "stop"


def _text(call: Call, files: list[PublishedFile]) -> str | None:
    shape = option(call.fault("variant"), "name")
    if shape == "null":
        return None
    if call.fault("moderation"):
        return _REFUSAL
    if not files:
        return _NO_PICTURE
    draft, *pictures = files
    progress = f"{_WAITING}> Progress 12..55..[100]({links.watch(call, draft)})\n"
    if shape == "progress_only":
        return progress
    if shape == "plain":
        return "Here is your picture:\n" + "\n".join(links.watch(call, file) for file in pictures)
    shown = (f"![{file.path.stem}]({links.watch(call, file)})\n[download]({links.download(call, file)})" for file in pictures)
    return f"{progress}\n" + "\n".join(shown)
