"""What a URL may be, decided without a packet (rules 1-3), and what its addresses may be (rule 5)."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import httpx2
import idna
from pydantic_core import Url
from ssrfguard import Policy

from workers.egress.addresses import DENIED, IPAddress, IPNetwork
from workers.egress.errors import UrlRefused

PORTS = frozenset({80, 443, 8443})
_DEFAULT_PORT = {"http": 80, "https": 443}

#: Names that mean something only inside a network. The address rules bind; this spares the lookup.
_INSIDE = frozenset({"localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa"})

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_AUTHORITY = re.compile(r"//([^/?#]+)")
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::(.*))?")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_BRACKETED_V6 = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# The last label of no name is a number; getaddrinfo and browsers read such a host as an IPv4 address.
_NUMERIC_TAIL = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
# Percent-encoded NUL and CRLF: some other parser on the way will decode them.
_ENCODED_BREAK = re.compile(r"%00|%0d%0a", re.IGNORECASE)


def shown(text: str) -> str:
    """`text` as a refusal may echo it: escaped, at most 64 characters."""
    return text[:64].encode("unicode_escape").decode("ascii")[:64]


@dataclass(frozen=True)
class EgressRules:
    """What callbacks and downloads may reach. The default is: public hosts, by name, over https.

    `allow_cidrs`: private ranges they may reach besides, such as ("127.0.0.0/8", "::1/128"). Inside them
    everything that makes a target look private is allowed too: any port, plain http, an IP literal, a name
    without a dot; embedded mode and tests live on http://127.0.0.1:PORT. It is a list of addresses, never of
    names: a name such as http://localhost:9000 passes `check_url` on credit and is held to it at connect, where
    *all* its answers must lie inside (localhost usually answers ::1 as well).
    `deny_cidrs`: ranges they may never reach; wins over `allow_cidrs`.
    `allow_http`: plain http to public hosts.
    `extra_ports`: allowed besides 443, 80 and 8443.
    `own_hosts`: our own listeners (API, Flower, S3), as lower-case host or address with its port.
    `max_url_chars`: 2,048 for what users give; signed download URLs of some vendors are longer.

    Raises ValueError for a range that is not one, or that would let a translation prefix through undecoded.
    """

    allow_cidrs: tuple[str, ...] = ()
    allow_http: bool = False
    extra_ports: frozenset[int] = frozenset()
    own_hosts: frozenset[tuple[str, int]] = frozenset()
    deny_cidrs: tuple[str, ...] = ()
    max_url_chars: int = 2048
    _allowed: tuple[IPNetwork, ...] = field(init=False, repr=False, compare=False)
    _never: tuple[IPNetwork, ...] = field(init=False, repr=False, compare=False)
    _policy: Policy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        allowed = tuple(ip_network(cidr) for cidr in self.allow_cidrs)
        object.__setattr__(self, "_allowed", allowed)
        object.__setattr__(self, "_never", tuple(ip_network(cidr) for cidr in self.deny_cidrs))
        object.__setattr__(self, "_policy", Policy(denied_networks=DENIED, allowed_networks=allowed))
        object.__setattr__(self, "own_hosts", frozenset((_plain(host), port) for host, port in self.own_hosts))

    def permits(self, address: IPAddress) -> bool:
        """May anything connect to this address? Public and not denied, or allowed by the operator."""
        return not _within(address, self._never) and self._policy.permits_address(address)

    def allows(self, address: IPAddress) -> bool:
        """Did the operator allow this very address?"""
        return _within(address, self._allowed) and not _within(address, self._never)

    def check_answers(self, target: Target, answers: tuple[IPAddress, ...]) -> None:
        """Hold the addresses a target leads to against the rules; one bad answer refuses them all.

        A name that answers both public and private is how rebinding starts, not how anyone runs a service.
        The refusal does not say which address it was: that would make us a map of the operator's network.
        """
        if any((str(answer), target.port) in self.own_hosts for answer in answers):
            raise UrlRefused("self_target_refused", f"{shown(target.host)} is this installation itself")
        if not answers or not all(self.permits(answer) for answer in answers):
            raise UrlRefused("address_not_public", f"{shown(target.host)} leads to an address that is not public")
        if target.debt is not None and not all(self.allows(answer) for answer in answers):
            raise target.debt


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed the rules.

    `url` is canonical: every later step parses this string and no other. `address` is set for an IP literal.
    `debt` is the refusal that still stands unless every address of the host lies in `allow_cidrs`.
    """

    url: str
    scheme: str
    host: str
    port: int
    address: IPAddress | None
    debt: UrlRefused | None


