"""Lip sync in two steps (sections 5.6a and 5.6b): identify the faces of a video, then let one of them speak.

POST /kling/v1/videos/identify-face      answered at once with a session and its faces
POST /kling/v1/videos/advanced-lip-sync  a task

Every video has one face, from its beginning to its end. A video known only by its URL counts as 10 s long.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.responses import Response

from simulator.calls import Call, Output, base_url
from simulator.dialects import json_response
from simulator.fields import Fields, fields_of
from simulator.media.orders import Picture
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Footage, Product, Video
from simulator.providers.kling.tasks import offer, start_task, sync_operation, task_operation
from simulator.providers.kling.wire import envelope
from simulator.site import Site

#: Shortest piece of sound, and shortest overlap with the face.
_SHORTEST_MS = 2000

IDENTIFY_FACE = sync_operation("identify_face", "text", "0.007")
ADVANCED_LIP_SYNC = task_operation("advanced_lip_sync", "video", "0.14")


@dataclass(frozen=True, slots=True)
class FaceSession:
    id: str
    footage: Footage
    #: None for a video from elsewhere.
    video: Video | None
    #: Face -> when it is seen, from and to, in ms.
    faces: Mapping[str, tuple[int, int]]


def register(site: Site) -> None:
    site.sell("/kling/v1/videos/identify-face", IDENTIFY_FACE, identify_face)
    offer(site, "/kling/v1/videos/advanced-lip-sync", ADVANCED_LIP_SYNC, advanced_lip_sync)


async def identify_face(call: Call) -> Response:
    fields = fields_of(call)
    video = earlier.video(call, fields) if checks.one_video(fields) == "video_id" else None
    footage = video.footage if video is not None else Footage("a video from elsewhere", 10.0)
    session_id = f"s-{secrets.token_hex(9)}"
    await call.accept()
    order = Picture(f"face in: {footage.text}", 256, 256)
    files = await call.deliver([Output(order, f"face-{session_id}-0")], linked=True)
    end_ms = round(footage.seconds * 1000)
    faces = {str(number): (0, end_ms) for number, _ in enumerate(files)}
    earlier.keep_session(call, session_id, FaceSession(session_id, footage, video, faces))
    base = base_url(call.world, call.exchange)
    listed = [
        {"face_id": face_id, "face_image": base + file.url_path, "start_time": start, "end_time": end}
        for (face_id, (start, end)), file in zip(faces.items(), files, strict=True)
    ]
    data = {"session_id": session_id, "face_data": listed, "final_unit_deduction": "0.05"}
    return json_response(envelope(call.request_id, data))


async def advanced_lip_sync(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("session_id", "face_choose")
    session = earlier.session(call, fields, FaceSession)
    (choice,) = fields.each("face_choose", 1, 1)
    choice.need("face_id", "sound_start_time", "sound_end_time", "sound_insert_time")
    face = session.faces.get(choice.text("face_id"))
    if face is None:
        raise checks.unknown(call, "face_id", choice.given["face_id"])
    for name in ("sound_volume", "original_audio_volume", "original_sound_volume"):
        choice.number(name, 0, 2)
    _check_times(choice, session, face, _sound_ms(call, choice))
    return await start_task(call, Product(replace(session.footage, with_sound=True), parent=session.video))


def _sound_ms(call: Call, choice: Fields) -> int | None:
    """None where the sound's length is not known."""
    if checks.exactly_one(choice, "audio_id", "sound_file") == "audio_id":
        return round(earlier.sound_seconds(call, choice) * 1000)
    checks.sound(choice, "sound_file")
    return None


def _check_times(choice: Fields, session: FaceSession, face: tuple[int, int], sound_ms: int | None) -> None:
    names = ("sound_start_time", "sound_end_time", "sound_insert_time")
    start, end, inserted = (checks.milliseconds(choice, name) for name in names)
    if sound_ms is not None and end > sound_ms:
        raise choice.wrong("sound_end_time", f"is past the end of the sound ({sound_ms} ms)")
    if end - start < _SHORTEST_MS:
        raise choice.wrong("sound_end_time", f"must be at least {_SHORTEST_MS} ms after sound_start_time")
    until = inserted + end - start
    if until > session.footage.seconds * 1000:
        raise choice.wrong("sound_insert_time", "lets the sound run past the end of the video")
    if min(until, face[1]) - max(inserted, face[0]) < _SHORTEST_MS:
        raise choice.wrong("sound_insert_time", f"must overlap the face by at least {_SHORTEST_MS} ms")
