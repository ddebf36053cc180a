"""Two addresses of one file: where it is watched, and where it is downloaded.

Answers in Markdown name both, the second with ``/download/`` in its path; it is the same file, not another output.
"""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Call, base_url
from simulator.downloads import access_denied, answer_file
from simulator.exchange import Exchange
from simulator.files import PublishedFile
from simulator.site import Site


def register(site: Site) -> None:
    async def download(exchange: Exchange) -> Response:
        file = site.world.files.get(exchange.params["name"])
        if file is None or not file.path.exists():
            return access_denied(404)
        response = await answer_file(site.world, file, exchange)
        response.headers["content-disposition"] = f'attachment; filename="{file.name}"'
        return response

    site.routes.get("/files/download/{name}", download)


def watch(call: Call, file: PublishedFile) -> str:
    return base_url(call.world, call.exchange) + file.url_path


def download(call: Call, file: PublishedFile) -> str:
    return f"{base_url(call.world, call.exchange)}/files/download/{file.name}"
