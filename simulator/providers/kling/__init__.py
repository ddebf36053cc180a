"""Kling: asynchronous video tasks in Kling's own envelope ``{code, message, request_id, data}``.

Source: kling.md sections 0, 1, 2, 4 and 5.1 (apidoc.cometapi.com/api/video/kling, app.klingai.com document-api).

What the facts leave open, and what is done here:

* a task can be asked about by `task_id` and by `external_task_id`; the second is native behaviour, unknown at CometAPI
* an id nobody knows gets 404 code 1203; one asked about too early gets the gateway's ``task_not_exist`` (400)
* a wrong mix of model, mode and options gets 1201, as section 5.2 says for the sibling operation
"""

from __future__ import annotations

from simulator.providers.kling import text_to_video
from simulator.site import Site


def register(site: Site) -> None:
    text_to_video.register(site)
