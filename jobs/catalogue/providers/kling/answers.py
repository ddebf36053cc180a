"""How Kling answers, in two shapes: its own envelope (`code` a number, 0 is good), and an older wrapper of the gateway (`code` a
string, the task one or two levels deeper, a finished address where failures have their reason).
"""

from jobs.catalogue.spec import Errors, Exprs, Fault, Output, Poll, Progress

_GOOD_CODES = "code != `0` && code != 'success' && code != null"

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    in_200=_GOOD_CODES,
    codes={
        "1000": Fault.AUTH,
        "1001": Fault.AUTH,
        "1002": Fault.AUTH,
        "1003": Fault.AUTH,
        "1004": Fault.AUTH,
        # 429 by status, but waiting does not help: the account is abnormal, in arrears, or its pack is used up.
        "1100": Fault.FORBIDDEN,
        "1101": Fault.PAYMENT,
        "1102": Fault.PAYMENT,
        "1103": Fault.FORBIDDEN,
        "1200": Fault.INVALID_INPUT,
        "1201": Fault.INVALID_INPUT,
        "1202": Fault.INVALID_INPUT,
        "1203": Fault.MODEL_UNAVAILABLE,
        "1300": Fault.CONTENT_REJECTED,
        "1301": Fault.CONTENT_REJECTED,
        "1302": Fault.RATE_LIMITED,
        "1303": Fault.RATE_LIMITED,
        "1304": Fault.FORBIDDEN,
        # Internal error and internal time-out: named, because they may come with a good status.
        "5000": Fault.BROKEN,
        "5001": Fault.BUSY,
        "5002": Fault.BROKEN,
    },
)

#: A synchronous answer that is a task, and may be a failed one although `code` is 0.
TASK_ERRORS = ERRORS.model_copy(
    update={
        "in_200": f"({_GOOD_CODES}) || data.task_status == 'failed'",
        "message": ("error.message", "data.task_status_msg", "message"),
    }
)

_NOT_TAKEN = "type(data.status) == 'number' && data.status != `0`"
#: The number is all that is said; `message` is SUCCEED.
_REJECTION = f"({_NOT_TAKEN}) && join(' ', ['status', to_string(data.status)])"

#: Selections in a video: a `data.status` other than 0 rejects the video although `code` is 0.
SELECTION_ERRORS = ERRORS.model_copy(
    update={
        "in_200": f"({_GOOD_CODES}) || ({_NOT_TAKEN})",
        "code": (f"{_REJECTION} || error.code || code",),
        "message": (f"{_REJECTION} || error.message || message",),
        "codes": ERRORS.codes | {"status *": Fault.INVALID_INPUT},
    }
)

WORDS = {
    "submitted": Progress.RUNNING,
    "processing": Progress.RUNNING,
    "not_start": Progress.RUNNING,
    "queued": Progress.RUNNING,
    "in_progress": Progress.RUNNING,
    "succeed": Progress.DONE,
    "succeeded": Progress.DONE,
    "success": Progress.DONE,
    "failed": Progress.FAILED,
    "failure": Progress.FAILED,
}


def poll(path: str) -> Poll:
    return Poll(
        path=path,
        status=("data.task_status", "data.status", "task_status"),
        words=WORDS,
        progress=("data.progress",),
        reason=("data.task_status_msg", "data.fail_reason", "data.data.task_status_msg"),
        every_s=(2, 2, 3, 5, 8, 10, 10, 15, 20, 30),
        give_up_s=5400,
    )


#: Where the task may stand, by the envelope.
_DEPTHS = ("data", "data.data", "data.data.data")

#: The wrapper's address of a finished result.
_IN_FAIL_REASON = "[data.fail_reason][?starts_with(@, 'http')].{url: @}"


def at_any_depth(there: str, wanted: str) -> Exprs:
    """`wanted` of the level that holds `there`."""
    return tuple(f"{depth}.{there} && {depth}.{wanted}" for depth in _DEPTHS)


def kept_as_json(there: str) -> Output:
    """The answer's data as a JSON file, of the level that holds `there`."""
    return Output(
        kind="text", extension="json", select=tuple(f"{depth}.{there} && [{{text: to_string({depth})}}]" for depth in _DEPTHS)
    )


VIDEOS = (
    Output(
        kind="video",
        select=(*at_any_depth("task_result", "task_result.videos[].{url: url, id: id, duration: duration}"), _IN_FAIL_REASON),
    ),
    Output(
        kind="video",
        select=at_any_depth("task_result", "task_result.videos[?watermark_url].{url: watermark_url, id: id, duration: duration}"),
    ),
)

IMAGES = (
    Output(kind="image", select=(*at_any_depth("task_result", "task_result.images[].{url: url, index: index}"), _IN_FAIL_REASON)),
    Output(
        kind="image", select=at_any_depth("task_result", "task_result.images[?watermark_url].{url: watermark_url, index: index}")
    ),
)

#: One sound, in each of the formats it comes in.
_FORMATS = (
    "task_result.audios[].[{url: url_mp3, id: id, duration: duration_mp3}, {url: url_wav, id: id, duration: duration_wav},"
    " {url: url, id: id, duration: duration}][]"
)

SOUNDS = (Output(kind="audio", select=(*at_any_depth("task_result", _FORMATS), _IN_FAIL_REASON)),)

VIDEO_AND_SOUNDS = (*VIDEOS, Output(kind="audio", select=at_any_depth("task_result", _FORMATS)))

#: What later calls build on: ids live 30 days.
_VIDEO_IDS = "videos: task_result.videos[].{id: id, duration: duration}"
_SOUND_IDS = "audios: task_result.audios[].{id: id, duration: duration || duration_mp3 || duration_wav}"
_PARENT = "parent_video: task_info.parent_video.{id: id, duration: duration}"
_UNITS = "final_unit_deduction: final_unit_deduction"

VIDEO_VALUES = at_any_depth("task_result", f"{{{_VIDEO_IDS}, {_UNITS}}}")
LATER_VIDEO_VALUES = at_any_depth("task_result", f"{{{_VIDEO_IDS}, {_PARENT}, {_UNITS}}}")
EDITED_VIDEO_VALUES = at_any_depth(
    "task_result", f"{{videos: task_result.videos[].{{id: id, duration: duration, session_id: session_id}}, {_UNITS}}}"
)
IMAGE_VALUES = at_any_depth("task_result", f"{{images: task_result.images[].{{index: index}}, {_UNITS}}}")
SOUND_VALUES = at_any_depth("task_result", f"{{{_SOUND_IDS}, {_UNITS}}}")
VIDEO_AND_SOUND_VALUES = at_any_depth("task_result", f"{{{_VIDEO_IDS}, {_SOUND_IDS}, {_UNITS}}}")
