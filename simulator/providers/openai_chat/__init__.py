"""``POST /v1/chat/completions``: text, and two models that answer with media behind links in the text.

The model in the body decides who answers.
"""

from __future__ import annotations

from simulator.providers.openai_chat import clips, links, pictures, text
from simulator.site import Site


def register(site: Site) -> None:
    links.register(site)
    pictures.register(site)
    clips.register(site)
    text.register(site, takes=lambda body: bool(body.get("model")) and not pictures.takes(body) and not clips.takes(body))
