"""The connect seam: the one place where a socket is opened (rule 4).

httpx2 resolves nothing itself; it hands host and port to httpcore2's network backend, which would resolve and
connect in one go. `Seam` stands in its place: resolve once, judge every answer, connect to the number that was
judged, look who answered. There is no second lookup for an attacker to change.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpcore2
import httpx2

from workers.egress.addresses import IPAddress
from workers.egress.errors import NotSent, UrlRefused

RESOLVE_S = 5.0
MAX_TRIES = 4
#: asyncio sets it too; said here because a request in two small writes otherwise waits 40 ms for an ACK.
_NODELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

#: Host and port to addresses as text. Raises OSError (gaierror) if there are none.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
#: Address, port and seconds to a connected stream. Raises httpcore2.ConnectError or ConnectTimeout.
Dialer = Callable[[str, int, float], Awaitable[httpcore2.AsyncNetworkStream]]


def _system_resolver(threads: int, name: str) -> Resolver:
    """The platform's answers, in its order of preference, looked up in threads of its own.

    getaddrinfo cannot be interrupted: a hostile DNS server holds a thread for as long as resolv.conf allows.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def resolve(host: str, port: int) -> Sequence[str]:
        lookup = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        answers = await asyncio.get_running_loop().run_in_executor(pool, lookup)
        return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))

    return resolve


#: Names that users give. Tarpits among them make other users' names wait, and nothing else.
system_resolve = _system_resolver(32, "egress-dns")
#: Names the operator gave: a tenant's tarpit must not stop paid work from being submitted.
operator_resolve = _system_resolver(8, "egress-dns-operator")


async def dial(address: str, port: int, timeout_s: float) -> httpcore2.AsyncNetworkStream:
    """A TCP connection to a numeric address; nothing is looked up."""
    return await httpcore2.AnyIOBackend().connect_tcp(address, port, timeout=timeout_s, socket_options=_NODELAY)


@functools.cache
def _system_tls() -> ssl.SSLContext:
    return tls_context()


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, certificates and names verified against the system's CAs, or against `ca_file` alone.

    The environment (SSL_CERT_FILE) is not read: what we trust is configuration, not accident.
    """
    context = ssl.create_default_context(cafile=ca_file) if ca_file else httpx2.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True)
class Net:
    """The acts that reach outside the process. Tests put their own here, so that no packet leaves."""

    resolve: Resolver = system_resolve
    dial: Dialer = dial
    # One context for all clients: loading the CA bundle takes about 15 ms and a megabyte each time.
    tls: ssl.SSLContext = field(default_factory=_system_tls)


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to connect to one host and port, given for one request before a connection is looked for.

    `check` gets every address the host answers and raises UrlRefused; it does nothing for a host the operator named.
    """

    host: str
    port: int
    check: Callable[[tuple[IPAddress, ...]], None]


#: The backend is called with a host and a port only. It runs in the task of its request, so what the request was
#: admitted for travels beside the call. No admission, no connection.
_admitted: ContextVar[Admission | None] = ContextVar("egress_admitted", default=None)


async def resolved(host: str, port: int, resolve: Resolver) -> tuple[IPAddress, ...]:
    """All addresses of `host`; a literal is its own. NotSent `dns_failed` if there are none in time."""
    try:
        return (ip_address(host),)
    except ValueError:
        pass
    try:
        async with asyncio.timeout(RESOLVE_S):
            answers = tuple(ip_address(answer) for answer in await resolve(host, port))
    except (OSError, ValueError) as error:  # gaierror, TimeoutError; UnicodeError and not-an-address
        raise NotSent("dns_failed", "the host name has no address") from error
    if not answers:
        raise NotSent("dns_failed", "the host name has no address")
    return answers


