"""Personas: a voice taken from a finished song, answered at once and bare (section 9a).

A persona is kept as a task that nobody polls, so that it goes with the rest when the simulator is reset.
"""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Body, Call, base_url
from simulator.dialects import json_response
from simulator.fields import fields_of
from simulator.providers.suno.songs import complete_song, shown_song
from simulator.providers.suno.wire import direct_operation, envelope, new_id
from simulator.site import Site
from simulator.tasks import Task
from simulator.world import World


def name_of(body: Body) -> str:
    return str(body.get("name") or "")


PERSONA = direct_operation("persona", "0.02", name_of)


def register(site: Site) -> None:
    site.sell("/suno/persona/create", PERSONA, create)
    site.sell("/suno/persona/create/", PERSONA, create)


def find_persona(world: World, persona_id: str) -> Task | None:
    return world.tasks.find(PERSONA.task_family, persona_id)


async def create(call: Call) -> Response:
    body, fields = call.body, fields_of(call)
    fields.need("root_clip_id", "name", "description", "clips", "is_public")
    for name in ("root_clip_id", "name", "description"):
        fields.text(name)
    fields.flag("is_public")
    clips = body["clips"]
    if not isinstance(clips, list) or body["root_clip_id"] not in clips:
        raise call.invalid("clips must be a list with the root clip in it")
    found = {str(clip_id): complete_song(call, clip_id) for clip_id in clips}
    if found[body["root_clip_id"]][1].is_uploaded:
        raise call.invalid("root clip must be generated, not uploaded")

    persona_id = new_id()
    await call.accept()
    await call.deliver([])
    _keep(call, persona_id)
    shown = {clip_id: shown_song(call, task, song) for clip_id, (task, song) in found.items()}
    persona = {
        "id": "" if call.fault("no_outputs") else persona_id,
        "name": body["name"],
        "description": body["description"],
        "image_s3_id": f"image_{body['root_clip_id']}",
        "root_clip_id": body["root_clip_id"],
        "clip": shown[body["root_clip_id"]],
        "user_display_name": "backend account",
        "user_handle": "backend_account",
        "user_image_url": "https://cdn1.example/avatar.webp",
        "persona_clips": [{"clip": clip} for clip in shown.values()],
        "is_public": body["is_public"],
    }
    return json_response(envelope(persona) if call.fault("wrapped") else persona)


def _keep(call: Call, persona_id: str) -> None:
    persona = Task(
        id=persona_id,
        family=PERSONA.task_family,
        body=call.body,
        created_at=call.world.now(),
        latency_s=0.0,
        base_url=base_url(call.world, call.exchange),
        outputs=[],
        details={"root_clip_id": call.body["root_clip_id"]},
    )
    call.world.tasks.add(persona, PERSONA.provider)
