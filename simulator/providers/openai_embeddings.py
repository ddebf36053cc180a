"""OpenAI embeddings: unit vectors; texts that share words point in similar directions.

Source: text.md section 5 (apidoc.cometapi.com/api/text/embeddings, openai-python). A word counts as a token. What the
facts leave open: `dimensions` goes up to the model's own; unknown models have no channel; a blank input is refused.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import sys
from array import array
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator import prose
from simulator.calls import Body, Call, Operation
from simulator.dialects import Dialect, json_response
from simulator.fields import fields_of
from simulator.listing import ModelCard
from simulator.site import Site

#: Model -> length of its vectors.
MODELS: Mapping[str, int] = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}

_MOST_INPUTS = 2048

_MOST_TOKENS = 8191

_MOST_TOKENS_TOGETHER = 300_000

#: A text, or the numbers of its tokens.
Input = str | list[int]


def prompt_of(body: Body) -> str:
    """The text, or the first of several."""
    given = body.get("input")
    first = given[0] if isinstance(given, list) and given else given
    return first if isinstance(first, str) else ""


EMBEDDINGS = Operation("openai.embeddings", kind="text", price_usd=Decimal("0.0001"), dialect=Dialect(), prompt=prompt_of)


def register(site: Site) -> None:
    site.sell("/v1/embeddings", EMBEDDINGS, embed, takes=lambda body: body.get("model") in MODELS)
    site.world.models += [ModelCard(model, "OpenAI", "text", "text-to-embedding", input=0.02, output=0.0) for model in MODELS]


async def embed(call: Call) -> Response:
    inputs, length = check(call)
    await call.accept()
    await call.deliver([])
    vectors = [] if call.fault("no_outputs") else await asyncio.to_thread(lambda: [vector(one, length) for one in inputs])
    as_base64 = call.body.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": index, "embedding": _packed(values) if as_base64 else values}
        for index, values in enumerate(vectors)
    ]
    used = sum(_tokens(one) for one in inputs)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return json_response({"object": "list", "data": rows, "model": call.body["model"], "usage": usage})


def check(call: Call) -> tuple[list[Input], int]:
    """The inputs and the length of a vector. Raises 400 for what the field table does not allow."""
    model, fields = call.body["model"], fields_of(call)
    fields.one_of("encoding_format", ("float", "base64"))
    if "dimensions" in call.body and not model.startswith("text-embedding-3"):
        raise call.invalid(f"dimensions is not supported by {model}")
    length = fields.whole("dimensions", 1, MODELS[model], default=MODELS[model])
    inputs = _inputs(call)
    if not 1 <= len(inputs) <= _MOST_INPUTS:
        raise call.invalid(f"input must have 1 to {_MOST_INPUTS} entries")
    sizes = [_tokens(one) for one in inputs]
    if min(sizes) < 1:
        raise call.invalid("input must not be empty")
    if max(sizes) > _MOST_TOKENS:
        raise call.invalid(f"input is longer than {_MOST_TOKENS} tokens")
    if sum(sizes) > _MOST_TOKENS_TOGETHER:
        raise call.invalid(f"all inputs together are longer than {_MOST_TOKENS_TOGETHER} tokens")
    return inputs, length


def _inputs(call: Call) -> list[Input]:
    given: Any = call.body.get("input")
    if isinstance(given, str) or _is_tokens(given):
        return [given]
    if isinstance(given, list) and (all(isinstance(one, str) for one in given) or all(_is_tokens(one) for one in given)):
        return given
    raise call.invalid("input must be a string, a list of strings, or token numbers")


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, int) and not isinstance(one, bool) for one in value)


def _tokens(one: Input) -> int:
    return prose.tokens(one) if isinstance(one, str) else len(one)


def vector(one: Input, length: int) -> list[float]:
    """The sum of one fixed direction for every word, of length 1."""
    words = one.lower().split() if isinstance(one, str) else [str(token) for token in one]
    total = [0] * length
    for word in words:
        direction = array("h", hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(2 * length))
        total = [sum(pair) for pair in zip(total, direction, strict=True)]
    size = math.hypot(*total) or 1.0
    return [value / size for value in total]


def _packed(values: list[float]) -> str:
    """32 bit little-endian floats."""
    packed = array("f", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
