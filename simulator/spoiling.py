"""What a fault makes of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from simulator import damage
from simulator.dialects import Dialect, html_page
from simulator.exchange import Exchange
from simulator.faults import Fault
from simulator.world import World


def refusal(dialect: Dialect, fault: Fault, request_id: str) -> Response:
    """The answer of a fault that refuses, in the words of the provider or, with ``by=gateway``, of the gateway."""
    if fault.text("by", "") == "gateway":
        dialect = Dialect()
    if fault.name == "html":
        return html_page(fault.status(200))
    if fault.name == "error_in_200":
        return dialect.error_in_200(request_id)
    response = dialect.refuse(fault.name, request_id, code=fault.text("code", ""))
    if "retry_after" in fault.options:
        response.headers["retry-after"] = fault.options["retry_after"]
    return response


async def spoil(world: World, dialect: Dialect, broken: Sequence[Fault], response: Response, exchange: Exchange) -> Response:
    """What the first of these faults makes of a good answer."""
    for fault in broken:
        match fault.name:
            case "timeout_after_accept":
                await world.pause(fault.number("delay", 1))
                return dialect.refuse("timeout", exchange.request_id)
            case "hang_after_accept" | "never_finishes":
                return damage.Hang(world, min(fault.number("delay", 600), 600))
            case "reset_after_accept":
                return damage.Vanish()
            case "truncated_json":
                return damage.truncated_json(await damage.body_of(response))
            case "wrong_shape":
                return damage.wrong_shape()
            case "slow_body":
                return damage.Drip(world, response, await damage.body_of(response), fault.number("seconds", 5))
            case "truncated_body":
                return damage.Truncated(response, await damage.body_of(response))
            case other:
                exchange.warnings.append(f"{other} does not apply to this answer")
    return response
