"""Sora 2 through the gateway, by OpenAI's Videos format and by the gateway's own variant of it, on the same route.

Source: apidoc.cometapi.com/api/video/sora-2/official, openai/openai-python resources/videos.py (read 2026-11).
"""

from datetime import date

from jobs.catalogue.samples import picture
from jobs.catalogue.schema import fields, media, one_of, open_text, prompt, text
from jobs.catalogue.spec import Confidence, Deprecated, Operation, Provider, Submit
from jobs.catalogue.videos_route import ERRORS, PATH, POLL, TASK_ID, VALUES, VIDEO

_ENDED = (
    Deprecated(
        on=date(2026, 9, 24),
        successor=None,
        note="OpenAI shut its Videos API down and named no successor; whether the gateway still has these models is unknown",
    ),
)

_SIZES = ("720x1280", "1280x720")
_PRO_SIZES = ("1024x1792", "1792x1024")

_LIFETIME = "about an hour; `expires_at` says it where it is given"

CREATE_VIDEO = Operation(
    name="sora.create_video",
    modality="video",
    provider="sora",
    summary="A video of 4, 8 or 12 seconds with sound, from a text and, if wanted, a first frame",
    input_schema=fields(
        {
            "prompt": prompt(32_000),
            "model": open_text("sora-2", "sora-2-pro", pattern="(?i)sora", default="sora-2"),
            "seconds": one_of("4", "8", "12") | {"description": "as text", "default": "4"},
            "size": one_of(*_SIZES, *_PRO_SIZES) | {"description": f"{' and '.join(_PRO_SIZES)} with sora-2-pro only"},
            "input_reference": media("bytes")
            | {"title": "the first frame: one JPEG, PNG or WebP of exactly `size`, without faces of real people"},
        },
        required=("prompt",),
        allOf=[
            {
                "if": {"properties": {"model": {"pattern": "(?i)pro"}}, "required": ["model"]},
                "else": {"properties": {"size": {"enum": list(_SIZES)}}},
            },
        ],
    ),
    example={
        "model": "sora-2",
        "prompt": "A paper kite climbs over a windy beach at noon",
        "seconds": "4",
        "size": "1280x720",
        "input_reference": picture(1280, 720),
    },
    submit=Submit(path=PATH, encoding="multipart", defaults={"model": "sora-2"}),
    task_id=TASK_ID,
    poll=POLL,
    outputs=(VIDEO,),
    values=VALUES,
    errors=ERRORS,
    output_lifetime=_LIFETIME,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "whether the route still works since OpenAI's own API ended",
        "the codes of failed tasks: those that speak of moderation, policy or safety count as a refusal of the content",
        "whether the gateway hands out thumbnails and sprite sheets: they are not fetched",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/video/sora-2/official/create-video (read 2026-11)",
    deprecated=_ENDED,
)

REMIX_VIDEO = Operation(
    name="sora.remix_video",
    modality="video",
    provider="sora",
    summary="A finished Sora video made anew with a change; model, length and size stay",
    input_schema=fields(
        {
            "video_id": text(
                200,
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\-]*$",
                description='the finished task: {"job": "job_…", "get": "upstream.task_id"}',
            ),
            "prompt": prompt(32_000) | {"description": "the change"},
        },
        required=("video_id", "prompt"),
    ),
    example={
        "video_id": {"job": "sora.create_video", "get": "upstream.task_id"},
        "prompt": "The same beach, under a full moon",
    },
    submit=Submit(path=PATH + "/{video_id}/remix"),
    task_id=TASK_ID,
    poll=POLL,
    outputs=(VIDEO,),
    values=("{model: model, seconds: seconds, size: size, expires_at: expires_at, remixed_from_video_id: remixed_from_video_id}",),
    errors=ERRORS,
    output_lifetime=_LIFETIME,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "whether the route still works since OpenAI's own API ended",
        "how long after its end a video can still be remixed",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/video/sora-2/official/remix-video (read 2026-11)",
    deprecated=_ENDED,
)

SELF_DEVELOPED_VIDEO = Operation(
    name="sora.self_developed_video",
    modality="video",
    provider="sora",
    summary="A video of about 10 seconds by the gateway's own Sora route",
    input_schema=fields(
        {
            "prompt": prompt(32_000),
            "model": open_text("sora-2-all", pattern="(?i)sora", default="sora-2-all"),
            "seconds": text(2, pattern=r"^[1-9]\d?$", examples=["10", "15"], description="as text"),
            "size": text(9, pattern=r"^[1-9]\d{2,3}x[1-9]\d{2,3}$", examples=["720x1280", "1280x720"]),
            "input_reference": media("bytes"),
        },
        required=("prompt",),
    ),
    example={"model": "sora-2-all", "prompt": "A tram turns a corner in the rain", "seconds": "10", "size": "720x1280"},
    submit=Submit(path=PATH, encoding="multipart", defaults={"model": "sora-2-all"}),
    task_id=TASK_ID,
    poll=POLL,
    outputs=(VIDEO,),
    values=VALUES,
    errors=ERRORS,
    confidence=Confidence.INFERRED,
    unknown=(
        "the exact fields, lengths and sizes: the gateway's page for this variant is gone",
        "whether the route still works since OpenAI's own API ended",
        "statuses and codes of failures: read as on the official route",
        "life of the output addresses",
        "rate limits",
    ),
    source="client code and sister gateways; route as apidoc.cometapi.com/api/video/sora-2/official (read 2026-11)",
    deprecated=_ENDED,
)

PROVIDER = Provider(name="sora", title="Sora", operations=(CREATE_VIDEO, REMIX_VIDEO, SELF_DEVELOPED_VIDEO))
