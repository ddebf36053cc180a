"""Replicate: predictions, whose `output` is any JSON the model likes.

Source: replicate.md sections 0 to 2 (apidoc.cometapi.com/api/image/replicate, replicate-python prediction.py).

The model's name decides the form of the output, first rule that fits:

    llama, instruct, chat, gpt, claude, mistral   list of text chunks, to be joined
    segment, mask, depth                          object of two URLs, ``{"image": ..., "mask": ...}``
    video, wan, ltx                               one URL of an mp4
    pro, max, ultra, upscale                      one URL of a picture
    anything else (flux-schnell, sdxl, ...)       list of `num_outputs` URLs

`urls` point at Replicate's own hosts, as in the documented sample: a client that follows them leaves the gateway.
Answers that are not in the facts: 404 and 422 come in the native RFC 7807 shape, `Prefer: wait` and `webhook` are
accepted and ignored, there is no cancel route.
"""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect, json_response
from simulator.exchange import Refused
from simulator.listing import ModelCard
from simulator.media.orders import Clip, Order, Picture, PictureFormat
from simulator.prose import answer_to
from simulator.site import Site
from simulator.tasks import Phase, View

Form = Literal["text", "object", "video", "single", "list"]

#: Words in the model's name -> form of its output.
_FORMS: tuple[tuple[Form, tuple[str, ...]], ...] = (
    ("text", ("llama", "instruct", "chat", "gpt", "claude", "mistral")),
    ("object", ("segment", "mask", "depth")),
    ("video", ("video", "wan", "ltx")),
    ("single", ("pro", "max", "ultra", "upscale")),
)

_STATUS = {
    Phase.SUBMITTED: "starting",
    Phase.PROCESSING: "processing",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
}

#: About one megapixel each.
_SIZES = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "4:3": (1184, 880),
    "3:4": (880, 1184),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (912, 1136),
    "5:4": (1136, 912),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
}

_FORMATS: dict[str, PictureFormat] = {"webp": "webp", "jpg": "jpeg", "png": "png"}

_ID_LETTERS = string.ascii_lowercase + string.digits

_MODELS = (
    ("black-forest-labs/flux-schnell", "image", "text-to-image"),
    ("black-forest-labs/flux-1.1-pro", "image", "text-to-image"),
    ("black-forest-labs/flux-1.1-pro-ultra", "image", "text-to-image"),
    ("black-forest-labs/flux-kontext-pro", "image", "image-to-image"),
    ("black-forest-labs/flux-kontext-max", "image", "image-to-image"),
)


class ReplicateDialect(Dialect):
    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return problem(404, "Prediction not found", f"The prediction {task_id} does not exist")

    def not_yet_visible(self, task_id: str, request_id: str) -> Response:
        return self.unknown_task(task_id, request_id)


def problem(status: int, title: str, detail: str) -> Response:
    """RFC 7807, which leaks through the gateway."""
    return json_response({"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": ""}, status)


def prompt_of(body: Body) -> str:
    given = body.get("input")
    return str(given.get("prompt") or "") if isinstance(given, dict) else ""


PREDICTION = Operation(
    "replicate.prediction",
    kind="image",
    price_usd=Decimal("0.0024"),
    dialect=ReplicateDialect(),
    prompt=prompt_of,
    is_task=True,
)


def register(site: Site) -> None:
    site.sell("/replicate/v1/models/{owner}/{name}/predictions", PREDICTION, create)
    site.show("/replicate/v1/predictions/{id}", PREDICTION, show_prediction)
    site.world.models += [ModelCard(name, "Replicate", kind, what, per_request=0.0024) for name, kind, what in _MODELS]


def form_of(name: str) -> Form:
    return next((form for form, words in _FORMS if any(word in name for word in words)), "list")


async def create(call: Call) -> Response:
    given = call.body.get("input")
    if not isinstance(given, dict):
        raise call.invalid("field input is required")
    form = form_of(call.exchange.params["name"].lower())
    task_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(26))
    orders = _orders(form, call.prompt, given)
    outputs = [Output(order, f"{task_id}-out-{number}") for number, order in enumerate(orders)]
    model = f"{call.exchange.params['owner']}/{call.exchange.params['name']}"
    task = await call.start(
        task_id,
        outputs,
        moderation="NSFW content detected",
        failure="Prediction failed: out of memory",
        details={"model": model, "form": form},
    )
    if task is None:
        raise RuntimeError("a prediction has no external id, so none can be taken")
    view = View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url)
    return json_response({**show_prediction(view), "data_removed": False, "source": "api"}, 201)


