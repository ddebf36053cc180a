"""The application: routes, what they share, and the layer around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool

from api_stub import problems
from api_stub.edge import Edge
from api_stub.face import open_face
from api_stub.routes import (
    admin,
    batches,
    deliveries,
    events,
    files,
    history,
    job_actions,
    jobs,
    media,
    operations,
    system,
    upstream,
    usage,
    webhooks,
)
from workers.context import Context

_ABOUT = """Jobs for AI media: submit one or fifty thousand, poll or be called back, fetch what was made.

Send the API key as `Authorization: Bearer …`. Errors are `application/problem+json` with a stable `code`.
Lists take `limit` and `cursor` and answer `{"data": […], "next_cursor": …}`."""


def create_app(context: Context) -> FastAPI:
    """The API over `context`, which stays the caller's to close. Threads of its own end with the application's lifespan."""
    face = open_face(context)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(face.close)

    # FastAPI's own page loads its scripts from a content network: blank in a closed one, and strangers' code in any.
    app = FastAPIOffline(
        title="mediamill",
        description=_ABOUT,
        version=version("mediamill"),
        lifespan=lifespan,
        redoc_url=None,
        # A redirect of a POST loses its body in half of all clients; a wrong address is better told.
        redirect_slashes=False,
    )
    app.state.face = face
    routers = (
        jobs.router,
        job_actions.router,
        history.router,
        media.router,
        media.open_router,
        batches.router,
        operations.router,
        files.router,
        events.router,
        deliveries.router,
        webhooks.router,
        usage.router,
        admin.router,
        upstream.router,
        system.router,
    )
    for router in routers:
        app.include_router(router)
    problems.install(app, [route for router in routers for route in router.routes])
    app.add_middleware(Edge, traffic=face.traffic)
    return app
