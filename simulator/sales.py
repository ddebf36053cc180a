"""How a request becomes a paid call, step by step.

key -> body -> whose model -> may the key? -> refusal asked for? -> the provider's own checks -> money and limits ->
accepted: the ledger line is on disk -> the work -> the answer, or what a fault makes of it
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from simulator import faults
from simulator.calls import Body, Call, Operation, digest
from simulator.dialects import Dialect
from simulator.exchange import Exchange, Refused
from simulator.faults import FAULTS, TASK_ONLY, Occasion, Reach
from simulator.keys import REFUSALS
from simulator.spoiling import refusal, spoil
from simulator.uploads import is_form, read_form
from simulator.world import World

#: What a provider does with an acceptable call.
Work = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Offer:
    """An operation at a path. Several share one path when the model in the body decides (images, chat)."""

    operation: Operation
    work: Work
    takes: Callable[[Body], bool]


async def answer_call(world: World, offers: Sequence[Offer], exchange: Exchange) -> Response:
    """The whole way of one paid call."""
    exchange.asks = "calls"
    if len(offers) == 1:
        exchange.operation = offers[0].operation.name
    if not world.keys.let_in(exchange):
        return Dialect().refuse("bad_key", exchange.request_id)
    raw = await exchange.request.body()
    body = await read_body(raw, exchange)
    named = {**exchange.params, **body}  # some vendors have the model in the path
    offer = next((offer for offer in offers if offer.takes(named)), None)
    if offer is None:
        return _nobody_takes(body, exchange)

    exchange.operation = offer.operation.name
    call = Call(world, offer.operation, exchange, body)
    mood = world.keys.mood(exchange)
    if mood is not None:
        kind, code = REFUSALS[mood]
        return await call.refuse(Dialect().refuse(kind, exchange.request_id, code=code), kind)
    _hear_faults(call, raw)
    refusals = call.of(Reach.REFUSAL)
    if refusals:
        return await call.refuse(refusal(offer.operation.dialect, refusals[0], exchange.request_id), refusals[0].name)
    try:
        response = await offer.work(call)
    except Refused as refused:
        return await call.refuse(refused.response, refused.kind)
    except FileNotFoundError:
        # A reset swept the files away while this call was still drawing; its client has moved on as well.
        return offer.operation.dialect.refuse("server_error", exchange.request_id, "the simulator was reset during this call")
    broken = call.of(Reach.ANSWER) + (call.of(Reach.FILE) if call.inline else [])
    return await spoil(world, offer.operation.dialect, broken, response, exchange)


async def read_body(raw: bytes, exchange: Exchange) -> Body:
    """The fields of a JSON object or of a form; none when a method that needs no body has none. Raises `Refused`."""
    if not raw and exchange.request.method != "POST":
        return {}
    if is_form(exchange.request):
        try:
            return await read_form(exchange.request)
        except ValueError as reason:
            raise Refused(Dialect().refuse("invalid", exchange.request_id, str(reason), "bad_request_body")) from reason
    try:
        body = json.loads(raw, parse_constant=_no_number)
        if b"\\u" in raw:
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(Dialect().refuse("invalid", exchange.request_id, "request body is not a JSON object", "bad_request_body"))
    # For every vendor here a null is a field left out; some clients send all their nulls.
    return {name: value for name, value in body.items() if value is not None}


def _no_number(name: str) -> float:
    """Python reads NaN and Infinity, JSON does not have them."""
    raise ValueError(f"{name} is not JSON")


def _nobody_takes(body: Body, exchange: Exchange) -> Response:
    """A missing model is the caller's mistake; a model without a channel is 503 ``model_not_found``."""
    if not body.get("model"):
        return Dialect().refuse("invalid", exchange.request_id, "field model is required")
    message = f"no available channel for model {body['model']}"
    return Dialect().refuse("model_not_found", exchange.request_id, message)


def _hear_faults(call: Call, raw: bytes) -> None:
    """Collect the faults asked for, by header, prompt and rule. What stands inside an uploaded file is not looked at."""
    world, exchange = call.world, call.exchange
    where = digest(call.operation.name + call.prompt)
    asked = faults.in_header(exchange.request.headers.get("x-simulate", ""))
    if b"[[simulate:" in raw:  # only then is the walk through the body worth it
        asked += faults.in_body(call.body)
    for fault in asked:
        if fault.name not in FAULTS:
            exchange.warnings.append(f"unknown fault {fault.name}")
        elif fault.on == "poll":
            call.poll_faults.append(fault)
        elif fault.name in TASK_ONLY and not call.operation.is_task:
            exchange.warnings.append(f"{fault.name} needs a task")
        elif world.rules.strikes(fault, where):
            call.faults.append(fault)
    if world.rules:
        path = exchange.request.url.path
        call.faults += world.rules.take(Occasion("submit", call.operation.name, path, exchange.key, call.model, call.prompt))
