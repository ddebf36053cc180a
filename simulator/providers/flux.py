"""Flux (Black Forest Labs): a task for each picture, asked after by a query parameter.

Source: other-images.md section 1 (apidoc.cometapi.com/api/image/flux/flux-generate-image and flux-query).

`polling_url` points at the vendor's own host, as in the documented sample: a client that follows it leaves the gateway.
"Task not found" comes with HTTP 200, like every other answer about a task, and also when a task is not visible yet.
Chosen where the facts are silent: a wrong field is refused in the gateway's envelope; a failed task says why in
`message`, as the vendor's callbacks are said to; without a size a picture has 1024x768, without a format it is a JPEG.
``moderation`` says "Request Moderated"; with ``word=Content%20Moderated`` the other one. Any model is taken.
`webhook_url` and `webhook_secret` are accepted and ignored. Not played: that a link dies after ten minutes, and that
the same path knows Replicate's predictions.
"""

from __future__ import annotations

import secrets
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect, json_response
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.media.orders import Picture
from simulator.polls import in_query
from simulator.site import Site
from simulator.tasks import Phase, View

_STATUS = {
    Phase.SUBMITTED: "Pending",
    Phase.PROCESSING: "Pending",
    Phase.SUCCEEDED: "Ready",
    Phase.FAILED: "Error",
}

_MODELS = ("flux-dev", "flux-pro", "flux-pro-1.1", "flux-pro-1.1-ultra")


class FluxDialect(Dialect):
    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return json_response({"id": task_id, "status": "Task not found", "result": None})

    def not_yet_visible(self, task_id: str, request_id: str) -> Response:
        return self.unknown_task(task_id, request_id)


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


IMAGE_GENERATION = Operation(
    "flux.image_generation",
    kind="image",
    price_usd=Decimal("0.04"),
    dialect=FluxDialect(),
    prompt=prompt_of,
    is_task=True,
)


def register(site: Site) -> None:
    site.sell("/flux/v1/{model}", IMAGE_GENERATION, generate)
    site.show("/flux/v1/get_result", IMAGE_GENERATION, show_result, find=in_query("id"))
    site.world.models += [ModelCard(name, "Flux", "image", "text-to-image", per_request=0.04) for name in _MODELS]


async def generate(call: Call) -> Response:
    given = fields_of(call)
    given.need("prompt")
    given.text("prompt")
    for name in ("image_prompt", "webhook_url", "webhook_secret"):
        given.text(name)
    given.whole("steps", 1, 2**31)
    given.whole("safety_tolerance", 0, 6)
    given.flag("prompt_upsampling")
    for name in ("guidance", "interval"):
        given.number(name, 0, 2**31)
    seed = given.whole("seed", -(2**63), 2**63, secrets.randbelow(2**31))
    form = given.one_of("output_format", ("jpeg", "png"), "jpeg")
    picture = Picture(call.prompt, _side(given, "width", 1024), _side(given, "height", 768), form)
    task_id = str(uuid.uuid4())
    await call.start(
        task_id,
        [Output(picture, task_id)],
        moderation="Moderation reasons: safety filter",
        failure="generation failed",
        details={"seed": seed},
    )
    return json_response({"id": task_id, "polling_url": f"https://api.eu1.bfl.ai/v1/get_result?id={task_id}"})


def _side(given: Fields, name: str, default: int) -> int:
    side = given.whole(name, 256, 1440, default)
    if side % 32:
        raise given.wrong(name, "must be a multiple of 32")
    return side


def show_result(view: View) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": view.task.id,
        "status": view.strange_word or _STATUS[view.phase],
        "result": _result(view) if view.phase is Phase.SUCCEEDED else None,
    }
    if view.phase is Phase.FAILED:
        own_word = "Request Moderated" if view.is_moderated else _STATUS[view.phase]
        shown |= {"status": unquote(view.failure_option("word", own_word)), "message": view.task.failure}
    return shown


def _result(view: View) -> dict[str, Any]:
    task = view.task
    links = [view.url(file) for file in view.outputs]
    return {
        "seed": task.details["seed"],
        "prompt": prompt_of(task.body),
        "sample": links[0] if links else None,
        "duration": round(task.ends_at - task.begins_at, 3),
        "start_time": task.begins_at,
        "end_time": task.ends_at,
    }
