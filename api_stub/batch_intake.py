"""Taking in a batch: every line checked, then all of them stored or none. Memory stays flat: the lines wait on disk.

body → spool → check line by line → rows on a shelf (a file) → check what they point at → one transaction
"""

from __future__ import annotations

import json
import mmap
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, BinaryIO, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlmodel import Session

from api_stub import admission, batch_lines, intake
from api_stub.batch_lines import Limits, Piece
from api_stub.batch_quote import Priced, Tally
from api_stub.body import invalid_body
from api_stub.face import Face
from api_stub.idempotency import Claim, earlier, once
from api_stub.presenting import batch_of, shown_batches
from api_stub.problems import ApiProblem, invalid, misshapen
from api_stub.strict_json import JsonRefused, parse
from jobs import references, submission
from jobs.ids import new_id
from jobs.pricing import Kind
from jobs.queries import batches, twins
from jobs.references import Reference
from jobs.settings import Settings
from jobs.states import FINAL, JobState
from jobs.submission import CallbackCheck, Checked, Metadata, UsdAmount
from jobs.validation import Problem, Refused
from jobs.view import amount
from storage.spool import Spool

#: Wrong lines that are told; what is wrong with the rest shows when these are mended.
_MOST_ERRORS = 100
_ROWS_A_STATEMENT = 1000
#: Lines of a circle that are named.
_MOST_LINKS = 10
#: The longest time that a result may be used again, in seconds: 90 days.
_MOST_REUSE_S = 7_776_000
_UNKNOWN = "is neither a custom_id of this batch nor a job of yours"


class Envelope(BaseModel):
    """What is said of a batch as a whole. `jobs` has been cut out by then; that it was there is all that is left of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    jobs: list[Any]
    callback_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    max_cost_usd: UsdAmount | None = None
    coalesce: bool = False
    reuse_within_s: Annotated[float, Field(gt=0, le=_MOST_REUSE_S)] | None = None

    @property
    def shares(self) -> bool:
        """Equal lines run once."""
        return self.coalesce or self.reuse_within_s is not None


class Received(NamedTuple):
    """A batch as it came: its bytes, whether they are lines, and for lines what the URL said of the whole."""

    body: Spool
    lines: bool
    envelope: dict[str, Any]


class TakenBatch(NamedTuple):
    """A batch as the API shows it, and whether an earlier call made it."""

    view: dict[str, Any]
    replayed: bool


class Whole(NamedTuple):
    """What a batch is besides its jobs."""

    batch_id: str
    callback_url: str | None
    metadata: dict[str, str]
    retry_of: str | None = None
    max_cost_usd: Decimal | None = None


class Named(NamedTuple):
    """The job that a name stands for: its line, and the id it will have."""

    line: int
    job_id: str


class Shelf(NamedTuple):
    """The rows of a checked batch, on disk. They point at jobs of the batch by `names`; at others, `awaited`, by id.

    `tally` is what they are quoted; `firsts` are the first of each kind of equal lines, by their fingerprints.
    """

    file: BinaryIO
    total: int
    names: dict[str, Named]
    awaited: set[str]
    tally: Tally
    firsts: dict[str, Priced]


def limits_of(settings: Settings) -> Limits:
    return Limits(settings.max_batch_jobs, settings.max_line_bytes, settings.max_body_bytes)


def submit(face: Face, tenant_id: str, received: Received, *, key: str | None) -> TakenBatch:
    """Store the batch. Takes seconds for a large one; runs in a thread.

    Raises ApiProblem: 422 `batch_invalid` with up to 100 wrong lines, `batch_empty`, `over_cap`, `price_unknown`; 413
    `batch_too_large`, `line_too_long`; what `admission.admit` says.
    """
    said = ["batch", received.body.sha256, received.lines, received.envelope]
    claim = Claim(tenant_id, key, submission.request_hash(said)) if key else None
    if first := earlier(face.context.database, claim):
        return look(face, tenant_id, first, replayed=True)
    admission.may_submit(face.context.database, tenant_id)
    batch_id = new_id("batch")
    with _shelved(face, tenant_id, batch_id, received) as (envelope, shelf):
        whole = Whole(batch_id, envelope.callback_url, envelope.metadata, max_cost_usd=envelope.max_cost_usd)
        return store(face, tenant_id, claim, whole, shelf, reuse_within_s=envelope.reuse_within_s)


def quote(face: Face, tenant_id: str, received: Received) -> dict[str, Any]:
    """What the batch would cost, everything checked but the tenant's own limits; nothing is stored or counted."""
    with _shelved(face, tenant_id, new_id("batch"), received) as (envelope, shelf):
        with face.context.database.read() as session:
            served = _served(session, tenant_id, shelf, envelope.reuse_within_s)
        tally = _tally(shelf, served)
        _within_cap(tally, shelf.total, envelope.max_cost_usd)
        return tally.shown(shelf.total, envelope.max_cost_usd)


