"""Reads answers: what each comes to, by the declaration of its operation. Pure: no network, no clock, no database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.catalogue.answers import (
    GATEWAY_CODES,
    RETRYABLE,
    bad_answer,
    by_status,
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
from jobs.catalogue.asking import NOTHING_ASKED, Asked, batch_of, poll_of, submit_of
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
from jobs.catalogue.results import outputs_of, raw_outputs
from jobs.catalogue.spec import Fault, Operation, Progress, compiled
from jobs.errors import JobError, UpstreamDetail

#: A task id is put into paths and logs: anything else than this is no id (reliability table C3).
_TASK_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}")


def read_follow_up(
    op: Operation, address: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
) -> str | Puzzling | NotVisible:
    """The address of an output, out of the answer that holds it."""
    document, problem = parse(body)
    if problem is not None:
        return Puzzling(bad_answer(status, headers, body, problem), retry_after_s(headers))
    if 200 <= status < 300 and not error_in_200(op.errors, document) and (url := text(first(tuple(address), document))):
        return url
    fault, error = read_error(op.errors, status, headers, document)
    if fault in (Fault.NOT_VISIBLE, Fault.MODEL_UNAVAILABLE):
        return NotVisible(error)
    return Puzzling(error, retry_after_s(headers))


def read_submit(op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Asked = NOTHING_ASKED) -> SubmitOutcome:
    """What the answer to the paid call says. `body` may be the raw media where the operation says so."""
    submit = submit_of(op)
    if submit.raw and 200 <= status < 300:
        return _read_raw(op, status, headers, body, asked)
    document, problem = _parse(op, status, headers, body, asked)
    request_id = request_id_of(headers, document)
    if problem is None and 200 <= status < 300 and not error_in_200(op.errors, document):
        if op.synchronous:
            done = _done(op, document, asked)
            return Answered(done, request_id) if isinstance(done, Done) else Rejected(done.error, charged=True)
        task_id = text(first(op.task_id, document))
        if task_id is not None and _TASK_ID.fullmatch(task_id):
            word = text(first(op.poll.status, document)) if op.poll else None
            return Accepted(task_id, word, request_id, shared=holds(op.task_shared, document))
        problem = "the answer names no task"
    if problem is not None:
        return _unreadable_submit(op, status, headers, body, problem, request_id)
    return _refusal(op, status, headers, document)


def read_poll(op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Asked = NOTHING_ASKED) -> PollOutcome:
    """What the answer to a status request says about the task."""
    document, problem = parse(body)
    if problem is not None:
        return Puzzling(bad_answer(status, headers, body, problem), retry_after_s(headers))
    if not 200 <= status < 300 or _no_task(op, document):
        fault, error = read_error(op.errors, status, headers, document)
        # "No such path or model" cannot be about the model any more: the task is asked for by its id.
        if fault in (Fault.NOT_VISIBLE, Fault.MODEL_UNAVAILABLE):
            return NotVisible(error)
        return Puzzling(error, retry_after_s(headers))
    return read_task(op, document, asked)


def read_task(op: Operation, document: Any, asked: Asked = NOTHING_ASKED) -> PollOutcome:
    """One task, in the shape of a single poll answer."""
    poll = poll_of(op)
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
            result = _done(op, document, asked)
            return (
                Done(result.outputs, result.values, word) if isinstance(result, Done) else Failed(result.error, word, charged=True)
            )


def read_batch_poll(
    op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Mapping[str, Asked]
) -> dict[str, PollOutcome] | Puzzling:
    """Outcomes by task id, of those in `asked`. A task that the answer leaves out is not in the result: it is asked for alone."""
    batch = batch_of(op)
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
        if task_id is not None and task_id in asked:
            found[task_id] = read_task(op, item if batch.wrap is None else {batch.wrap: item}, asked[task_id])
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


def _parse(op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> tuple[Any, str | None]:
    """The document of a submit answer; plain text becomes one where plain text was asked for."""
    if not (200 <= status < 300 and holds(submit_of(op).plain_when, asked.given)):
        return parse(body)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    document, problem = parse(body)
    if problem is None and media_type in ("", "application/json"):
        return document, None
    said = body.decode("utf-8", "replace").strip()
    if not said:
        return None, "the answer is empty"
    if media_type == "text/html" or said[:15].lower().startswith(("<!doctype html", "<html")):
        return None, "the answer is a web page"
    return {"text": said}, None


def _no_task(op: Operation, document: Any) -> bool:
    """Whether a good status brought an error instead of a task.

    A failed task may have its `error` where an error answer has it: its status word tells them apart.
    """
    poll = poll_of(op)
    word = text(first(poll.status, document))
    if word is not None and word.lower() in poll.words:
        return holds(op.errors.in_200, document)
    return error_in_200(op.errors, document)


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
    fault = by_status(op.errors, status)
    if fault in (Fault.RATE_LIMITED, Fault.BUSY):
        return NotAccepted(error.model_copy(update={"code": fault.value}), retry_after_s(headers))
    if fault is not None:
        return Rejected(error.model_copy(update={"code": fault.value, "retryable": fault in RETRYABLE}))
    if 300 <= status < 400:
        # The edge moved us elsewhere before any provider saw the request: a wrong base address.
        return Rejected(error.model_copy(update={"message": "The gateway answered with a redirect: check MEDIAMILL_UPSTREAM_URL."}))
    return Lost(lost(error))


def _read_raw(op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> SubmitOutcome:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    request_id = request_id_of(headers, None)
    if not body or media_type in ("application/json", "text/html", "text/plain"):
        document, problem = parse(body)
        if problem is None and media_type != "text/html" and error_in_200(op.errors, document):
            return _refusal(op, status, headers, document)
        return Lost(lost(bad_answer(status, headers, body, problem or "the answer is not media")))
    return Answered(Done(raw_outputs(op, asked), None), request_id)


def _done(op: Operation, document: Any, asked: Asked) -> Done | Failed:
    outputs = outputs_of(op, document, asked)
    values = first(op.values, document)
    if not outputs and not holds(op.nothing_due, document):
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
    poll = poll_of(op)
    reason = tidy(text(first(poll.reason, document)))
    code = text(first(poll.failure_code, document))
    fault = op.errors.fault_of(code or "") or GATEWAY_CODES.get((code or "").lower())
    return JobError(
        code=fault.value if fault in (Fault.CONTENT_REJECTED, Fault.INVALID_INPUT) else "upstream_failed",
        message=f"The provider's task failed: {reason}" if reason else "The provider's task failed without saying why.",
        retryable=fault not in (Fault.CONTENT_REJECTED, Fault.INVALID_INPUT),
        # The gateway refunds failed tasks in the code we have seen, but does not promise it.
        may_have_been_charged=True,
        upstream=UpstreamDetail(code=code[:100] if code else None, message=reason),
    )
