"""ByteDance Seedream: the same route as OpenAI's images, told apart by the model. Synchronous; answers are addresses.

Source: apidoc.cometapi.com/api/image/seededit-seedream/bytedance-image-generation, volcengine SDK types (read 2026-11).
"""

from jobs.catalogue.schema import MEDIA, array, fields, flag, number, one_of, open_text, prompt, text, whole
from jobs.catalogue.spec import Confidence, Errors, Fault, Operation, Output, Provider, Submit

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    codes={
        "invalidparameter": Fault.INVALID_INPUT,
        "inputtextsensitivecontentdetected": Fault.CONTENT_REJECTED,
        "inputimagesensitivecontentdetected": Fault.CONTENT_REJECTED,
        "outputimagesensitivecontentdetected": Fault.CONTENT_REJECTED,
    },
)

IMAGE_GENERATION = Operation(
    name="seedream.image_generation",
    modality="image",
    provider="seedream",
    summary="Images from a text and up to 14 reference pictures",
    input_schema=fields(
        {
            "model": open_text(
                "doubao-seedream-5-0-260128",
                "doubao-seedream-4-5-251128",
                "doubao-seedream-4-0-250828",
                pattern="(?i)seedream",
            ),
            "prompt": prompt(4000),
            "size": text(20, pattern=r"^([1-4]K|[1-9]\d{2,3}x[1-9]\d{2,3})$", examples=["2K", "4K", "2048x2048"]),
            "response_format": one_of("url", "b64_json"),
            "image": {"anyOf": [MEDIA, array(MEDIA, least=1, most=14)], "description": "reference pictures"},
            "watermark": flag() | {"description": "the provider's own default is true; sent as false unless you say otherwise"},
            "sequential_image_generation": one_of("disabled", "auto"),
            "sequential_image_generation_options": fields({"max_images": whole(1, 15)}),
            "seed": whole(-1, 2_147_483_647) | {"description": "3.x models"},
            "guidance_scale": number(1, 10) | {"description": "3.0 text-to-image only"},
            "optimize_prompt_options": fields({"mode": one_of("standard", "fast")}),
            "output_format": one_of("jpeg", "png") | {"description": "5.0"},
            "tools": array(fields({"type": one_of("web_search")}, required=("type",)), most=1),
        },
        required=("model", "prompt"),
    ),
    example={"model": "doubao-seedream-4-0-250828", "prompt": "A tea house on stilts above a misty lake", "size": "2K"},
    submit=Submit(path="/v1/images/generations", total_s=300, defaults={"watermark": False}),
    outputs=(Output(kind="image", select=("data[?url || b64_json].{url: url, b64: b64_json, size: size}",)),),
    values=("{usage: usage, withheld: data[?error].error}",),
    withheld="data[?error].error.code",
    errors=ERRORS,
    output_lifetime="24 hours",
    confidence=Confidence.DOCUMENTED,
    unknown=("rate limits", "the exact longest prompt: pages differ"),
    source="apidoc.cometapi.com/api/image/seededit-seedream (read 2026-11)",
)

PROVIDER = Provider(name="seedream", title="ByteDance Seedream", operations=(IMAGE_GENERATION,))
