"""One request, one answer, with what httpx2 does not have: a total deadline, caps, and a verdict on a lost answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import httpcore2
import httpx2

from workers.egress.clients import Client, Timeouts
from workers.egress.errors import (
    AnswerLost,
    EgressError,
    EncodingRefused,
    NotSent,
    TooLarge,
    TooSlow,
    Truncated,
    UrlRefused,
    lost_or_not_sent,
)
from workers.egress.redact import redact

#: Name, content and type of one uploaded file; a text field of a multipart body has no name and no type.
File = tuple[str, bytes | IO[bytes], str] | tuple[None, bytes]
Files = Mapping[str, File] | Sequence[tuple[str, File]]

EXCERPT_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: All that follows a redirect to another origin. A list of what to drop could not know every vendor's key header.
_PORTABLE_HEADERS = frozenset({"accept", "range", "if-match", "if-range"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of any status. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer whose body went to the sink (2xx), or whose first 64 KiB are in `excerpt` (any other status).

    `final_url`: where the body came from, after redirects. `length_known`: the answer said where its body ends
    (Content-Length or chunks). Without it the end of the connection is the end of the body, a cut cannot be seen,
    and the file's own end marker is the only proof.
    """

    status: int
    headers: Mapping[str, str]
    size_bytes: int
    sha256: str
    final_url: str
    length_known: bool
    excerpt: bytes = b""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """A receiver's answer: its status, `retry-after` if it sent one, and the start of its body, redacted."""

    status: int
    headers: Mapping[str, str]
    excerpt: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class MinRate:
    """A body that brings less than `bytes_per_s` over any `over_s` seconds is given up."""

    bytes_per_s: float = 50_000
    over_s: float = 30.0


async def request_json(
    client: Client,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    content: bytes | None = None,
    data: Mapping[str, Any] | None = None,
    files: Files | None = None,
    total_s: float,
    cap_bytes: int,
    timeouts: Timeouts | None = None,
    fresh_connection: bool = False,
) -> Answer:
    """Send, and read the answer whole. Any status is an Answer; redirects are not followed.

    `total_s` bounds everything from the wait for a connection to the last byte. `timeouts` replaces the client's.
    Paid POSTs set `fresh_connection` (see SeamTransport). Raises NotSent or AnswerLost and nothing else;
    AnswerLost has the `status` if the answer's head came.
    """
    call = _Call(total_s)
    request = _build(client, method, url, headers, timeouts, fresh_connection, json=json, content=content, data=data, files=files)
    async with call.deadline(), call.sent(client, request) as response:
        _refuse_encoding(response)
        body = bytearray()
        async with aclosing(call.body(response, cap_bytes)) as chunks:
            async for chunk in chunks:
                body += chunk
        return Answer(response.status_code, dict(response.headers), bytes(body), call.elapsed_s())


async def stream_to(
    client: Client,
    method: str,
    url: str,
    sink: Callable[[bytes], object],
    *,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    content: bytes | None = None,
    data: Mapping[str, Any] | None = None,
    files: Files | None = None,
    total_s: float,
    cap_bytes: int,
    min_rate: MinRate | None = None,
    timeouts: Timeouts | None = None,
    fresh_connection: bool = False,
) -> Streamed:
    """Send, and hand the body of a 2xx answer to `sink` chunk by chunk as it arrives.

    For downloads, and for synchronous operations whose answer is the only copy of what was paid for.
    A download client follows up to 3 redirects of a GET or HEAD; each hop is checked like the first and gets no
    header of ours but Accept and Range once the origin changes. UrlRefused then means: nothing was sent to that hop.
    What `sink` raises passes through; what it took before an error is not the whole body.
    """
    call = _Call(total_s)
    redirects_left = client.max_hops if method in ("GET", "HEAD") else 0
    request = _build(client, method, url, headers, timeouts, fresh_connection, json=json, content=content, data=data, files=files)
    while True:
        async with call.deadline(), call.sent(client, request) as response:
            if client.max_hops and method in ("GET", "HEAD") and _location(response):
                if not redirects_left:
                    raise UrlRefused("too_many_redirects", f"more than {client.max_hops} redirects")
                redirects_left -= 1
                target = _next_hop(client, response)
                if httpx2.URL(target).origin != request.url.origin:  # and once dropped, they stay dropped
                    headers = {name: value for name, value in (headers or {}).items() if name.lower() in _PORTABLE_HEADERS}
                request = _build(client, method, target, headers, timeouts, fresh_connection)
                continue
            if not response.is_success:
                return await _refused(call, response)
            _refuse_encoding(response)
            return await _pour(call, response, sink, cap_bytes, min_rate)


