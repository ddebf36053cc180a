"""Callers of the API, each a tenant of its own, and the hands of the workers their jobs would meet."""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import servers
import uvicorn
from PIL import Image
from sqlalchemy import insert
from sqlmodel import Session

from api_stub.afterwards import Afterwards
from jobs.db import now
from jobs.errors import JobError
from jobs.ids import new_client_ref, new_id
from jobs.life import Moved
from jobs.models import Artifact, Attempt, Job
from jobs.queries import attempts, keys
from workers.context import Context

Json = dict[str, Any]
#: What every test may submit.
SPEECH: Json = {"operation": "openai.speech", "input": {"model": "tts-1", "voice": "alloy", "input": "The harbour is calm."}}
VIDEO: Json = {"operation": "kling.text_to_video", "input": {"prompt": "A paper boat in the rain", "duration": "5"}}


_numbers = itertools.count()


def next_number() -> int:
    """A number nobody had before."""
    return next(_numbers)


#: Starts an API on a database, with settings of its own.
Serve = Callable[..., "Served"]


@dataclass(frozen=True)
class Served:
    """A running API."""

    url: str
    context: Context
    bootstrap_key: str
    afterwards: Afterwards
    server: uvicorn.Server
    callers: list[Caller] = field(default_factory=list)

    def tenant(self, name: str = "") -> Caller:
        with self.context.database.transaction() as session:
            key, secret = keys.create(session, name or f"tenant-{next_number()}")
        self.callers.append(Caller(self, key.tenant_id, key.id, secret))
        return self.callers[-1]

    def rest(self) -> None:
        """Returns when all that earlier requests began is over: some of it begins when they have their answers."""
        servers.eventually(lambda: not self.server.server_state.tasks, what="the end of earlier requests")
        pool = self.afterwards._pool
        all_free = threading.Barrier(pool._max_workers + 1)
        for _ in range(pool._max_workers):
            pool.submit(all_free.wait, servers.PATIENCE_S)
        all_free.wait(servers.PATIENCE_S)

    def close(self) -> None:
        for caller in self.callers:
            caller.http.close()
        self.context.close()


#: For all callers: loading the CA bundle takes longer than most tests.
TLS = httpx2.create_ssl_context(trust_env=False)


class Caller:
    """A tenant with a key and a client that sends it, and the hands of the workers that this tenant's jobs would meet."""

    def __init__(self, served: Served, tenant_id: str, key_id: str, key: str) -> None:
        self.served = served
        self.context = served.context
        self.tenant_id = tenant_id
        self.key_id = key_id
        self.key = key
        headers = {"authorization": f"Bearer {key}"}
        self.http = httpx2.Client(base_url=served.url, headers=headers, timeout=30, trust_env=False, verify=TLS)

    def submit(self, document: Json | None = None, **headers: str) -> Json:
        answer = self.http.post("/v1/jobs", json=SPEECH if document is None else document, headers=headers)
        assert answer.status_code == 202, answer.text
        job: Json = answer.json()
        return job

    def job(self, job_id: str) -> Json:
        found: Json = self.http.get(f"/v1/jobs/{job_id}").json()
        return found

    # What workers do ------------------------------------------------------------------------------------------------------

    def move(self, job_id: str, name: str, **changes: Any) -> Moved:
        with self.context.database.transaction() as session:
            moved = self.context.life.move(session, job_id, name, actor="test", **changes)
        assert moved is not None, f"{name} was not possible"
        return moved

    def send(self, job_id: str) -> str:
        """The paid call is on the wire; the id of its attempt."""
        attempt_id = new_id("att")
        job = self.move(job_id, "claim", attempt_id=attempt_id, attempts=Job.attempts + 1).job
        with self.context.database.transaction() as session:
            session.execute(
                insert(Attempt).values(id=attempt_id, job_id=job_id, n=1, provider=job.provider, client_ref=new_client_ref())
            )
        return attempt_id

    def lose(self, job_id: str) -> None:
        """The answer to the paid call is lost."""
        self.send(job_id)
        self.move(job_id, "lose", due_at=None, error=JobError(code="upstream_unreachable", message="lost").as_json())

    def accept(self, job_id: str, task_id: str) -> None:
        attempt_id = self.send(job_id)
        with self.context.database.transaction() as session:
            attempts.accept(session, attempt_id, task_id, None)
        self.move(job_id, "accept", due_at=now(), accepted_at=now())

    def answer(self, job_id: str) -> None:
        """A synchronous answer is spooled."""
        attempt_id = self.send(job_id)
        with self.context.database.transaction() as session:
            attempts.answer(session, attempt_id, f"spool/{job_id}/{attempt_id}", None)
        self.move(job_id, "receive", due_at=now())

    def fail(self, job_id: str, code: str = "upstream_failed") -> None:
        self.move(job_id, "fail", error=JobError(code=code, message="it failed").as_json())

    def succeed(self, job_id: str, output: bytes | None = None, *, preview: bytes | None = None) -> bytes:
        """The job ends with one picture in storage; its bytes."""
        output = picture() if output is None else output
        self.answer(job_id)
        self.finish(job_id, output, preview=preview)
        return output

    def finish(self, job_id: str, output: bytes, *, preview: bytes | None = None) -> None:
        key, preview_key = f"jobs/{job_id}/0.png", f"jobs/{job_id}/0-preview.webp" if preview else None
        put(self.context, key, output, "image/png")
        if preview_key and preview:
            put(self.context, preview_key, preview, "image/webp")
        with self.context.database.transaction() as session:
            _add_artifact(session, job_id, key, preview_key, output)
            assert self.context.life.move(session, job_id, "finish", actor="test")


def _add_artifact(session: Session, job_id: str, key: str, preview_key: str | None, output: bytes) -> None:
    session.execute(
        insert(Artifact).values(
            id=new_id("art"),
            job_id=job_id,
            index=0,
            kind="image",
            media_type="image/png",
            size_bytes=len(output),
            sha256=hashlib.sha256(output).hexdigest(),
            key=key,
            preview_key=preview_key,
            width=8,
            height=6,
        )
    )


def put(context: Context, key: str, data: bytes, media_type: str) -> None:
    context.store.put(key, io.BytesIO(data), size_bytes=len(data), media_type=media_type, sha256=hashlib.sha256(data).hexdigest())


def picture(size: tuple[int, int] = (8, 6)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, next_number() % 256)).save(out, "PNG")
    return out.getvalue()


def problem(answer: httpx2.Response, status: int, code: str) -> Json:
    """The problem document of an answer, its form checked."""
    document: Json = answer.json()
    assert (answer.status_code, document.get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "code", "detail", "request_id"} <= document.keys()
    assert document["request_id"] == answer.headers["x-request-id"]
    return document
