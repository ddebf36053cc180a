"""The gateway's `/v1/videos` route: one format for the videos of several vendors, told apart by the model.

A finished task names an address in one of four places, or none: then the bytes are behind `/v1/videos/{id}/content`.
Source: apidoc.cometapi.com/api/video/sora-2/official, /video/veo3, QuantumNous/new-api relay/channel/task/sora (read 2026-11).
"""

from jobs.catalogue.spec import Errors, Fault, FollowUp, Output, Poll, Progress

PATH = "/v1/videos"

TASK_ID = ("id", "task_id")

#: The list of codes is not published: what sounds like moderation is a refusal, the rest a failure.
ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    in_200="type(code) == 'string' && code != 'success'",
    codes={"*moderation*": Fault.CONTENT_REJECTED, "*policy*": Fault.CONTENT_REJECTED, "*safety*": Fault.CONTENT_REJECTED},
)

_RUNNING = (
    *("queued", "pending", "submitted", "not_start", "preparing", "unknown", "created", "starting"),
    *("in_progress", "processing", "running", "generating"),
)
_DONE = ("completed", "complete", "success", "succeeded", "finished")
_FAILED = ("failed", "fail", "failure", "error", "cancelled", "canceled")

#: The documented words, and those that models of other vendors use on this route.
WORDS = {
    **dict.fromkeys(_RUNNING, Progress.RUNNING),
    **dict.fromkeys(_DONE, Progress.DONE),
    **dict.fromkeys(_FAILED, Progress.FAILED),
}

#: Clients wait 900 s; a paid task is worth waiting longer for.
POLL = Poll(
    path=PATH + "/{id}",
    status=("status",),
    words=WORDS,
    progress=("progress",),
    reason=("error.message", "error", "fail_reason"),
    failure_code=("error.code",),
    every_s=(3, 5, 7, 10, 10, 10, 15, 20),
    give_up_s=3600,
)

VIDEO = Output(
    kind="video",
    select=tuple(f"[{place}][?starts_with(@, 'http')]" for place in ("video_url", "url", "metadata.url", "output[0]")),
    follow_up=FollowUp(path=PATH + "/{ref}/content"),
)

VALUES = ("{model: model, seconds: seconds, size: size, expires_at: expires_at}",)