async def post_webhook(
    client: Client,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    total_s: float = 15.0,
    read_cap: int = 64 * 1024,
    keep: int = 4 * 1024,
) -> WebhookAnswer:
    """Deliver `body` as it is. The status is the answer; what follows it is only kept for people to read.

    So a body that drips, never ends, is cut or is compressed does not undo a 2xx: at most `read_cap` bytes of it
    are read inside `total_s`, `keep` of them kept. Raises NotSent or AnswerLost if no status came.
    """
    call = _Call(total_s)
    request = _build(client, "POST", url, headers, None, False, content=body)
    async with call.deadline(), call.sent(client, request) as response:
        kept = b"" if _encoded(response) else await call.start_of(response, read_cap)
        return WebhookAnswer(
            response.status_code,
            {name: value for name, value in response.headers.items() if name == "retry-after"},
            redact(kept[:keep].decode("utf-8", "replace"), keep),
            call.elapsed_s(),
        )


class _Call:
    """The deadline of one exchange, and the knowledge whether a byte of its request may have left."""

    #: Of the total, kept for handing over what was read when a body outlasts it.
    _HAND_OVER_S = 0.05

    def __init__(self, total_s: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._started = self._now()
        self._until = self._started + total_s
        self._began = False
        self._status: int | None = None

    def elapsed_s(self) -> float:
        return self._now() - self._started

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Ends the block at the deadline, as NotSent before the request began to be written and AnswerLost after."""
        try:
            async with asyncio.timeout_at(self._until) as scope:
                yield
        except TimeoutError as error:
            if not scope.expired():
                raise
            kind = AnswerLost if self._began else NotSent
            raise kind("deadline", "the exchange took longer than its deadline", status=self._status) from error

    @asynccontextmanager
    async def sent(self, client: Client, request: httpx2.Request) -> AsyncIterator[httpx2.Response]:
        """The answer's head. Leaving the block closes the connection unless the body was read to its end."""
        self._began, self._status = False, None
        request.extensions["trace"] = self._trace
        try:
            response = await client.send(request, stream=True)
        except EgressError:  # from the seam: it knows best
            raise
        except Exception as error:
            raise lost_or_not_sent(error, request_began=self._began) from error
        self._status = response.status_code
        try:
            yield response
        finally:
            await response.aclose()

    async def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpcore2 as the exchange moves on, in the request's own task.

        Nothing is written before `send_request_headers.started`. If that step fails with LocalProtocolError, h11
        refused the head before it was written.
        """
        if event == "http11.send_request_headers.started":
            self._began = True
        elif event == "http11.send_request_headers.failed":
            self._began = not isinstance(info["exception"], httpcore2.LocalProtocolError)

    async def body(self, response: httpx2.Response, cap_bytes: int | None) -> AsyncGenerator[bytes]:
        """The body as it is on the wire, never decoded. Raises TooLarge at the first byte past the cap."""
        declared = response.headers.get("content-length", "")
        if cap_bytes is not None and declared.isdecimal() and int(declared) > cap_bytes:
            raise TooLarge(status=self._status, message=f"the answer is larger than {cap_bytes:,} bytes")
        size = 0
        try:
            async with aclosing(response.aiter_raw()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if cap_bytes is not None and size > cap_bytes:
                        raise TooLarge(status=self._status, message=f"the answer is larger than {cap_bytes:,} bytes")
                    yield chunk
        except EgressError:
            raise
        except (httpx2.RemoteProtocolError, httpx2.ReadError) as error:
            raise Truncated(status=self._status) from error
        except Exception as error:
            lost = lost_or_not_sent(error, request_began=True)
            lost.status = self._status
            raise lost from error

    async def start_of(self, response: httpx2.Response, limit: int) -> bytes:
        """The first `limit` bytes of a body, or what came of it before it broke or time ran out."""
        kept = bytearray()
        with suppress(AnswerLost, TimeoutError):
            async with asyncio.timeout_at(self._until - self._HAND_OVER_S):
                async with aclosing(self.body(response, None)) as chunks:
                    async for chunk in chunks:
                        kept += chunk
                        if len(kept) >= limit:
                            break
        return bytes(kept[:limit])


def _build(
    client: Client,
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    timeouts: Timeouts | None,
    fresh_connection: bool,
    **body: Any,
) -> httpx2.Request:
    """The request, or NotSent: what cannot be put into a request (a NaN, a lone surrogate) was not sent."""
    extensions: dict[str, Any] = {"fresh_connection": fresh_connection}
    if timeouts is not None:
        extensions["timeout"] = timeouts.for_httpx().as_dict()
    try:
        request = client.build_request(
            method, client.gate.canonical(url), headers=dict(headers or {}), extensions=extensions, **body
        )
    except httpx2.InvalidURL as error:
        raise UrlRefused("malformed_url", "the URL cannot be read") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise NotSent("request_invalid", "the request cannot be put into bytes") from error
    request.headers["Accept-Encoding"] = "identity"
    if fresh_connection:
        request.headers["Connection"] = "close"
    return request


def _location(response: httpx2.Response) -> str:
    return response.headers.get("location", "") if response.status_code in _REDIRECTS else ""


def _next_hop(client: Client, response: httpx2.Response) -> str:
    try:
        hop = str(response.url.join(_location(response)))
    except (httpx2.InvalidURL, ValueError) as error:
        raise UrlRefused("malformed_url", "a redirect leads to something that is no URL") from error
    return client.gate.follows(str(response.url), hop)


def _encoded(response: httpx2.Response) -> bool:
    return response.headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def _refuse_encoding(response: httpx2.Response) -> None:
    if _encoded(response):
        raise EncodingRefused(status=response.status_code)


async def _refused(call: _Call, response: httpx2.Response) -> Streamed:
    """The answer for a status that brings no body worth keeping."""
    excerpt = await call.start_of(response, EXCERPT_BYTES)
    return _streamed(response, len(excerpt), hashlib.sha256(excerpt).hexdigest(), excerpt)


async def _pour(
    call: _Call, response: httpx2.Response, sink: Callable[[bytes], object], cap_bytes: int, min_rate: MinRate | None
) -> Streamed:
    size, digest = 0, hashlib.sha256()
    pace = _Pace(min_rate)
    async with aclosing(call.body(response, cap_bytes)) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            digest.update(chunk)
            pace.note(len(chunk), call.elapsed_s(), response.status_code)
            sink(chunk)
    return _streamed(response, size, digest.hexdigest())


def _streamed(response: httpx2.Response, size: int, sha256: str, excerpt: bytes = b"") -> Streamed:
    return Streamed(
        status=response.status_code,
        headers=dict(response.headers),
        size_bytes=size,
        sha256=sha256,
        final_url=str(response.url),
        length_known="content-length" in response.headers or "transfer-encoding" in response.headers,
        excerpt=excerpt,
    )


class _Pace:
    """Watches a body's rate in windows that follow each other. A body that stops is the read timeout's business."""

    def __init__(self, rate: MinRate | None) -> None:
        self._rate = rate
        self._window_s: float | None = None
        self._bytes = 0

    def note(self, size_bytes: int, now_s: float, status: int) -> None:
        if self._rate is None:
            return
        if self._window_s is None:
            self._window_s = now_s
        self._bytes += size_bytes
        if now_s - self._window_s < self._rate.over_s:
            return
        if self._bytes < self._rate.bytes_per_s * (now_s - self._window_s):
            raise TooSlow(status=status)
        self._window_s, self._bytes = now_s, 0
