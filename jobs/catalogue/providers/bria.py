"""Bria through the gateway: pictures and vector graphics at once, edits as tasks.

Source: apidoc.cometapi.com/api/image/bria, docs.bria.ai, Bria-AI/ComfyUI-BRIA-API (read 2026-11).
"""

from jobs.catalogue.samples import mask, picture
from jobs.catalogue.schema import MEDIA, Schema, array, fields, flag, one_of, text, whole
from jobs.catalogue.spec import Confidence, Errors, Fault, Operation, Output, Poll, Progress, Provider, Submit

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "error.details", "message"),
    # A picture we named could not be fetched.
    statuses={460: Fault.INVALID_INPUT},
    # The vendor's own number, in a refusal and in a failed task.
    codes={"422": Fault.CONTENT_REJECTED},
)

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9")
_PROMPT = text(pattern=r"\S", description="in English")
_INTEGER: Schema = {"type": "integer"}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_SCALE: Schema = {"type": "number", "minimum": 0}
_METHODS = ("controlnet_canny", "controlnet_depth", "controlnet_recoloring", "controlnet_color_grid")

_DRAWING: dict[str, Schema] = {
    "prompt": _PROMPT,
    "aspect_ratio": one_of(*_RATIOS) | {"default": "1:1"},
    "seed": _INTEGER,
    "negative_prompt": text(shortest=0),
    "steps_num": _POSITIVE | {"default": 30},
    "text_guidance_scale": _SCALE | {"default": 5},
    "medium": one_of("photography", "art"),
    "prompt_enhancement": flag(),
    "enhance_image": flag(),
    "content_moderation": flag(),
    "prompt_content_moderation": flag(),
    "ip_signal": flag(),
    "sync": {"const": True, "description": "results are waited for; leave it out"},
}

_BLOCKED = "result[?blocked]"
_RESULTS = ("{results: result[].{seed: seed, uuid: uuid, blocked: blocked}}",)
_DRAWING_UNKNOWN = (
    "the longest prompt, the ranges of steps_num and text_guidance_scale",
    "what a refusal of the content looks like: without a known code it is reported as invalid_input",
    "life of the output addresses",
    "rate limits",
)

IMAGE_GENERATION = Operation(
    name="bria.image_generation",
    modality="image",
    provider="bria",
    summary="One to four pictures from a text, by models trained on licensed pictures",
    input_schema=fields(
        {
            **_DRAWING,
            "num_results": whole(1, 4)
            | {"description": "Bria's own default is 4; sent as 1 unless you say otherwise", "default": 1},
        },
        required=("prompt",),
    ),
    example={
        "prompt": "A red bicycle leans on a whitewashed wall",
        "num_results": 1,
        "aspect_ratio": "4:3",
        "medium": "photography",
    },
    submit=Submit(path="/bria/text-to-image", total_s=300, defaults={"num_results": 1}),
    outputs=(Output(kind="image", select=("result[].urls[]", "result.urls")),),
    values=_RESULTS,
    withheld=_BLOCKED,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=("how many results are allowed: four, as natively", *_DRAWING_UNKNOWN),
    source="apidoc.cometapi.com/api/image/bria/generate-image (read 2026-11)",
)

VECTOR_GENERATION = Operation(
    name="bria.vector_generation",
    modality="image",
    provider="bria",
    summary="One to four vector graphics (SVG) from a text",
    input_schema=fields(
        {
            **_DRAWING,
            "num_results": whole(1, 4) | {"default": 4},
            **{f"guidance_method_{n}": one_of(*_METHODS) for n in range(1, 5)},
            **{f"guidance_method_{n}_scale": _SCALE | {"default": 1} for n in range(1, 5)},
            **{f"guidance_method_{n}_image_file": MEDIA for n in range(1, 5)},
        },
        required=("prompt",),
        allOf=[
            {
                "if": {"required": [f"guidance_method_{n}"]},
                "then": {"required": [f"guidance_method_{n}_image_file"]},
            }
            for n in range(1, 5)
        ],
    ),
    example={"prompt": "An emblem of a sailing ship in two colours", "num_results": 1, "aspect_ratio": "1:1"},
    # Without it the answer names addresses whose files come later, or never.
    submit=Submit(path="/bria/text-to-vector", total_s=600, defaults={"sync": True}),
    outputs=(Output(kind="image", select=("result[].urls[]", "result.urls", "urls"), extension="svg"),),
    values=_RESULTS,
    withheld=_BLOCKED,
    errors=ERRORS,
    confidence=Confidence.INFERRED,
    unknown=(
        "the answer: the gateway's page shows an empty object, read as Bria documents it",
        "whether guidance_method_2_scale is required: the page lists it so, and its own example leaves it out",
        *_DRAWING_UNKNOWN,
    ),
    source="apidoc.cometapi.com/api/image/bria/generate-vector-graphics-base, docs.bria.ai (read 2026-11)",
)

