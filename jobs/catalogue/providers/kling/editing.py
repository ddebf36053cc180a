"""Editing a video in a session of 24 hours: begin, mark what is meant, look at the marks, then have it changed.

The calls of one session depend on their order: each example takes the session from the call before it.
"""

from typing import Any

from jobs.catalogue.providers.kling.answers import (
    EDITED_VIDEO_VALUES,
    SELECTION_ERRORS,
    VIDEOS,
    at_any_depth,
    kept_as_json,
)
from jobs.catalogue.providers.kling.forms import SESSION, call, task
from jobs.catalogue.providers.kling.parts import (
    MODE,
    MOST_PROMPT_CHARS,
    NEGATIVE_PROMPT,
    PICTURE,
    SHORT_OR_LONG,
    VIDEO_ID,
    either,
    provider_id,
    together,
    video_address,
    where,
)
from jobs.catalogue.schema import Schema, array, fields, number, one_of, open_text, prompt, whole
from jobs.catalogue.spec import Dedupe, Exprs, Operation, Output

_SESSION_ID = provider_id("`output.session_id` of an edit_… job, at most 24 hours old")

_POINTS = array(
    fields({"x": number(0, 1), "y": number(0, 1)}, required=("x", "y")),
    least=1,
    most=10,
) | {"description": "shares of width and height from the bottom left: y grows upwards, (0, 1) is the top left corner"}

_MARKS: dict[str, Schema] = {
    "session_id": _SESSION_ID,
    "frame_index": whole(0, 100_000) | {"description": "at most 10 frames of a session have marks"},
    "points": _POINTS,
}

#: The marks as they are now: a picture for each thing that is marked in the frame.
_MASKS = Output(kind="image", select=at_any_depth("session_id", "res.rle_mask_list[].{b64: png_mask.base64, object_id: object_id}"))
_MASK_VALUES = at_any_depth(
    "session_id", "{session_id: session_id, frame_index: res.frame_index, objects: res.rle_mask_list[].object_id}"
)


def _step(
    name: str,
    path: str,
    *,
    summary: str,
    properties: dict[str, Schema],
    required: tuple[str, ...] = (),
    rules: tuple[Schema, ...] = (),
    example: dict[str, Any],
    outputs: tuple[Output, ...] = (),
    values: Exprs,
    repeatable: bool = True,
    unknown: tuple[str, ...] = (),
) -> Operation:
    return call(
        name,
        f"/kling/v1/videos/multi-elements/{path}",
        modality="text",
        summary=summary,
        properties=properties,
        required=required,
        rules=rules,
        example=example,
        outputs=(kept_as_json("session_id"), *outputs),
        values=values,
        errors=SELECTION_ERRORS,
        # Marking is free, what costs is edit_video. But a point set twice may be two points, and one taken away is not there to be
        # taken away again: only a step that comes to the same when it is made twice is made once more when its answer was lost.
        dedupe=Dedupe(grade="A" if repeatable else "C"),
        unknown=(SESSION, "whether a step may cost: in the sample the beginning of a session costs 0", *unknown),
    )


EDIT_INIT_SELECTION = _step(
    "edit_init_selection",
    "init-selection",
    summary="Begin to edit a video: a session of 24 hours",
    properties={
        "video_id": VIDEO_ID,
        "video_url": video_address("2 to 5 or 7 to 10 seconds, sides of 720 to 2160 px, 24, 30 or 60 frames a second"),
        "task_id": provider_id("`upstream.task_id` of the job that made the video, beside video_id"),
    },
    rules=(*either("video_id", "video_url"), together("task_id", "video_id")),
    example={"video_id": {"job": "kling.text_to_video", "get": "output.videos[0].id"}},
    values=at_any_depth(
        "session_id",
        "{session_id: session_id, fps: fps, original_duration: original_duration, width: width, height: height,"
        " total_frame: total_frame, normalized_video: normalized_video, final_unit_deduction: final_unit_deduction}",
    ),
    unknown=("lengths: the gateway tolerates up to 5.5 and 10.5 seconds",),
)

