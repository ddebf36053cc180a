"""Operations that no provider has, a gateway that keeps what it is sent, and media of every kind to send it."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from typing import Any

from house import add_job
from mill import Mill

from jobs.catalogue import samples
from jobs.catalogue.schema import fields, text
from jobs.catalogue.spec import Confidence, Errors, Operation, Output, Poll, Progress, Submit
from jobs.db import now
from jobs.ids import new_id
from jobs.queries import artifacts, files

#: A picture and a sound, as bytes.
PNG, WAV = (base64.b64decode(uri.partition(",")[2]) for uri in (samples.picture(40, 30), samples.tone(0.2)))

#: Adds an operation to the catalogue for the time of a test.
Offer = Callable[[Operation], Operation]

WORDS = {"processing": Progress.RUNNING, "done": Progress.DONE, "failed": Progress.FAILED}


def operation(schema: dict[str, Any] | None = None, **changes: Any) -> Operation:
    """One call of `/v1/make` that is answered with a text, unless `changes` say otherwise."""
    declared: dict[str, Any] = {
        "name": "test.make",
        "modality": "image",
        "provider": "test",
        "summary": "A test",
        "input_schema": fields(schema or {"prompt": text()}),
        "example": {},
        "submit": Submit(path="/v1/make"),
        "outputs": (Output(kind="text", select=("[{text: text}]",)),),
        "confidence": Confidence.UNKNOWN,
        "source": "none",
    }
    return Operation(**(declared | changes))


def task(**changes: Any) -> Operation:
    """A call of `/v1/make` that is answered with a task, which `/v1/tasks/{id}` tells of; a video is its output."""
    declared: dict[str, Any] = {
        "modality": "video",
        "task_id": ("id",),
        "poll": polled("/v1/tasks/{id}"),
        "outputs": (Output(kind="video", select=("video_url",)),),
    }
    return operation(**(declared | changes))


def polled(path: str, **changes: Any) -> Poll:
    return Poll(**({"path": path, "status": ("status",), "words": WORDS, "reason": ("reason",), "give_up_s": 600} | changes))


def repeated(**changes: Any) -> Operation:
    """A result that is asked for until it is there: nothing is submitted."""
    declared: dict[str, Any] = {
        "modality": "audio",
        "input_schema": fields({"clip": text()}, required=("clip",)),
        "example": {"clip": "c1"},
        "submit": None,
        "dedupe": {"grade": "A"},
        "errors": Errors(in_200="code != null && code != 'success'"),
        "poll": polled("/v1/clips/{clip}/wav", status=("url && 'done' || 'processing'",)),
        "outputs": (Output(kind="audio", select=("url",)),),
    }
    return operation(**(declared | changes))


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def data_uri(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{b64(content)}"


def upload(mill: Mill, content: bytes = PNG, filename: str = "a kite.png", media_type: str = "image/png") -> dict[str, str]:
    """An input file of the tenant's, as an input names it."""
    file_id = new_id("file")
    key = f"files/{file_id}.{filename.rpartition('.')[2]}"
    sha256 = _put(mill, key, content, media_type)
    with mill.database.transaction() as session:
        facts = {"kind": "image", "media_type": media_type, "size_bytes": len(content), "sha256": sha256}
        files.add(session, file_id, mill.tenant_id, filename=filename, key=key, **facts)
    return {"file": file_id}


def artifact(mill: Mill, content: bytes = PNG, media_type: str = "image/png") -> dict[str, Any]:
    """The one output of a job that has succeeded, as an input names it."""
    job_id = add_job(mill.database, mill.tenant_id, status="succeeded", due_at=None, finished_at=now())
    key = f"jobs/{job_id}/0.{media_type.rpartition('/')[2]}"
    sha256 = _put(mill, key, content, media_type)
    with mill.database.transaction() as session:
        facts = {"kind": "image", "media_type": media_type, "size_bytes": len(content), "sha256": sha256, "key": key}
        artifacts.add(session, job_id=job_id, index=0, **facts)
    return {"job": job_id, "artifact": 0}


def _put(mill: Mill, key: str, content: bytes, media_type: str) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    mill.context.store.put(key, io.BytesIO(content), size_bytes=len(content), media_type=media_type, sha256=sha256)
    return sha256
