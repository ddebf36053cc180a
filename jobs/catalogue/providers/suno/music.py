"""Songs. One endpoint, many modes: the fields that are there choose."""

from jobs.catalogue.providers.suno.answers import CLIP_VALUES, CLIPS
from jobs.catalogue.providers.suno.forms import SAME_ACCOUNT, task
from jobs.catalogue.schema import Schema, array, fields, flag, number, one_of, open_text, or_null, text

_ID = text(191)
_SECONDS = number(0, 3600)

_METADATA = fields(
    {
        "create_mode": text(50, examples=["custom"]),
        "control_sliders": fields(
            {
                "style_weight": number(0, 1),
                "weirdness_constraint": number(0, 1),
                "audio_weight": number(0, 1) | {"description": "cover only"},
            }
        ),
        "can_control_sliders": array({"type": "string"}),
        "vocal_gender": one_of("f", "m"),
        "is_remix": flag(),
        "infill_lyrics": text(5000),
    }
)

#: task → what it builds on.
_NEEDS = {
    "extend": ("continue_clip_id", "continue_at", "task_id"),
    "upload_extend": ("continue_clip_id", "continue_at"),
    "cover": ("cover_clip_id",),
    "infill": ("continue_clip_id", "infill_start_s", "infill_end_s"),
    "gen_stem": ("continue_clip_id", "task_id"),
    "artist_consistency": ("persona_id", "artist_clip_id"),
    "underpainting": ("underpainting_clip_id",),
    "overpainting": ("overpainting_clip_id",),
}


def _painted(task: str) -> dict[str, Schema]:
    return {
        f"{task}_clip_id": _ID,
        f"{task}_start_s": or_null(_SECONDS),
        f"{task}_end_s": or_null(_SECONDS),
    }


MUSIC = task(
    "music",
    "/suno/submit/music",
    summary="Two songs from a description or from lyrics; also extend, cover, infill, and songs of a persona",
    input_schema=fields(
        {
            "gpt_description_prompt": text(200, pattern=r"\S", description="inspiration mode: what the song is about"),
            "prompt": text(5000, shortest=0, description="custom mode: lyrics; empty for an instrumental"),
            "tags": text(1000, shortest=0, description="styles, comma-separated"),
            "negative_tags": text(1000, shortest=0),
            "title": text(80, shortest=0),
            "mv": open_text(
                "chirp-v3-5",
                "chirp-v4",
                "chirp-auk",
                "chirp-auk-turbo",
                "chirp-bluejay",
                "chirp-crow",
                "chirp-fenix",
                description="Suno's version; chirp-auk is v4.5, chirp-crow v5",
            ),
            "make_instrumental": flag(),
            "generation_type": text(50, examples=["TEXT"]),
            "task": one_of(*_NEEDS),
            "task_id": text(191, description="the task that made the source clip; goes with continue_clip_id"),
            "continue_clip_id": or_null(_ID),
            "continue_at": or_null(_SECONDS),
            "continued_aligned_prompt": {"type": "null"},
            "cover_clip_id": _ID,
            "persona_id": _ID | {"description": "`output.persona_id` of a suno.persona job"},
            "artist_clip_id": _ID | {"description": "the persona's root clip"},
            "infill_start_s": or_null(_SECONDS),
            "infill_end_s": or_null(_SECONDS),
            "infill_dur_s": or_null(_SECONDS),
            "infill_context_start_s": or_null(_SECONDS),
            "infill_context_end_s": or_null(_SECONDS),
            **_painted("underpainting"),
            **_painted("overpainting"),
            "metadata": _METADATA,
        },
        anyOf=[
            {"required": ["gpt_description_prompt"]},
            {"required": ["prompt"]},
            {"required": ["tags"]},
            {"required": ["task"]},
        ],
        allOf=[
            *(
                {
                    "if": {"properties": {"task": {"const": task_}}, "required": ["task"]},
                    "then": {"required": list(needs)},
                }
                for task_, needs in _NEEDS.items()
            ),
            {
                "if": {"properties": {"mv": {"pattern": "^chirp-v[34](-|$)"}}, "required": ["mv"]},
                "then": {"properties": {"prompt": {"maxLength": 3000}, "tags": {"maxLength": 200}}},
            },
        ],
    ),
    example={"mv": "chirp-crow", "gpt_description_prompt": "A slow waltz for a rainy harbour", "make_instrumental": True},
    defaults={"mv": "chirp-crow"},
    outputs=CLIPS,
    values=CLIP_VALUES,
    unknown=(
        "life of the output addresses",
        "the longest description: 200 characters are safe, some pages say 500; the longest title",
        "cover, infill, persona and painting modes at this gateway: others with the same backend have them",
        "whether continuing an uploaded clip needs task_id, as the stock gateway says",
        SAME_ACCOUNT,
    ),
)
