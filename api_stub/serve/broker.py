"""The broker that needs no installation: fakeredis behind a TCP port, tuned until Celery can live on it.

    python -m api_stub.serve.broker LISTENING_FD

As shipped it moves 11 tasks a second, because every reply waits for the other side's delayed acknowledgement (Nagle) and leaves
in many small writes. With both mended it moves 350 to 425. Lives in memory: what is lost with it is found again in SQL.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from typing import Any

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

from api_stub.serve import notify


class _Handler(TCPFakeRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = 65536

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            pass  # the client left before the last reply
        finally:
            # Left behind, the entry would be handed to the next client that comes from the same port.
            self.server.clients.pop(self.client_address, None)


class Broker(TcpFakeServer):
    """Takes a socket that listens already, and lets nobody hold up the end."""

    request_queue_size = 128

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()
        self.RequestHandlerClass = _Handler
        # fakeredis sets it on the instance: with False, closing waits for every connection's thread.
        self.daemon_threads = True
        self.block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away in the middle of a reply. It reconnects, and says itself what it missed.
        del request, client_address


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    broker = Broker(socket.socket(fileno=int(arguments[0])))
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    threading.Thread(target=broker.serve_forever, args=(0.1,), name="broker", daemon=True).start()
    notify.ready()
    ended.wait()
    broker.shutdown()
    broker.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
