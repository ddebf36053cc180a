"""Turns declarations into requests. Pure: what is asked, never how it travels."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from jobs.catalogue.spec import BatchPoll, Operation, Poll, Submit


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
    submit = submit_of(op)
    body = {**submit.defaults, **given}
    path = filled(submit.path, body, take=True)
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
    poll = poll_of(op)
    names = {**asked.given, "id": asked.task_id}
    body = {name: value.format(id=asked.task_id) for name, value in poll.body.items()} or None
    return Request(poll.method, filled(poll.path, names, safe=""), body, _headers(op), auth=_auth(op))


def batch_poll_request(op: Operation, task_ids: Sequence[str]) -> Request:
    batch = batch_of(op)
    return Request(batch.method, batch.path, {**batch.body, batch.ids: list(task_ids)}, _headers(op), auth=_auth(op))


def lookup_request(op: Operation, client_ref: str) -> Request:
    if op.dedupe.path is None:
        raise ValueError(f"{op.name} has no way to look a task up")
    return Request("GET", op.dedupe.path.format(client_ref=quote(client_ref, safe="")), None, _headers(op), auth=_auth(op))


def follow_up_request(op: Operation, path: str) -> Request:
    """The request behind an output that has its bytes, or its address, somewhere else at the gateway."""
    return Request("GET", path, None, _headers(op), auth=_auth(op))


def submit_of(op: Operation) -> Submit:
    if op.submit is None:
        raise ValueError(f"{op.name} buys nothing: there is no call to make or read")
    return op.submit


def _headers(op: Operation) -> dict[str, str]:
    return dict(op.submit.headers) if op.submit else {}


def _auth(op: Operation) -> str:
    return op.submit.auth if op.submit else "bearer"


def poll_of(op: Operation) -> Poll:
    if op.poll is None:
        raise ValueError(f"{op.name} is synchronous: there is nothing to poll")
    return op.poll


def batch_of(op: Operation) -> BatchPoll:
    if (batch := poll_of(op).batch) is None:
        raise ValueError(f"{op.name} has no batch status call")
    return batch


def filled(path: str, names: dict[str, Any], *, safe: str = "/", take: bool = False) -> str:
    """The path with its braces filled; with `take` the names used are taken out of `names`."""
    for name in re.findall(r"\{(\w+)\}", path):
        # A slash inside a value is part of the path on purpose (Replicate's owner/name); the schema's pattern bounds it.
        value = names.pop(name) if take else names[name]
        path = path.replace("{" + name + "}", quote(str(value), safe=safe))
    return path


def _multipart(op: Operation, path: str, body: dict[str, Any], headers: dict[str, str]) -> Request:
    """Fields as text, media as files. A list repeats its name; an object travels as JSON text."""
    submit = submit_of(op)
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
