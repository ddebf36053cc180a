"""``GET /files/{name}``: where output URLs lead. No key, as with links to object storage."""

from __future__ import annotations

from starlette.responses import FileResponse, Response

from simulator import damage, faults
from simulator.dialects import json_response
from simulator.exchange import Exchange
from simulator.faults import FAULTS, Fault, Reach
from simulator.files import PublishedFile
from simulator.site import Site
from simulator.world import World


def register(site: Site) -> None:
    world = site.world

    async def download(exchange: Exchange) -> Response:
        file = world.files.get(exchange.params["name"])
        if file is None or not file.path.exists():
            return access_denied(404)
        if file.query and exchange.request.scope["query_string"].decode("latin-1") != file.query:
            return access_denied(403)
        return await answer_file(world, file, exchange)

    site.routes.add("GET", "/files/{name}", download)
    site.routes.add("HEAD", "/files/{name}", download)


async def answer_file(world: World, file: PublishedFile, exchange: Exchange) -> Response:
    """The file, or what the faults make of it. Also for providers that hand out content at a path of their own."""
    file.gets += 1
    whole = FileResponse(file.path, media_type=file.media_type)
    asked = faults.in_header(exchange.request.headers.get("x-simulate", ""))
    broken = [*file.faults, *(fault for fault in asked if FAULTS.get(fault.name) is Reach.FILE)]
    return await _spoil(world, file, broken, whole)


async def _spoil(world: World, file: PublishedFile, broken: list[Fault], whole: FileResponse) -> Response:
    for fault in broken:
        match fault.name:
            case "dead_link":
                return access_denied(fault.status(404))
            case "dead_link_once" if file.gets == 1:
                return access_denied(fault.status(404))
            case "slow_body":
                return damage.Drip(world, whole, await damage.body_of(whole), fault.number("seconds", 5))
            case "truncated_body":
                return damage.Truncated(whole, await damage.body_of(whole))
    return whole


def access_denied(status: int) -> Response:
    """What a mangled or outlived link answers (bytedance-images.md section 0)."""
    return json_response({"Code": "AccessDenied", "Message": "Access Denied", "EC": "0003-00000015"}, status)
