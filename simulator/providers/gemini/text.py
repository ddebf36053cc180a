"""Gemini text models: a short text made from the prompt.

Source: text.md section 4. Any model id that is not an image model's is taken. With ``responseMimeType``
``application/json`` the text is a JSON object; a schema is not followed. Thoughts come as a part of their own when asked
for. `AUDIO` among the modalities is taken and ignored; `IMAGE` is refused.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator import prose
from simulator.calls import Call, Operation
from simulator.fields import Fields
from simulator.listing import ModelCard
from simulator.providers.gemini import pictures, wire
from simulator.site import Site

MODELS = ("gemini-3-pro-preview", "gemini-2.5-pro", "gemini-2.5-flash")

_THOUGHT = "The user asks a simple question; a short answer will do."

GENERATE_CONTENT = Operation(
    "gemini.generate_content",
    kind="text",
    price_usd=Decimal("0.002"),
    dialect=wire.GeminiDialect(),
    prompt=wire.prompt_of,
    tells=frozenset({"moderation"}),
)


def register(site: Site) -> None:
    for path in wire.PATHS:
        site.sell(path, GENERATE_CONTENT, write, takes=lambda body: not pictures.takes(body))
    site.world.models += [ModelCard(model, "Google", "text", "text-to-text", input=0.24, output=2.0) for model in MODELS]


async def write(call: Call) -> Response:
    fields = wire.read(call)
    config = fields.inside("generationConfig")
    if "IMAGE" in config.given.get("responseModalities", []):
        raise config.wrong("responseModalities", f"IMAGE is not supported by {wire.model_of(call)}")
    await call.accept()
    await call.deliver([])
    blocked = wire.refused(call, {"block": "SAFETY"})
    if blocked is not None:
        return wire.respond(call, blocked, wire.usage(call, 0))
    if call.fault("no_outputs"):
        return wire.respond(call, {"candidates": [wire.candidate(0, [], "STOP")]}, wire.usage(call, 0))
    said = [_say(call, config, number) for number in range(config.whole("candidateCount", 1, 8, default=1))]
    thinks = config.inside("thinkingConfig").flag("includeThoughts")
    candidates = [_candidate(number, one, thinks) for number, one in enumerate(said)]
    answered = sum(prose.tokens(one.text) for one in said)
    return wire.respond(call, {"candidates": candidates}, wire.usage(call, answered, prose.tokens(_THOUGHT) if thinks else 0))


def _say(call: Call, config: Fields, number: int) -> prose.Said:
    text = prose.answer_to(call.prompt, number)
    if config.given.get("responseMimeType") == "application/json":
        text = json.dumps({"answer": text}, ensure_ascii=False)
    return prose.end(text, config.given.get("maxOutputTokens"), config.given.get("stopSequences", ()))


def _candidate(number: int, said: prose.Said, thinks: bool) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": said.text}]
    if thinks:
        parts.insert(0, {"text": _THOUGHT, "thought": True})
    return wire.candidate(number, parts, "MAX_TOKENS" if said.is_cut else "STOP")
