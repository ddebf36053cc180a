"""OpenAI's own formats: images, speech, chat. All synchronous: one call, which may last minutes, returns the result.

Source: apidoc.cometapi.com (images, create-speech, chat), openai/openai-python types (read 2026-11).
"""

from jobs.catalogue.schema import array, fields, flag, number, one_of, open_text, or_null, prompt, text, whole
from jobs.catalogue.spec import Confidence, Errors, Operation, Output, Provider, Samples, Submit

ERRORS = Errors(code=("error.code", "code"), message=("error.message", "message"))

_GPT_SIZES = ("1024x1024", "1536x1024", "1024x1536", "auto")
_DALLE3_SIZES = ("1024x1024", "1792x1024", "1024x1792")
_DALLE2_SIZES = ("256x256", "512x512", "1024x1024")


def _for_models(pattern: str, **rules: object) -> dict[str, object]:
    """Rules that hold for the models whose id matches."""
    return {
        "if": {"properties": {"model": {"pattern": pattern}}, "required": ["model"]},
        "then": {"properties": rules},
    }


IMAGE_GENERATION = Operation(
    name="openai.image_generation",
    modality="image",
    provider="openai",
    summary="One to ten images from a text (gpt-image, DALL·E, qwen-image)",
    input_schema=fields(
        {
            "model": open_text(
                "gpt-image-2", "gpt-image-1.5", "gpt-image-1", "gpt-image-1-mini", "dall-e-3", "dall-e-2", "qwen-image"
            ),
            "prompt": prompt(32_000),
            "n": whole(1, 10),
            "size": text(20, pattern=r"^(auto|[1-9]\d{1,3}x[1-9]\d{1,3})$", examples=list(_GPT_SIZES)),
            "quality": one_of("low", "medium", "high", "auto", "standard", "hd"),
            "response_format": one_of("url", "b64_json") | {"description": "DALL·E only"},
            "output_format": one_of("png", "jpeg", "webp") | {"description": "gpt-image only"},
            "output_compression": whole(0, 100) | {"description": "jpeg and webp"},
            "background": one_of("transparent", "opaque", "auto"),
            "moderation": one_of("low", "auto"),
            "style": one_of("vivid", "natural") | {"description": "dall-e-3"},
            "user": text(200),
        },
        required=("model", "prompt"),
        allOf=[
            _for_models("^gpt-image-1", size=one_of(*_GPT_SIZES), response_format=False),
            _for_models("^gpt-image", quality=one_of("low", "medium", "high", "auto")),
            _for_models("^dall-e-3$", prompt={"maxLength": 4000}, n={"maximum": 1}, size=one_of(*_DALLE3_SIZES)),
            _for_models("^dall-e-2$", prompt={"maxLength": 1000}, size=one_of(*_DALLE2_SIZES)),
            _for_models("^qwen-image", n={"maximum": 1}),
            {
                "if": {"properties": {"background": {"const": "transparent"}}, "required": ["background"]},
                "then": {"properties": {"output_format": one_of("png", "webp")}},
            },
        ],
    ),
    example={
        "model": "gpt-image-1",
        "prompt": "A lighthouse made of stacked books, watercolour",
        "size": "1024x1024",
        "quality": "low",
    },
    submit=Submit(path="/v1/images/generations", total_s=600),
    outputs=(Output(kind="image", select=("data[?url || b64_json].{url: url, b64: b64_json, revised_prompt: revised_prompt}",)),),
    values=("{revised_prompts: data[].revised_prompt, usage: usage}",),
    # The gateway's documented soft failure: 200 with nothing in it means that the prompt was filtered.
    withheld="data == `[]`",
    errors=ERRORS,
    output_lifetime="60 minutes for addresses; base64 answers have none",
    confidence=Confidence.DOCUMENTED,
    unknown=("rate limits", "life of the gateway's own image addresses"),
    source="apidoc.cometapi.com/images-generations (read 2026-11)",
)

