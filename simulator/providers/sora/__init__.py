"""Sora 2, and the path ``/v1/videos`` which several providers share: the model in the body decides who makes the video.

Source: sora.md (apidoc.cometapi.com/api/video/sora-2, openai/openai-python videos.py).

What the facts leave open, and what is done here:

* ``sora-2``, ``sora-2-pro`` and no model at all are the official route; any other ``sora-...``, such as ``sora-2-all``,
  is the self-developed one, which takes 4, 8, 10, 12 or 15 seconds and links to the video when done
* ``[[simulate:variant link=none]]`` leaves the link out, so that only ``/content`` has the video;
  ``[[simulate:variant content=redirect]]`` lets ``/content`` lead to a link instead of sending the bytes
* an `input_reference` may also be a link, in JSON as ``{"image_url": ...}`` and in a form as ``input_reference[image_url]``;
  only a file is held against `size`
* a task's error code is ``moderation_blocked`` or ``video_generation_failed``, or what ``code=`` of the fault says
* content that is not there yet is 400 ``invalid_request_error``, an id nobody knows the gateway's ``task_not_exist``
* videos are not deleted and not listed: the gateway documents neither
"""

from __future__ import annotations

from simulator.providers.sora import official, route, self_developed
from simulator.site import Site


def register(site: Site) -> None:
    route.open_route(site)
    official.register(site)
    self_developed.register(site)
