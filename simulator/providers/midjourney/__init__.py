"""Midjourney: the button machine of midjourney-proxy, behind the gateway's own checks. Everything is a task.

Source: midjourney.md (apidoc.cometapi.com/api/image/midjourney, QuantumNous/new-api, trueai-org/midjourney-proxy).

Every path also exists behind ``/mj-fast``, ``/mj-relax`` and ``/mj-turbo``; the speed changes nothing here. A refusal of
the gateway has HTTP 400 or 429 and ``{description, type, code}``, one of the proxy behind it HTTP 200 and
``{code, description, properties, result}``.

Options of the fault ``variant``:

    code=N          the submit is answered with this code. 22 and 1 accept; 21 says that the same work exists: the earlier
                    task when there is one (free), else the one just begun; 3, 4, 9, 23, 24 and 30 refuse; 5 refuses, or
                    with ``accepted=yes`` begins the task and says nothing of it. A refusing fault takes ``code=``, too.
    result=integer  the task id is a number
    tiles=strings   a grid also comes as four pictures: ``image_urls``, of URLs; ``objects``: of ``{url}``;
                    ``plus``: ``imageUrls``, of ``{url, thumbnail}``

``wrapped`` nests a polled task under ``result``.

What the facts leave open, and what is done here:

* a submit that opens a modal with 21 is free, the modal call costs (as new-api bills it); a remix opens one with code 1,
  as new-api rewrites it, and costs both times
* after the modal the same task goes on, with new times; a second modal call for it is refused with code 4
* a button that is not the parent's is ``unknown_action``; repeating a submit is new work unless ``variant`` says otherwise
* `notifyHook` is posted to when the work begins, halfway and at the end, though a stock gateway may strip it
* a grid is four tiles of about 512 x 512 with `--ar` respected, an upscale doubles a side, a video is 5 s and an
  extension adds 4; from version 8 on nothing can be zoomed or panned
* describe needs `base64` or `link` and takes both; its task has no buttons
* banned words and unknown flags in a prompt are not looked for
"""

from __future__ import annotations

from simulator.listing import ModelCard
from simulator.providers.midjourney import follow_ups, questions, submits, video
from simulator.site import Site

_PREFIXES = ("/mj", "/mj-fast/mj", "/mj-relax/mj", "/mj-turbo/mj")


def register(site: Site) -> None:
    for prefix in _PREFIXES:
        for part in (submits, follow_ups, video, questions):
            part.register(site, prefix)
    site.world.models += [
        ModelCard("mj_fast_imagine", "Midjourney", "image", "text-to-image", per_request=0.056),
        ModelCard("mj_fast_video", "Midjourney", "video", "image-to-video", per_request=0.6),
    ]
