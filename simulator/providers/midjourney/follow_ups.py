"""Work on a finished picture: action, and modal where an action asks for more (sections 2, 3)."""

from __future__ import annotations

import dataclasses

from starlette.responses import Response

from simulator.calls import Call
from simulator.providers.midjourney import checks
from simulator.providers.midjourney.buttons import Modal, buttons_of
from simulator.providers.midjourney.tasks import begin, open_modal, operation, parent_of
from simulator.providers.midjourney.wire import piece_of, rejected, waits_for_modal
from simulator.site import Site

ACTION = operation("action", "image", "0.056")
MODAL = operation("modal", "image", "0.056")


def register(site: Site, prefix: str) -> None:
    site.sell(f"{prefix}/submit/action", ACTION, action)
    site.sell(f"{prefix}/submit/modal", MODAL, modal)


async def action(call: Call) -> Response:
    custom_id = call.body.get("customId")
    if not custom_id:
        raise call.invalid("custom_id_is_required")
    fields = checks.common(call)
    parent = parent_of(call)
    offered = [] if parent.fault("no_outputs") else buttons_of(piece_of(parent))
    button = next((one for one in offered if one.custom_id == custom_id), None)
    if button is None:
        raise call.invalid("unknown_action")
    fields.flag("chooseSameChannel")
    wants_remix = fields.flag("enableRemix")
    if button.modal.is_sure or (wants_remix and button.modal is Modal.REMIX):
        return await open_modal(call, parent, button)
    return await begin(call, button.makes)


async def modal(call: Call) -> Response:
    fields = checks.common(call)
    opened = parent_of(call, finished=False)
    if not waits_for_modal(opened):
        raise rejected("the task does not wait for a window to be confirmed")
    if opened.details["asks"] is Modal.MASK:
        checks.mask(fields, "maskBase64")
    else:
        checks.need_prompt(call)
    call.faults += opened.details["later"]
    call.poll_faults += opened.poll_faults
    # What came with the action stays, such as its state; what comes now counts.
    call.body = {**opened.body, **call.body}
    piece = dataclasses.replace(piece_of(opened), prompt=call.prompt or piece_of(opened).prompt)
    return await begin(call, piece, task_id=opened.id)