EDIT_ADD_SELECTION = _step(
    "edit_add_selection",
    "add-selection",
    summary="Mark things in one frame of the video by points on them",
    properties=_MARKS,
    required=("session_id", "frame_index", "points"),
    example={
        "session_id": {"job": "kling.edit_init_selection", "get": "output.session_id"},
        "frame_index": 0,
        "points": [{"x": 0.5, "y": 0.5}, {"x": 0.25, "y": 0.75}],
    },
    outputs=(_MASKS,),
    values=_MASK_VALUES,
    repeatable=False,
)

EDIT_DELETE_SELECTION = _step(
    "edit_delete_selection",
    "delete-selection",
    summary="Take points away that were set before, by exactly the same coordinates",
    properties=_MARKS,
    required=("session_id", "frame_index", "points"),
    example={
        "session_id": {"job": "kling.edit_add_selection", "get": "output.session_id"},
        "frame_index": 0,
        "points": [{"x": 0.25, "y": 0.75}],
    },
    outputs=(_MASKS,),
    values=_MASK_VALUES,
    repeatable=False,
)

EDIT_PREVIEW_SELECTION = _step(
    "edit_preview_selection",
    "preview-selection",
    summary="The video with what is marked made visible",
    properties={"session_id": _SESSION_ID},
    required=("session_id",),
    example={"session_id": {"job": "kling.edit_delete_selection", "get": "output.session_id"}},
    outputs=(
        Output(kind="video", select=at_any_depth("session_id", "[res.video]")),
        Output(kind="image", select=at_any_depth("session_id", "[res.video_cover]")),
    ),
    values=at_any_depth("session_id", "{session_id: session_id, tracking_output: res.tracking_output}"),
)

EDIT_VIDEO = task(
    "edit_video",
    "/kling/v1/videos/multi-elements",
    modality="video",
    summary="Add to the marked video, or swap or remove what is marked",
    properties={
        "model_name": open_text("kling-v1-6"),
        "session_id": _SESSION_ID,
        "edit_mode": one_of("addition", "swap", "removal"),
        "image_list": array(fields({"image": PICTURE}, required=("image",)), least=1, most=2)
        | {"description": "what is added (1 or 2) or put in place (1)"},
        "prompt": prompt(MOST_PROMPT_CHARS) | {"description": "names its inputs <<<video_1>>> and <<<image_1>>>"},
        "negative_prompt": NEGATIVE_PROMPT,
        "mode": MODE,
        "duration": SHORT_OR_LONG | {"description": "seconds, as text; as long as the video"},
    },
    required=("session_id", "edit_mode", "prompt"),
    rules=(
        where({"edit_mode": "addition"}, need=("image_list",)),
        where({"edit_mode": "swap"}, then={"image_list": {"maxItems": 1}}, need=("image_list",)),
        where({"edit_mode": "removal"}, then={"image_list": False}),
    ),
    example={
        "model_name": "kling-v1-6",
        "session_id": {"job": "kling.edit_preview_selection", "get": "output.session_id"},
        "edit_mode": "removal",
        "prompt": "Remove the paper boat from <<<video_1>>>",
        "mode": "std",
        "duration": "5",
    },
    outputs=VIDEOS,
    values=EDITED_VIDEO_VALUES,
    unknown=(SESSION,),
)

EDIT_CLEAR_SELECTION = _step(
    "edit_clear_selection",
    "clear-selection",
    summary="Take all marks of a session away",
    properties={"session_id": _SESSION_ID},
    required=("session_id",),
    example={"session_id": {"job": "kling.edit_video", "get": "output.videos[0].session_id"}},
    values=at_any_depth("session_id", "{session_id: session_id}"),
    unknown=("whether a session can still be used after edit_video",),
)

EDITING_OPERATIONS = (
    EDIT_INIT_SELECTION,
    EDIT_ADD_SELECTION,
    EDIT_DELETE_SELECTION,
    EDIT_CLEAR_SELECTION,
    EDIT_PREVIEW_SELECTION,
    EDIT_VIDEO,
)
