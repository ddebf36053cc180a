"""Turns declarations into requests, and answers into outcomes. Pure: no network, no clock, no database.

An answer to a paid call becomes one of `Accepted | Answered | Rejected | NotAccepted | Lost`; an answer to a poll becomes one of
`Running | Done | Failed | NotVisible | Puzzling`. What follows from each is decided by the caller, once for all providers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from jobs.catalogue.spec import BatchPoll, Errors, Exprs, Fault, Operation, Output, Poll, Progress, compiled
from jobs.errors import JobError, UpstreamDetail

#: A task id is put into paths and logs: anything else than this is no id (reliability table C3).
_TASK_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}")
_MESSAGE_CHARS = 500
#: Levels of an answer. A tower of brackets is nobody's result, and every later step would have to survive it.
_DEEPEST = 200
_GATEWAY_REQUEST_ID = re.compile(r"\(request id: ([A-Za-z0-9._\-]{1,100})\)")
_REQUEST_ID_HEADERS = ("x-cometapi-request-id", "x-oneapi-request-id", "request-id", "x-request-id")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, its path relative to the gateway's address."""

    method: str
    path: str
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


# Outcomes of the paid call ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it and named its task."""

    task_id: str
    upstream_status: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A synchronous answer; `result` says what is in it."""

    result: Done
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for good; nothing was taken."""

    error: JobError


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Refused for now; surely not taken, so the same call may be made again."""

    error: JobError
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Lost:
    """It may or may not have been taken: never resend blindly."""

    error: JobError


SubmitOutcome = Accepted | Answered | Rejected | NotAccepted | Lost


# Outcomes of a poll -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Running:
    upstream_status: str
    progress: float | None
    #: The word is not in the catalogue; waited on, counted, never guessed.
    strange: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """`outputs`: [{kind, url | b64 | text, …}]; `values`: what is worth keeping beside the media."""

    outputs: list[dict[str, Any]]
    values: Any
    upstream_status: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    error: JobError
    upstream_status: str | None = None


@dataclass(frozen=True, slots=True)
class NotVisible:
    """The provider does not know the task (yet)."""

    error: JobError


@dataclass(frozen=True, slots=True)
class Puzzling:
    """Not an answer to the question: HTML, a 5xx, a rate limit. The task goes on; ask again later."""

    error: JobError
    retry_after_s: float | None = None


PollOutcome = Running | Done | Failed | NotVisible | Puzzling


# Requests -----------------------------------------------------------------------------------------------------------------


def submit_request(op: Operation, given: Mapping[str, Any], client_ref: str) -> Request:
    """The paid call. `given` is the job's input with its media already in the form the provider wants."""
    body = {**op.submit.defaults, **given}
    path = op.submit.path
    for name in re.findall(r"\{(\w+)\}", path):
        # A slash inside a value is part of the path on purpose (Replicate's owner/name); the schema's pattern bounds it.
        path = path.replace("{" + name + "}", quote(str(body.pop(name)), safe="/"))
    if op.submit.client_ref:
        body[op.submit.client_ref] = client_ref
    return Request(op.submit.method, path, body, dict(op.submit.headers))


def poll_request(op: Operation, task_id: str) -> Request:
    return Request("GET", _poll(op).path.format(id=quote(task_id, safe="")))


def batch_poll_request(op: Operation, task_ids: Sequence[str]) -> Request:
    batch = _batch(op)
    return Request(batch.method, batch.path, {**batch.body, batch.ids: list(task_ids)})


def lookup_request(op: Operation, client_ref: str) -> Request:
    if op.dedupe.path is None:
        raise ValueError(f"{op.name} has no way to look a task up")
    return Request("GET", op.dedupe.path.format(client_ref=quote(client_ref, safe="")))


# Answers ------------------------------------------------------------------------------------------------------------------


