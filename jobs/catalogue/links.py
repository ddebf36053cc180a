"""Addresses in running text: where chat models put the media they made."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from jobs.catalogue.answers import first
from jobs.catalogue.spec import Exprs, Links

#: `![label](address)` or `[label](address)`; the address may be followed by a title in quotes.
_MARKDOWN = re.compile(r"""(?P<bang>!?)\[(?P<label>[^\]\n]{0,500})\]\(\s*<?(?P<url>https?://[^\s)>"']+)""")
_BARE = re.compile(r"""https?://[^\s)>\]"'`]+""")


def linked(links: Links, document: Any) -> list[str]:
    """The addresses of the wanted media, each once, in the order of the text."""
    found = _found(links, _text(links.text, document))
    if links.prefer is not None and found:
        # Several ways to the same thing: the one that is meant for fetching, else the last named.
        return [next((url for url in found if links.prefer in url), found[-1])]
    return found


def _text(expressions: Exprs, document: Any) -> str:
    value = first(expressions, document)
    parts = value if isinstance(value, list) else [value]
    return "\n".join(part for part in parts if isinstance(part, str))


def _found(links: Links, text: str) -> list[str]:
    labelled = list(_MARKDOWN.finditer(text))
    pictures = list(dict.fromkeys(hit["url"] for hit in labelled if hit["bang"]))
    if links.pictures_first and pictures:
        return pictures
    progress = {
        hit["url"] for hit in labelled if links.avoid_label and not hit["bang"] and re.fullmatch(links.avoid_label, hit["label"])
    }
    bare = (hit[0].rstrip(".,;:!?") for hit in _BARE.finditer(text))
    every = list(dict.fromkeys(url for url in bare if _path(url).endswith(links.endings)))
    best = [url for url in every if url not in progress and not any(part in url for part in links.avoid)]
    return best or [url for url in every if url not in progress] or every


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.lower()
    except ValueError:  # brackets that are no IPv6 address
        return ""
