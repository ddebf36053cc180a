"""WebSockets to the gateway: no redirects, no proxies of the environment, our TLS, a cap on every message."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from ssl import SSLContext
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from workers.egress.seam import tls_context

_OPEN_S = 15.0
_CLOSE_S = 2.0

# At DEBUG it logs every frame, and the key with the handshake.
logging.getLogger("websockets").setLevel(logging.WARNING)


class _Straight(connect):
    """The host the operator named, and no other: a redirect is an answer like any refusal."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(
    base_url: str, path: str, *, headers: Mapping[str, str], subprotocols: Sequence[str] = (), cap_bytes: int
) -> ClientConnection:
    """An open connection to `path` below the gateway's http(s) address.

    Raises websockets.InvalidStatus with the refusal's answer, InvalidHandshake, OSError or TimeoutError: nothing was said yet.
    """
    url = _socket_url(base_url, path)
    return await _Straight(
        url,
        additional_headers=dict(headers),
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        user_agent_header=None,
        compression=None,
        proxy=None,
        ssl=_tls() if url.startswith("wss:") else None,
        open_timeout=_OPEN_S,
        close_timeout=_CLOSE_S,
        # Whoever talks notices silence. A proxy that answers no ping must not end a reply that is being paid for.
        ping_interval=None,
        max_size=cap_bytes,
    )


@cache
def _tls() -> SSLContext:
    return tls_context()


def _socket_url(base_url: str, path: str) -> str:
    base = urlsplit(base_url)
    asked = urlsplit(path)
    scheme = "wss" if base.scheme == "https" else "ws"
    return urlunsplit((scheme, base.netloc, base.path.rstrip("/") + asked.path, asked.query, ""))
