"""Pictures by chat: the answer is prose in Markdown, and the pictures are links in it."""

from __future__ import annotations

from jobs.catalogue.providers.openai.chat import MESSAGES, NO_STREAM, SAMPLING, UNFILTERED, WITHHELD
from jobs.catalogue.providers.openai.common import ERRORS
from jobs.catalogue.schema import fields, open_text
from jobs.catalogue.spec import Confidence, Links, Operation, Output, Submit

GPT4O_IMAGE = Operation(
    name="openai.gpt4o_image",
    modality="image",
    provider="openai",
    summary="Pictures from a conversation with gpt-4o-image, which may show it pictures",
    input_schema=fields(
        {
            "model": open_text("gpt-4o-image", default="gpt-4o-image"),
            "messages": MESSAGES,
            **SAMPLING,
            "stream": NO_STREAM,
        },
        required=("messages",),
    ),
    example={
        "model": "gpt-4o-image",
        "messages": [{"role": "user", "content": "Draw a tin robot watering a sunflower, as a linocut."}],
    },
    submit=Submit(path="/v1/chat/completions", defaults={"model": "gpt-4o-image"}, total_s=600),
    outputs=(
        Output(
            kind="image",
            links=Links(
                text=(f"choices[?{UNFILTERED}].message.content",),
                endings=(".png", ".jpg", ".jpeg", ".webp"),
                pictures_first=True,
                # The same picture once more, under an address that wants to be saved.
                avoid=("/download/",),
                # "Progress 12..55..[100](…)": a preview on its way.
                avoid_label=r"\d{1,3}%?",
            ),
        ),
    ),
    values=("{text: choices[0].message.content, finish_reason: choices[0].finish_reason, model: model, usage: usage}",),
    withheld=WITHHELD,
    errors=ERRORS,
    output_lifetime="unknown; some addresses are signed for a few days",
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "whether the gateway still offers gpt-4o-image: older pages describe it, the newest index does not list it",
        "how pictures are shown to it: sent as image_url parts, as in every chat",
        "life of the picture addresses",
        "rate limits",
    ),
    source="apidoc.cometapi.com/gpt-4o-image-generates-image-15928299e0 (read 2026-11)",
)
