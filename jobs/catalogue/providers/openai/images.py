"""Pictures from a text, and pictures changed by a text. The models share routes with other vendors' and are told apart by name."""

from __future__ import annotations

from jobs.catalogue.providers.openai.common import ERRORS, for_models
from jobs.catalogue.samples import picture
from jobs.catalogue.schema import array, fields, media, one_of, open_text, prompt, text, whole
from jobs.catalogue.spec import Confidence, Operation, Output, Submit

_GPT_SIZES = ("1024x1024", "1536x1024", "1024x1536", "auto")
_DALLE3_SIZES = ("1024x1024", "1792x1024", "1024x1792")
_DALLE2_SIZES = ("256x256", "512x512", "1024x1024")
_GPT_QUALITIES = ("low", "medium", "high", "auto")

_SIZE = text(20, pattern=r"^(auto|[1-9]\d{1,3}x[1-9]\d{1,3})$", examples=list(_GPT_SIZES))

#: JPEG has no transparency.
_TRANSPARENT = {
    "if": {"properties": {"background": {"const": "transparent"}}, "required": ["background"]},
    "then": {"properties": {"output_format": one_of("png", "webp")}},
}

_IMAGES = Output(kind="image", select=("data[?url || b64_json].{url: url, b64: b64_json, revised_prompt: revised_prompt}",))
_VALUES = "{revised_prompts: data[].revised_prompt, usage: usage}"
#: The gateway's documented soft failure: 200 with nothing in it means that the prompt was filtered.
_WITHHELD = "data == `[]`"
_LIFETIME = "60 minutes for addresses; base64 answers have none"

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
            "size": _SIZE,
            "quality": one_of(*_GPT_QUALITIES, "standard", "hd"),
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
            for_models("^gpt-image-1", size=one_of(*_GPT_SIZES), response_format=False),
            for_models("^gpt-image", quality=one_of(*_GPT_QUALITIES)),
            for_models("^dall-e-3$", prompt={"maxLength": 4000}, n={"maximum": 1}, size=one_of(*_DALLE3_SIZES)),
            for_models("^dall-e-2$", prompt={"maxLength": 1000}, size=one_of(*_DALLE2_SIZES)),
            for_models("^qwen-image", n={"maximum": 1}),
            _TRANSPARENT,
        ],
    ),
    example={
        "model": "gpt-image-1",
        "prompt": "A lighthouse made of stacked books, watercolour",
        "size": "1024x1024",
        "quality": "low",
    },
    submit=Submit(path="/v1/images/generations", total_s=600),
    outputs=(_IMAGES,),
    values=(_VALUES,),
    withheld=_WITHHELD,
    errors=ERRORS,
    output_lifetime=_LIFETIME,
    confidence=Confidence.DOCUMENTED,
    unknown=("rate limits", "life of the gateway's own image addresses"),
    source="apidoc.cometapi.com/images-generations (read 2026-11)",
)

_FILE = media("bytes")

IMAGE_EDIT = Operation(
    name="openai.image_edit",
    modality="image",
    provider="openai",
    summary="One to sixteen pictures changed or combined by a text, with an optional mask (gpt-image, DALL·E 2, qwen-image-edit)",
    input_schema=fields(
        {
            "image": {
                "anyOf": [_FILE, array(_FILE, least=1, most=16)],
                "description": "PNG, WebP or JPEG, each under 50 MB; for dall-e-2 one square PNG under 4 MB",
            },
            "prompt": prompt(32_000),
            "model": open_text(
                "gpt-image-2",
                "gpt-image-1.5",
                "gpt-image-1",
                "gpt-image-1-mini",
                "qwen-image-edit",
                "dall-e-2",
                default="gpt-image-1",
                description="always sent, since the pages differ on the default",
            ),
            "mask": _FILE
            | {
                "description": "PNG under 4 MB, as large as the first image; what is transparent in it is changed. "
                + _FILE["description"]
            },
            "n": whole(1, 10),
            "size": _SIZE,
            "quality": one_of(*_GPT_QUALITIES, "standard"),
            "output_format": one_of("png", "jpeg", "webp") | {"description": "gpt-image only"},
            "output_compression": whole(0, 100) | {"description": "jpeg and webp"},
            "background": one_of("transparent", "opaque", "auto"),
            "input_fidelity": one_of("high", "low") | {"description": "gpt-image only"},
            "response_format": one_of("url", "b64_json") | {"description": "models that answer with addresses"},
            "user": text(200),
        },
        required=("image", "prompt"),
        allOf=[
            for_models("^gpt-image-1", by_default=True, size=one_of(*_GPT_SIZES), response_format=False),
            for_models("^gpt-image", by_default=True, quality=one_of(*_GPT_QUALITIES)),
            for_models(
                "^dall-e-2$",
                prompt={"maxLength": 1000},
                size=one_of(*_DALLE2_SIZES),
                image={"maxItems": 1},
                output_format=False,
                output_compression=False,
                background=False,
                input_fidelity=False,
            ),
            _TRANSPARENT,
        ],
    ),
    example={
        "model": "gpt-image-1",
        "image": picture(),
        "prompt": "Turn the stripes into a calm sea with one small sailing boat",
        "size": "1024x1024",
        "quality": "low",
    },
    submit=Submit(
        path="/v1/images/edits",
        encoding="multipart",
        parts={"image": "image[]"},
        defaults={"model": "gpt-image-1"},
        media=("bytes",),
        total_s=600,
    ),
    outputs=(_IMAGES,),
    values=(_VALUES,),
    withheld=_WITHHELD,
    errors=ERRORS,
    output_lifetime=_LIFETIME,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "rate limits",
        "the largest upload at the gateway: pages say 25 MB and 50 MB a picture",
        "whether addresses of pictures are taken in place of uploads: files are always uploaded",
    ),
    source="apidoc.cometapi.com/api/image/openai/image-editing, openai-python image_edit_params (read 2026-11)",
)
