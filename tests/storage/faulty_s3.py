"""A proxy in front of an S3 server that refuses, forgets or drops as told: faults at the protocol, nothing patched."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What a fault decides by. `verb` is the S3 operation as we name it: put, part, create, complete, abort, head, get, …"""

    verb: str
    method: str
    path: str
    query: dict[str, list[str]]
    conditional: bool


@dataclass(frozen=True)
class Refuse:
    """Answer this without asking the server."""

    status: int
    code: str
    page: bytes | None = None


#: None passes the request on; "drop" lets the server do it and loses the answer; "cut" sends half of the answer.
Fault = Callable[[Request], Refuse | Literal["drop", "cut"] | None]


@dataclass
class FaultyS3:
    target: str
    fault: Fault = lambda _: None
    port: int = 0
    seen: list[Request] = field(default_factory=list)

    def __enter__(self) -> "FaultyS3":
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def verbs(self) -> list[str]:
        return [request.verb for request in self.seen]


def _verb(method: str, query: dict[str, list[str]]) -> str:
    if method == "POST":
        return "create" if "uploads" in query else "complete"
    if method == "PUT":
        return "part" if "partNumber" in query else "put"
    if method == "DELETE":
        return "abort" if "uploadId" in query else "delete"
    return method.lower()


def _handler(proxy: FaultyS3) -> type[BaseHTTPRequestHandler]:
    target = urlsplit(proxy.target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            request = Request(_verb(self.command, query), self.command, parts.path, query, self.headers.get("If-None-Match") == "*")
            proxy.seen.append(request)
            fault = proxy.fault(request)
            if isinstance(fault, Refuse):
                error = f"<Error><Code>{fault.code}</Code></Error>".encode()
                self._answer(fault.status, [], error if fault.page is None else fault.page)
                return
            status, headers, answer = self._forward(body)
            if fault == "drop":
                self.close_connection = True
            else:
                self._answer(status, headers, answer, cut=fault == "cut")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
            try:
                skipped = {"expect", "connection"}
                headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
                connection.request(self.command, self.path, body=body, headers=headers)
                response = connection.getresponse()
                return response.status, response.getheaders(), response.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False) -> None:
            self.send_response(status)
            told = {name.lower() for name, _ in headers}
            for name, value in headers:
                if name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                    self.send_header(name, value)
            if "content-length" not in told:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler
