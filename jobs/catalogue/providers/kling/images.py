"""Pictures from texts and pictures, and what is seen in a picture."""

from jobs.catalogue.providers.kling.answers import IMAGE_VALUES, IMAGES, at_any_depth, kept_as_json
from jobs.catalogue.providers.kling.forms import call, task
from jobs.catalogue.providers.kling.parts import (
    MOST_PROMPT_CHARS,
    NEGATIVE_PROMPT,
    PICTURE,
    PICTURE_RATIO,
    SOME_PROMPT,
    apart,
)
from jobs.catalogue.samples import picture
from jobs.catalogue.schema import array, fields, number, one_of, open_text, prompt, whole
from jobs.catalogue.spec import Output

_COUNT = whole(1, 9)
_PORTRAIT = {"job": "kling.image_generation", "artifact": 0}

IMAGE_GENERATION = task(
    "image_generation",
    "/kling/v1/images/generations",
    modality="image",
    summary="One to nine images from a text, and a reference picture",
    properties={
        "model_name": open_text("kling-v1", "kling-v1-5", "kling-v2", "kling-v2-new", "kling-v2-1", "kling-v3"),
        "prompt": prompt(MOST_PROMPT_CHARS),
        "negative_prompt": NEGATIVE_PROMPT | {"title": "not with image"},
        "image": PICTURE,
        "image_reference": one_of("subject", "face") | {"description": "what of the image is kept; v1-5"},
        "image_fidelity": number(0, 1),
        "human_fidelity": number(0, 1),
        "resolution": one_of("1k", "2k"),
        "n": _COUNT,
        "aspect_ratio": PICTURE_RATIO,
    },
    required=("prompt",),
    rules=(
        apart("image", "negative_prompt"),
        {
            "if": {"properties": {"model_name": {"const": "kling-v1-5"}}, "required": ["model_name", "image"]},
            "then": {"required": ["image_reference"]},
        },
    ),
    # The picture that the examples with a person start from.
    example={
        "model_name": "kling-v2-1",
        "prompt": "Portrait photo of a woman on a quay with a book, face to the camera, soft morning light",
        "aspect_ratio": "16:9",
        "n": 1,
    },
    outputs=IMAGES,
    values=IMAGE_VALUES,
    unknown=(
        "limits of prompts: the gateway's page says 500 and 200 characters, Kling's 2500",
        "the model that is used when none is named",
    ),
)

MULTI_IMAGE_TO_IMAGE = task(
    "multi_image_to_image",
    "/kling/v1/images/multi-image2image",
    modality="image",
    summary="One to nine images with the subjects of up to four pictures, a scene and a style",
    properties={
        "model_name": open_text("kling-v2", "kling-v2-1"),
        "subject_image_list": array(fields({"subject_image": PICTURE}, required=("subject_image",)), least=1, most=4),
        "prompt": SOME_PROMPT,
        "scene_image": PICTURE,
        "style_image": PICTURE,
        "n": _COUNT,
        "aspect_ratio": PICTURE_RATIO,
    },
    required=("subject_image_list",),
    example={
        "model_name": "kling-v2-1",
        "subject_image_list": [{"subject_image": picture()}],
        "prompt": "A T-shirt with the stripes of the picture, laid flat on a plain white background",
        "aspect_ratio": "1:1",
    },
    outputs=IMAGES,
    values=IMAGE_VALUES,
    status_path_listed=False,
    unknown=("an older page of the gateway sends this to /kling/v1/images/generations, and spells scene_image `scence_image`",),
)

_SIDES = ("up", "down", "left", "right")

IMAGE_EXPANSION = task(
    "image_expansion",
    "/kling/v1/images/editing/expand",
    modality="image",
    summary="A picture continued beyond its edges",
    properties={
        "image": PICTURE,
        **{
            f"{side}_expansion_ratio": number(0, 2)
            | {"description": f"share of the {'height' if side in _SIDES[:2] else 'width'} added; at most 3 times the area in all"}
            for side in _SIDES
        },
        "prompt": SOME_PROMPT,
        "n": _COUNT,
    },
    required=("image", *(f"{side}_expansion_ratio" for side in _SIDES)),
    example={
        "image": _PORTRAIT,
        "up_expansion_ratio": 0.2,
        "down_expansion_ratio": 0.0,
        "left_expansion_ratio": 0.3,
        "right_expansion_ratio": 0.3,
        "prompt": "A quay with fishing boats in the morning",
        "n": 1,
    },
    outputs=IMAGES,
    values=IMAGE_VALUES,
    status_path_listed=False,
)

IMAGE_RECOGNIZE = call(
    "image_recognize",
    "/kling/v1/videos/image-recognize",
    modality="text",
    summary="Cut-outs of the object, head, face and clothes in a picture, as far as it shows them",
    properties={"image": PICTURE},
    required=("image",),
    example={"image": _PORTRAIT},
    outputs=(
        kept_as_json("task_result"),
        Output(kind="image", select=at_any_depth("task_result", "task_result.images[?is_contain].{url: url, type: type}")),
    ),
    values=at_any_depth("task_result", "{images: task_result.images[].{type: type, is_contain: is_contain}}"),
)

VIRTUAL_TRY_ON = task(
    "virtual_try_on",
    "/kling/v1/images/kolors-virtual-try-on",
    modality="image",
    summary="A person in other clothes",
    properties={
        "model_name": open_text("kolors-virtual-try-on-v1", "kolors-virtual-try-on-v1-5"),
        "human_image": PICTURE,
        "cloth_image": PICTURE | {"title": "on a white or plain background; v1-5 also takes upper and lower part in one picture"},
    },
    required=("human_image", "cloth_image"),
    example={
        "model_name": "kolors-virtual-try-on-v1-5",
        "human_image": _PORTRAIT,
        "cloth_image": {"job": "kling.multi_image_to_image", "artifact": 0},
    },
    outputs=IMAGES,
    values=IMAGE_VALUES,
)

IMAGE_OPERATIONS = (IMAGE_GENERATION, MULTI_IMAGE_TO_IMAGE, IMAGE_EXPANSION, IMAGE_RECOGNIZE, VIRTUAL_TRY_ON)
