"""Text to video (section 5.1): POST /kling/v1/videos/text2video."""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.listing import ModelCard
from simulator.media.orders import Clip
from simulator.providers.kling import checks
from simulator.providers.kling.tasks import new_task_id, offer, start_task
from simulator.providers.kling.wire import KlingDialect
from simulator.site import Site

MODELS = (
    "kling-v1",
    "kling-v1-6",
    "kling-v2-master",
    "kling-v2-1-master",
    "kling-v2-5-turbo",
    "kling-v2-6",
    "kling-v3",
)

_SIZES = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)}

_CAMERA_MOVES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")


def prompt_of(body: Body) -> str:
    """The prompt, or the shots of a multi-shot video that has none."""
    prompt = body.get("prompt")
    if isinstance(prompt, str) and prompt:
        return prompt
    shots = body.get("multi_prompt")
    if not isinstance(shots, list):
        return ""
    return "\n".join(str(shot.get("prompt", "")) for shot in shots if isinstance(shot, dict))


TEXT_TO_VIDEO = Operation(
    "kling.text_to_video", kind="video", price_usd=0.28, dialect=KlingDialect(), prompt=prompt_of, is_task=True
)


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/text2video", TEXT_TO_VIDEO, text_to_video)
    site.world.models += [ModelCard(model, "Kling", "video", "text-to-video", per_second=0.056) for model in MODELS]


async def text_to_video(call: Call) -> Response:
    body = call.body
    check(call)
    seconds = int(body.get("duration", "5"))
    width, height = _SIZES[body.get("aspect_ratio", "16:9")]
    task_id = new_task_id()
    clip = Clip(call.prompt, float(seconds), width, height, with_sound=body.get("sound") == "on")
    outputs = [Output(clip, f"v-{task_id}")]
    if _wants_watermark(body):
        outputs.append(Output(Clip(clip.text, clip.seconds, width, height, clip.with_sound, "Kling AI"), f"w-{task_id}"))
    return await start_task(call, task_id, outputs, {"seconds": float(seconds)})


def _wants_watermark(body: Body) -> bool:
    info = body.get("watermark_info")
    return isinstance(info, dict) and info.get("enabled") is True


def check(call: Call) -> None:
    """Field values and their combinations (section 5.1). Raises the native 1201."""
    body = call.body
    model = body.get("model_name", "kling-v1")
    checks.one_of(call, "model_name", MODELS)
    custom_shots = body.get("multi_shot") is True and body.get("shot_type") == "customize"
    if not custom_shots and not body.get("prompt"):
        raise call.invalid("prompt can not be empty")
    checks.at_most(call, "prompt", 2500)
    checks.at_most(call, "negative_prompt", 2500)
    checks.one_of(call, "mode", ("std", "pro"))
    checks.one_of(call, "sound", ("on", "off"))
    checks.one_of(call, "aspect_ratio", tuple(_SIZES))
    is_v3 = model == "kling-v3"
    checks.one_of(call, "duration", tuple(str(n) for n in range(3, 16)) if is_v3 else ("5", "10"))
    checks.number(call, "cfg_scale", 0, 1)
    if "cfg_scale" in body and not str(model).startswith("kling-v1"):
        raise call.invalid(f"cfg_scale is not supported by {model}")
    if body.get("sound") == "on" and not is_v3 and not (model == "kling-v2-6" and body.get("mode") == "pro"):
        raise call.invalid(f"sound is not supported by {model} in this mode")
    _check_shots(call, is_v3)
    _check_camera(call)
    checks.common_tail(call)


def _check_shots(call: Call, is_v3: bool) -> None:
    body = call.body
    if "multi_shot" in body and not isinstance(body["multi_shot"], bool):
        raise call.invalid("multi_shot must be a boolean")
    if not body.get("multi_shot"):
        return
    if not is_v3:
        raise call.invalid("multi_shot is not supported by this model")
    checks.one_of(call, "shot_type", ("customize", "intelligence"))
    if body.get("shot_type") != "customize":
        return
    shots = body.get("multi_prompt")
    if not isinstance(shots, list) or not 1 <= len(shots) <= 6:
        raise call.invalid("multi_prompt must have 1 to 6 items")
    total = 0
    for shot in shots:
        prompt = shot.get("prompt") if isinstance(shot, dict) else None
        length = str(shot.get("duration")) if isinstance(shot, dict) else ""
        if not isinstance(prompt, str) or not 0 < len(prompt) <= 512 or not length.isdecimal():
            raise call.invalid("multi_prompt items need index, prompt (at most 512 characters) and duration")
        total += int(length)
    if total != int(body.get("duration", "5")):
        raise call.invalid("durations in multi_prompt must add up to duration")


def _check_camera(call: Call) -> None:
    camera = call.body.get("camera_control")
    if camera is None:
        return
    if not isinstance(camera, dict):
        raise call.invalid("camera_control must be an object")
    kinds = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")
    if camera.get("type") not in kinds:
        raise call.invalid("camera_control.type value is invalid")
    config = camera.get("config")
    if camera["type"] != "simple":
        if config is not None:
            raise call.invalid("camera_control.config is only for type simple")
        return
    if not isinstance(config, dict) or not set(config) <= set(_CAMERA_MOVES):
        raise call.invalid("camera_control.config is invalid")
    amounts = list(config.values())
    if any(not checks.is_number(amount) or not -10 <= amount <= 10 for amount in amounts):
        raise call.invalid("camera_control.config values must be between -10 and 10")
    if sum(1 for amount in amounts if amount != 0) != 1:
        raise call.invalid("camera_control.config must have exactly one value that is not zero")
