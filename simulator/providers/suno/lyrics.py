"""Lyrics: a task whose result is one object instead of a list (sections 0.4, 3)."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.providers.suno.wire import begin, task_operation, title_of
from simulator.site import Site
from simulator.tasks import Phase, View

LYRICS = task_operation("lyrics", "text", "0.02")

_LINES = (
    "The lamps go out along the quay",
    "We count the boats that never came",
    "A window hums a melody",
    "And every wave forgets its name",
    "Hold on, the tide is turning round",
    "Hold on, we are not lost, just slow",
    "The morning has a copper sound",
    "It tells us what we used to know",
)


def register(site: Site) -> None:
    site.sell("/suno/submit/lyrics", LYRICS, submit)


async def submit(call: Call) -> Response:
    fields = fields_of(call)
    fields.text("notify_hook")
    if not fields.text("prompt"):
        raise call.invalid("prompt_empty")
    return await begin(call, "LYRICS", (), data=lyrics_object)


def lyrics_object(view: View) -> dict[str, Any] | None:
    """None until it is written, and for a success without outputs."""
    if view.phase is not Phase.SUCCEEDED or view.task.fault("no_outputs"):
        return None
    prompt = str(view.task.body["prompt"])
    return {"id": view.task.id, "title": title_of(view.task.body), "text": lyrics_on(prompt), "status": "complete"}


def lyrics_on(subject: str) -> str:
    """A verse, the subject as chorus, another verse; always the same for the same subject."""
    first = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()[0]
    lines = [_LINES[(first + number) % len(_LINES)] for number in range(len(_LINES))]
    chorus = " ".join(subject.split()[:12])
    return "\n".join(("[Verse]", *lines[:4], "", "[Chorus]", chorus, chorus, "", "[Verse 2]", *lines[4:]))
