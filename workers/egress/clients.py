"""The clients: who may be called by each, and with what patience. Nothing else in the product makes one."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import httpx2

from workers.egress.errors import NotSent, UrlRefused
from workers.egress.rules import EgressRules, Target, check_url, examine, shown
from workers.egress.seam import Admission, Net, Resolver, SeamTransport, operator_resolve, resolved, system_resolve

#: httpx2's pool is linear in its connections: 20 carry 1,780 requests a second, 200 carry 870. See ClientShards.
MAX_CONNECTIONS = 20
#: Node's and uvicorn's servers close an idle connection after 5 s: be earlier than they are.
KEEPALIVE_S = 4.0
#: A poll is free to repeat, and most gateways keep 60 s or more: trade a rare lost answer for fewer handshakes.
UPSTREAM_KEEPALIVE_S = 15.0
MAX_HOPS = 3
#: Refusals at create are answered on this grid, so that their timing says nothing about our DNS.
REFUSAL_S = 0.05

# At INFO httpx2 logs every URL, and with it signatures and keys in queries.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Timeouts:
    """Seconds for each phase of an exchange; `total_s` of the call bounds them all. None is no limit of its own."""

    connect_s: float = 5.0
    read_s: float | None = None
    write_s: float = 30.0
    pool_s: float = 5.0

    def for_httpx(self) -> httpx2.Timeout:
        return httpx2.Timeout(connect=self.connect_s, read=self.read_s, write=self.write_s, pool=self.pool_s)


SUBMIT = Timeouts()
POLL = Timeouts(connect_s=3.0, read_s=10.0)
DOWNLOAD = Timeouts(read_s=15.0)


class Gate(Protocol):
    """Who a client may talk to."""

    def canonical(self, url: str) -> str:
        """`url` as it will be requested, or UrlRefused."""

    def follows(self, current: str, hop: str) -> str:
        """`hop`, a redirect's target, as it will be requested, or UrlRefused."""

    def admit(self, url: httpx2.URL) -> Admission:
        """Leave to connect for a request to `url`, or UrlRefused. Asked for every request, pooled or not."""


class _OneHost:
    """The host the operator named, whatever its address."""

    def __init__(self, base_url: str) -> None:
        base = httpx2.URL(base_url)
        if base.scheme not in ("http", "https") or not base.raw_host or base.userinfo:
            raise ValueError(f"an upstream base URL must be http(s)://host[:port][/path], not {shown(base_url)!r}")
        self._origin = _origin(base)

    def canonical(self, url: str) -> str:
        return url

    def follows(self, current: str, hop: str) -> str:
        raise UrlRefused("redirect_refused", "this client follows no redirects")

    def admit(self, url: httpx2.URL) -> Admission:
        if _origin(url) != self._origin or url.userinfo:
            raise UrlRefused("upstream_url_refused", f"{shown(url.host)} is not the host of this provider")
        return Admission(self._origin[1], self._origin[2], lambda answers: None)


class _ByRules:
    """Whoever the rules let through, and the hosts the operator named."""

    def __init__(self, rules: EgressRules, trusted_hosts: frozenset[tuple[str, int]] = frozenset()) -> None:
        self._rules = rules
        self._trusted = frozenset((host.lower(), port) for host, port in trusted_hosts)

    def canonical(self, url: str) -> str:
        return str(httpx2.URL(url)) if self._trusts(url) else check_url(url, self._rules)

    def follows(self, current: str, hop: str) -> str:
        # Only a trusted host may send us on to a trusted one: a stranger's redirect must not reach the
        # operator's own gateway.
        target = self.canonical(hop) if self._trusts(current) else check_url(hop, self._rules)
        if current.startswith("https:") and not target.startswith("https:"):
            raise UrlRefused("https_required", "a redirect leads from https to http")
        return target

    def admit(self, url: httpx2.URL) -> Admission:
        _, host, port = _origin(url)
        if self._trusts(str(url)):
            return Admission(host, port, lambda answers: None)
        target = examine(str(url), self._rules)
        if target.host != host:
            raise UrlRefused("malformed_url", f"{shown(host)} is not in its canonical form")
        return Admission(host, port, lambda answers: self._rules.check_answers(target, answers))

    def _trusts(self, url: str) -> bool:
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError):
            return False
        scheme, host, port = _origin(parsed)
        return scheme in ("http", "https") and not parsed.userinfo and (host, port) in self._trusted


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    default = 443 if url.scheme == "https" else 80
    return url.scheme, url.raw_host.decode("ascii"), default if url.port is None else url.port


