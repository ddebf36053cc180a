"""Calling the gateway: requests as the catalogue declares them, answers as it reads them.

The one place where a paid call leaves the house. Exceptions of the wire become outcomes here: surely not sent, or lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.catalogue import asking, outcomes, wire
from jobs.catalogue.spec import Operation
from jobs.errors import JobError, UpstreamDetail
from storage.spool import Spool
from workers import egress, realtime
from workers.context import Context

#: Status requests under way at once, of one poll task.
_CONCURRENT_POLLS = 64
#: A gateway that fetches what it serves may be silent for a while, not for ever.
_CONTENT = egress.Timeouts(read_s=60.0)


@dataclass(frozen=True, slots=True)
class Task:
    """A provider's task as the poll lane knows it."""

    job_id: str
    operation: Operation
    asked: asking.Asked
    #: The upstream key that it was started with.
    key_name: str | None = None

    @property
    def task_id(self) -> str:
        return self.asked.task_id


def submit(
    context: Context, op: Operation, request: asking.Request, spool: Spool, asked: asking.Asked, key_name: str | None
) -> outcomes.SubmitOutcome:
    """The paid call, once. A synchronous answer goes to `spool` as it arrives; it is the only copy of what was paid for."""
    return context.loop.run(_submit(context, op, request, spool, asked, key_name))


async def _submit(
    context: Context, op: Operation, request: asking.Request, spool: Spool, asked: asking.Asked, key_name: str | None
) -> outcomes.SubmitOutcome:
    total_s = (op.submit.total_s if op.submit else None) or context.settings.submit_total_s
    headers = _headers(context, request, key_name)
    if op.submit and op.submit.protocol == "realtime":
        return await realtime.reply(
            context,
            op,
            request,
            spool.write,
            headers=headers,
            total_s=total_s,
            asked=asked,
            key=context.settings.key_named(key_name),
        )
    try:
        answer = await _called(context, op, request, spool, headers, total_s)
    except egress.NotSent as error:
        return outcomes.NotAccepted(
            JobError(code="upstream_unreachable", message=f"The gateway could not be reached: {error}", retryable=True), None
        )
    except egress.AnswerLost as error:
        return outcomes.Lost(
            JobError(
                code="upstream_outcome_unknown",
                message=f"The paid call was sent, but its answer was lost: {error}",
                may_have_been_charged=True,
                upstream=UpstreamDetail(status=getattr(error, "status", None)),
            )
        )
    return wire.read_submit(op, *answer, asked)


