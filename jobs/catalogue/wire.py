"""Turns declarations into requests, and answers into outcomes. Pure: no network, no clock, no database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

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
from jobs.catalogue.links import linked
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
from jobs.catalogue.spec import BatchPoll, Fault, FollowUp, Operation, Output, Poll, Progress, Submit, compiled
from jobs.errors import JobError, UpstreamDetail

#: A task id is put into paths and logs: anything else than this is no id (reliability table C3).
_TASK_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}")


@dataclass(frozen=True, slots=True)
class Part:
    """Media as a part of a multipart body."""

    filename: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, its path relative to the gateway's address. At most one of `json` and `form` + `parts` is set."""

    method: str
    path: str
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    #: A multipart body: text fields (a list repeats its name) and files in order.
    form: dict[str, str | list[str]] | None = None
    parts: list[tuple[str, Part]] = field(default_factory=list)
    #: The header our key travels in.
    auth: str = "bearer"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer answers: the job's input, its references resolved, and the name its task goes by."""

    given: Mapping[str, Any] = field(default_factory=dict)
    task_id: str = ""


NOTHING_ASKED = Asked()


def submit_request(op: Operation, given: Mapping[str, Any], client_ref: str, callback_url: str | None = None) -> Request:
    """The paid call. `given` is the job's input with its media already in the form the provider wants (`Part` for bytes)."""
    submit = _submit(op)
    body = {**submit.defaults, **given}
    path = _filled(submit.path, body, take=True)
    if submit.client_ref:
        body[submit.client_ref] = client_ref
    if submit.callback and callback_url:
        body[submit.callback.field] = callback_url
    headers = dict(submit.headers)
    if submit.method == "GET":
        return Request("GET", path, None, headers, auth=submit.auth)
    if submit.encoding == "multipart":
        return _multipart(op, path, body, headers)
    return Request(submit.method, path, body, headers, auth=submit.auth)


def poll_request(op: Operation, asked: Asked) -> Request:
    poll = _poll(op)
    names = {**asked.given, "id": asked.task_id}
    body = {name: value.format(id=asked.task_id) for name, value in poll.body.items()} or None
    return Request(poll.method, _filled(poll.path, names, safe=""), body, _headers(op), auth=_auth(op))


def batch_poll_request(op: Operation, task_ids: Sequence[str]) -> Request:
    batch = _batch(op)
    return Request(batch.method, batch.path, {**batch.body, batch.ids: list(task_ids)}, _headers(op), auth=_auth(op))


def lookup_request(op: Operation, client_ref: str) -> Request:
    if op.dedupe.path is None:
        raise ValueError(f"{op.name} has no way to look a task up")
    return Request("GET", op.dedupe.path.format(client_ref=quote(client_ref, safe="")), None, _headers(op), auth=_auth(op))


def follow_up_request(op: Operation, path: str) -> Request:
    """The request behind an output that has its bytes, or its address, somewhere else at the gateway."""
    return Request("GET", path, None, _headers(op), auth=_auth(op))


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
    submit = _submit(op)
    if submit.raw and 200 <= status < 300:
        return _read_raw(op, status, headers, body, asked)
    document, problem = _parse(op, status, headers, body, asked)
    request_id = request_id_of(headers, document)
    if problem is None and 200 <= status < 300 and not error_in_200(op.errors, document):
        if op.synchronous:
            done = _done(op, document, asked)
            return Answered(done, request_id) if isinstance(done, Done) else Rejected(done.error)
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
            result = _done(op, document, asked)
            return Done(result.outputs, result.values, word) if isinstance(result, Done) else Failed(result.error, word)


def read_batch_poll(
    op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Mapping[str, Asked]
) -> dict[str, PollOutcome] | Puzzling:
    """Outcomes by task id, of those in `asked`. A task that the answer leaves out is not in the result: it is asked for alone."""
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


def outputs_of(op: Operation, document: Any, asked: Asked = NOTHING_ASKED) -> list[dict[str, Any]]:
    """Every output named in a final answer, in the declared order, each address once."""
    outputs: list[dict[str, Any]] = []
    seen: set[str] = set()
    for declared in op.outputs:
        about = _about(declared, asked)
        for item in _selected(declared, document, asked):
            address = item.get("url") or item.get("path")
            if address is not None:
                if address in seen:
                    continue
                seen.add(address)
            outputs.append({**about, **item})
    return outputs


