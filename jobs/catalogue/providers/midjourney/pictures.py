"""Pictures from texts and pictures: the calls that need no earlier task."""

from jobs.catalogue.providers.midjourney.forms import task
from jobs.catalogue.providers.midjourney.parts import ACCOUNT_FILTER, BOT, INLINE_PICTURE, MASK, PICTURE, PROMPT
from jobs.catalogue.samples import mask, picture
from jobs.catalogue.schema import array, one_of

IMAGINE = task(
    "imagine",
    "imagine",
    summary="A grid of four pictures from a text; its buttons go on from there",
    properties={
        "prompt": PROMPT
        | {"description": "Midjourney's text with its flags (--v, --ar, --stylize, --sref …); addresses of pictures may lead it"},
        "botType": BOT,
        "base64Array": array(INLINE_PICTURE) | {"description": "pictures to go by"},
        "accountFilter": ACCOUNT_FILTER,
    },
    required=("prompt",),
    example={"prompt": "A lighthouse keeper's kitchen at dawn, kettle on the stove, watercolour --ar 1:1"},
)

BLEND = task(
    "blend",
    "blend",
    summary="Two to five pictures made into one idea, as a grid of four",
    properties={
        "base64Array": array(INLINE_PICTURE, least=2, most=5),
        "dimensions": one_of("PORTRAIT", "SQUARE", "LANDSCAPE") | {"default": "SQUARE", "description": "2:3, 1:1 or 3:2"},
        "botType": BOT,
        "accountFilter": ACCOUNT_FILTER,
    },
    required=("base64Array",),
    example={"base64Array": [picture(), {"job": "midjourney.imagine", "artifact": 0}], "dimensions": "LANDSCAPE"},
)

EDIT = task(
    "edit",
    "edits",
    summary="A part of a picture painted anew: where the mask is white, or the picture transparent",
    properties={
        "image": PICTURE,
        "prompt": PROMPT | {"description": "what is to be seen there"},
        "maskBase64": MASK,
        "botType": BOT,
        "accountFilter": ACCOUNT_FILTER,
    },
    required=("image", "prompt"),
    example={"image": picture(), "maskBase64": mask(), "prompt": "A small sailing boat before the sunset"},
    unknown=("whether the gateway passes maskBase64 on: clients send it, its page does not name it",),
)