async def _called(
    context: Context, op: Operation, request: asking.Request, spool: Spool, headers: Mapping[str, str], total_s: float
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of the answer; of a synchronous one that came to `spool`, as much as it is judged by now."""
    client = context.calls.take()
    # The head of the answer may take as long as the whole call: a picture is drawn before the first byte comes.
    timeouts = egress.Timeouts(connect_s=5, read_s=total_s, write_s=30, pool_s=5)
    if not op.synchronous:
        answer = await egress.request_json(
            client,
            request.method,
            request.path,
            headers=headers,
            **_body(request),
            total_s=total_s,
            cap_bytes=context.settings.max_answer_bytes,
            timeouts=timeouts,
            fresh_connection=True,
        )
        return answer.status, answer.headers, answer.body
    streamed = await egress.stream_to(
        client,
        request.method,
        request.path,
        spool.write,
        headers=headers,
        **_body(request),
        total_s=total_s,
        cap_bytes=context.settings.max_inline_bytes,
        timeouts=timeouts,
        fresh_connection=True,
    )
    body = streamed.excerpt
    if 200 <= streamed.status < 300:
        file = spool.rewound()
        # Media itself is judged by its first bytes here, and whole when it is collected.
        body = await asyncio.to_thread(file.read, 65_536 if op.answers_raw else -1)
    return streamed.status, streamed.headers, body


def poll(context: Context, tasks: Sequence[Task]) -> dict[str, outcomes.PollOutcome]:
    """What each task is doing, by job id. All requests run at once; one asks for many where the provider allows it."""
    return context.loop.run(_poll(context, tasks))


async def _poll(context: Context, tasks: Sequence[Task]) -> dict[str, outcomes.PollOutcome]:
    gate = asyncio.Semaphore(_CONCURRENT_POLLS)
    said: dict[str, outcomes.PollOutcome] = {}

    async def alone(task: Task) -> None:
        async with gate:
            said[task.job_id] = await _poll_one(context, task)

    async def together(op: Operation, group: Sequence[Task]) -> None:
        async with gate:
            found = await _poll_many(context, op, group)
        if isinstance(found, outcomes.Puzzling):
            said.update({task.job_id: found for task in group})
            return
        left_out = [task for task in group if task.task_id not in found]
        said.update({task.job_id: found[task.task_id] for task in group if task.task_id in found})
        await asyncio.gather(*(alone(task) for task in left_out))

    work = []
    for op, group in _alike(tasks):
        batch = op.poll.batch if op.poll else None
        if batch is None or len(group) == 1:
            work += [alone(task) for task in group]
        else:
            work += [together(op, group[start : start + batch.most]) for start in range(0, len(group), batch.most)]
    await asyncio.gather(*work)
    return said


async def _poll_one(context: Context, task: Task) -> outcomes.PollOutcome:
    request = asking.poll_request(task.operation, task.asked)
    answer = await _ask(context, request, task.key_name)
    if isinstance(answer, outcomes.Puzzling):
        return answer
    return wire.read_poll(task.operation, answer.status, answer.headers, answer.body, task.asked)


async def _poll_many(context: Context, op: Operation, group: Sequence[Task]) -> dict[str, outcomes.PollOutcome] | outcomes.Puzzling:
    request = asking.batch_poll_request(op, [task.task_id for task in group])
    answer = await _ask(context, request, group[0].key_name, many=len(group))
    if isinstance(answer, outcomes.Puzzling):
        return answer
    return wire.read_batch_poll(op, answer.status, answer.headers, answer.body, {task.task_id: task.asked for task in group})


def look_up(
    context: Context, op: Operation, client_ref: str, key_name: str | None
) -> outcomes.Accepted | outcomes.NotVisible | outcomes.Puzzling:
    """Whether the task of a lost answer exists, asked by our own name for it."""

    async def ask() -> outcomes.Accepted | outcomes.NotVisible | outcomes.Puzzling:
        answer = await _ask(context, asking.lookup_request(op, client_ref), key_name)
        if isinstance(answer, outcomes.Puzzling):
            return answer
        return wire.read_lookup(op, answer.status, answer.headers, answer.body)

    return context.loop.run(ask())


def address_of(
    context: Context, op: Operation, output: Mapping[str, Any], key_name: str | None
) -> str | outcomes.Puzzling | outcomes.NotVisible:
    """The address of an output that the gateway names only when asked for it."""

    async def ask() -> str | outcomes.Puzzling | outcomes.NotVisible:
        answer = await _ask(context, asking.follow_up_request(op, output["path"]), key_name)
        if isinstance(answer, outcomes.Puzzling):
            return answer
        return wire.read_follow_up(op, output["address"], answer.status, answer.headers, answer.body)

    return context.loop.run(ask())


def content_of(
    context: Context,
    op: Operation,
    output: Mapping[str, Any],
    sink: Callable[[bytes], object],
    *,
    key_name: str | None,
    total_s: float,
    cap_bytes: int,
) -> egress.Streamed:
    """An output that the gateway itself serves to whoever has the key.

    A redirect is an answer like any other here: the key stays with the gateway. Raises egress.EgressError.
    """
    request = asking.follow_up_request(op, output["path"])
    return context.loop.run(
        egress.stream_to(
            context.calls.take(),
            request.method,
            request.path,
            sink,
            headers=_headers(context, request, key_name),
            total_s=total_s,
            cap_bytes=cap_bytes,
            min_rate=egress.MinRate(),
            timeouts=_CONTENT,
        )
    )


async def _ask(
    context: Context, request: asking.Request, key_name: str | None, *, many: int = 1
) -> egress.Answer | outcomes.Puzzling:
    """A request that costs nothing and may be repeated."""
    settings = context.settings
    try:
        return await egress.request_json(
            context.polls.take(),
            request.method,
            request.path,
            headers=_headers(context, request, key_name),
            **_body(request),
            total_s=settings.poll_total_s,
            cap_bytes=settings.max_answer_bytes * (1 + many // 10),
        )
    except egress.EgressError as error:
        return outcomes.Puzzling(
            JobError(code="upstream_unreachable", message=f"The gateway did not answer a status request: {error}", retryable=True)
        )


def _headers(context: Context, request: asking.Request, key_name: str | None) -> Mapping[str, str]:
    key = context.settings.key_named(key_name)
    given = {} if key is None else _key_header(request.auth, key.get_secret_value())
    return {**given, "Accept": "application/json, */*", **request.headers}


def _key_header(auth: str, key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if auth == "bearer" else {auth: key}


def _body(request: asking.Request) -> dict[str, Any]:
    """The body as egress takes it."""
    if request.form is None:
        return {"json": request.json}
    # Text fields travel as parts without a file name: the body is multipart even where the job has no file.
    fields = [(name, one) for name, value in request.form.items() for one in ([value] if isinstance(value, str) else value)]
    texts = [(name, (None, one.encode())) for name, one in fields]
    return {"files": [*texts, *((name, (part.filename, part.content, part.media_type)) for name, part in request.parts)]}


def _alike(tasks: Sequence[Task]) -> list[tuple[Operation, list[Task]]]:
    """Those that one request may ask for: of one operation, started with one key."""
    groups: dict[tuple[str, str | None], tuple[Operation, list[Task]]] = {}
    for task in tasks:
        groups.setdefault((task.operation.name, task.key_name), (task.operation, []))[1].append(task)
    return list(groups.values())