def check_url(url: str, rules: EgressRules) -> str:
    """The canonical form of `url`, or UrlRefused with a reason of table B. No DNS, no packet.

    Necessary, not sufficient: where a *name* leads is checked at connect, on every new connection.
    """
    return examine(url, rules).url


def examine(url: str, rules: EgressRules) -> Target:
    """`check_url`, with the parsed parts."""
    _refuse_unreadable(url, rules.max_url_chars)
    scheme, host_text, port_text = _parts(url)
    port = _port(port_text, scheme)
    address = _literal(host_text, rules)
    host = str(address) if address else _name(host_text)
    parsed = _agreed(url, scheme, host, port)
    if (host, port) in rules.own_hosts:
        raise UrlRefused("self_target_refused", f"{shown(host)} is this installation itself")
    debt = None if address else _debt(scheme, host, port, rules)
    if debt is not None and not rules.allow_cidrs:
        raise debt
    bracketed = f"[{host}]" if ":" in host else host
    suffix = "" if port == _DEFAULT_PORT[scheme] else f":{port}"
    canonical = f"{scheme}://{bracketed}{suffix}{parsed.raw_path.decode('ascii')}"
    return Target(canonical, scheme, host, port, address, debt)


def _refuse_unreadable(url: str, max_chars: int) -> None:
    """What two parsers would read differently is refused before the first one sees it."""
    if len(url) > max_chars:
        raise UrlRefused("url_too_long", f"a URL may have {max_chars:,} characters, this one has {len(url):,}")
    if any(char <= " " or char in "\x7f\\" for char in url):
        raise UrlRefused("malformed_url", "a URL may not contain blanks, control characters or backslashes")
    if _ENCODED_BREAK.search(url):
        raise UrlRefused("malformed_url", "a URL may not contain an encoded NUL or line break")


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host and port as written."""
    scheme = _SCHEME.match(url)
    if not scheme:
        raise UrlRefused("malformed_url", "a URL must start with https://")
    if scheme[1].lower() not in _DEFAULT_PORT:
        raise UrlRefused("scheme_refused", f"scheme {shown(scheme[1])} is not allowed")
    authority = _AUTHORITY.match(url, scheme.end())
    if not authority:
        raise UrlRefused("malformed_url", "a URL must name a host after //")
    if "@" in authority[1]:
        raise UrlRefused("userinfo_refused", "a URL may not carry a user name or password")
    if "#" in url:
        raise UrlRefused("fragment_refused", "a URL may not carry a fragment")
    both = _HOST_PORT.fullmatch(authority[1])
    if not both:
        raise UrlRefused("malformed_url", f"{shown(authority[1])} is not a host with a port")
    return scheme[1].lower(), both[1], both[2] or ""


def _port(text: str, scheme: str) -> int:
    if not text:
        return _DEFAULT_PORT[scheme]
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise UrlRefused("malformed_url", f"{shown(text)} is not a port")
    if int(text) == 0:  # some system calls read it as "any"
        raise UrlRefused("port_refused", "port 0 is not allowed")
    return int(text)


def _literal(host: str, rules: EgressRules) -> IPAddress | None:
    """The address, if the host is one and the operator allowed it; None for a name; else a refusal."""
    if host.startswith("["):
        return _literal_v6(host, rules)
    plain = host.removesuffix(".")
    if not plain.isascii() or not _NUMERIC_TAIL.fullmatch(plain):
        return None
    try:
        # What getaddrinfo understands, and through it every client: 127.1, 0x7f.1, 017700000001, 2130706433.
        address = IPv4Address(socket.inet_aton(plain))
    except OSError:
        raise UrlRefused("malformed_host", f"{shown(host)} is neither a name nor an address") from None
    if str(address) == host and rules.allows(address):
        return address
    # Loopback is refused as a literal, in all its spellings alike (B1-B8), the other ranges by name.
    if address.is_loopback or rules.permits(address):
        raise UrlRefused("ip_literal_refused", f"{shown(host)} is an IP address; give a host name")
    raise UrlRefused("address_not_public", f"{shown(host)} is not a public address")


def _literal_v6(host: str, rules: EgressRules) -> IPAddress:
    try:
        address = IPv6Address(host[1:-1] if _BRACKETED_V6.fullmatch(host[1:-1]) else "")
    except AddressValueError:
        raise UrlRefused("malformed_host", f"{shown(host)} is not an IPv6 address") from None
    if rules.allows(address):
        return address
    if rules.permits(address):
        raise UrlRefused("ip_literal_refused", f"{shown(host)} is an IP address; give a host name")
    raise UrlRefused("address_not_public", f"{shown(host)} is not a public address")


def _name(text: str) -> str:
    """The host name as DNS and TLS will see it: lower case, A-labels, no final dot."""
    if "%" in text:
        raise UrlRefused("malformed_url", f"{shown(text)} is percent-encoded; a host name never is")
    try:
        name = text.lower() if text.isascii() else idna.encode(text.lower()).decode("ascii")
    except UnicodeError:  # idna.IDNAError is one
        raise UrlRefused("malformed_host", f"{shown(text)} is not an international domain name") from None
    name = name.removesuffix(".")
    if not _NAME.fullmatch(name) or _NUMERIC_TAIL.fullmatch(name):
        raise UrlRefused("malformed_host", f"{shown(text)} is not a host name")
    return name


def _agreed(url: str, scheme: str, host: str, port: int) -> httpx2.URL:
    """The URL as httpx2 reads it, once urlsplit, pydantic and httpx2 read the same target as we did."""
    try:
        split, whatwg, ours = urlsplit(url), Url(url), httpx2.URL(url)
        readings = {
            (split.scheme, _same(split.hostname or ""), split.port),
            (whatwg.scheme, _same(whatwg.host or ""), whatwg.port),
            (ours.scheme, _same(ours.raw_host.decode("ascii")), ours.port),
        }
    except (ValueError, httpx2.InvalidURL):  # pydantic's ValidationError and UnicodeError are ValueErrors
        raise UrlRefused("malformed_host", f"{shown(host)} is not a host every parser accepts") from None
    default = _DEFAULT_PORT[scheme]
    if {(s, h, default if p is None else p) for s, h, p in readings} != {(scheme, host, port)}:
        raise UrlRefused("malformed_url", f"{shown(host)} is read differently by different parsers")
    return ours


def _same(host: str) -> str:
    """One spelling for what the three parsers may return in several."""
    host = _plain(host.removeprefix("[").removesuffix("]"))
    if ":" in host:
        return str(ip_address(host))
    return host if host.isascii() else idna.encode(host).decode("ascii").removesuffix(".")


def _debt(scheme: str, host: str, port: int, rules: EgressRules) -> UrlRefused | None:
    """Why a name is refused, unless it turns out to lead into the operator's own ranges."""
    if _is_inside(host):
        return UrlRefused("host_not_public", f"{shown(host)} is not a public host name")
    if port not in PORTS | rules.extra_ports:
        return UrlRefused("port_refused", f"port {port} is not allowed")
    if scheme == "http" and not rules.allow_http:
        return UrlRefused("https_required", "the URL must start with https://")
    return None


def _is_inside(host: str) -> bool:
    labels = host.split(".")
    return len(labels) == 1 or labels[-1] in _INSIDE or ".".join(labels[-2:]) in _INSIDE


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _within(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