def _orders(form: Form, prompt: str, given: dict[str, Any]) -> list[Order]:
    """Raises 422 for values no model takes."""
    if form == "text":
        return []
    width, height = _size(given)
    if form == "video":
        seconds = given.get("duration", 5)
        if not isinstance(seconds, int | float) or not 1 <= seconds <= 20:
            raise _unprocessable("duration must be between 1 and 20")
        return [Clip(prompt, float(seconds), width, height)]
    wanted = given.get("output_format", "webp")
    if not isinstance(wanted, str) or wanted not in _FORMATS:
        raise _unprocessable("output_format must be one of the following: webp, jpg, png")
    count = given.get("num_outputs", 1)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 10:
        raise _unprocessable("num_outputs must be between 1 and 10")
    if form == "object":
        count = 2
    elif form == "single":
        count = 1
    return [Picture(prompt, width, height, _FORMATS[wanted], variation=number) for number in range(count)]


def _size(given: dict[str, Any]) -> tuple[int, int]:
    width, height = given.get("width"), given.get("height")
    if width is not None and height is not None:
        if not all(isinstance(side, int) and 64 <= side <= 4096 for side in (width, height)):
            raise _unprocessable("width and height must be between 64 and 4096")
        return width, height
    ratio = given.get("aspect_ratio", "1:1")
    if ratio == "match_input_image":
        ratio = "1:1"
    if not isinstance(ratio, str) or ratio not in _SIZES:
        raise _unprocessable(f"aspect_ratio must be one of the following: {', '.join(_SIZES)}")
    return _SIZES[ratio]


def _unprocessable(detail: str) -> Refused:
    return Refused(problem(422, "Input validation failed", f"- input.{detail}"))


def show_prediction(view: View) -> dict[str, Any]:
    task = view.task
    is_over = view.phase in (Phase.SUCCEEDED, Phase.FAILED)
    host = "https://api.replicate.com/v1/predictions"
    prediction: dict[str, Any] = {
        "id": task.id,
        "model": task.details["model"],
        "version": "hidden",
        "input": task.body["input"],
        "logs": _logs(view),
        "output": _output(view),
        "data_removed": False,
        "error": task.failure if view.phase is Phase.FAILED else None,
        "status": view.strange_word or _STATUS[view.phase],
        "created_at": _iso(task.created_at),
        "urls": {
            "get": f"{host}/{task.id}",
            "cancel": f"{host}/{task.id}/cancel",
            "stream": f"https://stream.replicate.com/v1/files/{task.id}",
            "web": f"https://replicate.com/p/{task.id}",
        },
    }
    if view.phase is not Phase.SUBMITTED:
        prediction["started_at"] = _iso(task.begins_at)
    if is_over:
        prediction["completed_at"] = _iso(task.ends_at)
    if view.phase is Phase.SUCCEEDED:
        prediction["metrics"] = {
            "image_count": len(view.outputs),
            "predict_time": round(task.ends_at - task.begins_at, 3),
        }
    return prediction


def _logs(view: View) -> str:
    """A line in words, and the progress bar from which the vendor's client reads the progress."""
    if view.phase is Phase.SUBMITTED:
        return ""
    done = int(view.progress * 4)
    return f"step {done}/4\n{done * 25:3}%|{'#' * done:4}| {done}/4"


def _output(view: View) -> Any:
    """The finished output in its model's form; None before success and for a success without outputs."""
    if view.phase is not Phase.SUCCEEDED or view.task.fault("no_outputs"):
        return None
    urls = [view.url(file) for file in view.outputs]
    match view.task.details["form"]:
        case "text":
            words = answer_to(prompt_of(view.task.body)).split(" ")
            return [word + " " for word in words[:-1]] + words[-1:]
        case "object":
            return {"image": urls[0], "mask": urls[1]}
        case "single" | "video":
            return urls[0]
        case _:
            return urls


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
