"""Who is let in: ``Authorization: Bearer <key>``, and at two vendors' paths also the vendor's own header.

Source: gateway-errors-billing.md section 9, text.md.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request

#: Start of the path -> the header its vendor's own clients put the key in.
_OWN_HEADERS = (("/v1/messages", "x-api-key"), ("/v1beta/", "x-goog-api-key"))


class Keys:
    """Any non-empty key, unless there is a list."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known

    def admits(self, key: str) -> bool:
        if not self._known:
            return bool(key)
        return any(hmac.compare_digest(key.encode(), known.encode()) for known in self._known)

    def admits_request(self, request: Request) -> bool:
        """The key without ``Bearer``, which one older page shows, is refused as the newer pages have it."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.admits(key.strip()):
            return True
        path = request.url.path
        return any(path.startswith(start) and self.admits(request.headers.get(header, "")) for start, header in _OWN_HEADERS)
