"""How Suno answers: tasks in the envelope of the gateway's task layer, everything else as it comes.

A task may be SUCCESS while a clip still streams; only finished clips are outputs. Source: QuantumNous/new-api model/task.go
(read 2026-11).
"""

from jobs.catalogue.spec import BatchPoll, Errors, Fault, Output, Poll, Progress

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    # No code at all is no refusal: an answer of another shape may well have been paid for.
    in_200="code != null && code != 'success' && code != `200`",
    codes={
        # The account that holds the earlier task's clips is gone.
        "task_channel_disable": Fault.INVALID_INPUT,
        "model_price_error": Fault.MODEL_UNAVAILABLE,
        "do_request_failed": Fault.BROKEN,
        "read_response_body_failed": Fault.BROKEN,
        "unmarshal_response_body_failed": Fault.BROKEN,
    },
)

#: The task's id: bare, or inside an object, or that of an answer without the envelope.
TASK_ID = ("data.task_id", "data.id", "task_id", "data", "id")

_UNFINISHED = "['submitted', 'queued', 'streaming']"


def poll(action: str = "MUSIC") -> Poll:
    """`action`: the family of tasks, which the request for many of them names."""
    return Poll(
        path="/suno/fetch/{id}",
        # A task that is over and has a reason has failed, whatever its word says still.
        status=(
            "[data][?fail_reason && progress == '100%' && !contains(['SUCCESS', 'success'], status)] | [0] && 'FAILURE'",
            "data.status",
        ),
        words={
            "not_start": Progress.RUNNING,
            "submitted": Progress.RUNNING,
            "queued": Progress.RUNNING,
            "in_progress": Progress.RUNNING,
            "success": Progress.DONE,
            "failure": Progress.FAILED,
        },
        progress=("data.progress",),
        reason=("data.fail_reason", "data.data[?metadata.error_message] | [0].metadata.error_message", "message"),
        not_ready=f"data.data[?contains({_UNFINISHED}, status)] || contains({_UNFINISHED}, data.data.status)",
        every_s=(2, 2, 3, 4, 5, 5, 8, 10, 15),
        give_up_s=1200,
        batch=BatchPoll(path="/suno/fetch", ids="ids", body={"action": action}, most=50, items="data", id="task_id", wrap="data"),
    )


SONGS = Output(kind="audio", select=("data.data[?audio_url && status != 'error'].{url: audio_url, id: id, title: title}",))
CLIPS = (
    SONGS,
    Output(kind="video", select=("data.data[?video_url && status != 'error'].{url: video_url, id: id, title: title}",)),
    Output(
        kind="image",
        select=("data.data[?(image_large_url || image_url) && status != 'error'].{url: image_large_url || image_url, id: id}",),
    ),
)

#: What later calls build on. Names and pictures of the gateway's own account stay out.
CLIP_VALUES = (
    "{task_id: data.task_id, clips: data.data[].{id: id, title: title, status: status, model: model_name, "
    "tags: metadata.tags, lyrics: metadata.prompt, duration_s: metadata.duration}}",
)
STEM_VALUES = (
    "{task_id: data.task_id, clips: data.data[].{id: id, title: title, status: status, stem: metadata.stem_type_group_name, "
    "stem_from_id: metadata.stem_from_id, duration_s: metadata.duration}}",
)
