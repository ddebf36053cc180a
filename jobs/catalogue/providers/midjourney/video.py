"""Videos from a picture."""

from jobs.catalogue.providers.midjourney.answers import VIDEOS
from jobs.catalogue.providers.midjourney.forms import task
from jobs.catalogue.providers.midjourney.parts import PICTURE, TASK_ID, VIDEO_TYPE
from jobs.catalogue.samples import picture
from jobs.catalogue.schema import flag, one_of, open_text, text, whole

VIDEO = task(
    "video",
    "video",
    modality="video",
    summary="Up to four short videos from a picture, or a video continued",
    properties={
        "motion": one_of("low", "high"),
        "image": PICTURE | {"title": "the first frame; may be missing with action"},
        "prompt": text(shortest=0),
        "action": open_text("extend", description="what to do with the video of an earlier task"),
        "index": whole(0, 3) | {"description": "which of its videos, with action"},
        "taskId": TASK_ID | {"title": "with action"},
        "endImage": PICTURE | {"title": "the last frame"},
        "loop": flag(),
        "videoType": VIDEO_TYPE,
        "batchSize": one_of(1, 2, 4) | {"default": 4},
    },
    required=("motion",),
    rules=(
        {
            "if": {"required": ["action"]},
            "then": {"required": ["index", "taskId"]},
            "else": {"required": ["image"]},
        },
    ),
    # The field is always sent: it is required, and may be empty where a video is continued.
    defaults={"image": ""},
    example={"motion": "low", "image": picture(), "prompt": "The sun sinks behind the stripes, slowly"},
    outputs=(VIDEOS,),
    unknown=("whether endImage, loop, videoType and batchSize are passed on: the proxy knows them, the gateway's page does not",),
)
