"""What can be asked for free: one task, several, and the live stream of a clip (sections 0.2, 10, 15)."""

from __future__ import annotations

import json

from starlette.responses import Response, StreamingResponse

from simulator.calls import base_url
from simulator.dialects import json_response
from simulator.exchange import Exchange, Handler
from simulator.polls import answer_question
from simulator.providers.suno.music import MUSIC
from simulator.providers.suno.songs import FAMILY, STREAM_PATH
from simulator.providers.suno.wire import envelope, show_task
from simulator.site import Site
from simulator.world import World


def register(site: Site) -> None:
    site.show("/suno/fetch/{id}", MUSIC, show_task)
    site.routes.post("/suno/fetch", _batch(site.world))
    site.routes.get(STREAM_PATH, _stream(site.world))


def _batch(world: World) -> Handler:
    """Unknown ids are silently absent, `action` is ignored (stock code); the header says text though it is JSON."""

    async def fetch(exchange: Exchange) -> Response:
        try:
            ids = json.loads(await exchange.request.body())["ids"]
        except (ValueError, TypeError, KeyError):
            ids = None
        is_list = isinstance(ids, list) and all(isinstance(one, str) for one in ids)
        known = [world.tasks.find(FAMILY, one) for one in ids] if is_list else []
        tasks = [task for task in known if task is not None]

        def look() -> Response:
            if not is_list:
                return MUSIC.dialect.refuse("invalid", exchange.request_id, "ids must be a list of strings")
            now, base = world.now(), base_url(world, exchange)
            views = [task.view(now, base) for task in tasks if not task.is_hidden(now)]
            rows = [{**show_task(view)["data"], "notify_hook": view.task.body.get("notify_hook", "")} for view in views]
            response = json_response(envelope(rows))
            response.headers["content-type"] = "text/plain; charset=utf-8"
            return response

        spoiled = next((task for task in tasks if task.poll_faults), None)
        return await answer_question(world, MUSIC, exchange, look, spoiled)

    return fetch


def _stream(world: World) -> Handler:
    """The beginning of a clip that is still being made, without a length, as a live stream has none."""

    async def stream(exchange: Exchange) -> Response:
        file = world.files.get(f"{exchange.request.query_params.get('item_id', '')}.mp3")
        if file is None:
            return Response(status_code=404)
        content = file.path.read_bytes()
        return StreamingResponse(iter([content[: len(content) // 3]]), media_type="audio/mpeg")

    return stream
