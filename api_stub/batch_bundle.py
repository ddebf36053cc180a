"""Everything a batch made, as one ZIP archive: `manifest.ndjson`, then the files it names, then `errors.ndjson` if one was lost.

The archive has what the manifest says, which is what had ended when its line was written; the batch may go on meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import structlog
from sqlmodel import Session

from api_stub.batch_results import A_PAGE, json_line, pages
from api_stub.face import Face
from api_stub.zip_stream import ZipStream
from jobs.models import Artifact, Batch, Job
from jobs.queries import jobs
from jobs.states import FINAL
from storage import StorageRefused, StorageUnavailable, Store
from storage.names import TYPES, safe_filename, short_filename

log = structlog.get_logger()

MANIFEST, ERRORS = "manifest.ndjson", "errors.ndjson"

_READ_BYTES = 256 * 1024
#: Times an output is opened again where it broke off.
_TRIES = 5
#: Outputs in a row that storage could not give: then it is storage that is away, and not a file.
_MOST_IN_A_ROW = 3
#: A file on disk may have a name of 255 bytes; number, index and extension need their part.
_NAME_BYTES = 160
#: More than a line of the manifest can have, with 64 outputs and an error.
_LINE_BYTES = 32 * 1024

_GONE = ("gone", "the file is no longer in storage")
_DAMAGED = ("damaged", "storage has another file in its place")


class NotWhole(Exception):
    """An output cannot be had from storage. `code`: gone, damaged or unreadable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Planned(NamedTuple):
    """A file of the archive and the row it is made of: an artifact, or the job itself for its JSON result."""

    name: str
    job: Job
    artifact: Artifact | None


def stream(face: Face, batch: Batch) -> Generator[bytes]:
    """The archive's bytes. Raises StorageUnavailable, in the middle, when storage is away: half an archive is none."""
    with tempfile.TemporaryFile() as manifest, tempfile.TemporaryFile() as errors:
        archive = ZipStream()
        lines = _written(manifest, _manifest(face, batch))
        yield from archive.entry(MANIFEST, lines, size_bytes=batch.total * _LINE_BYTES, at=batch.created_at, pack=True)
        manifest.seek(0)
        yield from _files(face, archive, manifest, errors)
        if size_bytes := errors.tell():
            errors.seek(0)
            yield from archive.entry(ERRORS, _blocks(errors), size_bytes=size_bytes, at=batch.created_at, pack=True)
        yield from archive.end()


def _manifest(face: Face, batch: Batch) -> Iterator[bytes]:
    for page in pages(face, batch.tenant_id, batch.id):
        with face.context.database.read() as session:
            found = jobs.on_lines(session, page)
            made = jobs.artifacts_of(session, [job.id for job in found if job.status in FINAL])
        for job in found:
            yield json_line(
                {
                    "line": job.line,
                    "custom_id": job.custom_id,
                    "job_id": job.id,
                    "operation": job.operation,
                    "status": job.status,
                    "final": job.status in FINAL,
                    "error": job.error,
                    "files": [_facts(planned) for planned in _plan(job, made.get(job.id, ()))],
                }
            )


def _plan(job: Job, made: Iterable[Artifact]) -> Iterator[_Planned]:
    """The files of a job."""
    stem = f"{job.line}-{short_filename(safe_filename(job.custom_id or job.id), _NAME_BYTES)}"
    for artifact in made:
        extension = artifact.key.rpartition(".")[2]
        yield _Planned(f"{stem}-{artifact.index}.{extension if extension in TYPES else 'bin'}", job, artifact)
    if job.status in FINAL and job.output is not None:
        yield _Planned(f"{stem}-output.json", job, None)


