"""Who is let in: ``Authorization: Bearer <key>`` (gateway-errors-billing.md section 9)."""

from __future__ import annotations

import hmac

from starlette.requests import Request


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
        return scheme.lower() == "bearer" and self.admits(key.strip())
