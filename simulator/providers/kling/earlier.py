"""Earlier work that a later call names by its id: videos, sounds, sessions.

An id is good for as long as the simulator runs; Kling keeps files for 30 days and sessions for 24 hours. Any other id,
however well formed, is refused with 1203: from another process, of a task that is not done, or with nothing in it.
"""

from __future__ import annotations

from typing import TypeVar

from simulator.calls import Call
from simulator.fields import Fields
from simulator.files import PublishedFile
from simulator.media.orders import Sound
from simulator.providers.kling import checks
from simulator.providers.kling.products import Product, Video
from simulator.tasks import Phase, Task

Session = TypeVar("Session")

_TASK = "kling.task"
_SOUND = "kling.sound"
_SESSION = "kling.session"


def keep_task(call: Call, task: Task) -> None:
    call.world.kept[_TASK, task.id] = task


def keep_sound(call: Call, audio_id: str, sound: Sound) -> None:
    call.world.kept[_SOUND, audio_id] = sound


def keep_session(call: Call, session_id: str, session: object) -> None:
    call.world.kept[_SESSION, session_id] = session


def video(call: Call, fields: Fields, name: str = "video_id") -> Video:
    """The video with the id in this field."""
    video_id = fields.text(name)
    found = _video(call, video_id.removeprefix("v-")) if video_id.startswith("v-") else None
    if found is None:
        raise checks.unknown(call, fields.path + name, video_id)
    return found


def video_of_task(call: Call, fields: Fields, name: str = "task_id") -> Video:
    """The video of the task with the id in this field."""
    task_id = fields.text(name)
    found = _video(call, task_id)
    if found is None:
        raise checks.unknown(call, fields.path + name, task_id)
    return found


def sound_seconds(call: Call, fields: Fields, name: str = "audio_id") -> float:
    """Length of the sound with the id in this field: from speech, or from any task that makes sound."""
    audio_id = fields.text(name)
    spoken: Sound | None = call.world.kept.get((_SOUND, audio_id))
    if spoken is not None:
        return spoken.seconds
    done = _done(call, audio_id.removeprefix("a-"), f"{audio_id}.mp3")
    if done is None or done[0].sound is None:
        raise checks.unknown(call, fields.path + name, audio_id)
    return done[0].sound.seconds


def session(call: Call, fields: Fields, kind: type[Session]) -> Session:
    """The session with the id in `session_id`; one of the other kind counts as unknown."""
    session_id = fields.text("session_id")
    found = call.world.kept.get((_SESSION, session_id))
    if not isinstance(found, kind):
        raise checks.unknown(call, fields.path + "session_id", session_id)
    return found


def _video(call: Call, task_id: str) -> Video | None:
    done = _done(call, task_id, f"v-{task_id}.mp4")
    if done is None or done[0].video is None:
        return None
    return Video(f"v-{task_id}", done[0].video, done[1])


def _done(call: Call, task_id: str, file_name: str) -> tuple[Product, PublishedFile] | None:
    """What a finished task made, with the file of that name."""
    task: Task | None = call.world.kept.get((_TASK, task_id))
    if task is None or task.phase(call.world.now()) is not Phase.SUCCEEDED:
        return None
    file = next((file for file in task.outputs or () if file.name == file_name), None)
    return None if file is None else (task.details["product"], file)