def _facts(planned: _Planned) -> dict[str, Any]:
    name, job, artifact = planned
    if artifact is None:
        output = json_line(job.output)
        digest = hashlib.sha256(output).hexdigest()
        return {"name": name, "index": None, "sha256": digest, "bytes": len(output), "media_type": TYPES["json"]}
    return {
        "name": name,
        "index": artifact.index,
        "sha256": artifact.sha256,
        "bytes": artifact.size_bytes,
        "media_type": artifact.media_type,
    }


def _files(face: Face, archive: ZipStream, manifest: BinaryIO, errors: BinaryIO) -> Generator[bytes]:
    away = 0
    for job_id, facts, planned in _planned_again(face, manifest):
        chunks, at = _content(face.context.store, planned), _made_at(planned)
        try:
            yield from archive.entry(facts["name"], chunks, size_bytes=facts["bytes"], at=at, pack=facts["index"] is None)
            away = 0
        except (NotWhole, StorageUnavailable) as error:
            away = away + 1 if isinstance(error, StorageUnavailable) else 0
            if away >= _MOST_IN_A_ROW:
                raise
            code = error.code if isinstance(error, NotWhole) else "storage_unavailable"
            log.warning("not_in_bundle", job_id=job_id, file=facts["name"], code=code)
            errors.write(json_line({"job_id": job_id, "name": facts["name"], "code": code, "message": str(error)}))


def _content(store: Store, planned: _Planned | None) -> Iterator[bytes]:
    if planned is None:
        raise NotWhole(*_GONE)
    if planned.artifact is None:
        yield json_line(planned.job.output)
    else:
        yield from read_whole(store, planned.artifact)


def _made_at(planned: _Planned | None) -> datetime | None:
    return None if planned is None else planned.artifact.created_at if planned.artifact else planned.job.finished_at


def _planned_again(face: Face, manifest: BinaryIO) -> Iterator[tuple[str, dict[str, Any], _Planned | None]]:
    """The files that the manifest names, in its order, each with its row; None where that was deleted meanwhile."""
    while page := [json.loads(line) for line in islice(manifest, A_PAGE)]:
        with face.context.database.read() as session:
            rows = _rows(session, [line["job_id"] for line in page if line["files"]])
        for line in page:
            by_name = {planned.name: planned for planned in rows.get(line["job_id"], ())}
            for facts in line["files"]:
                yield line["job_id"], facts, by_name.get(facts["name"])


def _rows(session: Session, job_ids: list[str]) -> dict[str, list[_Planned]]:
    """The files of these jobs. A job that has ended never changes, and neither do its outputs."""
    made = jobs.artifacts_of(session, job_ids)
    return {job.id: list(_plan(job, made[job.id])) for job in jobs.on_lines(session, job_ids)}


def read_whole(store: Store, artifact: Artifact) -> Iterator[bytes]:
    """The output's bytes, checked against its row; where the connection breaks it goes on from there.

    Raises NotWhole, at the latest after the last byte, and StorageUnavailable.
    """
    digest = hashlib.sha256()
    done, tries = 0, 0
    while done < artifact.size_bytes:
        try:
            with store.open(artifact.key) as file:
                _skip(file, done)
                while chunk := file.read(_READ_BYTES):
                    done += len(chunk)
                    if done > artifact.size_bytes:
                        raise NotWhole(*_DAMAGED)
                    digest.update(chunk)
                    yield chunk
            break
        except FileNotFoundError:
            raise NotWhole(*_GONE) from None
        except StorageRefused as error:
            raise NotWhole("unreadable", str(error)) from None
        except StorageUnavailable:
            tries += 1
            if tries >= _TRIES:
                raise
    if done != artifact.size_bytes or digest.hexdigest() != artifact.sha256:
        raise NotWhole(*_DAMAGED)


def _skip(file: BinaryIO, count: int) -> None:
    while count > 0 and (chunk := file.read(min(count, _READ_BYTES))):
        count -= len(chunk)


def _written(file: BinaryIO, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, written down as they pass."""
    for line in lines:
        file.write(line)
        yield line


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_READ_BYTES):
        yield block
