"""What goes wrong at the edge, sorted by the one question a paid call asks: may the peer have acted?

* EgressError        reason: a stable word for code; the message is for people; status, if the answer's head arrived
  x NotSent          surely no byte of the request left this machine: sending again is safe
    - UrlRefused     our own rules said no
  x AnswerLost       bytes left and no whole answer came back: look before sending again
    - TooLarge · EncodingRefused · Truncated · TooSlow
"""

from __future__ import annotations

import httpx2


class EgressError(Exception):
    """An exchange with a host outside this process failed."""

    reason = "egress_failed"

    def __init__(self, reason: str | None = None, message: str | None = None, *, status: int | None = None) -> None:
        self.reason = reason or type(self).reason
        self.status = status
        super().__init__(message or (type(self).__doc__ or self.reason).strip())


class NotSent(EgressError):
    """No byte of the request reached the peer."""

    reason = "not_sent"


class UrlRefused(NotSent):
    """The address is not one this installation talks to."""

    reason = "url_refused"


class AnswerLost(EgressError):
    """The request left, but no whole answer came back."""

    reason = "answer_lost"


class TooLarge(AnswerLost):
    """The answer is larger than the cap."""

    reason = "too_large"


class EncodingRefused(AnswerLost):
    """The answer is compressed although identity was asked for; it is never decoded."""

    reason = "encoding_refused"


class Truncated(AnswerLost):
    """The answer's body ended before its declared end."""

    reason = "truncated"


class TooSlow(AnswerLost):
    """The answer's body arrives below the minimum rate."""

    reason = "too_slow"


#: Every exception httpx2 exports, as (what it proves, reason). A test fails on one that is missing here.
#: NotSent only where the class itself says so *and* the wire agrees (see `lost_or_not_sent`); what cannot
#: happen in our use (decoding, following redirects, proxies) is AnswerLost, because that is the careful side.
FATES: dict[type[Exception], tuple[type[EgressError], str]] = {
    httpx2.ConnectError: (NotSent, "connect_failed"),
    httpx2.ConnectTimeout: (NotSent, "connect_timeout"),
    httpx2.PoolTimeout: (NotSent, "pool_timeout"),
    httpx2.UnsupportedProtocol: (NotSent, "scheme_refused"),
    httpx2.InvalidURL: (NotSent, "malformed_url"),
    # A bad header, refused before it was written. A body that contradicts its Content-Length ends in h11's own
    # exception, after the head has left: not in this table, so the wire decides.
    httpx2.LocalProtocolError: (NotSent, "request_invalid"),
    httpx2.ReadTimeout: (AnswerLost, "read_timeout"),
    httpx2.WriteTimeout: (AnswerLost, "write_timeout"),
    httpx2.ReadError: (AnswerLost, "read_failed"),
    httpx2.WriteError: (AnswerLost, "write_failed"),
    httpx2.CloseError: (AnswerLost, "close_failed"),
    httpx2.RemoteProtocolError: (AnswerLost, "protocol_error"),
    httpx2.ProxyError: (AnswerLost, "proxy_failed"),
    httpx2.DecodingError: (AnswerLost, "encoding_refused"),
    httpx2.TooManyRedirects: (AnswerLost, "too_many_redirects"),
    httpx2.HTTPStatusError: (AnswerLost, "bad_status"),
    httpx2.SSEError: (AnswerLost, "protocol_error"),
    httpx2.CookieConflict: (AnswerLost, "protocol_error"),
    httpx2.StreamConsumed: (AnswerLost, "stream_misused"),
    httpx2.StreamClosed: (AnswerLost, "stream_misused"),
    httpx2.ResponseNotRead: (AnswerLost, "stream_misused"),
    httpx2.RequestNotRead: (AnswerLost, "stream_misused"),
    # The bases are never raised by themselves today.
    httpx2.HTTPError: (AnswerLost, "answer_lost"),
    httpx2.RequestError: (AnswerLost, "answer_lost"),
    httpx2.TransportError: (AnswerLost, "answer_lost"),
    httpx2.TimeoutException: (AnswerLost, "answer_lost"),
    httpx2.NetworkError: (AnswerLost, "answer_lost"),
    httpx2.ProtocolError: (AnswerLost, "answer_lost"),
    httpx2.StreamError: (AnswerLost, "stream_misused"),
}


def lost_or_not_sent(error: Exception, *, request_began: bool) -> EgressError:
    """Our error for one that escaped while a request was being sent and its answer's head awaited.

    `request_began`: the first byte of the request may have been written. NotSent needs both a class that
    promises it and a wire that agrees; an error of unknown class is NotSent only if the wire is untouched.
    """
    if isinstance(error, EgressError):
        return error
    known = next((FATES[base] for base in type(error).__mro__ if base in FATES), None)
    kind, reason = known or (AnswerLost if request_began else NotSent, "request_failed")
    if request_began:
        kind = AnswerLost
    return kind(reason, f"{type(error).__name__} while talking to the peer")
