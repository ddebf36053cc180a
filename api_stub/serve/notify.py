"""Saying that a service is ready, in systemd's words (sd_notify): one datagram `READY=1` to the socket in NOTIFY_SOCKET.

Our supervisor listens for it, and so does systemd: a unit with `Type=notify` works for every role as it stands.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path

VARIABLE = "NOTIFY_SOCKET"
_READY = b"READY=1"


def ready() -> None:
    """Tell whoever started us. Does nothing when nobody asked, or when nobody listens any more."""
    address = os.environ.get(VARIABLE, "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(_READY, "\0" + address[1:] if address.startswith("@") else address)
            except OSError:
                return


class Listener:
    """Where one child says that it is ready. `address` goes into its environment."""

    def __init__(self) -> None:
        name = f"mediamill-{os.getpid()}-{secrets.token_hex(8)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self._path: Path | None = None
        if sys.platform.startswith("linux"):
            # An abstract name leaves no file behind, whatever happens to us.
            self.address = f"@{name}"
            self.socket.bind(f"\0{name}")
        else:
            self._path = Path(tempfile.gettempdir()) / name
            self.address = str(self._path)
            self.socket.bind(self.address)

    def heard_ready(self) -> bool:
        """Read what has come; true if it says ready."""
        try:
            return _READY in self.socket.recv(4096).split(b"\n")
        except BlockingIOError:
            return False

    def close(self) -> None:
        self.socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
