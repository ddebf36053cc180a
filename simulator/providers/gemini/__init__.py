"""``POST /v1beta/models/{model}:generateContent``: text, and with the image models pictures inside the answer."""

from __future__ import annotations

from simulator.providers.gemini import pictures, text
from simulator.site import Site


def register(site: Site) -> None:
    pictures.register(site)
    text.register(site)
