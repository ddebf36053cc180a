"""ByteDance SeedEdit: the same route as OpenAI's image edits, told apart by the model. Synchronous; the picture travels as a file.

Source: apidoc.cometapi.com/api/image/seededit-seedream/bytedance-image-editing, volcengine SDK types (read 2026-11).
"""

from jobs.catalogue.providers.seedance import CODES
from jobs.catalogue.samples import picture
from jobs.catalogue.schema import fields, flag, media, number, one_of, open_text, text, whole
from jobs.catalogue.spec import Confidence, Errors, Operation, Output, Provider, Submit

IMAGE_EDIT = Operation(
    name="seededit.image_edit",
    modality="image",
    provider="seededit",
    summary="A picture changed as a text says",
    input_schema=fields(
        {
            "image": media("bytes")
            | {"title": "one JPEG or PNG of at most 10 MB, no more than 3 times as wide as high or reverse"},
            "prompt": text(pattern=r"\S"),
            "model": open_text(
                "doubao-seededit-3-0-i2i-250628",
                "bytedance-seedEdit-3.0-i2i",
                "seedream-4-0-250828",
                pattern="(?i)seed(edit|ream)",
                default="doubao-seededit-3-0-i2i-250628",
                description="always sent: the route is shared with other vendors",
            ),
            "response_format": one_of("url", "b64_json"),
            "size": text(
                20,
                pattern=r"^(adaptive|[1-4]K|[1-9]\d{2,3}x[1-9]\d{2,3})$",
                examples=["adaptive"],
                description="adaptive follows the picture",
            ),
            "seed": whole(-1, 2_147_483_647) | {"description": "-1: random"},
            "guidance_scale": number(1, 10) | {"default": 5.5},
            "watermark": flag() | {"description": "the provider's own default is true; sent as false unless you say otherwise"},
        },
        required=("image", "prompt"),
    ),
    example={
        "model": "doubao-seededit-3-0-i2i-250628",
        "image": picture(),
        "prompt": "Turn the sunset into a clear morning",
        "size": "adaptive",
    },
    submit=Submit(
        path="/v1/images/edits",
        encoding="multipart",
        total_s=300,
        defaults={"model": "doubao-seededit-3-0-i2i-250628", "watermark": False},
    ),
    outputs=(Output(kind="image", select=("data[?url || b64_json].{url: url, b64: b64_json, size: size}",)),),
    values=("{usage: usage, withheld: data[?error].error}",),
    withheld="data[?error].error.code",
    errors=Errors(code=("error.code",), message=("error.message",), codes=CODES),
    output_lifetime="24 hours",
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "whether a mask is taken: the page speaks of one and lists none",
        "sizes other than adaptive",
        "the longest prompt",
        "moderation that the gateway tells only in the text of a message is reported as invalid_input",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/image/seededit-seedream/bytedance-image-editing (read 2026-11)",
)

PROVIDER = Provider(name="seededit", title="ByteDance SeedEdit", operations=(IMAGE_EDIT,))