def store(
    face: Face, tenant_id: str, claim: Claim | None, whole: Whole, shelf: Shelf, *, reuse_within_s: float | None = None
) -> TakenBatch:
    """Everything in one transaction, together with the key."""
    awaited = set(shelf.awaited)

    def write(session: Session) -> None:
        served = _served(session, tenant_id, shelf, reuse_within_s)
        tally = _tally(shelf, served)
        _within_cap(tally, shelf.total, whole.max_cost_usd)
        moment = admission.admit(session, tenant_id, tally.demand(shelf.total))
        batches.add(session, tenant_id=tenant_id, total=shelf.total, **whole._asdict())
        leaders = {shelf.firsts[fingerprint].job_id: job_id for fingerprint, job_id in served.items()}
        for rows in _rows(shelf.file):
            ready = [_pointed(_led(row, leaders), shelf.names) for row in rows]
            submission.store(session, ready, ageing_s=face.context.settings.ageing_s, moment=moment)
        if tally.shared:
            twins.hurry(session, whole.batch_id)
        awaited.update(leaders.values())

    made = once(face.context.database, claim, whole.batch_id, write)
    if made != whole.batch_id:
        return look(face, tenant_id, made, replayed=True)
    intake.settle(face, awaited)
    return look(face, tenant_id, made)


def _served(session: Session, tenant_id: str, shelf: Shelf, reuse_within_s: float | None) -> dict[str, str]:
    """Jobs that are there already and stand for lines of the batch, by the fingerprint they have in common."""
    return twins.leaders(session, tenant_id, shelf.firsts, reuse_within_s=reuse_within_s) if shelf.firsts else {}


def _tally(shelf: Shelf, served: Mapping[str, str]) -> Tally:
    return shelf.tally.without(shelf.firsts[fingerprint] for fingerprint in served)


def _within_cap(tally: Tally, jobs: int, most: Decimal | None) -> None:
    if most is None:
        return
    demand = tally.demand(jobs)
    if demand.unpriced:
        raise admission.price_unknown(demand.unpriced, f"max_cost_usd of {amount(most)}")
    if demand.usd > most:
        msg = f"is less than what the jobs are quoted together: {amount(demand.usd)} USD"
        raise invalid([{"loc": "max_cost_usd", "code": "over_cap", "msg": msg}])


