"""Who is let in, and what may be wrong with a key.

``Authorization: Bearer <key>``, and at two vendors' paths also the vendor's own header.
Source: gateway-errors-billing.md sections 2 and 9, text.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from starlette.requests import Request

from simulator.exchange import Exchange

#: Start of the path -> the header its vendor's own clients put the key in.
_OWN_HEADERS = (("/v1/messages", "x-api-key"), ("/v1beta/", "x-goog-api-key"))

_NAME = re.compile(r"[0-9a-f]{12}")


class Mood(StrEnum):
    """What the gateway has against a key."""

    #: It does not know it any more: everything is refused.
    REFUSED = "refused"
    #: There is no money: calls are refused, questions are answered.
    BALANCE = "balance"
    #: The key's quota is used up; the same, in the stock gateway's words and with its status.
    QUOTA = "quota"
    #: It may do nothing here: everything is refused but the balance query and the model lists.
    FORBIDDEN = "forbidden"


#: Mood -> kind of refusal, and its code where that is not the kind's own. Said by the gateway, whose the key is.
REFUSALS: Mapping[Mood, tuple[str, str]] = {
    Mood.REFUSED: ("bad_key", ""),
    Mood.BALANCE: ("no_balance", ""),
    Mood.QUOTA: ("no_money", "pre_consume_token_quota_failed"),
    Mood.FORBIDDEN: ("forbidden", ""),
}


class Keys:
    """Any non-empty key, unless there is a list."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known
        #: By the key's name.
        self.moods: dict[str, Mood] = {}

    def admits(self, key: str) -> bool:
        if not key or self.moods.get(name_of(key)) is Mood.REFUSED:
            return False
        return not self._known or any(hmac.compare_digest(key.encode(), known.encode()) for known in self._known)

    def let_in(self, exchange: Exchange, *more: str) -> bool:
        """Whether one of the request's keys, or of the `more` that it brought elsewhere, is a good one.

        Notes the name of the key in the exchange; of one that is not let in, too.
        """
        offered = [key for key in (*_offered(exchange.request), *more) if key]
        key = next(filter(self.admits, offered), "")
        if offered:
            exchange.key = name_of(key or offered[0])
        return bool(key)

    def set_mood(self, name: str, mood: Mood | None) -> None:
        """None: nothing is the matter with it any more."""
        if mood is None:
            self.moods.pop(name, None)
        else:
            self.moods[name] = mood

    def mood(self, exchange: Exchange) -> Mood | None:
        """Of the key that was let in."""
        return self.moods.get(exchange.key)


def _offered(request: Request) -> Iterator[str]:
    """The key without ``Bearer``, which one older page shows, is none: the newer pages have it."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield key.strip()
    path = request.url.path
    for start, header in _OWN_HEADERS:
        if path.startswith(start):
            yield request.headers.get(header, "")


def name_of(key: str) -> str:
    """What stands for the key wherever somebody may read it: the first 12 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def as_name(given: str) -> str:
    """The name of a key that is given by itself or by its name already."""
    return given if _NAME.fullmatch(given) else name_of(given)
