"""Embeddings: vectors for texts, kept as the JSON that was answered."""

from __future__ import annotations

from jobs.catalogue.providers.openai.common import ERRORS, for_models
from jobs.catalogue.schema import Schema, array, fields, one_of, open_text, text, whole
from jobs.catalogue.spec import Confidence, Operation, Output, Submit

_MOST_TEXTS = 2048
_TOKEN: Schema = {"type": "integer", "minimum": 0}
_TOKENS = array(_TOKEN, least=1)

EMBEDDINGS = Operation(
    name="openai.embeddings",
    modality="text",
    provider="openai",
    summary="Vectors for up to 2048 texts, in their order",
    input_schema=fields(
        {
            "model": open_text("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"),
            "input": {
                "anyOf": [text(), array(text(), least=1, most=_MOST_TEXTS), _TOKENS, array(_TOKENS, least=1, most=_MOST_TEXTS)],
                "description": "a text, texts, or the same as tokens; at most 8191 tokens each and 300 000 in all",
            },
            "encoding_format": one_of("float", "base64") | {"default": "float"},
            "dimensions": whole(1, 100_000) | {"description": "text-embedding-3 models"},
            "user": text(200),
        },
        required=("model", "input"),
        allOf=[
            for_models("^text-embedding-3-small", dimensions={"maximum": 1536}),
            for_models("^text-embedding-3-large", dimensions={"maximum": 3072}),
            for_models("^text-embedding-ada-", dimensions=False),
            for_models(
                "^text-embedding-3-",
                input={
                    "if": {"type": "array", "items": {"type": "integer"}},
                    "then": {"maxItems": 8191},
                    "else": {"items": {"maxItems": 8191}},
                },
            ),
        ],
    ),
    example={"model": "text-embedding-3-small", "input": ["harbour", "lighthouse", "teapot"], "dimensions": 256},
    submit=Submit(path="/v1/embeddings", total_s=180),
    outputs=(Output(kind="text", select=("data[?embedding] && [{text: to_string(@)}]",), extension="json"),),
    values=(
        "{model: model, count: length(data), "
        "dimensions: type(data[0].embedding) == 'array' && length(data[0].embedding) || `null`, usage: usage}",
    ),
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=("limits of other vendors' models", "rate limits"),
    source="apidoc.cometapi.com/api/text/embeddings (read 2026-11)",
)