class Checks:
    """One batch's checks. What is wrong is gathered line by line; what is right goes onto the shelf.

    A line's name is its `custom_id`; in a batch that asks for jobs again it is the id of the old job, which is how the old
    inputs point at each other.
    """

    def __init__(
        self,
        face: Face,
        tenant_id: str,
        batch_id: str,
        default_callback: str | None,
        callback: CallbackCheck,
        *,
        shares: bool = False,
    ) -> None:
        self._shares = shares
        self._tenant_id = tenant_id
        self._batch_id = batch_id
        self._default_callback = default_callback
        self._callback = callback
        self._price = face.price
        self._files_missing = intake.files_missing(face, tenant_id)
        self._states_of = intake.states_of(face, tenant_id)
        self._errors: list[dict[str, Any]] = []
        self._names: dict[str, Named] = {}
        self._tally = Tally()
        self._firsts: dict[str, Priced] = {}
        #: Equal lines that start at the same time, by fingerprint and time.
        self._equal: dict[tuple[str, datetime | None], str] = {}

    def shelve(self, pieces: Iterator[Piece], file: BinaryIO) -> Shelf:
        total, pointing = 0, False
        for piece in pieces:
            total += 1
            row = self._check(piece)
            if len(self._errors) >= _MOST_ERRORS:
                break
            if row is not None and not self._errors:
                pointing = pointing or bool(row["needs"])
                file.write(_ENCODER.encode(row).encode() + b"\n")
        if not total:
            raise ApiProblem(422, "batch_empty", "the batch has no jobs")
        self._refuse()
        file.seek(0)
        awaited: set[str] = set()
        if pointing:
            # Now that every name is known: a line may point at a later one.
            awaited = self._check_references(file)
            self._refuse()
            file.seek(0)
        return Shelf(file, total, self._names, awaited, self._tally, self._firsts)

    def _refuse(self) -> None:
        if self._errors:
            shown = self._errors[:_MOST_ERRORS]
            lines = len({error["line"] for error in shown})
            detail = f"nothing was stored: {lines} line{'s are' if lines > 1 else ' is'} wrong, line {shown[0]['line']} first"
            raise ApiProblem(422, "batch_invalid", detail, errors=shown)

    def _check_references(self, file: BinaryIO) -> set[str]:
        """Find fault with what the rows point at. Returns the jobs outside the batch that have not ended yet."""
        needs: dict[int, tuple[int, ...]] = {}
        awaited: set[str] = set()
        for rows in _rows(file):
            pointing = [row for row in rows if row["needs"]]
            needs |= {row["line"]: self._lines_named(row) for row in pointing}
            states = self._states_of({name for row in pointing for name in row["needs"]} - self._names.keys())
            awaited |= {name for name, state in states.items() if state not in FINAL}
            for row in pointing:
                for problem in self.outside_problems(row, states):
                    self._wrong(row["line"], *problem)
            if len(self._errors) >= _MOST_ERRORS:
                return awaited
        for circle in islice(references.cycles(needs), _MOST_ERRORS):
            self._wrong(circle[0], "input", "reference_cycle", _round(circle))
        return awaited

    def _lines_named(self, row: dict[str, Any]) -> tuple[int, ...]:
        return tuple(self._names[name].line for name in row["needs"] if name in self._names)

    def outside_problems(self, row: dict[str, Any], states: Mapping[str, JobState]) -> Iterator[Problem]:
        """What is wrong with the jobs outside the batch that this row points at, whose states these are."""
        if all(name in self._names for name in row["needs"]):
            return
        others = ((f"fallbacks[{n}].", one["input"]) for n, one in enumerate(row["fallbacks"] or ()))
        for where, given in (("", row["input"]), *others):
            for one in references.find(given):
                if isinstance(one, Reference) and one.job not in self._names:
                    problem = submission.need_problem(one, states.get(one.job), unknown=_UNKNOWN)
                    if problem is not None:
                        yield problem._replace(loc=where + problem.loc)

    def _check(self, piece: Piece) -> dict[str, Any] | None:
        """The row of this line, or None where something is wrong with it."""
        line = piece.line
        try:
            document = parse(piece.data)
            if not isinstance(document, dict):
                self._wrong(line, "body", "invalid_body", "must be a JSON object")
                return None
            checked = submission.check(
                document,
                callback=self._callback,
                files_missing=self._files_missing,
                price=self._price,
                default_callback=self._default_callback,
            )
        except JsonRefused as error:
            self._wrong(line, "body", error.code, error.detail)
            return None
        except Refused as error:
            for problem in error.problems:
                self._wrong(line, *problem)
            return None
        row: dict[str, Any]
        (row,) = submission.rows(self._tenant_id, [checked], batch_id=self._batch_id, first_line=line)
        if piece.retry_of is not None:
            row["retry_of"] = piece.retry_of
        if (name := piece.retry_of or row["custom_id"]) is not None:
            first = self._names.setdefault(name, Named(line, row["id"]))
            if first.line != line:
                self._wrong(line, "custom_id", "duplicate_custom_id", f"is the same as in line {first.line}")
                return None
        leader_id = self._leader_of(piece, row, checked)
        if leader_id is None:
            self._tally.add(Priced(line, row["id"], row["operation"], checked.quote))
        else:
            self._tally.shared += 1
            row |= {"twin_of": leader_id, "quoted_usd": Decimal(0), "quote_kind": Kind.EXACT.value}
        return row

    def _leader_of(self, piece: Piece, row: dict[str, Any], checked: Checked) -> str | None:
        """The job of an earlier line that runs for this one as well. What needs other jobs' results is equal to nothing."""
        if not (self._shares or piece.shares) or row["needs"]:
            return None
        row["fingerprint"] = submission.fingerprint(row)
        leader_id = self._equal.setdefault((row["fingerprint"], row["start_at"]), row["id"])
        if leader_id != row["id"]:
            return leader_id
        # Only what may start at once can have from others what they have made, or are about to make.
        if row["start_at"] is None:
            # Without what the quote is made of: there may be fifty thousand of them.
            quote = replace(checked.quote, lines=())
            self._firsts[row["fingerprint"]] = Priced(row["line"], row["id"], row["operation"], quote)
        return None

    def _wrong(self, line: int, loc: str, code: str, msg: str) -> None:
        self._errors.append({"line": line, "loc": loc, "code": code, "msg": msg})


