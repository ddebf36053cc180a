"""How the proxy answers: submits with a number in `code` and often a good HTTP status, polls with the task itself."""

from jobs.catalogue.spec import BatchPoll, Errors, Exprs, Fault, Output, Poll, Progress

_NUMBERS = {
    # No such parent task, or no account is free. Nothing but prose tells them apart, and nothing was taken either way.
    "3": Fault.BUSY,
    "4": Fault.INVALID_INPUT,
    # The gateway could not reach the proxy, or not read its answer.
    "5": Fault.BROKEN,
    "9": Fault.BUSY,
    "23": Fault.RATE_LIMITED,
    "24": Fault.CONTENT_REJECTED,
    "30": Fault.RATE_LIMITED,
}

ERRORS = Errors(
    # The gateway's own refusals carry a `type`, and a fixed word at the start of `description`; the proxy's carry prose there.
    code=("error.code", "type && code && join(' ', [to_string(code), description])", "code"),
    message=(
        "error.message",
        "properties.bannedWord && join(': ', [description, properties.bannedWord])",
        "description",
        "message",
    ),
    # Accepted, accepted with a form to fill in (or once before), queued.
    in_200="code != null && !contains(['1', '21', '22'], to_string(code))",
    codes={
        "4 quota_not_enough*": Fault.PAYMENT,
        "4 task_no_found*": Fault.NOT_VISIBLE,
        "4 task_not_found*": Fault.NOT_VISIBLE,
        **_NUMBERS,
        **{f"{number} *": fault for number, fault in _NUMBERS.items()},
    },
)

#: An answer of "already there" names the earlier result beside its task.
SHARED = "to_string(code) == '21' && (properties.imageUrl || properties.status)"


def of_task(*expressions: str) -> Exprs:
    """Expressions over the task, which stands alone as documented, or below `result` as some clients have seen it."""
    return tuple(f"{below}{expression}" for expression in expressions for below in ("result | ", ""))


def poll(*, modal: Progress) -> Poll:
    """`modal`: what it means for the job that its task waits for a form: the end of it, or that ours is not yet read."""
    return Poll(
        path="/mj/task/{id}/fetch",
        # An empty word: written down by the gateway, and not asked after yet.
        status=of_task("status", "status == '' && 'NOT_START' || `null`"),
        words={
            "not_start": Progress.RUNNING,
            "submitted": Progress.RUNNING,
            "in_progress": Progress.RUNNING,
            "modal": modal,
            "success": Progress.DONE,
            "failure": Progress.FAILED,
            "cancel": Progress.FAILED,
        },
        progress=of_task("progress"),
        reason=of_task("failReason"),
        every_s=(2, 3, 5, 5, 8, 10, 15),
        # The gateway itself fails a task after an hour; its word is worth waiting for.
        give_up_s=3900,
        batch=BatchPoll(path="/mj/task/list-by-condition", ids="ids", items="result || @", id="id", wrap=None),
    )


#: A success that is a form, waiting for `midjourney.modal`.
A_FORM = "status == 'MODAL' || result.status == 'MODAL'"

VIDEOS = Output(kind="video", select=of_task("videoUrls[].url", "videoUrl"))

#: The picture (of four tiles, where four were made), its tiles where they are named, and the videos a button or a flag asked for.
PICTURES = (
    # What stands there beside videos is nobody's result.
    Output(kind="image", select=of_task("!videoUrl && !videoUrls && imageUrl || `null`")),
    Output(kind="image", select=of_task("image_urls[].url", "image_urls", "imageUrls[].url")),
    VIDEOS,
)

_PROMPT = "properties.finalPrompt || promptEn || prompt"

TEXT = Output(kind="text", select=of_task(_PROMPT))

#: What later calls build on. A button is pressed by its `customId`.
_ABOUT = "action: action, status: status, buttons: buttons[].{customId: customId, label: label, emoji: emoji}"
VALUES = of_task(f"{{{_ABOUT}, final_prompt: {_PROMPT}}}")
TEXT_VALUES = of_task(f"{{{_ABOUT}, text: {_PROMPT}}}")
