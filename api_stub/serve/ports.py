"""Sockets bound before anything starts: a port that is taken is said at once, and no other program can take ours later."""

from __future__ import annotations

import errno
import os
import socket
from urllib.parse import urlsplit


class PortTaken(Exception):
    """The address cannot be used; the message says which and what to do."""


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio looks for it: only then does an answer leave at once, not 40 ms later (Nagle).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as reason:
        listener.close()
        if reason.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} is taken on {host}: stop what uses it, or choose another with {option}") from None
        said = reason.strerror or os.strerror(reason.errno) if reason.errno else str(reason)
        raise PortTaken(f"cannot listen on {host}:{port}: {said}") from None
    return listener


def number(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def listen_on_first(*preferred: int) -> socket.socket:
    """A socket of this machine that listens on the first of `preferred` that is free, else on any port."""
    for port in preferred:
        try:
            return listen("127.0.0.1", port)
        except PortTaken:
            continue
    return listen("127.0.0.1", 0)


def free(*preferred: int) -> int:
    """A port of this machine nobody listens on: the first of `preferred` that is free, else any.

    For programs that must be told a number. Somebody may take it before they do; then they say so, and end.
    """
    with listen_on_first(*preferred) as listener:
        return number(listener)


def reachable_host(host: str) -> str:
    """The host to connect to for a server that listens on `host`, as it stands in a URL."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"[{host}]" if ":" in host else host


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
