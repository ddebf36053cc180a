"""Asks the catalogue what a request, an answer or an input comes to, as the workers and the API do."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from jobs import catalogue, submission, validation
from jobs.catalogue import asking, media, wire
from jobs.catalogue.asking import Asked, Part, Request
from jobs.catalogue.outcomes import PollOutcome, SubmitOutcome
from jobs.catalogue.spec import Operation

JSON = {"content-type": "application/json"}
TASK = "task-71"


def operation(name: str) -> Operation:
    found = catalogue.find(name)
    assert found is not None, name
    return found


def raw(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()


def submitted(name: str, document: Any, status: int = 200) -> SubmitOutcome:
    """What an answer to the paid call of the operation's example means."""
    op = operation(name)
    return wire.read_submit(op, status, JSON, raw(document), Asked(op.example))


def polled(name: str, document: Any, status: int = 200) -> PollOutcome:
    """What an answer to a status request means, of the task `TASK`."""
    op = operation(name)
    return wire.read_poll(op, status, JSON, raw(document), Asked(op.example, TASK))


def request_of(name: str, given: Mapping[str, Any], callback_url: str | None = None) -> Request:
    """The paid call, every medium that must be uploaded made a part named after its place."""
    op = operation(name)
    ready = copy.deepcopy(dict(given))
    for place in media.places(op, given):
        if place.forms[0] == "bytes":
            parent: Any = ready
            for step in place.path[:-1]:
                parent = parent[step]
            parent[place.path[-1]] = upload(*place.path)
    return asking.submit_request(op, ready, "ref-1", callback_url)


def upload(*path: str | int) -> Part:
    """What `request_of` puts in place of the medium at this path."""
    return Part(".".join(map(str, path)) + ".png", "image/png", b"\x89PNG")


def forms_of(name: str, given: Mapping[str, Any] | None = None) -> dict[str, tuple[str, ...]]:
    """Where media stand in an input (of the example, if none is given), and the forms they are handed over in."""
    op = operation(name)
    return {".".join(map(str, place.path)): place.forms for place in media.places(op, op.example if given is None else given)}


def problems(name: str, given: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(place, code) of all that the API would refuse in an input."""
    document = {"operation": name, "input": dict(given)}
    try:
        submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
    except validation.Refused as refused:
        return {(problem.loc, problem.code) for problem in refused.problems}
    return set()


GONE = object()


def changed(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The operation's example with some fields changed, or `GONE`."""
    return {field: value for field, value in {**operation(name).example, **changes}.items() if value is not GONE}


def gateway_error(code: Any, message: str = "no luck") -> dict[str, Any]:
    """The gateway's most common envelope."""
    return {"error": {"message": f"{message} (request id: 2026x)", "type": "comet_api_error", "param": "", "code": code}}


#: The task layer's way to say that it has not seen a task (yet).
NO_TASK = {"code": "task_not_exist", "message": "task_not_exist", "data": None}