def raw_outputs(op: Operation, asked: Asked) -> list[dict[str, Any]]:
    """The one output of an answer that is the media itself."""
    return [{**_about(output, asked), "body": True} for output in op.outputs if output.body]


def _about(declared: Output, asked: Asked) -> dict[str, Any]:
    """What is known of an output before its bytes are."""
    extension = text(first((declared.extension_by,), asked.given)) if declared.extension_by else None
    about: dict[str, Any] = {"kind": declared.kind}
    if extension := extension or declared.extension:
        about["extension"] = extension
    if declared.samples and holds(declared.samples.when, asked.given):
        about["samples"] = {"rate_hz": declared.samples.rate_hz, "channels": declared.samples.channels}
    return about


def _submit(op: Operation) -> Submit:
    if op.submit is None:
        raise ValueError(f"{op.name} buys nothing: there is no call to make or read")
    return op.submit


def _headers(op: Operation) -> dict[str, str]:
    return dict(op.submit.headers) if op.submit else {}


def _auth(op: Operation) -> str:
    return op.submit.auth if op.submit else "bearer"


def _filled(path: str, names: dict[str, Any], *, safe: str = "/", take: bool = False) -> str:
    """The path with its braces filled; with `take` the names used are taken out of `names`."""
    for name in re.findall(r"\{(\w+)\}", path):
        # A slash inside a value is part of the path on purpose (Replicate's owner/name); the schema's pattern bounds it.
        value = names.pop(name) if take else names[name]
        path = path.replace("{" + name + "}", quote(str(value), safe=safe))
    return path


def _multipart(op: Operation, path: str, body: dict[str, Any], headers: dict[str, str]) -> Request:
    """Fields as text, media as files. A list repeats its name; an object travels as JSON text."""
    submit = _submit(op)
    form: dict[str, str | list[str]] = {}
    parts: list[tuple[str, Part]] = []
    for name, value in body.items():
        values = value if isinstance(value, list) else [value]
        sent_as = submit.parts.get(name, name) if isinstance(value, list) else name
        parts += [(sent_as, one) for one in values if isinstance(one, Part)]
        texts = [_form_text(one) for one in values if not isinstance(one, Part)]
        if texts:
            form[sent_as] = texts if isinstance(value, list) else texts[0]
    return Request(submit.method, path, None, headers, form=form, parts=parts, auth=submit.auth)


def _form_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parse(op: Operation, status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> tuple[Any, str | None]:
    """The document of a submit answer; plain text becomes one where plain text was asked for."""
    if not (200 <= status < 300 and holds(_submit(op).plain_when, asked.given)):
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


def _poll(op: Operation) -> Poll:
    if op.poll is None:
        raise ValueError(f"{op.name} is synchronous: there is nothing to poll")
    return op.poll


def _no_task(op: Operation, document: Any) -> bool:
    """Whether a good status brought an error instead of a task.

    A failed task may have its `error` where an error answer has it: its status word tells them apart.
    """
    poll = _poll(op)
    word = text(first(poll.status, document))
    if word is not None and word.lower() in poll.words:
        return holds(op.errors.in_200, document)
    return error_in_200(op.errors, document)


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
    poll = _poll(op)
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


def _selected(declared: Output, document: Any, asked: Asked) -> list[dict[str, Any]]:
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
    if not items and declared.links is not None:
        items = [{"url": address} for address in linked(declared.links, document)]
    if not items and declared.follow_up is not None and (item := _followed(declared.follow_up, document, asked)):
        items = [item]
    return items


def _followed(follow_up: FollowUp, document: Any, asked: Asked) -> dict[str, Any] | None:
    ref = text(first(follow_up.ref, document)) if follow_up.ref else asked.task_id
    if not ref:
        return None
    return {"path": _filled(follow_up.path, {"ref": ref}, safe=""), "address": list(follow_up.address)}
