"""Videos from several pictures, from a video, from a portrait and a sound, and ready-made scenes."""

from jobs.catalogue.providers.kling.answers import LATER_VIDEO_VALUES, VIDEO_VALUES, VIDEOS
from jobs.catalogue.providers.kling.forms import task
from jobs.catalogue.providers.kling.parts import (
    AUDIO_ID,
    CFG_SCALE,
    FRAME_RATIO,
    MASKS,
    MODE,
    MOST_PROMPT_CHARS,
    NEGATIVE_PROMPT,
    PICTURE,
    SHORT_OR_LONG,
    SOME_PROMPT,
    SOUND,
    VIDEO_ID,
    either,
    together,
)
from jobs.catalogue.samples import picture
from jobs.catalogue.schema import array, fields, number, open_text, prompt

MULTI_IMAGE_TO_VIDEO = task(
    "multi_image_to_video",
    "/kling/v1/videos/multi-image2video",
    modality="video",
    summary="A video of 5 or 10 seconds with the subjects of up to four pictures",
    properties={
        "model_name": open_text("kling-v1-6"),
        "image_list": array(fields({"image": PICTURE}, required=("image",)), least=1, most=4),
        "prompt": prompt(MOST_PROMPT_CHARS),
        "negative_prompt": NEGATIVE_PROMPT,
        "mode": MODE,
        "duration": SHORT_OR_LONG,
        "aspect_ratio": FRAME_RATIO,
        "cfg_scale": CFG_SCALE,
        **MASKS,
    },
    required=("image_list", "prompt"),
    example={
        "model_name": "kling-v1-6",
        "image_list": [{"image": {"job": "kling.image_generation", "artifact": 0}}, {"image": picture()}],
        "prompt": "The woman hangs the striped picture on a white wall and steps back",
        "duration": "5",
        "aspect_ratio": "16:9",
    },
    outputs=VIDEOS,
    values=VIDEO_VALUES,
    unknown=(
        "limits: the gateway's page says 2 to 4 pictures and 500 characters, Kling's 1 to 4 and 2500",
        "cfg_scale, static_mask and dynamic_masks are named by the gateway's page only",
    ),
)

VIDEO_EXTENSION = task(
    "video_extension",
    "/kling/v1/videos/video-extend",
    modality="video",
    summary="A Kling video made 4 to 5 seconds longer",
    properties={
        "video_id": VIDEO_ID
        | {"description": "`output.videos[0].id` of a v1, v1-5 or v1-6 job, at most 30 days old; at most 3 minutes in all"},
        "prompt": SOME_PROMPT,
        "negative_prompt": NEGATIVE_PROMPT,
        "cfg_scale": number(0, 1),
    },
    required=("video_id",),
    example={
        "video_id": {"job": "kling.text_to_video", "get": "output.videos[0].id"},
        "prompt": "The boat reaches the harbour and turns into the wind",
    },
    outputs=VIDEOS,
    values=LATER_VIDEO_VALUES,
    status_path_listed=False,
)

AVATAR = task(
    "avatar",
    "/kling/v1/videos/avatar/image2video",
    modality="video",
    summary="A portrait that speaks: a video from a picture and a sound",
    properties={
        "image": PICTURE,
        "audio_id": AUDIO_ID,
        "sound_file": SOUND | {"description": f"{SOUND['description']}; 2 to 300 seconds"},
        "prompt": SOME_PROMPT,
        "mode": MODE,
    },
    required=("image",),
    rules=either("audio_id", "sound_file"),
    example={
        "image": {"job": "kling.image_generation", "artifact": 0},
        "audio_id": {"job": "kling.tts", "get": "output.audios[0].id"},
        "prompt": "She speaks calmly and looks into the camera",
        "mode": "std",
    },
    outputs=VIDEOS,
    values=VIDEO_VALUES,
    status_path_listed=False,
    unknown=("the longest sound: the gateway's page says 60 seconds, Kling's 300",),
)

_SCENES_FOR_TWO = ("hug", "kiss", "heart_gesture")
_SCENES_FOR_ONE = ("fuzzyfuzzy", "squish", "expansion")

VIDEO_EFFECTS = task(
    "video_effects",
    "/kling/v1/videos/effects",
    modality="video",
    summary="A picture, or two people of two pictures, in a ready-made scene",
    properties={
        "effect_scene": open_text(
            *_SCENES_FOR_TWO, *_SCENES_FOR_ONE, description="one of more than 200, and the list changes; an unknown one is refused"
        ),
        "input": fields(
            {
                "image": PICTURE | {"title": "for scenes with one picture"},
                "images": array(PICTURE, least=2, most=2) | {"description": "for scenes with two people, the left one first"},
                "model_name": open_text("kling-v1", "kling-v1-5", "kling-v1-6", description="needed with images"),
                "mode": MODE,
                "duration": SHORT_OR_LONG | {"description": "seconds, as text; 10 only with images"},
            },
            required=("duration",),
            allOf=[
                *either("image", "images"),
                together("images", "model_name"),
                {"if": {"required": ["image"]}, "then": {"properties": {"duration": {"const": "5"}}}},
            ],
        ),
    },
    required=("effect_scene", "input"),
    rules=tuple(
        {
            "if": {"properties": {"effect_scene": {"enum": list(scenes)}}, "required": ["effect_scene"]},
            "then": {"properties": {"input": {"required": [field]}}},
        }
        for scenes, field in ((_SCENES_FOR_TWO, "images"), (_SCENES_FOR_ONE, "image"))
    ),
    example={
        "effect_scene": "squish",
        "input": {"image": {"job": "kling.image_generation", "artifact": 0}, "duration": "5"},
    },
    outputs=VIDEOS,
    values=VIDEO_VALUES,
    unknown=("which scenes there are today",),
)

VIDEO_OPERATIONS = (
    MULTI_IMAGE_TO_VIDEO,
    VIDEO_EXTENSION,
    AVATAR,
    VIDEO_EFFECTS,
)