class Seam(httpcore2.AsyncNetworkBackend):
    """httpcore2's network backend, narrowed to what was admitted."""

    def __init__(self, net: Net) -> None:
        self._net = net

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        admission = _admitted.get()
        if admission is None or (admission.host, admission.port) != (host, port):
            raise UrlRefused("not_admitted", "a connection was asked for that no request was admitted for")
        answers = await resolved(host, port, self._net.resolve)
        admission.check(answers)
        return await self._first_of(answers[:MAX_TRIES], port, 5.0 if timeout is None else timeout)

    async def _first_of(self, addresses: Sequence[IPAddress], port: int, total_s: float) -> httpcore2.AsyncNetworkStream:
        """The first that connects. `total_s` is for all of them: each gets an equal share of what is left."""
        now = asyncio.get_running_loop().time
        until = now() + total_s
        failure: Exception = OSError("no address to try")
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                stream = await self._net.dial(str(address), port, max(0.0, until - now()) / left)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return await _known_peer(stream, address)
        timed_out = isinstance(failure, httpcore2.ConnectTimeout)
        reason = "connect_timeout" if timed_out else "connect_failed"
        raise NotSent(reason, "no address of the host takes a connection") from failure

    async def sleep(self, seconds: float) -> None:
        """Asked for by httpcore2's retries alone, and we have none."""
        await asyncio.sleep(seconds)


async def _known_peer(stream: httpcore2.AsyncNetworkStream, address: IPAddress) -> httpcore2.AsyncNetworkStream:
    """The stream, if it leads where it was sent; a packet filter or transparent proxy may have turned it elsewhere."""
    try:
        peer = stream.get_extra_info("server_addr")
        if ip_address(str(peer[0])) == address:
            return _Plain(stream)
    except (OSError, TypeError, ValueError) as error:  # already gone, or no IP socket
        await stream.aclose()
        raise NotSent("connect_failed", "the connection was gone before it was used") from error
    await stream.aclose()
    raise UrlRefused("address_not_public", "the connection led to another address than the one that was checked")


class _Plain(httpcore2.AsyncNetworkStream):
    """The TCP stream up to its handshake: names a TLS failure, and closes the socket whatever ends it.

    httpcore2 closes it for an Exception only; a deadline that cancels the handshake would leak the descriptor.
    """

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException as error:
            await self._stream.aclose()
            if isinstance(error, httpcore2.ConnectError):
                raise NotSent("tls_failed", "no TLS connection with a valid certificate for the host") from error
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class SeamTransport(httpx2.AsyncBaseTransport):
    """Two pools behind the seam: kept connections, and connections that carry one request.

    A kept connection may have been closed by the server just before a request is written on it. The write succeeds,
    the answer never comes, and nobody can tell whether the peer acted: AnswerLost, which for a paid POST means a job
    somebody has to look at. A request with the extension `fresh_connection` runs on a connection of its own instead,
    so the case cannot arise, for the price of one handshake. Beside the pool that keeps nothing it says
    `Connection: close`, after which h11 itself refuses a second request.
    """

    def __init__(self, admit: Callable[[httpx2.URL], Admission], net: Net, *, max_connections: int, keepalive_s: float) -> None:
        self._admit = admit
        self._kept = _pool(
            net,
            httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=keepalive_s),
        )
        self._fresh = _pool(net, httpx2.Limits(max_connections=max_connections, max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        token = _admitted.set(self._admit(request.url))
        try:
            fresh = request.extensions.get("fresh_connection", False)
            return await (self._fresh if fresh else self._kept).handle_async_request(request)
        finally:
            _admitted.reset(token)

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._fresh.aclose()


def _pool(net: Net, limits: httpx2.Limits) -> httpx2.AsyncHTTPTransport:
    """httpx2's transport over HTTP/1.1 with our seam put into its pool.

    `_pool` and `_network_backend` are private names: httpx2 and httpcore2 are pinned, and
    test_egress.py fails if connections stop passing here.
    """
    transport = httpx2.AsyncHTTPTransport(verify=net.tls, trust_env=False, http1=True, http2=False, limits=limits, retries=0)
    pool = transport._pool
    if type(pool) is not httpcore2.AsyncConnectionPool or not hasattr(pool, "_network_backend"):
        raise RuntimeError("httpx2's pool has changed: the connect seam cannot be put in")
    pool._network_backend = Seam(net)
    return transport
