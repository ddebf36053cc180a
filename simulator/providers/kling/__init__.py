"""Kling: tasks in Kling's own envelope ``{code, message, request_id, data}``, and calls that are answered at once.

Source: kling.md (apidoc.cometapi.com/api/video/kling, app.klingai.com document-api).

What the facts leave open, and what is done here:

* a task can be asked about by `task_id` and by `external_task_id`; the second is native behaviour, unknown at CometAPI
* an id nobody knows gets 404 code 1203, in a path as in a body; a task asked about too early gets the gateway's
  ``task_not_exist`` (400)
* a wrong mix of model, mode and options gets 1201, as section 5.2 says
* media are URLs or base64 without ``data:``, and nobody fetches the URLs; limits of pixels, file type and bytes of an
  image are documented for native Kling only and not enforced
* where CometAPI's page and the native page give different limits, the wider is accepted: the vendor decides
* ``wrapped`` on a create (see `faults`) lets the task's polls answer in the gateway's older row, with the native task
  object in ``data.data``. ``depth=3`` puts the whole native envelope there, ``depth=1`` the task result beside the
  status; ``link=fail_reason`` leaves only the URL of the first output, in `fail_reason`
"""

from __future__ import annotations

from simulator.providers.kling import (
    avatar,
    edit_video,
    faces,
    image_to_video,
    images,
    lip_sync,
    multi_image_to_video,
    selections,
    sounds,
    text_to_video,
    video_effects,
    video_extension,
)
from simulator.site import Site

_PARTS = (
    text_to_video,
    image_to_video,
    multi_image_to_video,
    video_extension,
    avatar,
    lip_sync,
    faces,
    video_effects,
    sounds,
    images,
    selections,
    edit_video,
)


def register(site: Site) -> None:
    for part in _PARTS:
        part.register(site)
