"""Google's Veo through the gateway: on its `/v1/videos` route, and as a chat whose answer has the video's address in its text.

Source: apidoc.cometapi.com/api/video/veo3/self-developed, sister gateways for the chat (read 2026-11).
"""

from jobs.catalogue.schema import array, fields, media, one_of, open_text, text
from jobs.catalogue.spec import Confidence, Errors, Fault, Links, Operation, Output, Provider, Submit
from jobs.catalogue.videos_route import ERRORS, PATH, POLL, TASK_ID, VALUES, VIDEO

_FRAME = media("bytes")

VIDEO_TASK = Operation(
    name="veo.video",
    modality="video",
    provider="veo",
    summary="A video of 8 seconds with sound, from a text and, if wanted, a first and a last frame",
    input_schema=fields(
        {
            "prompt": text(pattern=r"\S"),
            "model": open_text(
                "veo3",
                "veo3-fast",
                "veo3-pro",
                "veo3.1",
                "veo3.1-fast",
                "veo3.1-pro",
                pattern="(?i)veo",
                default="veo3-fast",
                description="always sent: the route is shared with other vendors",
            ),
            "size": one_of("16x9", "9x16") | {"description": "landscape or portrait"},
            "input_reference": {
                "anyOf": [_FRAME, array(_FRAME, least=1, most=2)],
                "description": "the first frame, or a list of the first and the last",
            },
            "seconds": text(2, pattern=r"^[1-9]\d?$", description="as text; clips have 8 seconds whatever it says"),
        },
        required=("prompt",),
    ),
    example={"model": "veo3-fast", "prompt": "A slow dolly shot past lanterns in a night market", "size": "16x9"},
    submit=Submit(path=PATH, encoding="multipart", defaults={"model": "veo3-fast"}),
    task_id=TASK_ID,
    poll=POLL,
    outputs=(VIDEO,),
    values=VALUES,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "the longest prompt and the largest frame",
        "whether lengths other than 8 seconds are honoured",
        "the codes of failed tasks: a filtered prompt may look like any other failure",
        "life of the output addresses",
        "the price: Google's own less 20 % is announced",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/video/veo3/self-developed/veo3-async-generation (read 2026-11)",
)

_PART = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "minLength": 1},
        "text": {"type": "string"},
        "image_url": {"type": "object", "required": ["url"], "properties": {"url": media("url", "data_uri")}},
    },
    "allOf": [
        {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": {"required": [kind]}}
        for kind in ("text", "image_url")
    ],
}

CHAT = Operation(
    name="veo.chat",
    modality="video",
    provider="veo",
    summary="A video of 8 seconds by the chat format; the call lasts as long as the making",
    input_schema=fields(
        {
            "model": open_text(
                "veo3",
                "veo3-fast",
                "veo3-pro",
                "veo3-frames",
                "veo3-fast-frames",
                "veo3-pro-frames",
                pattern="(?i)veo",
            ),
            "messages": array(
                {
                    "type": "object",
                    "required": ["role", "content"],
                    "properties": {
                        "role": one_of("system", "user", "assistant"),
                        "content": {"anyOf": [text(pattern=r"\S"), array(_PART, least=1, most=16)]},
                    },
                },
                least=1,
                most=100,
            ),
            "stream": {"const": False, "description": "answers are kept whole; leave it out"},
        },
        required=("model", "messages"),
    ),
    example={
        "model": "veo3-fast",
        "messages": [{"role": "user", "content": "Make a video: a fishing boat leaves the harbour in thick fog"}],
    },
    submit=Submit(path="/v1/chat/completions", total_s=1200),
    outputs=(
        Output(
            kind="video",
            links=Links(
                text=("choices[].message.content[].text", "choices[].message.content"), endings=(".mp4",), prefer="/download/"
            ),
        ),
    ),
    values=("{text: choices[0].message.content, finish_reason: choices[0].finish_reason, model: model, usage: usage}",),
    withheld="choices[?message.refusal || finish_reason == 'content_filter']",
    errors=Errors(
        code=("error.code",),
        message=("error.message",),
        codes={"*moderation*": Fault.CONTENT_REJECTED, "*policy*": Fault.CONTENT_REJECTED, "*safety*": Fault.CONTENT_REJECTED},
    ),
    confidence=Confidence.INFERRED,
    unknown=(
        "whether the gateway still answers this format; its page is gone, the answer's text is known from sister gateways",
        "whether it answers whole: streaming is advised there, and a cut connection loses a result that was paid for",
        "how a refusal is worded: a text without a link ends as no_output",
        "life of the output addresses",
        "rate limits",
    ),
    source="sister gateways of the same kind; apidoc.cometapi.com navigation (read 2026-11)",
)

PROVIDER = Provider(name="veo", title="Veo", operations=(VIDEO_TASK, CHAT))
