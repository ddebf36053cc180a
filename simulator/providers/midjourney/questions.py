"""What can be asked for free: one task, several, and the picture itself (sections 8, 9, 10)."""

from __future__ import annotations

import json

from starlette.responses import FileResponse, Response

from simulator.calls import base_url
from simulator.dialects import json_response
from simulator.downloads import answer_file
from simulator.exchange import Exchange, Handler
from simulator.media.orders import Picture
from simulator.polls import answer_question
from simulator.providers.midjourney.checks import image_bytes
from simulator.providers.midjourney.pieces import Form
from simulator.providers.midjourney.submits import IMAGINE
from simulator.providers.midjourney.tasks import FAMILY
from simulator.providers.midjourney.wire import has_preview, piece_of, show_task, task_object
from simulator.site import Site
from simulator.tasks import View
from simulator.world import World


def register(site: Site, prefix: str) -> None:
    site.show(f"{prefix}/task/{{id}}/fetch", IMAGINE, show_task)
    site.routes.post(f"{prefix}/task/list-by-condition", _listing(site.world))
    site.routes.get(f"{prefix}/image/{{id}}", _image(site.world))


def _listing(world: World) -> Handler:
    """A bare list; ids nobody knows are left out."""

    async def listing(exchange: Exchange) -> Response:
        try:
            ids = json.loads(await exchange.request.body())["ids"]
        except (ValueError, TypeError, KeyError):
            ids = None
        known = [world.tasks.find(FAMILY, str(one)) for one in ids] if isinstance(ids, list) else []
        tasks = [task for task in known if task is not None]

        def look() -> Response:
            if not isinstance(ids, list):
                return IMAGINE.dialect.refuse("invalid", exchange.request_id, "ids is required")
            now, base = world.now(), base_url(world, exchange)
            return json_response([task_object(task.view(now, base)) for task in tasks if not task.is_hidden(now)])

        spoiled = next((task for task in tasks if task.poll_faults), None)
        return await answer_question(world, IMAGINE, exchange, look, spoiled)

    return listing


def _image(world: World) -> Handler:
    """The picture of a task, without a key: a finished one, a preview, or what a describe looks at."""

    async def image(exchange: Exchange) -> Response:
        task = world.tasks.find(FAMILY, exchange.params["id"])
        if task is None:
            return json_response({"error": "midjourney_task_not_found"}, 400)
        piece, now = piece_of(task), world.now()
        view = View(task, task.phase(now), task.progress(now), now, base_url(world, exchange))
        if piece.form is Form.TEXT and "base64" in task.body:
            uri = task.body["base64"]
            return Response(image_bytes(uri, "base64"), media_type=uri.removeprefix("data:").partition(";")[0])
        if view.outputs and piece.form in (Form.GRID, Form.SINGLE):
            return await answer_file(world, view.outputs[0], exchange)
        if has_preview(view):
            order = Picture(piece.drawn, piece.width // 4, piece.height // 4, "webp", label="preview")
            preview = await world.studio.make(order)
            return FileResponse(preview.path, media_type=preview.media_type)
        return json_response({"error": "midjourney_image_not_found"}, 400)

    return image
