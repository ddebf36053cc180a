"""Egress against real sockets on loopback: where connections go, what an answer may do, what a failure proves.

No packet leaves the machine: names are answered by a fake resolver, and a public address is dialed on loopback
(`turned`), never for real.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from workers.egress import (
    AnswerLost,
    Client,
    ClientShards,
    EgressError,
    EgressRules,
    EncodingRefused,
    MinRate,
    Net,
    NotSent,
    Timeouts,
    TooLarge,
    TooSlow,
    Truncated,
    UrlRefused,
    check_url,
    download_client,
    post_webhook,
    request_json,
    resolve_check,
    stream_to,
    tls_context,
    upstream_client,
    webhook_client,
)
from workers.egress.errors import FATES, lost_or_not_sent
from workers.egress.seam import Seam, dial

pytestmark = pytest.mark.anyio

PUBLIC_IP = "93.184.216.34"
OTHER_PUBLIC_IP = "93.184.216.35"
LOOPBACK = EgressRules(allow_cidrs=("127.0.0.0/8",))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# A peer that does as it is told.


@dataclass
class Peer:
    port: int = 0
    connects: int = 0
    accepted: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Behaviour = Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(behaviour: Behaviour | bytes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server on loopback. Bytes are its answer to one request, after which it closes."""
    peer = Peer()
    act = once(behaviour) if isinstance(behaviour, bytes) else behaviour
    running: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connects += 1
        peer.accepted.release()
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await act(peer, reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        running.discard(task)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def read_request(peer: Peer, reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    peer.requests.append(head + await reader.readexactly(length))
    return peer.requests[-1]


def once(answer: bytes) -> Behaviour:
    async def act(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(peer, reader)
        writer.write(answer)
        await writer.drain()

    return act


def keeping(*answers: bytes) -> Behaviour:
    """Answers in turn, over all connections, which stay open."""
    left = list(answers)

    async def act(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(peer, reader)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    return act


def dripping(head: bytes, piece: bytes, every_s: float) -> Behaviour:
    async def act(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(peer, reader)
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every_s)

    return act


async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def closing(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(peer, reader)


async def resetting(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(peer, reader)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def answer(body: bytes = b"{}", *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: int = 302) -> bytes:
    return answer(b"moved", f"Location: {location}", status=status)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\n"


# A world in which names lead where a test says.


@dataclass
class World:
    """`names`: the answers of each name, one list per lookup, the last one for good."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    dialed: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    unreachable: frozenset[str] = frozenset()

    def net(self) -> Net:
        return Net(self.resolve, self.dial, self.tls) if self.tls else Net(self.resolve, self.dial)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        lists = self.names[host]
        return lists.pop(0) if len(lists) > 1 else lists[0]

    async def dial(self, address: str, port: int, timeout_s: float) -> httpcore2.AsyncNetworkStream:
        self.dialed.append(address)
        if address in self.unreachable:
            raise httpcore2.ConnectError("unreachable")
        if ip_address(address).is_loopback:
            return await dial(address, port, timeout_s)
        return Turned(await dial("127.0.0.1", port, timeout_s), address)


class Turned(httpcore2.AsyncNetworkStream):
    """A loopback connection that says it is one to a public address."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, address: str) -> None:
        self._stream, self._address = stream, address

    def get_extra_info(self, info: str) -> Any:
        return (self._address, 1) if info == "server_addr" else self._stream.get_extra_info(info)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()


def public(peer: Peer) -> EgressRules:
    """Rules under which http://name:port may be asked for as if it were a public host."""
    return EgressRules(allow_http=True, extra_ports=frozenset({peer.port}))


async def get(client: Client, url: str, total_s: float = 5.0, cap_bytes: int = 1 << 20, **more: Any) -> Any:
    return await request_json(client, "GET", url, total_s=total_s, cap_bytes=cap_bytes, **more)


async def post(client: Client, url: str, total_s: float = 5.0, cap_bytes: int = 1 << 20, **more: Any) -> Any:
    return await request_json(
        client, "POST", url, **{"json": {"prompt": "a cat"}, "total_s": total_s, "cap_bytes": cap_bytes, **more}
    )


async def fetch(client: Client, url: str, total_s: float = 5.0, cap_bytes: int = 1 << 20, **more: Any) -> Any:
    return await stream_to(client, "GET", url, lambda chunk: None, total_s=total_s, cap_bytes=cap_bytes, **more)


# Where connections go.


async def test_every_client_connects_through_the_seam_and_nowhere_else() -> None:
    """Fails if httpx2 or httpcore2 stop calling the backend put into their pool: `.invalid` has no address."""
    async with serving(answer()) as peer:
        url = f"http://seam.invalid:{peer.port}/"
        for make in (
            lambda net: upstream_client(url, net=net),
            lambda net: download_client(public(peer), net=net),
            lambda net: webhook_client(public(peer), net=net),
        ):
            for fresh in (False, True):
                world = World({"seam.invalid": [[PUBLIC_IP]]})
                async with make(world.net()) as client:
                    assert (await get(client, url, fresh_connection=fresh)).status == 200
                assert (world.looked_up, world.dialed) == (["seam.invalid"], [PUBLIC_IP])
        assert b"Host: seam.invalid:" in peer.requests[0]


async def test_the_seam_connects_for_no_one_who_was_not_admitted() -> None:
    with pytest.raises(UrlRefused) as refused:
        await Seam(World().net()).connect_tcp("127.0.0.1", 80)
    assert refused.value.reason == "not_admitted"


def test_a_pool_that_cannot_take_the_seam_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(httpcore2.AsyncConnectionPool):
        pass

    monkeypatch.setattr(httpcore2, "AsyncConnectionPool", Other)
    monkeypatch.setattr("workers.egress.seam.httpcore2", type("X", (), {"AsyncConnectionPool": object}))
    with pytest.raises(RuntimeError, match="pool has changed"):
        upstream_client("http://127.0.0.1:1")


HOSTILE = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://localhost:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://loop.example.com:{port}/",
    "http://wrapped.example.com:{port}/",
    "http://mixed.example.com:{port}/",
    "http://metadata.example.com:{port}/",
    "http://gone.example.com:{port}/",
    "//127.0.0.1:{port}/",
    "http:127.0.0.1:{port}",
]
HOSTILE_NAMES = {
    "loop.example.com": [["127.0.0.1"]],
    "wrapped.example.com": [["::ffff:127.0.0.1"]],
    "mixed.example.com": [[PUBLIC_IP, "127.0.0.1"]],
    "metadata.example.com": [["169.254.169.254"]],
}


async def test_no_connection_is_ever_made_to_a_refused_target() -> None:
    async with serving(answer()) as trap:
        world = World(dict(HOSTILE_NAMES))
        rules = public(trap)
        async with download_client(rules, net=world.net()) as down, webhook_client(rules, net=world.net()) as hook:
            for form in HOSTILE:
                url = form.format(port=trap.port)
                with pytest.raises(NotSent):
                    await fetch(down, url)
                with pytest.raises(NotSent):
                    await post_webhook(hook, url, b"{}", {})
                with pytest.raises((NotSent, httpx2.HTTPError, httpx2.InvalidURL)):  # not even past our functions
                    await down.get(url)
        assert trap.connects == 0
        assert world.dialed == []


async def test_an_allowed_range_is_reached_by_literal_and_by_name() -> None:
    async with serving(answer(b"ok")) as peer:
        world = World({"localhost": [["127.0.0.1"]], "receiver": [["127.0.0.1"]], "both.example.com": [[PUBLIC_IP]]})
        async with download_client(LOOPBACK, net=world.net()) as client:
            for host in ("127.0.0.1", "localhost", "receiver"):
                assert (await fetch(client, f"http://{host}:{peer.port}/")).size_bytes == 2
            with pytest.raises(UrlRefused) as refused:  # passes check_url on credit, and is held to it here
                await fetch(client, f"http://both.example.com:{peer.port}/")
        assert refused.value.reason == "port_refused"
        assert PUBLIC_IP not in world.dialed


async def test_a_name_that_rebinds_never_leads_to_loopback() -> None:
    async with serving(answer()) as peer:
        world = World({"rebind.example.com": [[PUBLIC_IP], ["127.0.0.1"]]})
        url = f"http://rebind.example.com:{peer.port}/"
        assert await resolve_check(url, public(peer), resolve=world.resolve) == url
        async with webhook_client(public(peer), net=world.net()) as client:
            with pytest.raises(UrlRefused) as refused:
                await post_webhook(client, url, b"{}", {})
        assert refused.value.reason == "address_not_public"
        assert (world.dialed, peer.connects) == ([], 0)


async def test_one_lookup_serves_check_and_connection() -> None:
    async with serving(answer()) as peer:
        world = World({"rebind.example.com": [[PUBLIC_IP], ["127.0.0.1"]]})
        async with webhook_client(public(peer), net=world.net()) as client:
            await post_webhook(client, f"http://rebind.example.com:{peer.port}/", b"{}", {})
        assert world.dialed == [PUBLIC_IP]


async def test_a_connection_that_was_turned_elsewhere_carries_nothing() -> None:
    async with serving(answer()) as peer:

        async def crooked(address: str, port: int, timeout_s: float) -> httpcore2.AsyncNetworkStream:
            return await dial("127.0.0.1", port, timeout_s)

        net = Net(World({"a.example.com": [[PUBLIC_IP]]}).resolve, crooked)
        async with webhook_client(public(peer), net=net) as client:
            with pytest.raises(UrlRefused) as refused:
                await post_webhook(client, f"http://a.example.com:{peer.port}/", b"secret", {})
        assert refused.value.reason == "address_not_public"
        assert peer.requests == []


async def test_at_most_four_addresses_are_tried() -> None:
    addresses = [f"93.184.216.{n}" for n in range(1, 9)]
    world = World({"many.example.com": [addresses]}, unreachable=frozenset(addresses))
    async with webhook_client(EgressRules(), net=world.net()) as client:
        with pytest.raises(NotSent) as failed:
            await post_webhook(client, "https://many.example.com/", b"{}", {})
    assert failed.value.reason == "connect_failed"
    assert world.dialed == addresses[:4]


async def test_the_second_address_is_used_when_the_first_is_dead() -> None:
    async with serving(answer()) as peer:
        world = World({"two.example.com": [[PUBLIC_IP, OTHER_PUBLIC_IP]]}, unreachable=frozenset({PUBLIC_IP}))
        async with webhook_client(public(peer), net=world.net()) as client:
            assert (await post_webhook(client, f"http://two.example.com:{peer.port}/", b"{}", {})).status == 200
        assert world.dialed == [PUBLIC_IP, OTHER_PUBLIC_IP]


async def test_tarpit_names_of_users_do_not_hold_up_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()

    def lookup(host: str, port: int, **kind: int) -> list[Any]:
        if host == "tarpit.example.com":
            freed.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with serving(answer()) as peer, webhook_client(EgressRules()) as hook:
        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        stuck = [asyncio.ensure_future(post_webhook(hook, "https://tarpit.example.com/", b"{}", {}, total_s=2)) for _ in range(50)]
        async with upstream_client(f"http://gateway.example.com:{peer.port}") as client:
            assert (await post(client, "/", total_s=2)).status == 200
        freed.set()
        assert all(isinstance(e, NotSent) for e in await asyncio.gather(*stuck, return_exceptions=True))


async def test_a_connection_sends_small_writes_at_once() -> None:
    async with serving(silent) as peer:
        stream = await dial("127.0.0.1", peer.port, 5)
        assert stream.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await stream.aclose()


async def test_proxies_in_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer()) as trap, serving(answer()) as peer:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        async with webhook_client(LOOPBACK, net=World().net()) as hook, upstream_client(peer.url) as upstream:
            await post_webhook(hook, peer.url, b"{}", {})
            await get(upstream, "/")
        assert (trap.connects, peer.connects) == (0, 2)


async def test_an_upstream_client_talks_to_its_host_only() -> None:
    async with serving(answer()) as peer, serving(answer()) as trap, upstream_client(f"{peer.url}/v1") as client:
        assert (await get(client, "/tasks/1")).status == 200
        assert (await get(client, f"{peer.url}/elsewhere")).status == 200
        for url in (
            f"{trap.url}/v1",
            f"https://127.0.0.1:{peer.port}/",
            f"http://localhost:{peer.port}/",
            f"http://x@127.0.0.1:{peer.port}/",
        ):
            with pytest.raises(UrlRefused) as refused:
                await get(client, url)
            assert refused.value.reason == "upstream_url_refused"
        assert trap.connects == 0
        assert [request.split(b" ")[1] for request in peer.requests] == [b"/v1/tasks/1", b"/elsewhere"]


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://api.example.com", "https://", "https://k@api.example.com"])
def test_an_upstream_needs_a_base_url(url: str) -> None:
    with pytest.raises(ValueError, match="upstream base URL"):
        upstream_client(url)


async def test_requests_say_who_we_are_take_no_encoding_and_no_cookie() -> None:
    async with serving(keeping(answer(b"{}", "Set-Cookie: a=b; Path=/"))) as peer, upstream_client(peer.url) as client:
        for _ in range(2):
            await get(client, "/", headers={"Accept-Encoding": "gzip", "Authorization": "Bearer k"})
    for request in peer.requests:
        head = request.lower()
        assert b"user-agent: mediamill/" in head
        assert b"accept-encoding: identity\r\n" in head
        assert b"gzip" not in head
        assert b"cookie" not in head


async def test_shards_are_handed_out_in_turn() -> None:
    async with serving(answer()) as peer:
        shards = ClientShards(lambda: upstream_client(peer.url), 3)
        taken = [shards.take() for _ in range(6)]
        assert len(set(map(id, taken))) == 3
        assert taken[:3] == taken[3:]
        await get(taken[0], "/")
        await shards.aclose()
        assert all(client.is_closed for client in taken)
    with pytest.raises(ValueError, match="at least one"):
        ClientShards(lambda: upstream_client("http://127.0.0.1:1"), 0)


# Redirects.


async def test_a_download_follows_three_redirects_and_no_fourth() -> None:
    hops = [redirect("/1"), redirect("/2", 307), redirect("/3", 308)]
    async with serving(keeping(*hops, answer(b"here"))) as peer, download_client(LOOPBACK) as client:
        got = await fetch(client, peer.url)
        assert (got.status, got.size_bytes, got.final_url) == (200, 4, f"{peer.url}/3")
    async with serving(keeping(*hops, redirect("/4"), answer())) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(UrlRefused) as refused:
            await fetch(client, peer.url)
        assert refused.value.reason == "too_many_redirects"
        assert len(peer.requests) == 4


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:{trap}/", "ip_literal_refused"),
        ("//127.0.0.1:{trap}/", "ip_literal_refused"),
        ("http://0x7f.1:{trap}/", "ip_literal_refused"),
        ("http://[::1]:{trap}/", "address_not_public"),
        ("http://169.254.169.254/latest/meta-data/", "address_not_public"),
        ("https://metadata.google.internal/", "host_not_public"),
        ("file:///etc/passwd", "scheme_refused"),
        ("gopher://127.0.0.1:{trap}/", "scheme_refused"),
        ("http://x@127.0.0.1:{trap}/", "userinfo_refused"),
        ("http://example.com#@127.0.0.1:{trap}/", "fragment_refused"),
        ("https://loop.example.com/", "address_not_public"),
        ("http://[v1.x]/", "malformed_url"),
    ],
)
async def test_a_redirect_cannot_lead_where_the_url_itself_may_not(location: str, reason: str) -> None:
    async with serving(answer()) as trap, serving(redirect(location.format(trap=trap.port))) as peer:
        trusted = frozenset({("127.0.0.1", peer.port)})
        world = World({"loop.example.com": [["127.0.0.1"]]})
        async with download_client(EgressRules(), trusted, net=world.net()) as client:
            with pytest.raises(UrlRefused) as refused:
                await fetch(client, peer.url)
        assert refused.value.reason == reason
        assert trap.connects == 0


async def test_a_stranger_cannot_redirect_into_a_trusted_host() -> None:
    async with serving(answer()) as gateway, serving(redirect(f"{gateway.url}/admin")) as stranger:
        world = World({"cdn.example.com": [[PUBLIC_IP]]})
        trusted = frozenset({("127.0.0.1", gateway.port)})
        async with download_client(public(stranger), trusted, net=world.net()) as client:
            assert (await fetch(client, gateway.url)).status == 200
            with pytest.raises(UrlRefused):
                await fetch(client, f"http://cdn.example.com:{stranger.port}/")
        assert gateway.connects == 1


async def test_credentials_stay_with_the_origin_they_were_given_for() -> None:
    keys = {"Authorization": "Bearer k", "xi-api-key": "k", "Range": "bytes=0-"}
    back = keeping(redirect("/again"), answer())
    async with serving(back) as other, serving(keeping(redirect("/same"), redirect(other.url))) as first:
        async with download_client(LOOPBACK) as client:
            await fetch(client, first.url, headers=keys)
        assert [b"Bearer k" in request and b"xi-api-key" in request for request in first.requests] == [True, True]
        assert len(other.requests) == 2  # the second one stays on its origin, and still gets nothing
        for request in other.requests:
            assert b"Bearer" not in request
            assert b"xi-api-key" not in request
            assert b"Range: bytes=0-" in request


async def test_a_redirect_never_leaves_https() -> None:
    async with download_client(EgressRules(allow_http=True)) as client:
        assert client.gate.follows("http://a.example.com/", "https://b.example.com/") == "https://b.example.com/"
        with pytest.raises(UrlRefused) as refused:
            client.gate.follows("https://a.example.com/", "http://a.example.com/")
    assert refused.value.reason == "https_required"


@pytest.mark.parametrize("status", range(300, 309))
async def test_a_webhook_is_not_redirected(status: int) -> None:
    async with serving(answer()) as trap, serving(redirect(trap.url, status)) as peer:
        async with webhook_client(LOOPBACK) as client:
            assert (await post_webhook(client, peer.url, b"{}", {})).status == status
        assert trap.connects == 0


async def test_an_upstream_redirect_and_a_redirected_post_are_answers() -> None:
    async with serving(answer()) as trap, serving(redirect(trap.url)) as peer:
        async with upstream_client(peer.url) as upstream, download_client(LOOPBACK) as down:
            assert (await post(upstream, "/")).status == 302
            assert (await fetch(upstream, "/")).status == 302
            assert (await stream_to(down, "POST", peer.url, bytes, total_s=5, cap_bytes=9)).status == 302
        assert trap.connects == 0


# Bodies.


async def test_a_body_is_counted_hashed_and_handed_over_raw() -> None:
    body = os.urandom(300_000)
    async with serving(answer(body, "Content-Type: image/png")) as peer, download_client(LOOPBACK) as client:
        taken = bytearray()
        got = await stream_to(client, "GET", peer.url, taken.extend, total_s=5, cap_bytes=len(body))
    assert bytes(taken) == body
    assert (got.size_bytes, got.sha256, got.length_known) == (len(body), hashlib.sha256(body).hexdigest(), True)
    assert got.headers["content-type"] == "image/png"


CAPPED = [
    answer(b"x" * 101),
    CHUNKED + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n",
    UNFRAMED + b"x" * 101,
    b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
]


@pytest.mark.parametrize("raw", CAPPED)
@pytest.mark.parametrize("ask", [get, fetch])
async def test_reading_stops_one_byte_past_the_cap(raw: bytes, ask: Callable[..., Awaitable[Any]]) -> None:
    async with serving(raw) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(TooLarge) as failed:
            await ask(client, peer.url, cap_bytes=100)
    assert (failed.value.reason, failed.value.status) == ("too_large", 200)


async def test_a_body_of_exactly_the_cap_passes() -> None:
    async with serving(answer(b"x" * 100)) as peer, download_client(LOOPBACK) as client:
        assert len((await get(client, peer.url, cap_bytes=100)).body) == 100
        assert (await fetch(client, peer.url, cap_bytes=100)).size_bytes == 100


CUT = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    CHUNKED + b"4\r\nhalf\r\n",
    CHUNKED + b"4\r\nhalf\r\nzz\r\n",
    CHUNKED + b"a\r\nhalf",
]


@pytest.mark.parametrize("raw", CUT)
@pytest.mark.parametrize("ask", [get, fetch])
async def test_a_cut_body_is_truncated(raw: bytes, ask: Callable[..., Awaitable[Any]]) -> None:
    async with serving(raw) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(Truncated) as failed:
            await ask(client, peer.url)
    assert (failed.value.reason, failed.value.status) == ("truncated", 200)


@pytest.mark.parametrize("lengths", [["-5"], ["5", "6"], ["5x"]])
async def test_a_length_that_is_none_is_no_answer(lengths: list[str]) -> None:
    head = "".join(f"Content-Length: {length}\r\n" for length in lengths)
    async with serving(f"HTTP/1.1 200 OK\r\n{head}\r\nhello".encode()) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(AnswerLost):
            await fetch(client, peer.url)


async def test_a_body_that_only_ends_with_the_connection_is_said_to() -> None:
    async with serving(UNFRAMED + b"hello") as peer, download_client(LOOPBACK) as client:
        got = await fetch(client, peer.url)
    assert (got.size_bytes, got.length_known) == (5, False)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-unknown"])
@pytest.mark.parametrize("ask", [get, fetch])
async def test_a_compressed_answer_is_refused_undecoded(coding: str, ask: Callable[..., Awaitable[Any]]) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    async with serving(answer(bomb, f"Content-Encoding: {coding}")) as peer, download_client(LOOPBACK) as client:
        began = time.process_time()
        with pytest.raises(EncodingRefused) as failed:
            await ask(client, peer.url)
    assert failed.value.reason == "encoding_refused"
    assert time.process_time() - began < 0.5


async def test_the_identity_encoding_is_none() -> None:
    async with serving(answer(b"plain", "Content-Encoding: identity")) as peer, download_client(LOOPBACK) as client:
        assert (await get(client, peer.url)).body == b"plain"


@pytest.mark.parametrize("ask", [get, fetch])
async def test_a_drip_ends_at_the_total_deadline(ask: Callable[..., Awaitable[Any]]) -> None:
    async with serving(dripping(CHUNKED, b"1\r\nx\r\n", 0.02)) as peer, download_client(LOOPBACK) as client:
        began = time.monotonic()
        with pytest.raises(AnswerLost) as failed:
            await ask(client, peer.url, total_s=0.3)
    assert (failed.value.reason, failed.value.status) == ("deadline", 200)
    assert 0.25 < time.monotonic() - began < 1.5


async def test_a_body_below_the_minimum_rate_is_given_up() -> None:
    async with serving(dripping(CHUNKED, b"1\r\nx\r\n", 0.02)) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(TooSlow) as failed:
            await fetch(client, peer.url, min_rate=MinRate(bytes_per_s=1000, over_s=0.2))
    assert failed.value.reason == "too_slow"


async def test_a_body_above_the_minimum_rate_goes_on() -> None:
    steady = dripping(CHUNKED, b"40\r\n" + b"x" * 64 + b"\r\n", 0.01)
    async with serving(steady) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(TooLarge):  # so it was read to the cap, over several windows
            await fetch(client, peer.url, cap_bytes=3000, min_rate=MinRate(bytes_per_s=500, over_s=0.05))


async def test_a_stalled_body_ends_at_the_read_timeout() -> None:
    async with serving(dripping(CHUNKED, b"1\r\nx\r\n", 30)) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(AnswerLost) as failed:
            await fetch(client, peer.url, timeouts=Timeouts(read_s=0.1))
    assert failed.value.reason == "read_timeout"


async def test_an_error_page_goes_into_the_excerpt_and_not_into_the_sink() -> None:
    async with serving(answer(b"x" * 200_000, status=404)) as peer, download_client(LOOPBACK) as client:
        taken = bytearray()
        got = await stream_to(client, "GET", peer.url, taken.extend, total_s=5, cap_bytes=10)
    assert (got.status, got.excerpt, taken) == (404, b"x" * 65536, b"")


async def test_an_error_page_that_breaks_keeps_its_status() -> None:
    cut = b"HTTP/1.1 503 X\r\nContent-Length: 10\r\n\r\nbusy"
    async with serving(cut) as peer, serving(dripping(cut, b"", 30)) as hanging, download_client(LOOPBACK) as client:
        assert (await fetch(client, peer.url)).excerpt == b"busy"
        assert (await fetch(client, hanging.url, total_s=0.3)).excerpt == b"busy"


async def test_what_the_sink_raises_passes_through() -> None:
    def full(chunk: bytes) -> None:
        raise OSError("disk full")

    async with serving(answer(b"x" * 100_000)) as peer, download_client(LOOPBACK) as client:
        with pytest.raises(OSError, match="disk full"):
            await stream_to(client, "GET", peer.url, full, total_s=5, cap_bytes=1 << 20)
        assert (await fetch(client, peer.url)).status == 200


async def test_a_multipart_upload_arrives() -> None:
    async with serving(answer()) as peer, upstream_client(peer.url) as client:
        files = [("image[]", ("a.png", b"AAA", "image/png")), ("image[]", ("b.png", b"BBB", "image/png"))]
        await post(client, "/edit", json=None, data={"prompt": "x"}, files=files)
    assert peer.requests[0].count(b'name="image[]"') == 2
    assert b"AAA" in peer.requests[0]


# Webhooks: the status is the answer.


async def test_a_webhook_arrives_byte_for_byte_with_its_headers() -> None:
    thanks = answer(b"thanks", "Retry-After: 7", "X-Other: 1", status=503)
    async with serving(thanks) as peer, webhook_client(LOOPBACK) as client:
        body = b'{"b": 1,  "a":\xc3\xa9}'
        got = await post_webhook(client, peer.url, body, {"webhook-id": "evt_1", "Content-Type": "application/json"})
    assert (got.status, got.headers, got.excerpt) == (503, {"retry-after": "7"}, "thanks")
    assert peer.requests[0].endswith(b"\r\n\r\n" + body)
    assert b"webhook-id: evt_1\r\n" in peer.requests[0]


@pytest.mark.parametrize("status", [204, 299, 410, 429, 600, 999])
async def test_any_status_of_a_receiver_is_reported(status: int) -> None:
    async with serving(answer(b"", status=status)) as peer, webhook_client(LOOPBACK) as client:
        assert (await post_webhook(client, peer.url, b"{}", {})).status == status


async def test_a_receivers_endless_body_does_not_undo_its_status() -> None:
    flood = dripping(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n", 0)
    drip = dripping(CHUNKED, b"1\r\nx\r\n", 0.02)
    async with serving(flood) as peer, serving(drip) as slow, webhook_client(LOOPBACK) as client:
        got = await post_webhook(client, peer.url, b"{}", {})
        assert (got.status, len(got.excerpt)) == (200, 4096)
        got = await post_webhook(client, slow.url, b"{}", {}, total_s=0.4)
        assert (got.status, set(got.excerpt)) == (200, {"x"})
        assert 0.35 < got.elapsed_s < 2


async def test_a_receivers_text_is_kept_redacted_and_never_decoded() -> None:
    async with serving(answer(b"Bearer abcdef12345 \x1b[31m\xff")) as peer, webhook_client(LOOPBACK) as client:
        assert (await post_webhook(client, peer.url, b"{}", {})).excerpt == "Bearer *** \\x1b[31m�"
    bomb = gzip.compress(bytes(5_000_000))
    async with serving(answer(bomb, "Content-Encoding: gzip")) as peer, webhook_client(LOOPBACK) as client:
        got = await post_webhook(client, peer.url, b"{}", {})
    assert (got.status, got.excerpt) == (200, "")


@pytest.mark.parametrize(
    "behaviour",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 199 X\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
        dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.02),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    ],
    ids=["ssh", "199", "nothing", "headers", "slow-headers", "continue"],
)
async def test_a_receiver_without_a_status_has_not_answered(behaviour: Behaviour | bytes) -> None:
    async with serving(behaviour) as peer, webhook_client(LOOPBACK) as client:
        with pytest.raises(AnswerLost):
            await post_webhook(client, peer.url, b"{}", {}, total_s=0.4)


