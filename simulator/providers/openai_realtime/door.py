"""The handshake: who comes in, to which model, speaking what."""

from __future__ import annotations

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator import faults
from simulator.calls import Call
from simulator.dialects import Dialect, gateway_error
from simulator.exchange import Exchange
from simulator.faults import FAULTS, Fault, Occasion, Reach, option
from simulator.keys import REFUSALS
from simulator.providers.openai_realtime import wire
from simulator.providers.openai_realtime.conversation import Conversation
from simulator.spoiling import refusal
from simulator.world import World

#: The ones in the model lists; the vendor goes on adding and retiring names.
MODELS = (
    "gpt-4o-realtime",
    "gpt-4o-realtime-preview",
    "gpt-4o-realtime-preview-2025-06-03",
    "gpt-realtime",
    "gpt-realtime-mini",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
)

KEY_PROTOCOL = "openai-insecure-api-key."

#: Close codes of refusals told inside; all others are 1011.
CLOSE_CODES = {
    "bad_key": 1008,
    "no_money": 1008,
    "no_balance": 1008,
    "forbidden": 1008,
    "rate_limit": 1008,
    "model_not_found": 1002,
    "invalid": 1002,
}

_SUBMIT = "submit"

#: Faults of tasks, links and envelopes, which a conversation has none of.
_ELSEWHERE = frozenset({"not_yet_visible", "dead_link", "dead_link_once", "wrapped"})


async def open_door(world: World, exchange: Exchange, socket: WebSocket) -> None:
    request = exchange.request
    model = request.query_params.get("model", "")
    offered: list[str] = socket.scope.get("subprotocols", [])
    call = Call(world, wire.REALTIME, exchange, {"model": model})
    is_let_in = world.keys.let_in(exchange, *(name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL)))
    call.faults = _heard(world, exchange)
    occasion = Occasion(_SUBMIT, wire.REALTIME.name, request.url.path, exchange.key, model)
    call.faults += world.rules.take(occasion, {Reach.SHAPE})

    if not is_let_in:
        await _refuse(call, socket, offered, Fault("bad_key"))
        return
    mood = world.keys.mood(exchange)
    if mood is not None:
        kind, code = REFUSALS[mood]
        await _refuse(call, socket, offered, Fault(kind, {"code": code} if code else {}))
        return
    call.faults += world.rules.take(occasion, {Reach.REFUSAL})
    refusals = call.of(Reach.REFUSAL)
    if refusals:
        await _refuse(call, socket, offered, refusals[0], refusals[0])
    elif not model:
        await _refuse(call, socket, offered, Fault("invalid"), message="Missing required parameter: 'model'.")
    elif "realtime" not in model:
        await _refuse(call, socket, offered, Fault("model_not_found"), message=f"The model '{model}' does not exist.")
    elif offered and "realtime" not in offered:
        await socket.accept()
        await socket.close(1002, "unsupported subprotocol")
    else:
        await socket.accept(_subprotocol(offered))
        asked = [fault for fault in call.faults if FAULTS[fault.name] is not Reach.REFUSAL]
        await Conversation(world, exchange, socket, model, asked, _asks_for_beta(exchange, offered)).run()


def _heard(world: World, exchange: Exchange) -> list[Fault]:
    heard = []
    for fault in faults.in_header(exchange.request.headers.get("x-simulate", "")):
        if fault.name not in FAULTS:
            exchange.warnings.append(f"unknown fault {fault.name}")
        elif fault.on != _SUBMIT or fault.name in _ELSEWHERE:
            exchange.warnings.append(f"{fault.name} does not apply to a conversation")
        elif FAULTS[fault.name] is not Reach.REFUSAL or world.rules.strikes(fault, wire.REALTIME.name):
            heard.append(fault)  # how often the others strike is counted by response
    return heard


def _asks_for_beta(exchange: Exchange, offered: list[str]) -> bool:
    return "openai-beta.realtime-v1" in offered or "realtime=v1" in exchange.request.headers.get("openai-beta", "")


def _subprotocol(offered: list[str]) -> str | None:
    return "realtime" if "realtime" in offered else None


async def _refuse(
    call: Call, socket: WebSocket, offered: list[str], why: Fault, ordered: Fault | None = None, message: str = ""
) -> None:
    """Nothing is accepted. Like any call with a bad key, one that nobody ordered to fail so is not in the ledger."""
    response = _answer(call, why, message)
    if ordered is not None or why.name != "bad_key":
        await call.refuse(response, ordered.name if ordered is not None else "")
    if option(call.fault("variant"), "refused") != "inside":
        await socket.send_denial_response(response)
        return
    error = wire.refusal_body(why) if why.name in wire.ERRORS else wire.refusal_body(Fault("server_error"))
    said = wire.event(wire.TONGUES[""], "error", {"error": {**error, "message": message or error["message"]}})
    try:
        await socket.accept(_subprotocol(offered))
        await socket.send_text(str(said))
        await socket.close(CLOSE_CODES.get(why.name, 1011), error["code"])
    except WebSocketDisconnect:
        return


def _answer(call: Call, why: Fault, message: str) -> Response:
    if why.name == "model_not_found":
        return gateway_error(404, "model_not_found", message, call.request_id)
    if message:
        return Dialect().refuse(why.name, call.request_id, message)
    return refusal(Dialect(), why, call.request_id)
