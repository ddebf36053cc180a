"""Foreign text made fit to store: no secrets, no control characters, short."""

from __future__ import annotations

import re

_MASKS = (
    (re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9._~+/=\-]{4,}", re.IGNORECASE), r"\1\2***"),
    (re.compile(r"\b(sk-|whsec_|mg_live_)[A-Za-z0-9_+/=\-]{4,}"), r"\1***"),
    # key=…, "api_key": "…", X-Amz-Signature=…: in a query, a form, a header dump or JSON.
    (
        re.compile(
            r"((?:api[_-]?key|access[_-]?key|key|token|secret|password|signature|credential|sig)"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;<>]{4,}",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)


def redact(text: str, limit: int = 500) -> str:
    """`text` with keys and tokens masked, whatever does not print escaped, cut to `limit` characters.

    Escaping covers C0/C1 controls (ANSI), bidi overrides and zero-width marks; HTML is left as it is, show it as text.
    """
    text = text[: 8 * limit]  # a megabyte of error page costs a megabyte of regex otherwise
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:limit])
    return printable[:limit]