# What a failure proves: NotSent, or AnswerLost.


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (closing, "protocol_error"),
        (resetting, "read_failed"),
        (b"HTTP/1.1 20", "protocol_error"),
        (b"nonsense\r\n\r\n", "protocol_error"),
        (silent, "deadline"),
    ],
    ids=["close", "reset", "half head", "nonsense", "hang"],
)
async def test_a_peer_that_took_the_request_may_have_acted(behaviour: Behaviour | bytes, reason: str) -> None:
    async with serving(behaviour) as peer, upstream_client(peer.url) as client:
        with pytest.raises(AnswerLost) as failed:
            await post(client, "/", total_s=0.4, fresh_connection=True)
    assert failed.value.reason == reason
    assert failed.value.status is None


async def test_a_peer_that_stops_reading_may_have_acted() -> None:
    async def deaf(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with serving(deaf) as peer, upstream_client(peer.url, timeouts=Timeouts(read_s=0.1, write_s=0.1)) as client:
        with pytest.raises(AnswerLost) as failed:
            await post(client, "/", json=None, content=bytes(32 << 20))
    assert failed.value.reason in ("write_timeout", "read_timeout")


async def test_a_closed_port_got_nothing() -> None:
    async with serving(answer()) as peer:
        url = peer.url
    async with upstream_client(url) as client:
        with pytest.raises(NotSent) as failed:
            await post(client, "/")
    assert failed.value.reason == "connect_failed"


async def test_a_name_without_address_got_nothing() -> None:
    async with upstream_client("https://nowhere.invalid", net=World().net()) as client:
        with pytest.raises(NotSent) as failed:
            await post(client, "/")
    assert failed.value.reason == "dns_failed"


async def test_a_deadline_before_the_first_byte_proves_that_nothing_was_sent() -> None:
    async def never_resolved(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(30)
        return ()

    async def never_connected(address: str, port: int, timeout_s: float) -> httpcore2.AsyncNetworkStream:
        await asyncio.sleep(30)
        raise AssertionError

    for net in (Net(never_resolved), Net(World({"slow.invalid": [[PUBLIC_IP]]}).resolve, never_connected)):
        async with upstream_client("http://slow.invalid", net=net) as client:
            with pytest.raises(NotSent) as failed:
                await post(client, "/", total_s=0.1)
        assert failed.value.reason == "deadline"


async def test_waiting_for_a_connection_proves_that_nothing_was_sent() -> None:
    async with serving(silent) as peer, upstream_client(peer.url, timeouts=Timeouts(pool_s=0.1)) as client:
        busy = [asyncio.ensure_future(post(client, "/", total_s=2)) for _ in range(20)]
        for _ in busy:
            await peer.accepted.acquire()
        with pytest.raises(NotSent) as failed:
            await post(client, "/")
        assert failed.value.reason == "pool_timeout"
        with pytest.raises(NotSent) as failed:
            await post(client, "/", total_s=0.05)
        assert failed.value.reason == "deadline"
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


@pytest.mark.parametrize(
    "broken",
    [
        {"json": {"a": float("nan")}},
        {"json": {"a": "\ud800"}},
        {"json": {"a": object()}},
        {"headers": {"X-A": "a\r\nB: c"}},
        {"headers": {"X-A": "\u20ac"}},
    ],
    ids=["nan", "surrogate", "object", "crlf header", "unicode header"],
)
async def test_a_request_that_cannot_be_written_was_not_sent(broken: dict[str, Any]) -> None:
    async with serving(answer()) as peer, upstream_client(peer.url) as client:
        with pytest.raises(NotSent) as failed:
            await post(client, "/", **broken)
        assert failed.value.reason == "request_invalid"
        assert peer.requests == []


async def test_a_request_that_breaks_off_after_its_head_may_have_been_acted_on() -> None:
    async with serving(silent) as peer, upstream_client(peer.url) as client:
        with pytest.raises(AnswerLost) as failed:
            await post(client, "/", json=None, content=b"abc", headers={"Content-Length": "10"})
    assert failed.value.reason == "request_failed"


async def test_a_canceled_call_stays_canceled_and_frees_its_connection() -> None:
    async with serving(silent) as peer, upstream_client(peer.url) as client:
        task = asyncio.ensure_future(post(client, "/", total_s=5))
        await peer.accepted.acquire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_kept_connection_may_lose_an_answer_and_a_fresh_one_never_meets_that_case() -> None:
    async def tired(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(peer, reader)
        writer.write(answer())
        await read_request(peer, reader)  # the second request on this connection is read, and dropped

    async with serving(tired) as peer, upstream_client(peer.url) as client:
        await get(client, "/")
        with pytest.raises(AnswerLost):
            await post(client, "/")
    async with serving(tired) as peer, upstream_client(peer.url) as client:
        await get(client, "/")
        for _ in range(3):
            assert (await post(client, "/", fresh_connection=True)).status == 200
    assert peer.connects == 4
    assert b"Connection: close" in peer.requests[-1]


async def test_the_fresh_pool_keeps_nothing_even_if_nobody_says_close() -> None:
    async with serving(keeping(answer())) as peer, upstream_client(peer.url) as client:
        for _ in range(3):
            await client.get("/", extensions={"fresh_connection": True})
    assert peer.connects == 3


async def test_a_poll_reuses_its_connection() -> None:
    async with serving(keeping(answer())) as peer, upstream_client(peer.url) as client:
        for _ in range(5):
            await get(client, "/")
    assert peer.connects == 1


def subclasses(cls: type[BaseException]) -> set[type[BaseException]]:
    return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))


def test_every_exception_of_httpx2_is_mapped() -> None:
    exported = {value for value in vars(httpx2).values() if isinstance(value, type) and issubclass(value, Exception)}
    family = {
        cls
        for root in exported
        for cls in subclasses(root)
        if cls.__module__.split(".")[0] == "httpx2" and not issubclass(cls, Warning)
    }
    assert len(family) > 25
    assert family - set(FATES) == set()


def test_not_sent_needs_a_class_that_says_so_and_an_untouched_wire() -> None:
    surely = {
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.UnsupportedProtocol,
        httpx2.InvalidURL,
        httpx2.LocalProtocolError,
    }
    assert {cls for cls, (kind, _) in FATES.items() if kind is NotSent} == surely
    for cls in FATES:
        if not issubclass(cls, httpx2.HTTPStatusError | httpx2.StreamError):
            error = cls("x")
            assert isinstance(lost_or_not_sent(error, request_began=True), AnswerLost)
            assert isinstance(lost_or_not_sent(error, request_began=False), NotSent) is (cls in surely)
    assert isinstance(lost_or_not_sent(RuntimeError("?"), request_began=True), AnswerLost)
    assert isinstance(lost_or_not_sent(RuntimeError("?"), request_began=False), NotSent)


def test_the_error_tree_answers_the_one_question() -> None:
    assert issubclass(UrlRefused, NotSent)
    assert not issubclass(NotSent, AnswerLost)
    for cls in (TooLarge, EncodingRefused, Truncated, TooSlow):
        assert issubclass(cls, AnswerLost)
        assert issubclass(cls, EgressError)
        assert cls().reason == cls.reason
        assert str(cls())


# TLS.


@dataclass
class Authority:
    ca_file: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    folder: Path

    def server(self, name: str, peer_names: list[str] | None = None) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = signed(name, key, self.certificate.subject, self.key, ca=False)
        chain = self.folder / f"{name}.pem"
        chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + private(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        if peer_names is not None:
            context.sni_callback = lambda sock, sni, ctx: peer_names.append(sni or "")
        return context


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def signed(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name | None, by: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("ca")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = signed("ca.example", key, None, key, ca=True)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(str(folder / "ca.pem"), key, certificate, folder)


def tls_client(peer: Peer, authority: Authority | None) -> Client:
    """A client of api.example.com, which is `peer`; it trusts `authority`, or the system's CAs."""
    tls = tls_context(authority.ca_file) if authority else None
    world = World({"api.example.com": [["127.0.0.1"]]}, tls=tls)
    return upstream_client(f"https://api.example.com:{peer.port}", net=world.net())


async def test_tls_is_spoken_to_the_name_although_the_connection_goes_to_a_number(authority: Authority) -> None:
    names: list[str] = []
    server = authority.server("api.example.com", names)
    async with serving(answer(b"safe"), tls=server) as peer, tls_client(peer, authority) as client:
        for fresh in (False, True):
            assert (await post(client, "/", fresh_connection=fresh)).body == b"safe"
    assert names == ["api.example.com"] * 2
    assert f"Host: api.example.com:{peer.port}\r\n".encode() in peer.requests[0]


async def test_an_answer_over_tls_can_be_truncated_too(authority: Authority) -> None:
    server = authority.server("api.example.com")
    async with serving(CUT[0], tls=server) as peer, tls_client(peer, authority) as client:
        with pytest.raises(Truncated):
            await fetch(client, "/")


async def banner(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")


async def goodbye(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


@pytest.mark.parametrize(
    ("certified", "trusted", "behaviour"),
    [
        ("other.example.com", True, answer()),
        ("api.example.com", False, answer()),
        (None, True, banner),
        (None, True, goodbye),
    ],
    ids=["another name", "unknown authority", "no tls", "closed"],
)
async def test_a_handshake_that_fails_proves_that_nothing_was_sent(
    certified: str | None, trusted: bool, behaviour: Behaviour | bytes, authority: Authority
) -> None:
    server = authority.server(certified) if certified else None
    async with serving(behaviour, tls=server) as peer, tls_client(peer, authority if trusted else None) as client:
        with pytest.raises(NotSent) as failed:
            await post(client, "/")
    assert failed.value.reason == "tls_failed"
    assert peer.requests == []


async def test_old_tls_is_refused(authority: Authority) -> None:
    context = tls_context(authority.ca_file)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_handshake_that_hangs_proves_that_nothing_was_sent(authority: Authority) -> None:
    async with serving(silent) as peer, tls_client(peer, authority) as client:
        with pytest.raises(NotSent) as failed:
            await post(client, "/", total_s=0.2)
        assert failed.value.reason == "deadline"
        with pytest.raises(NotSent) as failed:
            await post(client, "/", timeouts=Timeouts(connect_s=0.2))
        assert failed.value.reason == "connect_timeout"


async def test_what_a_url_check_returns_is_what_is_requested() -> None:
    async with serving(answer()) as peer:
        url = f"http://127.0.0.1:{peer.port}/a/../b%2Fc?x=%20y|z&sig=a%2Bb=="
        async with download_client(LOOPBACK) as client:
            got = await fetch(client, url)
        assert got.final_url == check_url(url, LOOPBACK)
        assert peer.requests[0].startswith(b"GET /b%2Fc?x=%20y|z&sig=a%2Bb== HTTP/1.1\r\n")