def _user_agent() -> str:
    try:
        return f"mediamill/{version('mediamill')}"
    except PackageNotFoundError:  # run from a checkout
        return "mediamill/0"


class Client(httpx2.AsyncClient):
    """An httpx2 client that can only reach what its gate lets through. Made by the three functions below.

    Use it through `request_json`, `stream_to` and `post_webhook`: httpx2 itself has no total deadline and no cap.
    """

    def __init__(
        self, gate: Gate, *, timeouts: Timeouts, keepalive_s: float, max_hops: int, net: Net | None, base_url: str = ""
    ) -> None:
        self.gate = gate
        self.max_hops = max_hops
        super().__init__(
            base_url=base_url,
            transport=SeamTransport(gate.admit, net or Net(), max_connections=MAX_CONNECTIONS, keepalive_s=keepalive_s),
            headers={"User-Agent": _user_agent(), "Accept": "*/*", "Accept-Encoding": "identity"},
            # A jar that takes no cookie: one vendor account, one tenant's callback, must not colour the next.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=timeouts.for_httpx(),
            follow_redirects=False,
            trust_env=False,
        )


def upstream_client(base_url: str, *, timeouts: Timeouts = SUBMIT, net: Net | None = None) -> Client:
    """For one provider: scheme, host and port of `base_url`, which the operator named, at any address.

    A URL elsewhere raises UrlRefused `upstream_url_refused`; a URL without a host is relative to `base_url`.
    Raises ValueError for a base URL that is none.
    """
    return Client(
        _OneHost(base_url),
        timeouts=timeouts,
        keepalive_s=UPSTREAM_KEEPALIVE_S,
        max_hops=0,
        net=net or Net(resolve=operator_resolve),
        base_url=base_url,
    )


def download_client(
    rules: EgressRules,
    trusted_hosts: frozenset[tuple[str, int]] = frozenset(),
    *,
    timeouts: Timeouts = DOWNLOAD,
    net: Net | None = None,
) -> Client:
    """For outputs: rules 1-6, at most 3 redirects. `trusted_hosts` are (host, port) of upstreams the operator named."""
    return Client(_ByRules(rules, trusted_hosts), timeouts=timeouts, keepalive_s=KEEPALIVE_S, max_hops=MAX_HOPS, net=net)


def webhook_client(rules: EgressRules, *, timeouts: Timeouts = SUBMIT, net: Net | None = None) -> Client:
    """For callbacks: rules 1-5, no redirects."""
    return Client(_ByRules(rules), timeouts=timeouts, keepalive_s=KEEPALIVE_S, max_hops=0, net=net)


async def resolve_check(url: str, rules: EgressRules, *, resolve: Resolver = system_resolve) -> str:
    """`check_url`, then a look at what the name answers today. Advisory: connect decides, a name can change.

    A name without an answer passes (it may come up later), unless it needs `allow_cidrs` to pass at all.
    A refusal takes a multiple of 50 ms.
    """
    now = asyncio.get_running_loop().time
    started = now()
    try:
        target = examine(url, rules)
        await _check_answers(target, rules, resolve)
    except UrlRefused:
        await asyncio.sleep(REFUSAL_S - (now() - started) % REFUSAL_S)
        raise
    return target.url


async def _check_answers(target: Target, rules: EgressRules, resolve: Resolver) -> None:
    try:
        answers = await resolved(target.host, target.port, resolve)
    except NotSent:
        if target.debt is not None:
            raise target.debt from None
        return
    rules.check_answers(target, answers)


class ClientShards:
    """Several clients of one kind, handed out in turn, because one pool is slow with many connections.

    `shards` clients carry `shards` x 20 connections (and as many that carry one request).
    """

    def __init__(self, make: Callable[[], Client], shards: int) -> None:
        if shards < 1:
            raise ValueError(f"at least one client is needed, not {shards}")
        self._clients = tuple(make() for _ in range(shards))
        self._turn = itertools.cycle(self._clients)

    def take(self) -> Client:
        """The next client; share it, and leave closing it to `aclose`."""
        return next(self._turn)

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()
