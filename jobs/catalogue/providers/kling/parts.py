"""What inputs are made of: media with their limits, fields that recur, and rules between fields."""

from typing import Any

from jobs.catalogue.schema import Schema, array, fields, flag, media, number, one_of, open_text, text

MOST_PROMPT_CHARS = 2500


def _with_limits(schema: Schema, limits: str) -> Schema:
    return schema | {"description": f"{schema['description']}; {limits}"}


# Base64 first: what is ours goes along inside the call, and no address of ours has to be reachable from outside.
PICTURE = _with_limits(
    media("base64", "url"), "jpg or png, at most 10 MB, each side at least 300 px, aspect ratio between 1:2.5 and 2.5:1"
)
SOUND = _with_limits(media("base64", "url"), "mp3, wav, m4a or aac, at most 5 MB")


def video_address(limits: str) -> Schema:
    """A video that is not Kling's own; it takes addresses only."""
    return _with_limits(media("url"), f"mp4 or mov, at most 100 MB, {limits}")


def provider_id(of: str) -> Schema:
    return text(200, pattern=r"^\S+$", description=of)


VIDEO_ID = provider_id("`output.videos[0].id` of an earlier job, at most 30 days old")
AUDIO_ID = provider_id("`output.audios[0].id` of an earlier job, at most 30 days old")

#: A prompt that may be missing, and so may be empty.
SOME_PROMPT = text(MOST_PROMPT_CHARS, shortest=0)
NEGATIVE_PROMPT = text(MOST_PROMPT_CHARS, shortest=0)
MODE = one_of("std", "pro")
CFG_SCALE = number(0, 1) | {"description": "not for v2 models and later"}
FRAME_RATIO = one_of("16:9", "9:16", "1:1")
PICTURE_RATIO = one_of("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
SHORT_OR_LONG = one_of("5", "10") | {"description": "seconds, as text"}
WATERMARK = fields({"enabled": flag()}, required=("enabled",), description="adds a second, marked copy of each result")
VOICE = open_text("genshin_vindi2", "zhinen_xuesheng", "oversea_male1", "genshin_klee2", "girlfriend_4_speech02")
VOICE_LANGUAGE = one_of("zh", "en")
VOICE_SPEED = number(0.8, 2.0)

MASKS: dict[str, Schema] = {
    "static_mask": PICTURE,
    "dynamic_masks": array(
        fields(
            {
                "mask": PICTURE,
                "trajectories": array(
                    fields({"x": {"type": "number"}, "y": {"type": "number"}}, required=("x", "y")), least=2, most=77
                ),
            },
            required=("mask", "trajectories"),
        ),
        most=6,
    )
    | {"description": "trajectories in pixels of the image"},
}


def together(field: str, *others: str) -> Schema:
    """`field` is not given without `others`."""
    return {"if": {"required": [field]}, "then": {"required": list(others)}}


def apart(field: str, *others: str) -> Schema:
    """`field` is not given together with any of `others`."""
    return {"if": {"required": [field]}, "then": {"properties": dict.fromkeys(others, False)}}


def either(field: str, other: str) -> tuple[Schema, ...]:
    """Exactly one of two."""
    return ({"anyOf": [{"required": [field]}, {"required": [other]}]}, apart(field, other))


def where(values: dict[str, Any], *, then: dict[str, Any] | None = None, need: tuple[str, ...] = ()) -> Schema:
    """Where all these fields have these values: rules for other fields, and fields that are then needed."""
    return {
        "if": {"properties": {field: {"const": value} for field, value in values.items()}, "required": list(values)},
        "then": {"properties": then or {}, "required": list(need)},
    }


def for_models(pattern: str, **rules: Any) -> Schema:
    """Rules for the models whose name matches, and for a call that names none: it goes to the oldest of them."""
    return {"if": {"properties": {"model_name": {"pattern": pattern}}}, "then": {"properties": rules}}
