"""An HTTP server of a few lines that keeps every request as it came, and answers what the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Field(NamedTuple):
    """One part of a multipart body. A text field has no file name and no type."""

    name: str
    filename: str | None
    media_type: str | None
    content: bytes


@dataclass(frozen=True)
class Request:
    """What arrived, to the byte. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> list[Field]:
        """The parts of a multipart body, in order."""
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts()
        return [
            Field(
                part.get_param("name", header="content-disposition"),
                part.get_filename(),
                part.get_content_type() if "content-type" in part else None,
                part.get_payload(decode=True),
            )
            for part in parts
        ]


@dataclass(frozen=True)
class Answer:
    """`body` is sent as it is, or as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Recorder:
    """`answer` decides for each request; without one, everything is 404."""

    url: str = ""
    answer: Callable[[Request], Answer] = lambda _: Answer({"error": {"message": "nothing here"}}, 404)
    requests: list[Request] = field(default_factory=list)

    def to(self, path: str) -> list[Request]:
        """The requests for this path."""
        return [request for request in self.requests if request.path == path]

    def serve(self, table: dict[str, Any]) -> None:
        """Answers by path. A list is used up one by one, its last stays; what is no Answer is the body of one."""
        left = {path: list(row) if isinstance(row, list) else [row] for path, row in table.items()}

        def answer(request: Request) -> Answer:
            row = left.get(request.path)
            if row is None:
                return Answer({"error": {"message": "nothing here"}}, 404)
            said = row.pop(0) if len(row) > 1 else row[0]
            return said if isinstance(said, Answer) else Answer(said)

        self.answer = answer


@contextmanager
def recorder() -> Iterator[Recorder]:
    kept = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            request = Request(self.command, parts.path, parse_qs(parts.query), headers, body)
            kept.requests.append(request)
            answer = kept.answer(request)
            self.send_response(answer.status)
            declared = {"content-type": "application/octet-stream" if isinstance(answer.body, bytes) else "application/json"}
            for name, value in ({**declared, "content-length": str(len(answer.content))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Silence: what came is in `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)
