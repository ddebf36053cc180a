"""Is it alive, is it ready, how is it doing."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from api_stub import metrics, readiness
from api_stub.answers import answer
from api_stub.face import At
from api_stub.problems import ApiProblem
from api_stub.routes.router import for_everyone

router = for_everyone("system")


@router.get("/healthz")
async def alive() -> Response:
    """This process runs. Says nothing about what it depends on."""
    return answer({"status": "ok"})


@router.get("/readyz")
async def ready(face: At) -> Response:
    """Whether jobs can be taken: database reachable and up to date, storage usable. A missing broker is only warned of."""
    found = await run_in_threadpool(readiness.look, face.context)
    if found.wrong:
        errors = [{"loc": part, "code": "not_ready", "msg": msg} for part, msg in found.wrong.items()]
        detail = "; ".join(f"{part}: {msg}" for part, msg in found.wrong.items())
        raise ApiProblem(503, "not_ready", detail, errors=errors, headers={"Retry-After": "5"})
    return answer({"status": "ready", "warnings": [{"part": part, "message": msg} for part, msg in found.warnings.items()]})


@router.get("/metrics", response_class=PlainTextResponse)
def measured(face: At) -> Response:
    """For Prometheus."""
    return PlainTextResponse(metrics.exposition(face), media_type=metrics.MEDIA_TYPE)


@router.get("/", include_in_schema=False)
async def root(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs", 302)
    return answer({"name": "mediamill", "docs": "/docs", "openapi": "/openapi.json", "operations": "/v1/operations"})
