"""Accepting work: a request is checked to its last field before anything is stored, queued or paid."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import insert, select
from sqlmodel import Session

from jobs import catalogue, pricing, references, validation
from jobs.catalogue import blanks
from jobs.catalogue.spec import Operation
from jobs.db import now
from jobs.ids import new_id
from jobs.models import Job
from jobs.queries import chains
from jobs.references import Malformed, Reference
from jobs.states import EVENT_TYPES, FINAL, JOB_EVENTS, JobState
from jobs.validation import Problem, Refused, place, shown
from jobs.view import amount

#: The default of the setting `ageing_s`.
DEFAULT_AGEING_S = 60.0
#: Moments that can be reckoned with in every zone, whatever is added to them.
YEARS = range(1971, 9001)

MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]


def _as_decimal(value: Any) -> Any:
    """Money as text or as a whole number: a fraction in JSON is a float by the time anybody reads it, and 0.1 is none of those."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError('must be an amount of USD as text, like "2.50"')
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError('must be an amount of USD as text, like "2.50"') from None


#: At most a million, to a millionth.
UsdAmount = Annotated[
    Decimal, BeforeValidator(_as_decimal), Field(ge=0, le=1_000_000, decimal_places=6, allow_inf_nan=False, strict=False)
]


class Fallback(BaseModel):
    """What else may be asked."""

    model_config = ConfigDict(extra="forbid", strict=True)

    operation: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    input: dict[str, Any]


