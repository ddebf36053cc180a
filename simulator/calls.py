"""A paid call: what it buys, the moment it costs money, and the work that follows.

Everything before *accepted* costs nothing and may be sent again. Everything after it has cost money, whatever the
client gets to see. How a request becomes a call is in `sales.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.config import Kind
from simulator.dialects import Dialect
from simulator.exchange import Exchange, Refused
from simulator.faults import FAULTS, SYNC_REACH, Fault, Reach
from simulator.files import PublishedFile
from simulator.load import Flight
from simulator.media.orders import Order
from simulator.tasks import MODERATION_SHARE, Phase, Task, View
from simulator.till import as_usd
from simulator.world import World

Body = dict[str, Any]

#: Refusals that are the gateway's fault, not the caller's.
_BROKEN = frozenset({"server_error", "unavailable", "failed"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be bought."""

    #: As the ledger has it, ``provider.what``.
    name: str
    kind: Kind
    #: Of one unit. Made up.
    price_usd: Decimal
    dialect: Dialect
    #: Finds the prompt in a request body, for the ledger. Must accept any JSON object and any form.
    prompt: Callable[[Body], str]
    #: Answered with a task id, not with the result.
    is_task: bool = False
    #: Tasks of one family share their poll path; empty is the operation's own.
    family: str = ""
    #: Faults that a call answered at once tells inside its answer, where others are refused (``moderation``, ``failed``).
    tells: frozenset[str] = frozenset()
    #: How many units a body asks for, from 1: each counts in the vendor's limits, and costs. Accepts what `prompt` does.
    #: None: one, whatever the body says.
    units: Callable[[Body], int] | None = None
    #: What a link to a finished file costs where links are bought.
    link_usd: Decimal = Decimal(0)

    @property
    def provider(self) -> str:
        return self.name.partition(".")[0]

    @property
    def task_family(self) -> str:
        return self.family or self.name


@dataclass(frozen=True, slots=True)
class Output:
    """A file to make, and the name it will be published under (without suffix)."""

    order: Order
    name: str
    query: str = ""


