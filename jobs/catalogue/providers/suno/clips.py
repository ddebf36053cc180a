"""Clips from clips: uploads, whole songs from extensions, separated tracks."""

from typing import Any

from jobs.catalogue.providers.suno.answers import CLIP_VALUES, CLIPS, SONGS, STEM_VALUES
from jobs.catalogue.providers.suno.forms import CLIP_ID, SAME_ACCOUNT, task
from jobs.catalogue.schema import fields, flag, media, number, open_text, or_null, text
from jobs.catalogue.spec import Confidence

# One clip, named in one of three places.
_UPLOADED = "data.data[?id]", "data.data.clip_id && [data.data]", "data.data.id && [data.data]"

UPLOAD_CLIP = task(
    "upload_clip",
    "/suno/uploads/audio-url",
    summary="A sound of yours as a clip, to extend (upload_extend) or to cover; nothing is generated",
    input_schema=fields(
        {"url": media("url") | {"title": "mp3, better 6 to 120 seconds; the provider fetches it"}}, required=("url",)
    ),
    # A spoken announcement of about seven seconds, as mp3.
    example={"url": {"job": "kling.tts", "artifact": 0}},
    callback=None,
    # The clip is the result; its sound is a copy of what was sent, kept where it is named.
    outputs=(SONGS,),
    nothing_due=" || ".join(f"({place})" for place in _UPLOADED),
    values=tuple(
        f"({place}) && {{task_id: data.task_id, clips: ({place})[].{{id: clip_id || id, title: title, status: status}}}}"
        for place in _UPLOADED
    ),
    confidence=Confidence.SEEN,
    unknown=("where the clip's id stands: three places are read", "formats and limits of uploads", SAME_ACCOUNT),
)

CONCAT = task(
    "concat",
    "/suno/submit/concat",
    summary="The whole song of an extended (or partly replaced) clip, from its beginning",
    input_schema=fields(
        {
            "clip_id": CLIP_ID | {"description": "`output.clips[0].id` of a suno.music job with task extend or infill"},
            "is_infill": flag() | {"default": False, "description": "true after infill, false after extend"},
        },
        required=("clip_id",),
    ),
    example={"clip_id": {"job": "suno.music", "get": "output.clips[0].id"}, "is_infill": False},
    outputs=CLIPS,
    values=CLIP_VALUES,
    confidence=Confidence.SEEN,
    unknown=(
        "the path: one client of the gateway uses /suno/submit/music/concat",
        "what comes of a clip that is no extension, as in the example: it has nothing to be joined to",
        SAME_ACCOUNT,
    ),
)


def _stems(group: str, stem_task: str) -> dict[str, Any]:
    """All that never changes; `continue_clip_id` and the rest come from the input."""
    return {
        "task": "gen_stem",
        "generation_type": "TEXT",
        "mv": "chirp-auk",
        "prompt": "",
        "make_instrumental": True,
        "continued_aligned_prompt": None,
        "continue_at": None,
        "stem_type_id": 91,
        "stem_type_group_name": group,
        "stem_task": stem_task,
    }


_STEMS_SCHEMA = fields(
    {
        "title": text(80),
        "task_id": text(191, description="`upstream.task_id` of the job that made the clip"),
        "continue_clip_id": text(191, description="`output.clips[0].id` of that job"),
        # Filled in where missing.
        "task": {"const": "gen_stem"},
        "generation_type": text(50, examples=["TEXT"]),
        "mv": open_text("chirp-auk"),
        "prompt": text(5000, shortest=0),
        "make_instrumental": flag(),
        "continued_aligned_prompt": {"type": "null"},
        "continue_at": or_null(number(0, 3600)),
        "stem_type_id": {"type": "integer"},
        "stem_type_group_name": open_text("Two", "Twelve"),
        "stem_task": open_text("two", "twelve"),
    },
    required=("title", "task_id", "continue_clip_id"),
)

_A_SONG = {
    "title": "Harbour waltz",
    "task_id": {"job": "suno.music", "get": "upstream.task_id"},
    "continue_clip_id": {"job": "suno.music", "get": "output.clips[0].id"},
}

STEMS_FULL = task(
    "stems_full",
    "/suno/submit/music",
    summary="Up to twelve tracks of a song, one for each instrument and voice",
    input_schema=_STEMS_SCHEMA,
    example=_A_SONG,
    defaults=_stems("Twelve", "twelve"),
    outputs=(SONGS,),
    values=STEM_VALUES,
    confidence=Confidence.SEEN,
    unknown=("which of Two and Twelve the gateway's two pages mean: one shows both", SAME_ACCOUNT),
)

STEMS_SINGLE = task(
    "stems_single",
    "/suno/submit/music",
    summary="Two tracks of a song: the voice, and everything else",
    input_schema=_STEMS_SCHEMA,
    example=_A_SONG,
    defaults=_stems("Two", "two"),
    outputs=(SONGS,),
    values=STEM_VALUES,
    unknown=("which of Two and Twelve the gateway's two pages mean: one shows both", SAME_ACCOUNT),
)