@contextmanager
def _shelved(face: Face, tenant_id: str, batch_id: str, received: Received) -> Iterator[tuple[Envelope, Shelf]]:
    """What is said of the batch as a whole, and its lines, all of them checked."""
    with _opened(received, limits_of(face.context.settings)) as (envelope, pieces), tempfile.TemporaryFile() as file:
        callback = intake.callback_check(face.rules)
        if envelope.callback_url and (problem := callback(envelope.callback_url)):
            raise invalid([problem.as_json()])
        checks = Checks(face, tenant_id, batch_id, envelope.callback_url, callback, shares=envelope.shares)
        yield envelope, checks.shelve(pieces, file)


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


def look(face: Face, tenant_id: str, batch_id: str, *, replayed: bool = False) -> TakenBatch:
    """The batch as it is now. 404 if the tenant has none of this id."""
    with face.context.database.read() as session:
        (view,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return TakenBatch(view, replayed)


def _rows(file: BinaryIO) -> Iterator[list[dict[str, Any]]]:
    while chunk := [_row(line) for line in islice(file, _ROWS_A_STATEMENT)]:
        yield chunk


def _row(line: bytes) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    times = {name: datetime.fromisoformat(row[name]) for name in ("start_at", "start_by") if row[name]}
    amounts = {name: Decimal(row[name]) for name in ("max_cost_usd", "quoted_usd") if row[name] is not None}
    return row | times | amounts


def _led(row: dict[str, Any], leaders: Mapping[str, str]) -> dict[str, Any]:
    """The row as the twin of a job outside the batch, where it, or the line it is equal to, has one there."""
    leader_id = leaders.get(row["twin_of"] or row["id"])
    if leader_id is None:
        return row
    return row | {"twin_of": leader_id, "quoted_usd": Decimal(0), "quote_kind": Kind.EXACT.value}


def _pointed(row: dict[str, Any], names: dict[str, Named]) -> dict[str, Any]:
    """The row with ids of jobs where it named lines of its batch."""
    if not row["needs"]:
        return row
    ids = {name: names[name].job_id if name in names else name for name in row["needs"]}
    fallbacks = [one | {"input": references.rename(one["input"], ids)} for one in row["fallbacks"] or ()]
    return row | {
        "input": references.rename(row["input"], ids),
        "fallbacks": fallbacks or None,
        "needs": list(dict.fromkeys(ids.values())),
    }


def _round(lines: list[int]) -> str:
    if len(lines) == 1:
        return "points at itself, so it could never start"
    way = [str(line) for line in [*lines[:_MOST_LINKS], lines[0]]]
    if len(lines) > _MOST_LINKS:
        way.insert(_MOST_LINKS, "…")
    return f"waits for itself: lines {' → '.join(way)}"


def _written(value: datetime | Decimal) -> str:
    return str(value) if isinstance(value, Decimal) else value.isoformat()


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_written)