@dataclass(slots=True)
class Call:
    """One call to a paid route, and what went wrong with it on purpose."""

    world: World
    operation: Operation
    exchange: Exchange
    body: Body
    faults: list[Fault] = field(default_factory=list)
    poll_faults: list[Fault] = field(default_factory=list)
    #: Number of its ledger line; 0 until accepted.
    number: int = 0
    #: Outputs travel inside the answer, so what befalls a download befalls the answer.
    inline: bool = True
    #: What it has cost.
    paid_usd: Decimal = Decimal(0)
    #: From acceptance until its work ends or goes on without it.
    _flight: Flight | None = None

    @property
    def prompt(self) -> str:
        return self.operation.prompt(self.body)

    @property
    def model(self) -> str:
        named = self.body.get("model") or self.body.get("model_name") or self.body.get("mv")
        return str(named or "/".join(self.exchange.params.values()))

    @property
    def units(self) -> int:
        return self.operation.units(self.body) if self.operation.units is not None else 1

    @property
    def price_usd(self) -> Decimal:
        return self.operation.price_usd * self.units

    @property
    def request_id(self) -> str:
        return self.exchange.request_id

    def fault(self, name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name), None)

    def of(self, reach: Reach) -> list[Fault]:
        return [fault for fault in self.faults if self._reach(fault) is reach]

    def _reach(self, fault: Fault) -> Reach:
        reach = FAULTS[fault.name]
        is_told = self.operation.is_task or fault.name in self.operation.tells
        return reach if is_told else SYNC_REACH.get(fault.name, reach)

    def invalid(self, message: str, code: str = "") -> Refused:
        """To raise when the body is not acceptable."""
        return Refused(self.operation.dialect.refuse("invalid", self.request_id, message, code))

    async def accept(
        self, task_id: str | None = None, external_id: str | None = None, *, free: bool = False, idle: bool = False
    ) -> None:
        """From here on the call has cost money, unless this one is `free`; returns when that is on disk.

        It is in flight until its work ends (see `land`), unless it is `idle` because nothing is worked on. Raises `Refused`
        when there is no money for it or a limit of the vendor is reached; nothing is accepted then.
        """
        key, name = self.exchange.key, self.operation.name
        if not free:
            self.check_money()
        if not idle:
            self.check_limits()
        # Nothing is awaited between the checks and what follows from them: of two calls for the last place, one gets it.
        if not free:
            self.paid_usd = self.price_usd
            self.world.till.charge(key, name, self.paid_usd)
        if not idle:
            self.world.limits.note(key, name, self.world.now())
            self._flight = self.world.load.begin(key, name, self.units)
            # Whatever becomes of the answer, a call that nobody works on any more must not stay in flight.
            self.exchange.afterwards.append(self.land)
        self.number = await self._record("accepted", task_id, external_id, charged=not free)

    def check_money(self) -> None:
        """Raises `Refused` when the key or the account cannot pay."""
        if not self.world.till.can_pay(self.exchange.key, self.price_usd):
            raise Refused(Dialect().refuse("no_balance", self.request_id), "no_balance")

    def check_limits(self) -> None:
        """Raises `Refused`, in the vendor's words, when there is no room for it."""
        world = self.world
        limit = world.limits.reached_by(self.exchange.key, self.operation.name, self.units, world.load, world.now())
        if limit is None:
            return
        response = self.operation.dialect.refuse("rate_limit", self.request_id)
        if limit.retry_after is not None:
            response.headers["retry-after"] = str(limit.retry_after)
        raise Refused(response, "rate_limit")

    def land(self) -> None:
        """Its work is over."""
        if self._flight is not None:
            self.world.load.end(self._flight)
            self._flight = None

    def _hand_over(self) -> Flight:
        """The flight, to whom the work goes on with after the answer."""
        flight, self._flight = self._flight, None
        if flight is None:
            raise RuntimeError("work goes on only after a call was accepted")
        return flight

    async def deliver(self, outputs: Sequence[Output], *, linked: bool = False) -> list[PublishedFile]:
        """Make the outputs of a call that is answered at once; returns when made and the latency is over.

        With `linked` the answer holds URLs, otherwise the outputs themselves.
        """
        self.inline = not linked
        wanted = () if self.fault("no_outputs") else outputs
        try:
            _, files = await asyncio.gather(
                self.world.pause(self.world.seconds_for(self.operation.kind, self.request_id)),
                publish(self.world, wanted, self.of(Reach.FILE) if linked else ()),
            )
            await self._finished(None, Phase.SUCCEEDED, files)
        finally:
            self.land()
        return files

    def promise(self, outputs: Sequence[Output]) -> list[str]:
        """Make the outputs of an accepted call after its answer. Returns their paths, which lead nowhere until then."""
        self.inline = False
        wanted = () if self.fault("no_outputs") else outputs

        flight = self._hand_over()

        async def keep() -> None:
            try:
                await self.world.pause(self.world.seconds_for(self.operation.kind, self.request_id))
                if not self.world.is_closing:
                    files = await publish(self.world, wanted, self.of(Reach.FILE))
                    await self._finished(None, Phase.SUCCEEDED, files)
            finally:
                self.world.load.end(flight)

        self.world.tasks.live(keep())
        return [f"/files/{output.name}.{output.order.suffix}" for output in outputs]

    async def start(
        self,
        task_id: str,
        outputs: Sequence[Output],
        *,
        external_id: str | None = None,
        moderation: str = "prompt rejected by moderation",
        failure: str = "generation failed",
        details: dict[str, Any] | None = None,
        on_change: Callable[[View], None] | None = None,
    ) -> Task | None:
        """Accept a task. None when the external id is taken; then nothing is accepted. Raises `Refused` as `accept` does.

        `moderation` and `failure` are the reasons the provider would give. `on_change` is called at every change of
        phase after the first.
        """
        task = Task(
            id=task_id,
            family=self.operation.task_family,
            body=self.body,
            created_at=self.world.now(),
            latency_s=self.world.seconds_for(self.operation.kind, task_id),
            base_url=base_url(self.world, self.exchange),
            external_id=external_id,
            faults=self.of(Reach.TASK) + self.of(Reach.SHAPE),
            poll_faults=self.poll_faults,
            details=details or {},
            operation=self.operation.name,
        )
        self.inline = False
        if self.fault("moderation"):
            task.failure = moderation
            task.latency_s *= MODERATION_SHARE
        elif self.fault("failed"):
            task.failure = failure
        task.never_finishes = self.fault("never_finishes") is not None
        # Before the book has it, so that a refused task is not found there.
        self.check_money()
        self.check_limits()
        if not self.world.tasks.add(task, self.operation.provider):
            return None
        await self.accept(task_id, external_id)
        fruitless = task.failure or task.never_finishes or self.fault("no_outputs")
        self.world.tasks.live(self._live(task, self._hand_over(), () if fruitless else outputs, on_change))
        return task

    async def _live(self, task: Task, flight: Flight, outputs: Sequence[Output], on_change: Callable[[View], None] | None) -> None:
        async def pass_to(moment: float) -> None:
            await self.world.pause(moment - self.world.now())
            if self.world.is_closing:
                raise asyncio.CancelledError
            if on_change is not None:
                now = max(self.world.now(), moment)  # a timer may ring a moment early
                on_change(View(task, task.phase(now), task.progress(now), now, task.base_url))

        async def make() -> None:
            try:
                made = await publish(self.world, outputs, self.of(Reach.FILE))
            except Exception as reason:
                task.failure = f"the simulator could not make the output: {reason}"
                made = []
            task.ready_at = self.world.now()
            task.outputs = made
            if task.never_finishes:
                return
            self.world.load.end_at(flight, task.ends_at)
            if task.failure:
                self.world.till.refund_at(task.ends_at, self.exchange.key, self.operation.name, self.paid_usd)

        making = asyncio.create_task(make())
        try:
            await pass_to(task.begins_at)
            await making
        finally:
            making.cancel()
        if task.never_finishes:
            return
        await self.world.pause(task.ends_at - self.world.now())
        if self.world.is_closing:
            return
        await self._finished(task.id, task.phase(task.ends_at), task.outputs or [])
        await pass_to(task.ends_at)

    async def refuse(self, response: Response, kind: str = "") -> Response:
        """Record that nothing was accepted. `kind` of refusal or fault, where there is one: its status alone does not tell."""
        outcome = "rate_limited" if response.status_code == 429 else "refused"
        if kind in _BROKEN:
            outcome = "failed"
        elif kind == "rate_limit":
            outcome = "rate_limited"  # some vendors say so with another status
        await self._record(outcome, None, None)
        return response

    async def _record(self, outcome: str, task_id: str | None, external_id: str | None, *, charged: bool = False) -> int:
        self.world.answers.count("outcomes", self.exchange.key, self.operation.name, outcome)
        return await self.world.ledger.append(
            "paid_call",
            operation=self.operation.name,
            path=self.exchange.request.url.path,
            model=self.model,
            key=self.exchange.key,
            units=self.units,
            task_id=task_id,
            external_id=external_id,
            prompt_sha256=digest(self.prompt),
            outcome=outcome,
            charged=charged,
            usd=as_usd(self.paid_usd),
            fault=",".join(fault.name for fault in self.faults) or None,
            request_id=self.request_id,
            files=None,
        )

    async def _finished(self, task_id: str | None, phase: Phase, files: Sequence[PublishedFile]) -> None:
        await self.world.ledger.append(
            "finished",
            call=self.number,
            operation=self.operation.name,
            task_id=task_id,
            outcome=phase.value,
            refunded=phase is Phase.FAILED,
            refunded_usd=as_usd(self.paid_usd if phase is Phase.FAILED else Decimal(0)),
            files=[file.as_json() for file in files],
        )


async def publish(world: World, outputs: Sequence[Output], broken: Sequence[Fault]) -> list[PublishedFile]:
    renderings = await asyncio.gather(*(world.studio.make(output.order) for output in outputs))
    return [
        world.files.publish(f"{output.name}.{output.order.suffix}", rendering, output.query, broken)
        for output, rendering in zip(outputs, renderings, strict=True)
    ]


def base_url(world: World, exchange: Exchange) -> str:
    """Start of output URLs: the host the client used to get here, so that it can get here again."""
    if world.config.public_url:
        return world.config.public_url.rstrip("/")
    request = exchange.request
    return f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
