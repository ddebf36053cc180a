"""What every submit does once its body is in order: a task begins, or waits for its modal, or a code says why not."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.callbacks import teller
from simulator.calls import Body, Call, Operation, base_url
from simulator.config import Kind
from simulator.exchange import Refused
from simulator.faults import FAULTS, TASK_ONLY, Fault, Reach, option
from simulator.providers.midjourney.buttons import Button
from simulator.providers.midjourney.pieces import Piece
from simulator.providers.midjourney.wire import (
    ACCEPTED,
    INSTANCE,
    REFUSED,
    MidjourneyDialect,
    image_url,
    piece_of,
    refusal,
    status_of,
    submitted,
    task_object,
)
from simulator.tasks import FINAL, Phase, Task, View
from simulator.world import World

#: All tasks are asked about at one place.
FAMILY = "midjourney"

_numbers = itertools.count(secrets.randbelow(1000))


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


def operation(what: str, kind: Kind, price_usd: str) -> Operation:
    return Operation(
        f"midjourney.{what}", kind, Decimal(price_usd), dialect=MidjourneyDialect(), prompt=prompt_of, is_task=True, family=FAMILY
    )


def parent_of(call: Call, *, finished: bool = True) -> Task:
    """The task named by `taskId`. Raises the gateway's refusal when it is unknown or, with `finished`, not a success."""
    task = call.world.tasks.find(FAMILY, str(call.body.get("taskId")))
    if task is None:
        raise call.invalid("task_not_found")
    if finished and task.phase(call.world.now()) is not Phase.SUCCEEDED:
        raise call.invalid("task_status_not_success")
    return task


async def begin(call: Call, piece: Piece, *, task_id: str = "", properties: Mapping[str, Any] = INSTANCE) -> Response:
    """Start the work and answer the submit. `task_id` is of the task that goes on after its modal."""
    code = _code(call, 1)
    if code == 21 and (earlier := _earlier(call)) is not None:
        await call.accept(earlier.id, free=True, idle=True)
        return _exists(call, earlier)
    task_id = task_id or new_task_id(call.world)
    hook = call.body.get("notifyHook")
    task = await call.start(
        task_id,
        piece.outputs(task_id, tiles=bool(option(call.fault("variant"), "tiles"))),
        moderation="[Banned prompt detected] the prompt was blocked by the AI moderator",
        failure="[Invalid parameter] unrecognized flag",
        details={"piece": dataclasses.replace(piece, job_id=str(uuid.uuid4()))},
        on_change=_hook(call.world, hook) if hook else None,
    )
    if task is None:
        raise RuntimeError("a task has no external id, so none can be taken")
    if code == 5:
        return refusal(5)
    if code == 21:
        return _exists(call, task)
    if code == 22:
        properties = {"numberOfQueues": 3, "discordInstanceId": INSTANCE["discordInstanceId"]}
    return submitted(code, _result(call, task_id), properties)


async def open_modal(call: Call, parent: Task, button: Button) -> Response:
    """A task that waits for `POST /mj/submit/modal`, for ever if need be. What was to go wrong goes wrong after it."""
    code = _code(call, 21 if button.modal.is_sure else 1)
    task = Task(
        id=new_task_id(call.world),
        family=FAMILY,
        body=call.body,
        created_at=call.world.now(),
        latency_s=call.world.seconds_for(call.operation.kind, parent.id),
        base_url=base_url(call.world, call.exchange),
        faults=call.of(Reach.TASK) + call.of(Reach.SHAPE),
        poll_faults=call.poll_faults,
        never_finishes=True,
        details={
            "piece": button.makes,
            "asks": button.modal,
            "later": [fault for fault in call.faults if _outlives_modal(fault)],
        },
        operation=call.operation.name,
    )
    call.inline = False
    await call.accept(task.id, free=button.modal.is_sure, idle=True)
    call.world.tasks.add(task, call.operation.provider)
    hook = call.body.get("notifyHook")
    if hook:
        teller(call.world, hook, task_object)(View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url))
    if code == 5:
        return refusal(5)
    properties = {"finalPrompt": piece_of(parent).prompt, "remix": not button.modal.is_sure}
    return submitted(code, _result(call, task.id), properties, "Waiting for window confirm" if code == 21 else "")


def _outlives_modal(fault: Fault) -> bool:
    """Whether it is about the work; what was about the answer, or about being seen at all, has struck."""
    about_work = FAULTS[fault.name] in {Reach.TASK, Reach.FILE} and fault.name not in TASK_ONLY
    return about_work or fault.name == "wrapped"


def _code(call: Call, usual: int) -> int:
    """The code to answer with. Raises the refusal when it is one; 5 may have accepted first."""
    variant = call.fault("variant")
    asked = option(variant, "code")
    if not asked:
        return usual
    code = int(asked) if asked.isdecimal() else 0
    if code not in REFUSED and code not in ACCEPTED:
        call.exchange.warnings.append(f"{asked} is no submit code")
        return usual
    if code in REFUSED and not (code == 5 and option(variant, "accepted")):
        raise Refused(refusal(code))
    return code


def _earlier(call: Call) -> Task | None:
    """The last task that was bought with the same body and did not fail."""
    now, wanted = call.world.now(), _essence(call.body)
    return next(
        (
            task
            for task in call.world.tasks.newest_first(FAMILY)
            if task.operation == call.operation.name and _essence(task.body) == wanted and task.phase(now) is not Phase.FAILED
        ),
        None,
    )


def _essence(body: Body) -> Body:
    """What decides whether two bodies ask for the same."""
    return {name: value for name, value in body.items() if name not in {"state", "notifyHook"}}


def _exists(call: Call, task: Task) -> Response:
    now = call.world.now()
    view = View(task, task.phase(now), task.progress(now), now, base_url(call.world, call.exchange))
    return submitted(21, _result(call, task.id), {"status": status_of(view), "imageUrl": image_url(task, view.base_url)})


def _result(call: Call, task_id: str) -> str | int:
    return int(task_id) if option(call.fault("variant"), "result") == "integer" else task_id


def _hook(world: World, url: str) -> Callable[[View], None]:
    """Tells of the beginning, of half the way, and of the end."""
    tell = teller(world, url, task_object)

    async def halfway(task: Task) -> None:
        await world.pause(task.created_at + task.latency_s / 2 - world.now())
        now = world.now()
        if task.phase(now) not in FINAL and not world.is_closing:
            tell(View(task, task.phase(now), task.progress(now), now, task.base_url))

    def changed(view: View) -> None:
        tell(view)
        if view.phase is Phase.PROCESSING:
            world.tasks.live(halfway(view.task))

    return changed


def new_task_id(world: World) -> str:
    """Milliseconds and three digits, as the proxy's are."""
    return f"{int(world.now() * 1000)}{next(_numbers) % 1000:03d}"
