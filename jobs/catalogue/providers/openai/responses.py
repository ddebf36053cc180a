"""Responses: OpenAI's newer text route. How an answer ended stands in its `status`, whatever the HTTP status says."""

from __future__ import annotations

from jobs.catalogue.providers.openai.chat import NO_STREAM
from jobs.catalogue.providers.openai.common import CODES
from jobs.catalogue.schema import MEDIA, Schema, array, fields, flag, media, number, one_of, open_text, text, whole
from jobs.catalogue.spec import Confidence, Errors, Operation, Output, Submit

_PART: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string"},
        "image_url": MEDIA,
        "file_data": media("data_uri"),
        "file_url": media("url"),
    },
    "allOf": [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"anyOf": [{"required": [source]} for source in sources]},
        }
        for kind, sources in (
            ("input_text", ("text",)),
            ("input_image", ("image_url", "file_id")),
            ("input_file", ("file_data", "file_url", "file_id")),
        )
    ],
}
#: A message, or whatever else a conversation is made of: calls of tools and what they brought, reasoning, references.
_ITEM: Schema = {
    "type": "object",
    "anyOf": [{"required": ["role", "content"]}, {"required": ["type"]}],
    "properties": {
        "type": {"type": "string"},
        "role": one_of("system", "developer", "user", "assistant"),
        "content": {"anyOf": [{"type": "string"}, array(_PART, least=1, most=256), {"type": "null"}]},
    },
}

_CONTENT = "output[?type=='message'].content[]"
_TEXT = f"join('', {_CONTENT} | [?type=='output_text'].text)"
_CALLS = "output[?type=='function_call' || type=='custom_tool_call']"
#: What a content filter cut short is no answer, though it was paid for.
_FILTERED = "incomplete_details.reason == 'content_filter'"

RESPONSES = Operation(
    name="openai.responses",
    modality="text",
    provider="openai",
    summary="A response, by reasoning, codex and other newer models; may build on an earlier one",
    input_schema=fields(
        {
            "model": open_text("gpt-5", "gpt-5-mini", "gpt-5-pro", "gpt-5-codex", "o3", "gpt-4o-mini"),
            "input": {"anyOf": [text(), array(_ITEM, least=1, most=1000)]},
            "instructions": text(),
            "max_output_tokens": whole(1, 1_000_000),
            "temperature": number(0, 2),
            "top_p": number(0, 1),
            "metadata": {"type": "object"},
            "store": flag(),
            "user": text(200),
            "truncation": one_of("auto", "disabled"),
            "previous_response_id": text(200, description="output.id of an earlier response"),
            "reasoning": {"type": "object", "description": "effort, summary"},
            "text": {"type": "object", "description": "format, verbosity"},
            "tools": array({"type": "object"}, most=128),
            "tool_choice": {"type": ["string", "object"]},
            "parallel_tool_calls": flag(),
            "background": {"const": False, "description": "the gateway has no route to ask for the result"},
            "stream": NO_STREAM,
        },
        required=("model", "input"),
    ),
    example={"model": "gpt-4o-mini", "input": "Name three winds of the Mediterranean in one line.", "max_output_tokens": 200},
    submit=Submit(path="/v1/responses", total_s=600),
    outputs=(
        Output(kind="text", select=(f"!({_FILTERED}) && [{{text: {_TEXT}}}]",), extension="txt"),
        # An answer may be nothing but calls of the caller's tools: paid for like any other.
        Output(kind="text", select=(f"{_CALLS} && [{{text: to_string({_CALLS})}}]",), extension="json"),
        # OpenAI's tool that draws.
        Output(kind="image", select=("output[?type=='image_generation_call' && result].{b64: result}",)),
    ),
    values=(
        f"{{id: id, status: status, text: {_TEXT}, tool_calls: {_CALLS}, citations: {_CONTENT}.annotations[], "
        "incomplete_reason: incomplete_details.reason, model: model, usage: usage}",
    ),
    withheld=f"{_FILTERED} || ({_CONTENT} | [?type=='refusal'])",
    errors=Errors(codes=CODES, in_200="status == 'failed'"),
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "which built-in tools the gateway passes on, and what they cost",
        "how long earlier responses can be built upon",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/text/responses (read 2026-11)",
)
