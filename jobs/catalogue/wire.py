"""Turns declarations into requests, and answers into outcomes. Pure: no network, no clock, no database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from jobs.catalogue.answers import (
    BY_STATUS,
    GATEWAY_CODES,
    RETRYABLE,
    bad_answer,
    error_in_200,
    first,
    holds,
    lost,
    named,
    parse,
    read_error,
    request_id_of,
    retry_after_s,
    share,
    text,
    tidy,
)
from jobs.catalogue.outcomes import (
    Accepted,
    Answered,
    Done,
    Failed,
    Lost,
    NotAccepted,
    NotVisible,
    PollOutcome,
    Puzzling,
    Rejected,
    Running,
    SubmitOutcome,
)
from jobs.catalogue.spec import BatchPoll, Fault, Operation, Output, Poll, Progress, compiled
from jobs.errors import JobError, UpstreamDetail

#: A task id is put into paths and logs: anything else than this is no id (reliability table C3).
_TASK_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, its path relative to the gateway's address."""

    method: str
    path: str
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


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


def read_submit(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> SubmitOutcome:
    """What the answer to the paid call says. `body` may be the raw media where the operation says so."""
    if op.submit.raw and 200 <= status < 300:
        return _read_raw(op, status, headers, body)
    document, problem = parse(body)
    request_id = request_id_of(headers, document)
    if problem is None and 200 <= status < 300 and not error_in_200(op.errors, document):
        if op.synchronous:
            done = _done(op, document)
            return Answered(done, request_id) if isinstance(done, Done) else Rejected(done.error)
        task_id = first(op.task_id, document)
        if isinstance(task_id, int) and not isinstance(task_id, bool):
            task_id = str(task_id)
        if isinstance(task_id, str) and _TASK_ID.fullmatch(task_id):
            return Accepted(task_id, text(first(op.poll.status, document)) if op.poll else None, request_id)
        problem = "the answer names no task"
    if problem is not None:
        return _unreadable_submit(op, status, headers, body, problem, request_id)
    return _refusal(op, status, headers, document)


def read_poll(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> PollOutcome:
    """What the answer to a status request says about the task."""
    document, problem = parse(body)
    if problem is not None:
        return Puzzling(bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or error_in_200(op.errors, document):
        fault, error = read_error(op.errors, status, headers, document)
        # "No such path or model" cannot be about the model any more: the task is asked for by its id.
        if fault in (Fault.NOT_VISIBLE, Fault.MODEL_UNAVAILABLE):
            return NotVisible(error)
        return Puzzling(error, retry_after_s(headers))
    return read_task(op, document)


def read_task(op: Operation, document: Any) -> PollOutcome:
    """One task, in the shape of a single poll answer."""
    poll = _poll(op)
    word = text(first(poll.status, document))
    if word is None:
        return Puzzling(JobError(code="upstream_bad_response", message="The status answer names no status.", retryable=True))
    progress = share(first(poll.progress, document))
    match poll.words.get(word.lower()):
        case None:
            return Running(word[:100], progress, strange=True)
        case Progress.RUNNING:
            return Running(word, progress)
        case Progress.FAILED:
            return Failed(_task_failure(op, document), word)
        case Progress.DONE:
            if holds(poll.not_ready, document):
                return Running(word, progress)
            result = _done(op, document)
            return Done(result.outputs, result.values, word) if isinstance(result, Done) else Failed(result.error, word)


def read_batch_poll(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, PollOutcome] | Puzzling:
    """Outcomes by task id. A task that the answer leaves out is not in the result: it is asked for alone."""
    batch = _batch(op)
    document, problem = parse(body)
    if problem is not None:
        return Puzzling(bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or error_in_200(op.errors, document):
        _, error = read_error(op.errors, status, headers, document)
        return Puzzling(error, retry_after_s(headers))
    found: dict[str, PollOutcome] = {}
    items = first((batch.items,), document)
    for item in items if isinstance(items, list) else ():
        task_id = text(compiled(batch.id).search(item))
        if task_id:
            found[task_id] = read_task(op, {batch.wrap: item})
    return found


def read_lookup(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Accepted | NotVisible | Puzzling:
    """Whether the task of a lost answer exists."""
    document, problem = parse(body)
    if problem is not None:
        return Puzzling(bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or error_in_200(op.errors, document):
        fault, error = read_error(op.errors, status, headers, document)
        if fault in (Fault.NOT_VISIBLE, Fault.MODEL_UNAVAILABLE, Fault.INVALID_INPUT):
            return NotVisible(error)
        return Puzzling(error, retry_after_s(headers))
    task_id = text(first(op.task_id, document))
    if task_id and _TASK_ID.fullmatch(task_id):
        return Accepted(task_id, None, request_id_of(headers, document))
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


def _poll(op: Operation) -> Poll:
    if op.poll is None:
        raise ValueError(f"{op.name} is synchronous: there is nothing to poll")
    return op.poll


def _batch(op: Operation) -> BatchPoll:
    if (batch := _poll(op).batch) is None:
        raise ValueError(f"{op.name} has no batch status call")
    return batch


def _refusal(op: Operation, status: int, headers: Mapping[str, str], document: Any) -> SubmitOutcome:
    """What an error answer to the paid call comes to."""
    fault, error = read_error(op.errors, status, headers, document)
    if 200 <= status < 300 and not named(op.errors, document):
        # A good status, and an error in words nobody knows: it will not be sent again, and nobody can say what it cost.
        return Rejected(error.model_copy(update={"code": "upstream_failed", "may_have_been_charged": True}))
    match fault:
        case Fault.RATE_LIMITED | Fault.BUSY:
            return NotAccepted(error, retry_after_s(headers))
        case Fault.BROKEN:
            return Lost(lost(error))
        case Fault.NOT_VISIBLE if status < 500:
            # An earlier task that the input names (a song to extend): read, and refused.
            return Rejected(error.model_copy(update={"code": Fault.INVALID_INPUT.value}))
        case Fault.NOT_VISIBLE:
            return Lost(lost(error))
        case _:
            return Rejected(error)


def _unreadable_submit(
    op: Operation, status: int, headers: Mapping[str, str], body: bytes, problem: str, request_id: str | None
) -> SubmitOutcome:
    """No JSON where JSON should be. A clear refusal by status stays one; everything else leaves the question open."""
    error = bad_answer(status, headers, body, problem)
    fault = BY_STATUS.get(status)
    if fault is Fault.RATE_LIMITED:
        return NotAccepted(error.model_copy(update={"code": fault.value}), retry_after_s(headers))
    if fault is not None:
        return Rejected(error.model_copy(update={"code": fault.value, "retryable": fault in RETRYABLE}))
    if 300 <= status < 400:
        # The edge moved us elsewhere before any provider saw the request: a wrong base address.
        return Rejected(error.model_copy(update={"message": "The gateway answered with a redirect: check MEDIAMILL_UPSTREAM_URL."}))
    return Lost(lost(error))


def _read_raw(op: Operation, status: int, headers: Mapping[str, str], body: bytes) -> SubmitOutcome:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    request_id = request_id_of(headers, None)
    if not body or media_type in ("application/json", "text/html", "text/plain"):
        document, problem = parse(body)
        if problem is None and media_type != "text/html" and error_in_200(op.errors, document):
            return _refusal(op, status, headers, document)
        return Lost(lost(bad_answer(status, headers, body, problem or "the answer is not media")))
    kind = next(output.kind for output in op.outputs if output.body)
    return Answered(Done([{"kind": kind, "body": True}], None), request_id)


def _done(op: Operation, document: Any) -> Done | Failed:
    outputs = outputs_of(op, document)
    values = first(op.values, document)
    if not outputs:
        withheld = holds(op.withheld, document)
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
    reason = tidy(text(first(poll.reason, document)))
    code = text(first(poll.failure_code, document))
    fault = op.errors.codes.get((code or "").lower()) or GATEWAY_CODES.get((code or "").lower())
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
    found = first(declared.select, document)
    items: list[dict[str, Any]] = []
    for item in found if isinstance(found, list) else [found] if found is not None else []:
        if isinstance(item, str) and item:
            items.append({"text": item} if declared.kind == "text" else {"url": item})
        elif isinstance(item, dict):
            kept = {key: value for key, value in item.items() if value is not None and value != ""}
            if any(isinstance(kept.get(key), str) for key in ("url", "b64", "text")):
                items.append(kept)
    return items
