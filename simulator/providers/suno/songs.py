"""Clips: what one sounds like, where it stands, how it is shown (section 0.3), and how a call finds one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.calls import Call, Output, base_url
from simulator.exchange import Refused
from simulator.faults import option
from simulator.media.orders import Clip, Picture, Sound
from simulator.tasks import Phase, Task, View
from simulator.world import World

#: All tasks are asked about at one place.
FAMILY = "suno"

STREAM_PATH = "/suno-stream"

_USER = {
    "user_id": "b2c7f0de-0000-4000-8000-000000000001",
    "display_name": "backend account",
    "handle": "backend_account",
    "avatar_image_url": "https://cdn1.example/avatar.webp",
}


@dataclass(frozen=True, slots=True)
class Song:
    """One clip."""

    id: str
    title: str
    sound: Sound
    #: ``gen``, ``concat`` or ``upload``.
    type: str = "gen"
    model: str = ""
    version: str = ""
    lyrics: str = ""
    #: What is on the cover; empty for none.
    cover: str = ""
    has_video: bool = False
    #: Mode of the submit that made it, such as ``extend``.
    mode: str = ""
    #: Length of the whole song once it is joined to what it goes on from, in seconds.
    joined_s: float = 0.0
    #: Members its `metadata` has beyond the usual.
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_uploaded(self) -> bool:
        return self.type == "upload"

    def outputs(self) -> list[Output]:
        """Sound, small and large cover, video; nothing for an upload."""
        if self.is_uploaded:
            return []
        made = [Output(self.sound, self.id)]
        if self.cover:
            number = self.sound.variation
            made += [
                Output(Picture(self.cover, 360, 360, "jpeg", variation=number), f"image_{self.id}"),
                Output(Picture(self.cover, 1024, 1024, "jpeg", variation=number), f"image_large_{self.id}"),
            ]
        if self.has_video:
            made.append(Output(self.video(), self.id))
        return made

    def video(self) -> Clip:
        return Clip(self.title, self.sound.seconds, 480, 480, with_sound=True, fps=2)


def songs_of(task: Task) -> Sequence[Song]:
    songs: Sequence[Song] = task.details.get("songs", ())
    return songs


def find_song(world: World, clip_id: str) -> tuple[Task, Song] | None:
    for task in world.tasks.newest_first(FAMILY):
        for song in songs_of(task):
            if song.id == clip_id:
                return task, song
    return None


def complete_song(call: Call, clip_id: object) -> tuple[Task, Song]:
    """The clip a call works on. Raises ``invalid_request`` when it is unknown or not complete."""
    found = find_song(call.world, clip_id) if isinstance(clip_id, str) else None
    if found is None:
        raise call.invalid(f"clip not found: {clip_id}")
    if status_of(_now(call, found[0]), found[1]) != "complete":
        raise call.invalid("clip is not complete")
    return found


def named_song(call: Call, name: str) -> Song:
    """`complete_song` of a field of the body."""
    if not call.body.get(name):
        raise call.invalid(f"{name} is required")
    return complete_song(call, call.body[name])[1]


def need_task(call: Call) -> None:
    """`task_id` pins the account a clip lives in; without a known one nothing can be done with the clip."""
    task_id = call.body.get("task_id")
    if not task_id:
        raise call.invalid("task id is empty")
    if call.world.tasks.find(FAMILY, str(task_id)) is None:
        raise Refused(call.operation.dialect.unknown_task(str(task_id), call.request_id))


def shown_song(call: Call, task: Task, song: Song) -> dict[str, Any]:
    """The clip as it is at the moment of this call."""
    return song_object(_now(call, task), song)


def _now(call: Call, task: Task) -> View:
    now = call.world.now()
    return View(task, task.phase(now), task.progress(now), now, base_url(call.world, call.exchange))


def status_of(view: View, song: Song) -> str:
    """A clip's own word; it may lag behind its task, or have failed alone."""
    if view.phase is Phase.SUBMITTED:
        return "submitted"
    if view.phase is not Phase.SUCCEEDED:
        return "streaming" if view.progress >= 0.25 and not song.is_uploaded else "queued"
    variant = view.task.fault("variant")
    match option(variant, "clips"):
        case "streaming" if variant is not None and view.now < view.task.ends_at + variant.number("seconds", 2):
            return "streaming"
        case "error" if song is songs_of(view.task)[-1]:
            return "error"
    return "complete"


def song_objects(view: View) -> list[dict[str, Any]]:
    """Empty for a failed task and for a success without outputs."""
    is_empty = view.phase is Phase.SUCCEEDED and view.task.fault("no_outputs")
    return [] if view.phase is Phase.FAILED or is_empty else [song_object(view, song) for song in songs_of(view.task)]


def song_object(view: View, song: Song) -> dict[str, Any]:
    status = status_of(view, song)
    is_complete, is_error = status == "complete", status == "error"
    files = {file.name: view.url(file) for file in view.outputs} if is_complete else {}
    audio_url = files.get(f"{song.id}.{song.sound.suffix}", "")
    if status == "streaming":
        audio_url = f"{view.base_url}{STREAM_PATH}?item_id={song.id}"
    body = view.task.body
    return {
        "id": song.id,
        "title": song.title,
        "status": status,
        "audio_url": audio_url,
        "video_url": files.get(f"{song.id}.mp4", ""),
        "image_url": files.get(f"image_{song.id}.jpeg", ""),
        "image_large_url": files.get(f"image_large_{song.id}.jpeg", ""),
        "is_video_pending": False,
        "is_public": False,
        "is_liked": False,
        "is_trashed": False,
        "is_handle_updated": False,
        **_USER,
        "play_count": 0,
        "upvote_count": 0,
        "model_name": song.model,
        "major_model_version": song.version,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(view.task.created_at)),
        "metadata": {
            "tags": body.get("tags") or "",
            "prompt": song.lyrics,
            "gpt_description_prompt": body.get("gpt_description_prompt"),
            "type": song.type,
            "duration": song.sound.seconds if is_complete else None,
            "stream": True,
            "error_type": "generation_error" if is_error else None,
            "error_message": "the clip could not be generated" if is_error else None,
            **song.metadata,
        },
    }
