"""One request on its way through the simulator."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

_PROCESS = secrets.token_hex(4)
_numbers = itertools.count(1)


def new_request_id() -> str:
    """Start time first, as the gateway's own ids have it; unique over restarts through a random part."""
    return f"{time.strftime('%Y%m%d%H%M%S', time.gmtime())}{_PROCESS}{next(_numbers):06d}"


@dataclass(slots=True)
class Exchange:
    request: Request
    #: Parts of the path, such as ``{"id": "84001"}``.
    params: dict[str, str]
    request_id: str = field(default_factory=new_request_id)
    #: Name of the API key it came with (see `keys`); empty until that was looked at.
    key: str = ""
    #: Whether it is a call or a poll, and of which operation, as far as that is known; for `answers`.
    asks: Literal["", "calls", "polls"] = ""
    operation: str = ""
    #: What the caller asked for and did not get, answered in ``x-simulator-warning``.
    warnings: list[str] = field(default_factory=list)
    #: Called when the answer is out, or its connection gone.
    afterwards: list[Callable[[], None]] = field(default_factory=list)


Handler = Callable[[Exchange], Awaitable[Response]]

#: The exchange is the handshake, which is a GET; the socket is open until the handler returns.
SocketHandler = Callable[[Exchange, WebSocket], Awaitable[None]]


class Refused(Exception):
    """The request ends here with this answer; nothing was accepted and nothing is charged.

    `kind` is the kind of refusal (a key of `dialects.GATEWAY`) where the status does not tell.
    """

    def __init__(self, response: Response, kind: str = "") -> None:
        super().__init__(response.status_code)
        self.response = response
        self.kind = kind
