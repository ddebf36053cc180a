"""A text from a picture."""

from jobs.catalogue.providers.midjourney.answers import TEXT, TEXT_VALUES
from jobs.catalogue.providers.midjourney.forms import task
from jobs.catalogue.providers.midjourney.parts import BOT, INLINE_PICTURE
from jobs.catalogue.schema import media, open_text
from jobs.catalogue.spec import Confidence

DESCRIBE = task(
    "describe",
    "describe",
    modality="text",
    summary="Four prompts that would make such a picture",
    properties={
        "base64": INLINE_PICTURE,
        "link": media("url"),
        "botType": BOT,
        "language": open_text("zh_cn", description="translated into it"),
    },
    rules=({"anyOf": [{"required": ["base64"]}, {"required": ["link"]}]}, {"not": {"required": ["base64", "link"]}}),
    example={"base64": {"job": "midjourney.imagine", "artifact": 0}},
    # The task's picture is the one that was sent.
    outputs=(TEXT,),
    values=TEXT_VALUES,
    confidence=Confidence.INFERRED,
    unknown=(
        "where the text stands: the proxy's place is read first, then two others",
        "whether language is passed on",
    ),
)