SPEECH = Operation(
    name="openai.speech",
    modality="audio",
    provider="openai",
    summary="Speech from a text",
    input_schema=fields(
        {
            "model": open_text("tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
            "input": prompt(4096),
            "voice": {
                "anyOf": [
                    open_text(
                        "alloy",
                        "ash",
                        "ballad",
                        "coral",
                        "echo",
                        "fable",
                        "nova",
                        "onyx",
                        "sage",
                        "shimmer",
                        "verse",
                        "marin",
                        "cedar",
                    ),
                    fields({"id": text(200)}, required=("id",)),
                ]
            },
            "response_format": one_of("mp3", "opus", "aac", "flac", "wav", "pcm"),
            "speed": number(0.25, 4.0),
            "instructions": text(4096) | {"description": "not for tts-1 models"},
        },
        required=("model", "input", "voice"),
        allOf=[_for_models("^tts-1", instructions=False)],
    ),
    example={"model": "tts-1", "voice": "alloy", "input": "The harbour is calm tonight.", "response_format": "mp3"},
    submit=Submit(path="/v1/audio/speech", total_s=180, raw=True),
    outputs=(Output(kind="audio", body=True, samples=Samples(when="response_format == 'pcm'", rate_hz=24_000)),),
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=("rate limits", "the content type of formats other than mp3 (the bytes decide here)"),
    source="apidoc.cometapi.com/api/audio/create-speech (read 2026-11)",
)

_PARTS = array({"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}, least=1, most=256)
_MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": one_of("system", "developer", "user", "assistant", "tool"),
        "content": {"anyOf": [{"type": "string"}, _PARTS, {"type": "null"}]},
        "name": text(64),
        "tool_call_id": text(200),
        "tool_calls": array({"type": "object"}, most=128),
        "refusal": or_null({"type": "string"}),
    },
    "additionalProperties": False,
    "allOf": [{"if": {"properties": {"role": {"const": "tool"}}}, "then": {"required": ["tool_call_id"]}}],
}

CHAT = Operation(
    name="openai.chat",
    modality="text",
    provider="openai",
    summary="A chat completion, by any text model of the gateway",
    input_schema=fields(
        {
            "model": open_text("gpt-5", "gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro"),
            "messages": array(_MESSAGE, least=1, most=1000),
            "temperature": number(0, 2),
            "top_p": number(0, 1),
            "presence_penalty": number(-2, 2),
            "frequency_penalty": number(-2, 2),
            "max_tokens": whole(1, 1_000_000),
            "max_completion_tokens": whole(1, 1_000_000),
            "n": whole(1, 16),
            "stop": {"anyOf": [{"type": "string"}, array({"type": "string"}, most=4)]},
            "seed": {"type": "integer"},
            "logprobs": flag(),
            "top_logprobs": whole(0, 20),
            "logit_bias": {"type": "object"},
            "user": text(200),
            "metadata": {"type": "object"},
            "store": flag(),
            "service_tier": text(50),
            "response_format": {"type": "object", "required": ["type"]},
            "tools": array({"type": "object"}, most=128),
            "tool_choice": {"type": ["string", "object"]},
            "parallel_tool_calls": flag(),
            "reasoning_effort": text(50),
            "stream": {"const": False, "description": "answers are kept whole; leave it out"},
        },
        required=("model", "messages"),
    ),
    example={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name three harbours in one line."}]},
    submit=Submit(path="/v1/chat/completions", total_s=600),
    outputs=(
        Output(kind="text", select=("choices[?message.content].{text: message.content}",), extension="txt"),
        # An answer may be nothing but calls of the caller's tools: paid for like any other.
        Output(kind="text", select=("choices[?message.tool_calls].{text: to_string(message.tool_calls)}",), extension="json"),
    ),
    values=(
        "{text: choices[0].message.content, refusal: choices[0].message.refusal, finish_reason: choices[0].finish_reason, "
        "tool_calls: choices[0].message.tool_calls, model: model, usage: usage}",
    ),
    withheld="choices[?message.refusal || finish_reason == 'content_filter']",
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=("which optional fields the vendor behind a model honours", "rate limits"),
    source="apidoc.cometapi.com/api/text/chat (read 2026-11)",
)

PROVIDER = Provider(name="openai", title="OpenAI", operations=(IMAGE_GENERATION, SPEECH, CHAT))
