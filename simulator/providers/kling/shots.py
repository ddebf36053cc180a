"""Fields that text to video and image to video share, and which go with which model (sections 5.1 and 5.2).

The facts name a few combinations and say that any wrong mix is 1201. Only the named ones are refused here.
"""

from __future__ import annotations

from simulator.calls import Body
from simulator.fields import Fields
from simulator.providers.kling import checks

_CAMERA_KINDS = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")

_CAMERA_MOVES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")

_V3_SECONDS = tuple(str(seconds) for seconds in range(3, 16))


def prompt_of(body: Body) -> str:
    """The prompt, or the shots of a multi-shot video that has none."""
    prompt = body.get("prompt")
    if isinstance(prompt, str) and prompt:
        return prompt
    shots = body.get("multi_prompt")
    if not isinstance(shots, list):
        return ""
    return "\n".join(str(shot.get("prompt", "")) for shot in shots if isinstance(shot, dict))


def check(fields: Fields, model: str) -> float:
    """Seconds asked for."""
    checks.texts(fields, "prompt", "negative_prompt")
    mode = fields.one_of("mode", ("std", "pro"), "std")
    is_v3 = model == "kling-v3"
    duration = fields.one_of("duration", _V3_SECONDS if is_v3 else ("5", "10"), "5")
    fields.number("cfg_scale", 0, 1)
    if "cfg_scale" in fields.given and not model.startswith("kling-v1"):
        raise fields.wrong("cfg_scale", f"is not supported by {model}")
    has_sound = fields.one_of("sound", ("on", "off")) == "on"
    if has_sound and not is_v3 and (model, mode) != ("kling-v2-6", "pro"):
        raise fields.wrong("sound", f"is not supported by {model} in mode {mode}")
    _check_shots(fields, is_v3, duration)
    _check_camera(fields)
    return float(duration)


def _check_shots(fields: Fields, is_v3: bool, duration: str) -> None:
    if not fields.flag("multi_shot"):
        return
    if not is_v3:
        raise fields.wrong("multi_shot", "is not supported by this model")
    if fields.one_of("shot_type", ("customize", "intelligence")) != "customize":
        return
    total = 0
    for shot in fields.each("multi_prompt", 1, 6):
        shot.need("prompt", "duration")
        shot.text("prompt", 512)
        length = str(shot.given["duration"])
        if not length.isdecimal():
            raise shot.wrong("duration", "must be a number of seconds")
        total += int(length)
    if total != int(duration):
        raise fields.wrong("multi_prompt", "must have durations that add up to duration")


def _check_camera(fields: Fields) -> None:
    if "camera_control" not in fields.given:
        return
    camera = fields.inside("camera_control")
    if camera.one_of("type", _CAMERA_KINDS) != "simple":
        camera.need("type")
        if "config" in camera.given:
            raise camera.wrong("config", "is only for type simple")
        return
    config = camera.inside("config")
    amounts = [config.number(move, -10, 10) for move in _CAMERA_MOVES]
    if not set(config.given) <= set(_CAMERA_MOVES) or sum(1 for amount in amounts if amount) != 1:
        raise camera.wrong("config", "must have exactly one move that is not zero")