_FLAGS = ("preserve_alpha", "visual_input_content_moderation", "visual_output_content_moderation")
_GENERIC = ("action", "image", "mask", "prompt", "num_results", "sync")


def _required(*names: str) -> Schema:
    return {"required": list(names)}


#: What each action needs, and the fields it has beside those that every action has.
_ACTIONS: dict[str, tuple[Schema, tuple[str, ...]]] = {
    "erase": (_required("mask"), ("mask_type", *_FLAGS)),
    "gen_fill": (
        _required("mask", "prompt"),
        ("negative_prompt", "seed", "version", "prompt_content_moderation", *_FLAGS[1:]),
    ),
    "expand": (
        {"anyOf": [_required("aspect_ratio"), _required("canvas_size", "original_image_size", "original_image_location")]},
        (
            *("aspect_ratio", "canvas_size", "original_image_size", "original_image_location"),
            *("negative_prompt", "seed", "prompt_content_moderation", *_FLAGS),
        ),
    ),
    "enhance": ({}, ("resolution", "steps_num", "seed", *_FLAGS)),
    "increase_resolution": ({}, ("desired_increase", *_FLAGS)),
    "replace_background": (
        {"anyOf": [_required("prompt"), _required("ref_images")]},
        (
            *("ref_images", "mode", "refine_prompt", "enhance_ref_images", "original_quality", "negative_prompt", "seed"),
            *("force_background_detection", "prompt_content_moderation", "visual_output_content_moderation"),
        ),
    ),
}

_EDITING: dict[str, Schema] = {
    "action": one_of(*_ACTIONS),
    "image": MEDIA,
    "mask": MEDIA | {"title": "white is changed, black is kept"},
    "prompt": _PROMPT,
    "num_results": whole(1, 4) | {"default": 1},
    "sync": flag() | {"description": "ignored: edits always run as tasks"},
    "mask_type": one_of("manual", "automatic"),
    "negative_prompt": text(shortest=0),
    "seed": _INTEGER,
    "version": _INTEGER | {"examples": [2]},
    "aspect_ratio": one_of(*_RATIOS),
    "canvas_size": array(_POSITIVE, least=2, most=2),
    "original_image_size": array(_POSITIVE, least=2, most=2),
    "original_image_location": array(_INTEGER, least=2, most=2),
    "resolution": one_of("1MP", "2MP", "4MP"),
    "steps_num": whole(10, 50) | {"default": 20},
    "desired_increase": one_of(2, 4),
    "ref_images": array(MEDIA, least=1),
    "mode": one_of("base", "fast", "high_control"),
    "refine_prompt": flag(),
    "enhance_ref_images": flag(),
    "original_quality": flag(),
    "force_background_detection": flag(),
    "prompt_content_moderation": flag(),
    **{name: flag() for name in _FLAGS},
}


def _rules_of(action: str) -> Schema:
    """The fields that this action needs, and none of those that only others have."""
    needs, own = _ACTIONS[action]
    strangers = set(_EDITING) - set(_GENERIC) - set(own)
    return {
        "if": {"properties": {"action": {"const": action}}, "required": ["action"]},
        "then": needs | {"properties": dict.fromkeys(sorted(strangers), False)},
    }


IMAGE_EDIT = Operation(
    name="bria.image_edit",
    modality="image",
    provider="bria",
    summary="A picture edited: erase, fill, expand, enhance, enlarge, or a new background",
    input_schema=fields(_EDITING, required=("action", "image"), allOf=[_rules_of(action) for action in _ACTIONS]),
    example={"action": "gen_fill", "image": picture(), "mask": mask(), "prompt": "A small island with a lighthouse"},
    submit=Submit(path="/bria/image/edit/{action}"),
    task_id=("request_id", "data.request_id"),
    poll=Poll(
        path="/bria/{id}",
        status=("status",),
        words={
            "in_progress": Progress.RUNNING,
            "completed": Progress.DONE,
            "error": Progress.FAILED,
            # An internal error of Bria's, and the end of the task.
            "unknown": Progress.FAILED,
            "not_found": Progress.FAILED,
        },
        reason=("error.message", "error.details"),
        failure_code=("error.code",),
        every_s=(2, 3, 3, 4, 5),
        give_up_s=1800,
    ),
    outputs=(Output(kind="image", select=("result.image_url", "result[].urls[]", "result.urls")),),
    values=("result.{seed: seed, refined_prompt: refined_prompt}",),
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "the answer of the submit: the gateway's page shows an empty object, a request_id is expected",
        "which of each action's own fields the gateway passes on: its page lists image, mask, prompt and num_results",
        "whether expand needs a mask: the gateway's page says so, Bria has none",
        "what num_results above 1 brings",
        "how long a request_id can be asked for, and how long output addresses live",
        "what a refusal of the content looks like: without a known code it is reported as invalid_input",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/image/bria/image-editing and query-status, docs.bria.ai (read 2026-11)",
)

PROVIDER = Provider(name="bria", title="Bria", operations=(IMAGE_GENERATION, VECTOR_GENERATION, IMAGE_EDIT))
