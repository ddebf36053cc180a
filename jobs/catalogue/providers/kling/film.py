"""Films of 3 to 15 seconds from a text or a picture. What may be asked depends on the model."""

from jobs.catalogue.providers.kling.answers import VIDEO_VALUES, VIDEOS
from jobs.catalogue.providers.kling.forms import task
from jobs.catalogue.providers.kling.parts import (
    CFG_SCALE,
    FRAME_RATIO,
    MASKS,
    MODE,
    MOST_PROMPT_CHARS,
    NEGATIVE_PROMPT,
    PICTURE,
    apart,
    for_models,
    provider_id,
    together,
    where,
)
from jobs.catalogue.schema import Schema, array, fields, flag, number, one_of, open_text, prompt, whole

_MODEL = "kling-v1-6"

_TEXT_MODELS = (
    "kling-v1",
    "kling-v1-6",
    "kling-v2-master",
    "kling-v2-1-master",
    "kling-v2-5-turbo",
    "kling-v2-6",
    "kling-v3",
)


def _model(*known: str) -> Schema:
    return open_text(*known, description="always sent, since the pages differ on the default", default=_MODEL)


_MOVES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")

_CAMERA = fields(
    {
        "type": one_of("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward"),
        "config": fields(
            {move: number(-10, 10) for move in _MOVES},
            oneOf=[
                {
                    "required": [move],
                    "properties": {other: {"not": {"const": 0}} if other == move else {"const": 0} for other in _MOVES},
                }
                for move in _MOVES
            ],
            description="with type simple; exactly one move is not zero",
        ),
    },
    required=("type",),
    allOf=[
        {
            "if": {"properties": {"type": {"const": "simple"}}},
            "then": {"required": ["config"]},
            "else": {"properties": {"config": False}},
        }
    ],
)

_SHOTS: dict[str, Schema] = {
    "multi_shot": flag() | {"description": "v3"},
    "shot_type": one_of("customize", "intelligence") | {"description": "with multi_shot"},
    "multi_prompt": array(
        fields(
            {"index": whole(1, 6), "prompt": prompt(512), "duration": one_of(*(str(seconds) for seconds in range(1, 16)))},
            required=("index", "prompt", "duration"),
        ),
        least=1,
        most=6,
    )
    | {"description": "with shot_type customize; the durations add up to `duration`"},
}

_FILM: dict[str, Schema] = {
    "prompt": prompt(MOST_PROMPT_CHARS),
    "negative_prompt": NEGATIVE_PROMPT,
    "cfg_scale": CFG_SCALE,
    "mode": MODE,
    "sound": one_of("on", "off") | {"description": "v2-6 (pro) and v3"},
    "camera_control": _CAMERA,
    "duration": one_of(*(str(seconds) for seconds in range(3, 16)))
    | {"description": "seconds, as text: 5 or 10; v3 takes 3 to 15"},
    **_SHOTS,
}

_CUSTOM_SHOTS = {"multi_shot": True, "shot_type": "customize"}

_FILM_RULES = (
    where(_CUSTOM_SHOTS, need=("multi_prompt",)),
    where({"multi_shot": True}, need=("shot_type",)),
    together("shot_type", "multi_shot"),
    together("multi_prompt", *_CUSTOM_SHOTS),
    for_models("^kling-v[12]", duration=one_of("5", "10"), multi_shot={"const": False}, multi_prompt=False),
    for_models("^kling-v(1|2-master|2-1|2-5)", sound={"const": "off"}),
    where({"model_name": "kling-v2-6", "sound": "on"}, then={"mode": {"const": "pro"}}, need=("mode",)),
    {
        "if": {"properties": {"model_name": {"pattern": "^kling-v[23]"}}, "required": ["model_name"]},
        "then": {"properties": {"cfg_scale": False}},
    },
)

_MIX = "which features go together with which model, mode and duration: a wrong mix is refused by the provider, before it costs"

TEXT_TO_VIDEO = task(
    "text_to_video",
    "/kling/v1/videos/text2video",
    modality="video",
    summary="A video of 3 to 15 seconds from a text",
    properties={"model_name": _model(*_TEXT_MODELS), **_FILM, "aspect_ratio": FRAME_RATIO},
    rules=(
        *_FILM_RULES,
        {
            "if": {
                "properties": {field: {"const": value} for field, value in _CUSTOM_SHOTS.items()},
                "required": list(_CUSTOM_SHOTS),
            },
            "else": {"required": ["prompt"]},
        },
    ),
    example={
        "model_name": _MODEL,
        "prompt": "A paper boat drifts down a rainy street at dusk",
        "duration": "5",
        "aspect_ratio": "16:9",
    },
    outputs=VIDEOS,
    values=VIDEO_VALUES,
    defaults={"model_name": _MODEL},
    unknown=(_MIX,),
)

IMAGE_TO_VIDEO = task(
    "image_to_video",
    "/kling/v1/videos/image2video",
    modality="video",
    summary="A video of 3 to 15 seconds that starts, or ends, with a picture",
    properties={
        "model_name": _model("kling-v1", "kling-v1-5", "kling-v1-6", "kling-v2-1", *_TEXT_MODELS[2:]),
        "image": PICTURE | {"title": "first frame"},
        "image_tail": PICTURE | {"title": "last frame"},
        **_FILM,
        **MASKS,
        "element_list": array(fields({"element_id": {"type": ["string", "integer"]}}, required=("element_id",)), most=3),
        "voice_list": array(fields({"voice_id": provider_id("a voice")}, required=("voice_id",)), most=2),
    },
    rules=(
        {"anyOf": [{"required": ["image"]}, {"required": ["image_tail"]}]},
        apart("image_tail", "static_mask", "dynamic_masks", "camera_control"),
        apart("camera_control", "static_mask", "dynamic_masks"),
        apart("voice_list", "element_list"),
        *_FILM_RULES,
    ),
    example={
        "model_name": _MODEL,
        "image": {"job": "kling.image_generation", "artifact": 0},
        "prompt": "She looks up from her book and smiles at the camera",
        "duration": "5",
    },
    outputs=VIDEOS,
    values=VIDEO_VALUES,
    defaults={"model_name": _MODEL},
    unknown=(_MIX, "whether a prompt may be left out"),
)

FILM_OPERATIONS = (TEXT_TO_VIDEO, IMAGE_TO_VIDEO)
