"""Going on from a finished task: one of its buttons, and the form that some of them open."""

from jobs.catalogue.providers.midjourney.forms import task
from jobs.catalogue.providers.midjourney.parts import ACCOUNT_FILTER, MASK, TASK_ID
from jobs.catalogue.schema import flag, text
from jobs.catalogue.spec import Progress

_SAME_ACCOUNT = "a task is known only to the account of the gateway that made it: earlier and later call need the same key"
_NO_SUCH_TASK = "an unknown task and a lack of free accounts have one code: both are tried again, then given up"

ACTION = task(
    "action",
    "action",
    summary=(
        "A button of a finished task: upscale, variation, reroll, zoom, pan, animate; "
        "one that opens a form ends with output.status MODAL, for midjourney.modal"
    ),
    properties={
        "taskId": TASK_ID,
        "customId": text(1000, pattern=r"^\S+$", description="`output.buttons[0].customId` of that job, or of another button"),
        "enableRemix": flag() | {"description": "opens a form for a new prompt, where the button can"},
        "chooseSameChannel": flag() | {"description": "prefer the account that did the earlier task"},
        "accountFilter": ACCOUNT_FILTER,
    },
    required=("taskId", "customId"),
    # Opens a form: what the example of midjourney.modal needs. Without enableRemix it would be a picture.
    example={
        "taskId": {"job": "midjourney.imagine", "get": "upstream.task_id"},
        "customId": {"job": "midjourney.imagine", "get": "output.buttons[?label == 'V1'].customId | [0]"},
        "enableRemix": True,
    },
    unknown=(_SAME_ACCOUNT, _NO_SUCH_TASK),
)

MODAL = task(
    "modal",
    "modal",
    summary="The form that a button opened, filled in: custom zoom, a region painted anew, a variation with another prompt",
    properties={
        "taskId": TASK_ID | {"description": "`upstream.task_id` of a midjourney.action job that ended with output.status MODAL"},
        "prompt": text(shortest=0, description="custom zoom: `<text> --zoom 1.8`; a region: what is to be seen there"),
        "maskBase64": MASK | {"title": "PNG, for Vary Region; white is painted anew, black is kept"},
    },
    required=("taskId",),
    example={
        "taskId": {"job": "midjourney.action", "get": "upstream.task_id"},
        "prompt": "A lighthouse keeper's kitchen at dawn, a cat asleep on the table, watercolour --ar 1:1",
    },
    # The form belongs to the button's task, which goes on.
    shared="`true`",
    modal=Progress.RUNNING,
    unknown=(_SAME_ACCOUNT, _NO_SUCH_TASK, "whether prompt or mask may be missing"),
)
