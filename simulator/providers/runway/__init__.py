"""Runway: the vendor's own API under ``/runwayml/v1``, and the older reverse format under ``/runway``.

Source: runway.md (apidoc.cometapi.com/api/video/runway, docs.dev.runwayml.com, runwayml/sdk-python).

What the facts leave open, and what is done here:

* polls of the official format are bare; ``[[simulate:wrapped]]`` puts the gateway's task row around them. With
  ``link=`` it says where that row has the link: ``output`` (default, in the vendor's object), ``video_url`` (there, too),
  ``result_url`` or ``fail_reason`` (both in the row, and then nowhere else)
* polls of the reverse format have the link in the row's ``result_url``; ``wrapped`` and ``link=`` change that likewise
* the vendor's own error shape comes with 400, 429, 503 and 504; keys, quota and other faults of the gateway with its own
* media must be HTTPS links to a host with a name, as the vendor asks, or data URIs; a host on loopback may be plain:
  whoever uses this simulator has nothing else at hand. Nothing is fetched, so the source's size and length are unknown:
  an upscaled video is 4096 wide and 2 s long, other videos 5 s
* a gen3a video without ``ratio`` is 1280:768, one without ``duration`` 5 s; a model that is not listed takes any ratio
* reference images and ``callback_url`` that are missing are answered 400 ``reference_images_empty`` and ``callback_url_empty``
* a failed reverse task calls back with status ``"4"`` and ``refund`` 1
"""

from __future__ import annotations

from simulator.providers.runway import official, reverse
from simulator.site import Site


def register(site: Site) -> None:
    official.register(site)
    reverse.register(site)