def read_submit(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> SubmitOutcome:
    """What the answer to the paid call says. `body` may be the raw media where the operation says so."""
    if op.submit.raw and 200 <= status < 300:
        return _read_raw(op, status, headers, body)
    document, problem = _parse(body)
    request_id = _request_id(headers, document)
    if problem is None and 200 <= status < 300 and not _error_in_200(op.errors, document):
        if op.synchronous:
            done = _done(op, document)
            return Answered(done, request_id) if isinstance(done, Done) else Rejected(done.error)
        task_id = _first(op.task_id, document)
        if isinstance(task_id, int) and not isinstance(task_id, bool):
            task_id = str(task_id)
        if isinstance(task_id, str) and _TASK_ID.fullmatch(task_id):
            return Accepted(task_id, _text(_first(op.poll.status, document)) if op.poll else None, request_id)
        problem = "the answer names no task"
    if problem is not None:
        return _unreadable_submit(op, status, headers, body, problem, request_id)
    return _refusal(op, status, headers, document)


def read_poll(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> PollOutcome:
    """What the answer to a status request says about the task."""
    document, problem = _parse(body)
    if problem is not None:
        return Puzzling(_bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or _error_in_200(op.errors, document):
        fault, error = _error(op.errors, status, headers, document)
        # "No such path or model" cannot be about the model any more: the task is asked for by its id.
        if fault in (Fault.NOT_VISIBLE, Fault.MODEL_UNAVAILABLE):
            return NotVisible(error)
        return Puzzling(error, retry_after_s(headers))
    return read_task(op, document)


def read_task(op: Operation, document: Any) -> PollOutcome:
    """One task, in the shape of a single poll answer."""
    poll = _poll(op)
    word = _text(_first(poll.status, document))
    if word is None:
        return Puzzling(JobError(code="upstream_bad_response", message="The status answer names no status.", retryable=True))
    progress = _share(_first(poll.progress, document))
    match poll.words.get(word.lower()):
        case None:
            return Running(word[:100], progress, strange=True)
        case Progress.RUNNING:
            return Running(word, progress)
        case Progress.FAILED:
            return Failed(_task_failure(op, document), word)
        case Progress.DONE:
            if _holds(poll.not_ready, document):
                return Running(word, progress)
            result = _done(op, document)
            return Done(result.outputs, result.values, word) if isinstance(result, Done) else Failed(result.error, word)


def read_batch_poll(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, PollOutcome] | Puzzling:
    """Outcomes by task id. A task that the answer leaves out is not in the result: it is asked for alone."""
    batch = _batch(op)
    document, problem = _parse(body)
    if problem is not None:
        return Puzzling(_bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or _error_in_200(op.errors, document):
        _, error = _error(op.errors, status, headers, document)
        return Puzzling(error, retry_after_s(headers))
    found: dict[str, PollOutcome] = {}
    items = _first((batch.items,), document)
    for item in items if isinstance(items, list) else ():
        task_id = _text(compiled(batch.id).search(item))
        if task_id:
            found[task_id] = read_task(op, {batch.wrap: item})
    return found


def read_lookup(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Accepted | NotVisible | Puzzling:
    """Whether the task of a lost answer exists."""
    document, problem = _parse(body)
    if problem is not None:
        return Puzzling(_bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or _error_in_200(op.errors, document):
        fault, error = _error(op.errors, status, headers, document)
        if fault in (Fault.NOT_VISIBLE, Fault.MODEL_UNAVAILABLE, Fault.INVALID_INPUT):
            return NotVisible(error)
        return Puzzling(error, retry_after_s(headers))
    task_id = _text(_first(op.task_id, document))
    if task_id and _TASK_ID.fullmatch(task_id):
        return Accepted(task_id, None, _request_id(headers, document))
    return NotVisible(JobError(code="upstream_bad_response", message="The look-up answer names no task."))


def outputs_of(op: Operation, document: Any) -> list[dict[str, Any]]:
    """Every output named in a final answer, in the declared order, each address once."""
    outputs: list[dict[str, Any]] = []
    seen: set[str] = set()
    for declared in op.outputs:
        for item in _selected(declared, document):
            address = item.get("url")
            if address is not None:
                if address in seen:
                    continue
                seen.add(address)
            outputs.append({"kind": declared.kind, **({"extension": declared.extension} if declared.extension else {}), **item})
    return outputs


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, from 1 s to 15 min; None when absent or not a number of seconds (dates are not trusted)."""
    value = headers.get("retry-after", "").strip()
    if not re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return None
    return min(max(float(value), 1.0), 900.0)


# Inside -------------------------------------------------------------------------------------------------------------------


def _poll(op: Operation) -> Poll:
    if op.poll is None:
        raise ValueError(f"{op.name} is synchronous: there is nothing to poll")
    return op.poll


def _batch(op: Operation) -> BatchPoll:
    if (batch := _poll(op).batch) is None:
        raise ValueError(f"{op.name} has no batch status call")
    return batch


def _parse(body: bytes) -> tuple[Any, str | None]:
    """The JSON document, or a sentence that says why there is none."""
    start = body.lstrip()[:1]
    if not start:
        return None, "the answer is empty"
    if start not in (b"{", b"["):
        return None, "the answer is not JSON"
    try:
        return _storable(json.loads(body.decode(), parse_constant=_refuse_constant)), None
    except (ValueError, RecursionError):
        return None, "the answer is broken JSON"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _storable(value: Any, depth: int = 0) -> Any:
    """`value` without what PostgreSQL's JSON cannot hold: NUL, half a surrogate pair, infinity.

    Written down as it came, one such answer would fail the statement that writes a whole batch of polls, again and again.
    Raises ValueError for a tower.
    """
    if depth > _DEEPEST:
        raise ValueError("the answer is nested too deep")
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_storable(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {_storable(name, depth): _storable(part, depth + 1) for name, part in value.items()}
    return value


def _holds(expression: str | None, document: Any) -> bool:
    """Whether the expression is true of the document; one that was not written for its shape is not."""
    return expression is not None and bool(_first((expression,), document))


def _first(expressions: Exprs, document: Any) -> Any:
    """The first expression that yields something."""
    for expression in expressions:
        try:
            value = compiled(expression).search(document)
        except Exception:  # noqa: S112 - a shape the expression was not written for is a shape that yields nothing
            continue
        if value is not None and value != "" and value != []:
            return value
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str | int | float):
        return str(value)
    return None


def _share(value: Any) -> float | None:
    """`"30%"`, 30 or 0.3 as a share of one, clamped; None when it is no number."""
    if isinstance(value, bool) or value is None:
        return None
    percent = isinstance(value, str) and value.strip().endswith("%")
    try:
        amount = float(str(value).strip().rstrip("%"))
    except ValueError:
        return None
    if amount != amount:
        return None
    return min(max(amount / 100 if percent or amount > 1 else amount, 0.0), 1.0)


def _error_in_200(errors: Errors, document: Any) -> bool:
    if isinstance(document, dict) and isinstance(document.get("error"), dict) and document["error"]:
        return True
    return _holds(errors.in_200, document)


_BY_STATUS = {
    400: Fault.INVALID_INPUT,
    401: Fault.AUTH,
    402: Fault.PAYMENT,
    403: Fault.FORBIDDEN,
    404: Fault.MODEL_UNAVAILABLE,
    405: Fault.INVALID_INPUT,
    413: Fault.INVALID_INPUT,
    415: Fault.INVALID_INPUT,
    422: Fault.INVALID_INPUT,
    429: Fault.RATE_LIMITED,
}

#: The gateway's own codes, whatever provider is behind it (upstream facts, gateway §2).
_GATEWAY_CODES = {
    "invalid_request": Fault.INVALID_INPUT,
    "sensitive_words_detected": Fault.CONTENT_REJECTED,
    "prompt_blocked": Fault.CONTENT_REJECTED,
    "content_policy_violation": Fault.CONTENT_REJECTED,
    "moderation_blocked": Fault.CONTENT_REJECTED,
    "insufficient_user_quota": Fault.PAYMENT,
    "pre_consume_token_quota_failed": Fault.PAYMENT,
    "insufficient_quota": Fault.PAYMENT,
    "access_denied": Fault.FORBIDDEN,
    "invalid_api_key": Fault.AUTH,
    "read_request_body_failed": Fault.INVALID_INPUT,
    "convert_request_failed": Fault.INVALID_INPUT,
    "bad_request_body": Fault.INVALID_INPUT,
    # No channel took the request: it cannot have been started.
    "model_not_found": Fault.BUSY,
    "get_channel_failed": Fault.BUSY,
    "channel:no_available_key": Fault.BUSY,
    "token_concurrency_limit_reached": Fault.RATE_LIMITED,
    "task_not_exist": Fault.NOT_VISIBLE,
}

_SENTENCES = {
    Fault.INVALID_INPUT: "The provider refused the request as invalid.",
    Fault.CONTENT_REJECTED: "The provider refused the content.",
    Fault.MODEL_UNAVAILABLE: "The provider does not know this model or path.",
    Fault.AUTH: "The gateway refused our key.",
    Fault.PAYMENT: "The gateway account is out of credit.",
    Fault.FORBIDDEN: "The gateway does not allow this key to do that.",
    Fault.RATE_LIMITED: "The provider asked us to slow down.",
    Fault.BUSY: "The provider has no capacity for this model right now.",
    Fault.BROKEN: "The provider failed while answering.",
    Fault.NOT_VISIBLE: "The provider does not know the task.",
}
_RETRYABLE = frozenset({Fault.AUTH, Fault.PAYMENT, Fault.RATE_LIMITED, Fault.BUSY, Fault.BROKEN})


def _error(errors: Errors, status: int, headers: Mapping[str, str], document: Any) -> tuple[Fault, JobError]:
    code = _text(_first(errors.code, document))
    message = _text(_first(errors.message, document))
    named = (code or "").lower()
    fault = errors.codes.get(named) or _GATEWAY_CODES.get(named)
    if fault is Fault.BUSY and status == 404:
        fault = Fault.MODEL_UNAVAILABLE
    if fault is None:
        # With a good status and an unknown code only the body says "error": the request was read and refused.
        fault = Fault.INVALID_INPUT if 200 <= status < 300 else _BY_STATUS.get(status, Fault.BROKEN)
    said = tidy(message)
    return fault, JobError(
        code=fault.value,
        message=_SENTENCES[fault] + (f" It said: {said}" if said else ""),
        retryable=fault in _RETRYABLE,
        upstream=UpstreamDetail(
            status=status, code=code[:100] if code else None, message=said, request_id=_request_id(headers, document)
        ),
    )


def _lost(error: JobError) -> JobError:
    return error.model_copy(
        update={
            "code": "upstream_outcome_unknown",
            "message": "The paid call was sent, but whether the provider took it is not known. " + error.message,
            "retryable": False,
            "may_have_been_charged": True,
        }
    )


def _bad_answer(status: int, headers: Mapping[str, str], body: bytes, problem: str) -> JobError:
    return JobError(
        code="upstream_bad_response",
        message=f"Instead of the expected JSON {problem} (HTTP {status}).",
        retryable=True,
        upstream=UpstreamDetail(
            status=status, message=tidy(body[:200].decode("utf-8", "replace")), request_id=_request_id(headers, None)
        ),
    )


def _refusal(op: Operation, status: int, headers: Mapping[str, str], document: Any) -> SubmitOutcome:
    """What an error answer to the paid call comes to."""
    fault, error = _error(op.errors, status, headers, document)
    match fault:
        case Fault.RATE_LIMITED | Fault.BUSY:
            return NotAccepted(error, retry_after_s(headers))
        case Fault.BROKEN:
            return Lost(_lost(error))
        case Fault.NOT_VISIBLE if status < 500:
            # An earlier task that the input names (a song to extend): read, and refused.
            return Rejected(error.model_copy(update={"code": Fault.INVALID_INPUT.value}))
        case Fault.NOT_VISIBLE:
            return Lost(_lost(error))
        case _:
            return Rejected(error)


def _unreadable_submit(
    op: Operation, status: int, headers: Mapping[str, str], body: bytes, problem: str, request_id: str | None
) -> SubmitOutcome:
    """No JSON where JSON should be. A clear refusal by status stays one; everything else leaves the question open."""
    error = _bad_answer(status, headers, body, problem)
    fault = _BY_STATUS.get(status)
    if fault is Fault.RATE_LIMITED:
        return NotAccepted(error.model_copy(update={"code": fault.value}), retry_after_s(headers))
    if fault is not None:
        return Rejected(error.model_copy(update={"code": fault.value, "retryable": fault in _RETRYABLE}))
    if 300 <= status < 400:
        # The edge moved us elsewhere before any provider saw the request: a wrong base address.
        return Rejected(error.model_copy(update={"message": "The gateway answered with a redirect: check MEDIAMILL_UPSTREAM_URL."}))
    return Lost(_lost(error))


def _read_raw(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> SubmitOutcome:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    request_id = _request_id(headers, None)
    if not body or media_type in ("application/json", "text/html", "text/plain"):
        document, problem = _parse(body)
        if problem is None and media_type != "text/html" and _error_in_200(op.errors, document):
            return _refusal(op, status, headers, document)
        return Lost(_lost(_bad_answer(status, headers, body, problem or "the answer is not media")))
    kind = next(output.kind for output in op.outputs if output.body)
    return Answered(Done([{"kind": kind, "body": True}], None), request_id)


def _done(op: Operation, document: Any) -> Done | Failed:
    outputs = outputs_of(op, document)
    values = _first(op.values, document)
    if not outputs:
        withheld = _holds(op.withheld, document)
        code = "content_rejected" if withheld else "no_output"
        sentence = (
            "The provider withheld the result because of its content."
            if withheld
            else "The provider reports success but names no output."
        )
        # A task that ran to its end may well be on the bill, whatever it delivered.
        return Failed(JobError(code=code, message=sentence, may_have_been_charged=True))
    return Done(outputs, values)


def _task_failure(op: Operation, document: Any) -> JobError:
    poll = _poll(op)
    reason = tidy(_text(_first(poll.reason, document)))
    code = _text(_first(poll.failure_code, document))
    fault = op.errors.codes.get((code or "").lower()) or _GATEWAY_CODES.get((code or "").lower())
    return JobError(
        code=fault.value if fault in (Fault.CONTENT_REJECTED, Fault.INVALID_INPUT) else "upstream_failed",
        message=f"The provider's task failed: {reason}" if reason else "The provider's task failed without saying why.",
        retryable=fault is None,
        # The gateway refunds failed tasks in the code we have seen, but does not promise it.
        may_have_been_charged=True,
        upstream=UpstreamDetail(code=code[:100] if code else None, message=reason),
    )


def _anything(value: Any) -> list[dict[str, Any]]:
    """Outputs of a model that may answer with any JSON."""
    addresses = list(_addresses(value))
    if addresses:
        return [{"url": address} for address in addresses]
    if isinstance(value, str) and value:
        return [{"kind": "text", "extension": "txt", "text": value}]
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        # Language models stream: their output is the list of the pieces.
        return [{"kind": "text", "extension": "txt", "text": "".join(value)}] if "".join(value) else []
    if value:
        return [{"kind": "text", "extension": "json", "text": json.dumps(value, ensure_ascii=False)}]
    return []


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(("https://", "http://")) and not any(char.isspace() for char in value):
            yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _addresses(part)


def _selected(declared: Output, document: Any) -> list[dict[str, Any]]:
    if declared.anything is not None:
        return _anything(compiled(declared.anything).search(document))
    found = _first(declared.select, document)
    items: list[dict[str, Any]] = []
    for item in found if isinstance(found, list) else [found] if found is not None else []:
        if isinstance(item, str) and item:
            items.append({"text": item} if declared.kind == "text" else {"url": item})
        elif isinstance(item, dict):
            kept = {key: value for key, value in item.items() if value is not None and value != ""}
            if any(isinstance(kept.get(key), str) for key in ("url", "b64", "text")):
                items.append(kept)
    return items


def _request_id(headers: Mapping[str, str], document: Any) -> str | None:
    for name in _REQUEST_ID_HEADERS:
        if value := headers.get(name):
            return value[:100]
    if isinstance(document, dict):
        own = document.get("request_id")
        if isinstance(own, str) and own:
            return own[:100]
        message = _text(_first(("error.message", "message"), document))
        if message and (hit := _GATEWAY_REQUEST_ID.search(message)):
            return hit.group(1)
    return None


_SECRETS = re.compile(r"(?i)(bearer\s+|sk-|whsec_|[?&](?:key|token|signature)=)[A-Za-z0-9._\-~+/=%]{4,}")


def tidy(message: str | None) -> str | None:
    """Somebody else's words, safe to keep: secrets masked, control characters gone, cut to 500 characters."""
    if not message:
        return None
    masked = _SECRETS.sub(r"\1***", message[: _MESSAGE_CHARS * 4])
    return "".join(char if char.isprintable() else " " for char in masked).strip()[:_MESSAGE_CHARS] or None
