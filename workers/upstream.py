"""Calling the gateway: requests as the catalogue declares them, answers as it reads them.

The one place where a paid call leaves the house. Exceptions of the wire become outcomes here: surely not sent, or lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.catalogue import outcomes, wire
from jobs.catalogue.spec import Operation
from jobs.errors import JobError, UpstreamDetail
from storage.spool import Spool
from workers import egress
from workers.context import Context

#: Status requests under way at once, of one poll task.
_CONCURRENT_POLLS = 64


@dataclass(frozen=True, slots=True)
class Task:
    """A provider's task as the poll lane knows it."""

    job_id: str
    operation: Operation
    task_id: str


def submit(context: Context, op: Operation, request: wire.Request, spool: Spool) -> outcomes.SubmitOutcome:
    """The paid call, once. A synchronous answer goes to `spool` as it arrives; it is the only copy of what was paid for."""
    return context.loop.run(_submit(context, op, request, spool))


async def _submit(context: Context, op: Operation, request: wire.Request, spool: Spool) -> outcomes.SubmitOutcome:
    settings = context.settings
    client = context.calls.take()
    total_s = op.submit.total_s or settings.submit_total_s
    # The head of the answer may take as long as the whole call: a picture is drawn before the first byte comes.
    timeouts = egress.Timeouts(connect_s=5, read_s=total_s, write_s=30, pool_s=5)
    headers = _headers(context, request)
    try:
        if not op.synchronous:
            answer = await egress.request_json(
                client,
                request.method,
                request.path,
                headers=headers,
                json=request.json,
                total_s=total_s,
                cap_bytes=settings.max_answer_bytes,
                timeouts=timeouts,
                fresh_connection=True,
            )
            return wire.read_submit(op, answer.status, answer.headers, answer.body)
        streamed = await egress.stream_to(
            client,
            request.method,
            request.path,
            spool.write,
            headers=headers,
            json=request.json,
            total_s=total_s,
            cap_bytes=settings.max_inline_bytes,
            timeouts=timeouts,
            fresh_connection=True,
        )
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
    body = streamed.excerpt
    if 200 <= streamed.status < 300:
        file = spool.rewound()
        # Media itself is judged by its first bytes here, and whole when it is collected.
        body = await asyncio.to_thread(file.read, 65_536 if op.submit.raw else -1)
    return wire.read_submit(op, streamed.status, streamed.headers, body)


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
    for op, group in _by_operation(tasks):
        batch = op.poll.batch if op.poll else None
        if batch is None or len(group) == 1:
            work += [alone(task) for task in group]
        else:
            work += [together(op, group[start : start + batch.most]) for start in range(0, len(group), batch.most)]
    await asyncio.gather(*work)
    return said


async def _poll_one(context: Context, task: Task) -> outcomes.PollOutcome:
    request = wire.poll_request(task.operation, task.task_id)
    answer = await _ask(context, request)
    if isinstance(answer, outcomes.Puzzling):
        return answer
    return wire.read_poll(task.operation, answer.status, answer.headers, answer.body)


async def _poll_many(context: Context, op: Operation, group: Sequence[Task]) -> dict[str, outcomes.PollOutcome] | outcomes.Puzzling:
    answer = await _ask(context, wire.batch_poll_request(op, [task.task_id for task in group]), many=len(group))
    if isinstance(answer, outcomes.Puzzling):
        return answer
    return wire.read_batch_poll(op, answer.status, answer.headers, answer.body)


def look_up(context: Context, op: Operation, client_ref: str) -> outcomes.Accepted | outcomes.NotVisible | outcomes.Puzzling:
    """Whether the task of a lost answer exists, asked by our own name for it."""

    async def ask() -> outcomes.Accepted | outcomes.NotVisible | outcomes.Puzzling:
        answer = await _ask(context, wire.lookup_request(op, client_ref))
        if isinstance(answer, outcomes.Puzzling):
            return answer
        return wire.read_lookup(op, answer.status, answer.headers, answer.body)

    return context.loop.run(ask())


async def _ask(context: Context, request: wire.Request, *, many: int = 1) -> egress.Answer | outcomes.Puzzling:
    """A request that costs nothing and may be repeated."""
    settings = context.settings
    try:
        return await egress.request_json(
            context.polls.take(),
            request.method,
            request.path,
            headers=_headers(context, request),
            json=request.json,
            total_s=settings.poll_total_s,
            cap_bytes=settings.max_answer_bytes * (1 + many // 10),
        )
    except egress.EgressError as error:
        return outcomes.Puzzling(
            JobError(code="upstream_unreachable", message=f"The gateway did not answer a status request: {error}", retryable=True)
        )


def _headers(context: Context, request: wire.Request) -> Mapping[str, str]:
    key = context.settings.upstream_key
    return {
        **({"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}),
        "Accept": "application/json, */*",
        **request.headers,
    }


def _by_operation(tasks: Sequence[Task]) -> list[tuple[Operation, list[Task]]]:
    groups: dict[str, tuple[Operation, list[Task]]] = {}
    for task in tasks:
        groups.setdefault(task.operation.name, (task.operation, []))[1].append(task)
    return list(groups.values())
