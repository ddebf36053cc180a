"""Music in all its modes, and the persona song's second path (sections 1, 2, 4, 9b). Two clips per task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call
from simulator.fields import Fields, fields_of
from simulator.media.orders import Sound
from simulator.providers.suno.lyrics import lyrics_on
from simulator.providers.suno.personas import find_persona
from simulator.providers.suno.songs import Song, named_song, need_task
from simulator.providers.suno.wire import begin, begin_raw, new_id, task_operation, title_of
from simulator.site import Site

MUSIC = task_operation("music", "music", "0.144")

#: `mv` -> longest prompt, longest tags, version.
VERSIONS: Mapping[str, tuple[int, int, str]] = {
    "chirp-v3-0": (3000, 200, "v3"),
    "chirp-v3-5": (3000, 200, "v3.5"),
    "chirp-v4": (3000, 200, "v4"),
    "chirp-auk": (5000, 1000, "v4.5"),
    "chirp-auk-turbo": (5000, 1000, "v4.5-all"),
    "chirp-bluejay": (5000, 1000, "v4.5+"),
    "chirp-crow": (5000, 1000, "v5"),
    "chirp-fenix": (5000, 1000, "v5.5"),
}

_DEFAULT_MV = "chirp-v3-0"

#: Of any other `mv`: the facts call it an open string.
_OPEN = (5000, 1000, "")

#: Lengths of the two clips: short, so that a test downloads quickly.
SECONDS = (24.0, 28.0)

#: `task` -> field of the clip it works on, fields with a number of seconds that must be there.
_MODES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "extend": ("continue_clip_id", ("continue_at",)),
    "upload_extend": ("continue_clip_id", ("continue_at",)),
    "cover": ("cover_clip_id", ()),
    "infill": ("continue_clip_id", ("infill_start_s", "infill_end_s")),
    "artist_consistency": ("artist_clip_id", ()),
    "underpainting": ("underpainting_clip_id", ("underpainting_start_s", "underpainting_end_s")),
    "overpainting": ("overpainting_clip_id", ("overpainting_start_s", "overpainting_end_s")),
}

#: `negative_tags` may be empty.
_GENERATE_NEEDS = ("prompt", "generation_type", "tags", "mv", "title", "persona_id", "artist_clip_id")


def register(site: Site) -> None:
    site.sell("/suno/submit/music", MUSIC, submit)
    site.sell("/suno/generate", MUSIC, generate)


async def submit(call: Call) -> Response:
    source = check(call)
    return await begin(call, "MUSIC", songs_from(call.body, source))


async def generate(call: Call) -> Response:
    """Only for persona songs, and answered with the clips instead of a task id."""
    fields = fields_of(call)
    fields.need(*_GENERATE_NEEDS)
    fields.one_of("task", ("artist_consistency",))
    if "task" not in call.body or "negative_tags" not in call.body:
        raise call.invalid("task and negative_tags are required")
    source = check(call)
    return await begin_raw(call, "MUSIC", songs_from(call.body, source))


def check(call: Call) -> Song | None:
    """The clip this song goes on from, if any. Raises ``invalid_request``."""
    body, fields = call.body, fields_of(call)
    longest_prompt, longest_tags, _ = VERSIONS.get(fields.text("mv") or _DEFAULT_MV, _OPEN)
    fields.text("prompt", longest_prompt)
    fields.text("tags", longest_tags)
    for name in ("gpt_description_prompt", "negative_tags", "title", "task", "notify_hook"):
        fields.text(name)
    fields.flag("make_instrumental")
    fields.one_of("generation_type", ("TEXT", "INSTRUMENTAL"))
    _check_metadata(fields.inside("metadata"))
    if body.get("continue_clip_id"):
        need_task(call)
    mode = body.get("task") or ("extend" if body.get("continue_clip_id") else "")
    if mode:
        return _check_mode(call, fields, mode)
    if not call.prompt:
        raise call.invalid("prompt_empty")
    return None


def _check_metadata(fields: Fields) -> None:
    fields.one_of("vocal_gender", ("f", "m"))
    sliders = fields.inside("control_sliders")
    for name in ("style_weight", "weirdness_constraint", "audio_weight"):
        sliders.number(name, 0, 1)


def _check_mode(call: Call, fields: Fields, mode: str) -> Song:
    if mode not in _MODES:
        raise call.invalid("invalid_action")
    clip_field, moments = _MODES[mode]
    source = named_song(call, clip_field)
    fields.need(*moments)
    times = [fields.number(name, 0, source.sound.seconds) for name in moments]
    if times != sorted(set(times)):
        raise call.invalid(f"{moments[0]} must be less than {moments[1]}")
    if source.is_uploaded is not (mode == "upload_extend") and mode in {"extend", "upload_extend"}:
        raise call.invalid(f"task {mode} does not fit the clip")
    if mode == "artist_consistency":
        persona = find_persona(call.world, str(call.body.get("persona_id")))
        if persona is None:
            raise call.invalid("persona not found")
        if persona.details["root_clip_id"] != source.id:
            raise call.invalid("artist_clip_id is not the persona's root clip")
    return source


def songs_from(body: Body, source: Song | None) -> list[Song]:
    mv = str(body.get("mv") or _DEFAULT_MV)
    title = title_of(body)
    lyrics = _lyrics(body)
    heard = f"{lyrics or body.get('gpt_description_prompt') or body.get('tags') or title}"
    if source is not None:
        heard = f"{heard} after {source.title}"
    return [
        Song(
            id=new_id(),
            title=title,
            sound=Sound(heard, seconds, "mp3", 44_100, variation=number),
            model=mv,
            version=VERSIONS.get(mv, _OPEN)[2],
            lyrics=lyrics,
            cover=f"{title}\n{heard}",
            has_video=number == 0,
            mode=str(body.get("task") or ("extend" if body.get("continue_clip_id") else "")),
            joined_s=_joined_s(body, source, seconds),
            metadata=_history(body, source),
        )
        for number, seconds in enumerate(SECONDS)
    ]


def _lyrics(body: Body) -> str:
    """As sent, or written for the description; an instrumental has none."""
    if body.get("prompt"):
        return str(body["prompt"])
    if body.get("gpt_description_prompt") and not body.get("make_instrumental"):
        return lyrics_on(str(body["gpt_description_prompt"]))
    return ""


def _joined_s(body: Body, source: Song | None, seconds: float) -> float:
    if source is None or body.get("task") == "infill":
        return source.sound.seconds if source else seconds
    return float(body.get("continue_at") or 0) + seconds


def _history(body: Body, source: Song | None) -> dict[str, Any]:
    """Where the clip comes from, in `metadata.history`."""
    if source is None:
        return {}
    _, moments = _MODES[body.get("task") or "extend"]
    return {"history": [{"id": source.id, **{name: body[name] for name in moments}}]}