class JobRequest(BaseModel):
    """What a submitter may say of a job. Only `operation` and `input` are required."""

    model_config = ConfigDict(extra="forbid", strict=True)

    operation: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    input: dict[str, Any]
    callback_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    events: Annotated[list[Annotated[str, StringConstraints(max_length=50)]], Field(max_length=20)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    start_at: Annotated[AwareDatetime, Field(strict=False)] | None = None
    start_by: Annotated[AwareDatetime, Field(strict=False)] | None = None
    deadline_s: Annotated[float, Field(gt=0, le=604_800)] | None = None
    on_unknown: Literal["hold", "retry", "fail"] = "hold"
    fallbacks: Annotated[list[Fallback], Field(max_length=8)] | None = None
    max_cost_usd: UsdAmount | None = None
    custom_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class Checked(NamedTuple):
    """A request without problems, what it asks and is quoted, and the jobs it points at by the names it gave them."""

    request: JobRequest
    operation: Operation
    quote: pricing.Quote
    needs: tuple[str, ...] = ()


#: Says what is wrong with a callback address, or None. Lives where addresses are called from; handed in by the API.
CallbackCheck = Callable[[str], Problem | None]
#: Says which of these uploaded files the tenant does not have.
FilesMissing = Callable[[set[str]], set[str]]
#: Says what a call costs.
Price = Callable[[Operation, Mapping[str, Any]], pricing.Quote]
_BY_THE_LIST: Price = partial(pricing.quote, discount=Decimal("0.8"))
#: Says in which state these jobs of the tenant are. One that is left out is no job of the tenant.
StatesOf = Callable[[set[str]], Mapping[str, JobState]]


def check(
    document: Any,
    *,
    callback: CallbackCheck,
    files_missing: FilesMissing,
    price: Price = _BY_THE_LIST,
    states_of: StatesOf | None = None,
    default_callback: str | None = None,
) -> Checked:
    """The request in `document`, every field checked. Raises Refused with all problems found at once.

    Without `states_of` the jobs it points at are not looked up: a batch knows its own names only when all its lines are there.
    """
    try:
        request = JobRequest.model_validate(document)
    except ValidationError as error:
        raise Refused(list(validation.of_shape(error))) from None
    problems: list[Problem] = []
    operation = catalogue.find(request.operation)
    if operation is None:
        problems.append(Problem("operation", "unknown_operation", _unknown_operation(request.operation)))
    else:
        problems += _asked_problems(operation, request.input, files_missing, states_of)
        problems += _fallback_problems(operation, request.fallbacks or (), files_missing, states_of)
    if request.callback_url is not None and (problem := callback(request.callback_url)):
        problems.append(problem)
    problems += [
        Problem("events", "unknown_event", f"{shown(name)} is no event; there are {', '.join(JOB_EVENTS)}")
        for name in request.events or ()
        if name not in EVENT_TYPES
    ]
    problems += _time_problems(request)
    if problems or operation is None:
        raise Refused(problems)
    quote = price(operation, request.input)
    if problem := _cost_problem(request.max_cost_usd, quote):
        raise Refused([problem])
    if request.callback_url is None and default_callback is not None:
        request = request.model_copy(update={"callback_url": default_callback})
    return Checked(request, operation, quote, tuple(dict.fromkeys(_named(request))))


def _time_problems(request: JobRequest) -> Iterator[Problem]:
    for name, moment in (("start_at", request.start_at), ("start_by", request.start_by)):
        if moment is not None and moment.year not in YEARS:
            yield Problem(name, "out_of_range", f"must lie between the years {YEARS[0]} and {YEARS[-1]}")
    if request.start_by is not None and request.start_at is not None and request.start_by <= request.start_at:
        yield Problem("start_by", "out_of_range", "must be later than start_at: the job could never start")


def _named(request: JobRequest) -> Iterator[str]:
    """The jobs that the request points at, its fallbacks included: they are waited for alike."""
    yield from references.names(request.input)
    for one in request.fallbacks or ():
        yield from references.names(one.input)


def _cost_problem(most: Decimal | None, quote: pricing.Quote) -> Problem | None:
    if most is None:
        return None
    if quote.usd is None:
        msg = f"cannot be kept: the price is not known ({quote.why}); leave it out, or have the operator name the price"
        return Problem("max_cost_usd", "price_unknown", msg)
    if quote.usd > most:
        return Problem("max_cost_usd", "over_cap", f"is less than what the job is quoted: {amount(quote.usd)} USD ({quote.kind})")
    return None


def _fallback_problems(
    operation: Operation, fallbacks: Iterable[Fallback], files_missing: FilesMissing, states_of: StatesOf | None
) -> Iterator[Problem]:
    for n, one in enumerate(fallbacks):
        other = catalogue.find(one.operation)
        if other is None:
            yield Problem(f"fallbacks[{n}].operation", "unknown_operation", _unknown_operation(one.operation))
        elif other.modality != operation.modality:
            msg = f"makes {other.modality}, and the job asks for {operation.modality}"
            yield Problem(f"fallbacks[{n}].operation", "modality_mismatch", msg)
        else:
            for problem in _asked_problems(other, one.input, files_missing, states_of):
                yield problem._replace(loc=f"fallbacks[{n}].{problem.loc}")


def _asked_problems(
    operation: Operation, given: dict[str, Any], files_missing: FilesMissing, states_of: StatesOf | None
) -> Iterator[Problem]:
    yield from input_problems(operation, given)
    yield from _files_problems(given, files_missing)
    if states_of is not None:
        yield from _needs_problems(given, states_of)


def rows(tenant_id: str, checked: Iterable[Checked], *, batch_id: str | None = None, first_line: int = 1) -> list[dict[str, Any]]:
    """The requests as rows for `store`."""
    made = []
    for line, (request, operation, quote, needs) in enumerate(checked, start=first_line):
        made.append(
            {
                "id": new_id("job"),
                "tenant_id": tenant_id,
                "operation": operation.name,
                "modality": operation.modality,
                "provider": operation.provider,
                "status": JobState.QUEUED,
                "version": 0,
                "input": request.input,
                "meta": request.metadata,
                "custom_id": request.custom_id,
                "batch_id": batch_id,
                "line": line if batch_id else None,
                "priority": request.priority,
                "callback_url": request.callback_url,
                "events": request.events,
                "on_unknown": request.on_unknown,
                "start_at": request.start_at.astimezone(UTC) if request.start_at else None,
                "start_by": request.start_by.astimezone(UTC) if request.start_by else None,
                "deadline_s": request.deadline_s,
                "fallbacks": [one.model_dump() for one in request.fallbacks] if request.fallbacks else None,
                "units": operation.units_of(request.input),
                "max_cost_usd": request.max_cost_usd,
                "quoted_usd": quote.usd,
                "quote_kind": quote.kind and quote.kind.value,
                "fingerprint": None,
                "twin_of": None,
                "needs": list(needs),
            }
        )
    return made


#: What a row says and the table does not keep.
_NOT_COLUMNS = {"deadline_s", "needs"}


def fingerprint(row: Mapping[str, Any]) -> str:
    """The digest of what a row asks: equal where the same request can serve both.

    What would be asked instead belongs to it: it may be what the result comes from.
    """
    asked = [row["operation"], row["input"]]
    return request_hash([*asked, row["fallbacks"]] if row["fallbacks"] else asked)


def store(
    session: Session, made: list[dict[str, Any]], *, ageing_s: float = DEFAULT_AGEING_S, moment: datetime | None = None
) -> None:
    """Insert job rows, grouped so that each group is one statement run many times.

    `needs` holds ids of jobs. A row whose needs have not all succeeded is stored without a time to start, and waits for them;
    they may be inserted later in the same transaction. So does a row with `twin_of`, for that job. `moment`: now, by the
    database's clock, for whoever has asked it already.
    """
    if not made:
        return
    # executemany takes values, not SQL expressions: the database's clock is asked once for all of them.
    moment = moment or session.execute(select(now())).scalar_one()
    waits_for = _open_needs(session, made)
    session.execute(
        insert(Job),
        [
            {name: value for name, value in row.items() if name not in _NOT_COLUMNS}
            | {"created_at": moment, "due_at": None if _waits(row, waits_for) else max(row["start_at"] or moment, moment)}
            | _times(row, moment, ageing_s)
            for row in made
        ],
    )
    chains.add(session, waits_for)


def _waits(row: dict[str, Any], waits_for: Mapping[str, Any]) -> bool:
    return row["id"] in waits_for or row.get("twin_of") is not None


def _times(row: dict[str, Any], moment: datetime, ageing_s: float) -> dict[str, Any]:
    deadline_at = None if row["deadline_s"] is None else moment + timedelta(seconds=row["deadline_s"])
    # A twin does not start at all: it is in time when its result is.
    start_by = None if row.get("twin_of") else row.get("start_by")
    return {
        "deadline_at": deadline_at,
        "expire_at": min((end for end in (deadline_at, start_by) if end is not None), default=None),
        # A priority is a head start: whoever has waited long enough is before it, and the order is the same at any time.
        "rank_at": max(row["start_at"] or moment, moment) - timedelta(seconds=row["priority"] * ageing_s),
    }


def _open_needs(session: Session, made: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What the rows still wait for, by their ids. A job that is not there yet comes later in the same batch."""
    if not any(row["needs"] for row in made):
        return {}
    states = chains.states(session, made[0]["tenant_id"], {needed for row in made for needed in row["needs"]})
    still_open = {
        row["id"]: [needed for needed in row["needs"] if states.get(needed) != JobState.SUCCEEDED] for row in made if row["needs"]
    }
    return {job_id: needs for job_id, needs in still_open.items() if needs}


def request_hash(document: Any) -> str:
    """A digest that is the same for the same JSON, however it was written."""
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def files_in(value: Any) -> Iterator[str]:
    """Ids of the uploaded files an input points at."""
    if isinstance(value, Mapping):
        if len(value) == 1 and isinstance(file_id := value.get("file"), str) and file_id.startswith("file_"):
            yield file_id
        else:
            for part in value.values():
                yield from files_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from files_in(part)


def _unknown_operation(name: str) -> str:
    near = difflib.get_close_matches(name, catalogue.all_operations(), n=1)
    return f"{shown(name)} is no operation" + (f"; did you mean {near[0]}?" if near else "; GET /v1/operations lists them")


def input_problems(operation: Operation, given: dict[str, Any]) -> list[Problem]:
    """What is wrong with an input by itself. What a value of another job will be is not known yet, and not judged."""
    found = references.find(given)
    if len(found) > references.MOST:
        return [Problem("input", "too_many", f"may point at other jobs {references.MOST} times")]
    problems = [Problem(place(one.path), "invalid_reference", one.said) for one in found if isinstance(one, Malformed)]
    # Artifacts stand where the schema allows media: it judges them itself.
    open_places = [one.path for one in found if isinstance(one, Malformed) or one.get is not None]
    return problems + [
        problem for error in blanks.errors(operation.validator, given, open_places) for problem in validation.of_schema(error)
    ]


def _files_problems(given: dict[str, Any], files_missing: FilesMissing) -> list[Problem]:
    files = set(files_in(given))
    return [
        Problem("input", "unknown_file", f"{shown(file_id)} is no file of yours")
        for file_id in sorted(files_missing(files) if files else ())
    ]


def _needs_problems(given: dict[str, Any], states_of: StatesOf) -> list[Problem]:
    found = [one for one in references.find(given) if isinstance(one, Reference)]
    if not 0 < len(found) <= references.MOST:  # too many is told already
        return []
    states = states_of({one.job for one in found})
    return [problem for one in found if (problem := need_problem(one, states.get(one.job)))]


def need_problem(reference: Reference, state: JobState | None, *, unknown: str = "is no job of yours") -> Problem | None:
    """What is wrong with waiting for a job that is in `state`; None: the tenant has no such job."""
    if state is None:
        return Problem(place(reference.path), "unknown_job", f"{shown(reference.job)} {unknown}")
    if state in FINAL and state != JobState.SUCCEEDED:
        msg = f"{shown(reference.job)} is {state} and will have no outputs; if it was retried, name the new job"
        return Problem(place(reference.path), "dependency_failed", msg)
    return None
