"""Signed links to objects that the API serves itself: pure functions, no I/O.

A link is `{link_base}/v1/media/{key}?expires=…&filename=…&signature=…`, plus `inline=1` if a browser may show the file.
`expires` is Unix time in seconds. The signature is HMAC-SHA256 over all of it, as URL-safe base64 without padding.
Rotating `link_key` ends every link at once, which is also how to revoke them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from storage.base import check_key
from storage.errors import InvalidKey, LinkRefused
from storage.names import safe_filename

MIN_LINK_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified link allows: serving `key`, saved as `filename`, shown in the browser unless `attachment`."""

    key: str
    filename: str
    attachment: bool
    expires_at: int


def sign(
    link_base: str, key: str, *, link_key: bytes, expires_at: int, filename: str | None = None, attachment: bool = True
) -> str:
    """The link to `key`, valid until `expires_at` (Unix seconds). `filename` defaults to the key's last segment."""
    filename = safe_filename(filename or key.rpartition("/")[2])
    query = {"expires": str(expires_at), "filename": filename}
    if not attachment:
        query["inline"] = "1"
    query["signature"] = _signature(link_key, key, query)
    return f"{link_base.rstrip('/')}/v1/media/{quote(check_key(key))}?{urlencode(query, quote_via=quote)}"


def verify(key: str, query: Mapping[str, str], *, link_key: bytes, now: float) -> Grant:
    """What a request for `key` with the decoded parameters `query` may have at `now` (Unix seconds).

    Raises LinkRefused: "tampered" for anything we did not sign, a malformed key included, "expired" for a link of ours whose
    time is over. A parameter that is not in the signature is ignored, so a proxy may add its own.
    """
    try:
        check_key(key)
    except InvalidKey:
        raise LinkRefused("tampered") from None
    expected = _signature(link_key, key, query)
    # Bytes, since compare_digest raises TypeError on text outside ASCII, which a stranger may send.
    given = query.get("signature", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(expected.encode(), given):
        raise LinkRefused("tampered")
    expires_at = int(query["expires"])  # ours, as the signature covers it
    if now >= expires_at:
        raise LinkRefused("expired")
    return Grant(key, query["filename"], query.get("inline") != "1", expires_at)


def _signature(link_key: bytes, key: str, query: Mapping[str, str]) -> str:
    # JSON keeps the fields apart: no two different links give the same text.
    fields = ["mediamill-link-1", key, *(query.get(name, "") for name in ("expires", "filename", "inline"))]
    digest = hmac.new(link_key, json.dumps(fields).encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
