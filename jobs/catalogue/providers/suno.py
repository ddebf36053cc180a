"""Suno through the gateway. There is no official API behind it: paths and shapes are the gateway's own.

A task may be SUCCESS while a clip still streams; only finished clips are outputs. Source: apidoc.cometapi.com (Suno),
QuantumNous/new-api model/task.go (read 2026-11).
"""

from jobs.catalogue.schema import fields, flag, number, one_of, open_text, or_null, text
from jobs.catalogue.spec import BatchPoll, Confidence, Errors, Operation, Output, Poll, Progress, Provider, Submit

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    # No code at all is no refusal: an answer of another shape may well have been paid for.
    in_200="code != null && code != 'success' && code != `200`",
)

WORDS = {
    "not_start": Progress.RUNNING,
    "submitted": Progress.RUNNING,
    "queued": Progress.RUNNING,
    "in_progress": Progress.RUNNING,
    "success": Progress.DONE,
    "failure": Progress.FAILED,
}

_SLIDERS = fields({"style_weight": number(0, 1), "weirdness_constraint": number(0, 1), "audio_weight": number(0, 1)})

MUSIC = Operation(
    name="suno.music",
    modality="music",
    provider="suno",
    summary="Two songs from a description or from lyrics; also extend, cover and infill",
    input_schema=fields(
        {
            "gpt_description_prompt": text(200, pattern=r"\S", description="inspiration mode: what the song is about"),
            "prompt": text(5000, shortest=0, description="custom mode: lyrics; empty for an instrumental"),
            "tags": text(1000, description="styles, comma-separated"),
            "negative_tags": text(1000),
            "title": text(80),
            "mv": open_text(
                "chirp-v3-5",
                "chirp-v4",
                "chirp-auk",
                "chirp-bluejay",
                "chirp-crow",
                description="Suno's version; chirp-crow is v5",
            ),
            "make_instrumental": flag(),
            "generation_type": text(50, examples=["TEXT"]),
            "task": one_of(
                "extend",
                "upload_extend",
                "cover",
                "infill",
                "gen_stem",
                "artist_consistency",
                "underpainting",
                "overpainting",
            ),
            "task_id": text(191, description="the task that made the source clip; goes with continue_clip_id"),
            "continue_clip_id": or_null(text(191)),
            "continue_at": or_null(number(0, 3600)),
            "cover_clip_id": text(191),
            "persona_id": text(191),
            "artist_clip_id": text(191),
            "infill_start_s": or_null(number(0, 3600)),
            "infill_end_s": or_null(number(0, 3600)),
            "metadata": fields(
                {
                    "create_mode": text(50),
                    "control_sliders": _SLIDERS,
                    "can_control_sliders": {"type": "array", "items": {"type": "string"}},
                    "vocal_gender": one_of("f", "m"),
                    "is_remix": flag(),
                    "infill_lyrics": text(5000),
                }
            ),
        },
        anyOf=[
            {"required": ["gpt_description_prompt"]},
            {"required": ["prompt"]},
            {"required": ["tags"]},
            {"required": ["task"]},
        ],
        allOf=[
            {
                "if": {"properties": {"task": {"const": "extend"}}, "required": ["task"]},
                "then": {"required": ["continue_clip_id", "continue_at", "task_id"]},
            },
            {
                "if": {"properties": {"mv": {"enum": ["chirp-v3-0", "chirp-v3-5", "chirp-v4"]}}, "required": ["mv"]},
                "then": {"properties": {"prompt": {"maxLength": 3000}, "tags": {"maxLength": 200}}},
            },
        ],
    ),
    example={
        "mv": "chirp-crow",
        "gpt_description_prompt": "A slow waltz for a rainy harbour",
        "make_instrumental": True,
    },
    submit=Submit(path="/suno/submit/music", defaults={"mv": "chirp-crow"}),
    task_id=("data.task_id", "task_id", "data"),
    poll=Poll(
        path="/suno/fetch/{id}",
        status=("data.status",),
        words=WORDS,
        progress=("data.progress",),
        reason=("data.fail_reason", "data.data[?metadata.error_message] | [0].metadata.error_message", "message"),
        not_ready="data.data[?contains(['submitted', 'queued', 'streaming'], status)]",
        every_s=(2, 2, 3, 4, 5, 5, 8, 10, 15),
        give_up_s=1200,
        batch=BatchPoll(path="/suno/fetch", ids="ids", body={"action": "MUSIC"}, most=50, items="data", id="task_id", wrap="data"),
    ),
    outputs=(
        Output(kind="audio", select=("data.data[?audio_url && status != 'error'].{url: audio_url, id: id, title: title}",)),
        Output(kind="video", select=("data.data[?video_url && status != 'error'].{url: video_url, id: id, title: title}",)),
        Output(
            kind="image",
            select=("data.data[?(image_large_url || image_url) && status != 'error'].{url: image_large_url || image_url, id: id}",),
        ),
    ),
    values=(
        "{task_id: data.task_id, clips: data.data[].{id: id, title: title, status: status, model: model_name, "
        "tags: metadata.tags, lyrics: metadata.prompt, duration_s: metadata.duration}}",
    ),
    errors=ERRORS,
    output_lifetime="unknown; addresses are public and unsigned",
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "rate limits",
        "life of the output addresses",
        "the longest description: 200 characters are safe, some pages say 500",
        "whether failed tasks are always refunded",
    ),
    source="apidoc.cometapi.com/api-13851480 (read 2026-11)",
)

PROVIDER = Provider(name="suno", title="Suno", operations=(MUSIC,))
