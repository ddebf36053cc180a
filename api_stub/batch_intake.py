"""Taking in a batch: every line checked, then all of them stored or none. Memory stays flat: the lines wait on disk.

body → spool → check line by line → rows on a shelf (a file) → one transaction
"""

from __future__ import annotations

import json
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, BinaryIO, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlmodel import Session

from api_stub import batch_lines, intake
from api_stub.batch_lines import Limits, Piece
from api_stub.body import invalid_body
from api_stub.face import Face
from api_stub.idempotency import Claim, earlier, once
from api_stub.presenting import batch_of, shown_batches
from api_stub.problems import ApiProblem, invalid, misshapen
from api_stub.strict_json import JsonRefused, parse
from jobs import submission
from jobs.ids import new_id
from jobs.queries import batches
from jobs.settings import Settings
from jobs.submission import CallbackCheck, Checked, Metadata, Refused
from storage.spool import Spool

#: Wrong lines that are told; what is wrong with the rest shows when these are mended.
_MOST_ERRORS = 100
_ROWS_A_STATEMENT = 1000


class Envelope(BaseModel):
    """What is said of a batch as a whole. `jobs` has been cut out by then; that it was there is all that is left of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    jobs: list[Any]
    callback_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    metadata: Metadata = Field(default_factory=dict)


class Received(NamedTuple):
    """A batch as it came: its bytes, whether they are lines, and for lines what the URL said of the whole."""

    body: Spool
    lines: bool
    envelope: dict[str, Any]


class TakenBatch(NamedTuple):
    view: dict[str, Any]
    modalities: frozenset[str]
    replayed: bool


class Shelf(NamedTuple):
    """The rows of a checked batch, on disk."""

    file: BinaryIO
    total: int
    modalities: frozenset[str]


def limits_of(settings: Settings) -> Limits:
    return Limits(settings.max_batch_jobs, settings.max_line_bytes, settings.max_body_bytes)


def submit(face: Face, tenant_id: str, received: Received, *, key: str | None) -> TakenBatch:
    """Store the batch. Takes seconds for a large one; runs in a thread.

    Raises ApiProblem: 422 `batch_invalid` with up to 100 wrong lines, `batch_empty`; 413 `batch_too_large`, `line_too_long`.
    """
    database = face.context.database
    said = ["batch", received.body.sha256, received.lines, received.envelope]
    claim = Claim(tenant_id, key, submission.request_hash(said)) if key else None
    if first := earlier(database, claim):
        return _look(face, tenant_id, first)
    batch_id = new_id("batch")
    with _opened(received, limits_of(face.context.settings)) as (envelope, pieces), tempfile.TemporaryFile() as file:
        callback = intake.callback_check(face.rules)
        if envelope.callback_url and (problem := callback(envelope.callback_url)):
            raise invalid([problem.as_json()])
        shelf = _Checks(face, tenant_id, batch_id, envelope.callback_url, callback).shelve(pieces, file)

        def write(session: Session) -> None:
            batches.add(
                session, batch_id, tenant_id, total=shelf.total, callback_url=envelope.callback_url, metadata=envelope.metadata
            )
            for rows in _rows(shelf.file):
                submission.store(session, rows)

        made = once(database, claim, batch_id, write)
    return _look(face, tenant_id, made) if made != batch_id else _look(face, tenant_id, made, shelf.modalities)


class _Checks:
    """One batch's checks. What is wrong is gathered line by line; what is right goes onto the shelf."""

    def __init__(self, face: Face, tenant_id: str, batch_id: str, default_callback: str | None, callback: CallbackCheck) -> None:
        self._tenant_id = tenant_id
        self._batch_id = batch_id
        self._default_callback = default_callback
        self._callback = callback
        self._files_missing = intake.files_missing(face, tenant_id)
        self._errors: list[dict[str, Any]] = []
        self._custom_ids: dict[str, int] = {}

    def shelve(self, pieces: Iterator[Piece], file: BinaryIO) -> Shelf:
        total, modalities = 0, set()
        for line, data in pieces:
            total += 1
            checked = self._check(line, data)
            if len(self._errors) >= _MOST_ERRORS:
                break
            if checked is not None and not self._errors:
                modalities.add(checked.operation.modality)
                (row,) = submission.rows(self._tenant_id, [checked], batch_id=self._batch_id, first_line=line)
                file.write(_ENCODER.encode(row).encode() + b"\n")
        if not total:
            raise ApiProblem(422, "batch_empty", "the batch has no jobs")
        if self._errors:
            shown = self._errors[:_MOST_ERRORS]
            lines = len({error["line"] for error in shown})
            detail = f"nothing was stored: {lines} line{'s are' if lines > 1 else ' is'} wrong, line {shown[0]['line']} first"
            raise ApiProblem(422, "batch_invalid", detail, errors=shown)
        file.seek(0)
        return Shelf(file, total, frozenset(modalities))

    def _check(self, line: int, data: bytes) -> Checked | None:
        try:
            document = parse(data)
            if not isinstance(document, dict):
                self._wrong(line, "body", "invalid_body", "must be a JSON object")
                return None
            checked = submission.check(
                document,
                callback=self._callback,
                files_missing=self._files_missing,
                default_callback=self._default_callback,
            )
        except JsonRefused as error:
            self._wrong(line, "body", error.code, error.detail)
            return None
        except Refused as error:
            for problem in error.problems:
                self._wrong(line, *problem)
            return None
        custom_id = checked.request.custom_id
        if custom_id is not None:
            first = self._custom_ids.setdefault(custom_id, line)
            if first != line:
                self._wrong(line, "custom_id", "duplicate_custom_id", f"is the same as in line {first}")
                return None
        return checked

    def _wrong(self, line: int, loc: str, code: str, msg: str) -> None:
        self._errors.append({"line": line, "loc": loc, "code": code, "msg": msg})


@contextmanager
def _opened(received: Received, limits: Limits) -> Iterator[tuple[Envelope, Iterator[Piece]]]:
    file = received.body.rewound()
    if received.lines:
        yield _envelope(received.envelope | {"jobs": []}), batch_lines.lines(file, limits)
        return
    if not received.body.size_bytes:
        raise invalid_body("is empty")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        cut = batch_lines.cut_jobs(body, limits)
        yield _envelope(cut.envelope), batch_lines.items(body, cut, limits)


def _envelope(document: Any) -> Envelope:
    try:
        return Envelope.model_validate(document)
    except ValidationError as error:
        raise misshapen(error) from None


def _look(face: Face, tenant_id: str, batch_id: str, modalities: frozenset[str] | None = None) -> TakenBatch:
    with face.context.database.read() as session:
        (view,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return TakenBatch(view, modalities or frozenset(), replayed=modalities is None)


def _rows(file: BinaryIO) -> Iterator[list[dict[str, Any]]]:
    while chunk := [_row(line) for line in islice(file, _ROWS_A_STATEMENT)]:
        yield chunk


def _row(line: bytes) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    return row | {"due_at": datetime.fromisoformat(row["due_at"]) if row["due_at"] else None}


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=datetime.isoformat)
