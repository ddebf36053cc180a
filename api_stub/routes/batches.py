"""Jobs by the thousand."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Annotated, Any

from fastapi import Query
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from api_stub import batch_bundle, batch_intake, batch_lines, batch_results, batch_retry, batch_steering, body, documents, params
from api_stub.answers import answer, made
from api_stub.auth import TenantId
from api_stub.batch_intake import Received, TakenBatch
from api_stub.face import At, Face
from api_stub.idempotency import REPLAYED, Key
from api_stub.presenting import batch_of, shown_batches
from api_stub.problems import invalid
from api_stub.routes.router import for_tenants
from api_stub.streaming import Streamed
from jobs.queries import batches
from jobs.states import FINAL, JobState
from storage.names import content_disposition
from storage.spool import Spool

router = for_tenants("batches")

#: A proxy that gathers a long answer before it passes it on would time out on it.
_UNBUFFERED = {"X-Accel-Buffering": "no"}


@router.post("/v1/batches", status_code=202, openapi_extra=documents.SUBMIT_BATCH, responses=documents.SUBMITTED_BATCH_202)
async def submit(
    request: Request,
    face: At,
    tenant_id: TenantId,
    key: Key,
    callback_url: Annotated[str | None, Query(max_length=2048, description="with NDJSON; in JSON it is a field")] = None,
    max_cost_usd: Annotated[
        str | None, Query(max_length=40, description='what all jobs together may cost, as "12.50"; with NDJSON')
    ] = None,
    coalesce: Annotated[bool | None, Query(description="equal lines run once; with NDJSON")] = None,
    reuse_within_s: Annotated[
        float | None, Query(description="use results that are at most so old; means `coalesce`; with NDJSON")
    ] = None,
    dry_run: Annotated[bool, Query(description="check the batch and price it, store nothing")] = False,
) -> Response:
    """Submit up to 50,000 jobs at once, all or none: `{"jobs": […]}`, or NDJSON with one job a line.

    The batch's `callback_url` gets `batch.completed`, and the events of every job that names none of its own.

    `max_cost_usd`: 422 `over_cap` if the jobs are quoted more together, `price_unknown` if the price of one is not known.
    `coalesce`: of lines that ask the same one runs, and an equal job of yours that is still under way may run for all of them
    (it must be of a coalescing batch, too); the others get its outputs (`shared_from`) and cost nothing. `reuse_within_s`: a
    result of yours that is at most so old serves at once. Lines that point at other jobs never share.

    With `dry_run=true` everything is checked but your own limits, and the answer is what it would cost; nothing is stored.
    429 `too_many_submits`, `too_many_queued` and 402 `budget_exhausted` where the operator has set you limits.
    """
    lines = body.media_type(request, body.JSON_TYPES | body.NDJSON_TYPES) in body.NDJSON_TYPES
    settings = face.context.settings
    with Spool(face.context.spool_folder, max_bytes=settings.max_batch_bytes) as spool:
        said = {
            "callback_url": callback_url,
            "max_cost_usd": max_cost_usd,
            "coalesce": coalesce,
            "reuse_within_s": reuse_within_s,
        }
        envelope = _of_url(lines, said, params.metadata(request))
        if lines:
            await body.spool(request, spool, batch_lines.LineGuard(batch_intake.limits_of(settings)))
        else:
            await body.spool(request, spool)
        received = Received(spool, lines, envelope)
        loop = asyncio.get_running_loop()
        if dry_run:
            return answer(await loop.run_in_executor(face.heavy, batch_intake.quote, face, tenant_id, received))
        taken = await loop.run_in_executor(face.heavy, lambda: batch_intake.submit(face, tenant_id, received, key=key))
    return _accepted(face, taken)


@router.get("/v1/batches", responses=documents.BATCHES_200)
def index(face: At, tenant_id: TenantId, limit: params.Limit = 50, cursor: params.Cursor = None) -> Response:
    """Your batches, newest first."""
    with face.context.database.read() as session:
        found = batches.page(session, tenant_id, limit=limit, before=params.before(cursor))
        return answer(params.page(shown_batches(session, found), limit))


@router.get("/v1/batches/{batch_id}", responses=documents.BATCH_200)
def show(face: At, tenant_id: TenantId, batch_id: str) -> Response:
    """A batch, with its jobs counted by status."""
    with face.context.database.read() as session:
        (shown,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return answer(shown)


@router.get("/v1/batches/{batch_id}/results", responses=documents.RESULTS_200)
def results(
    face: At,
    tenant_id: TenantId,
    batch_id: str,
    status: Annotated[
        str | None, Query(max_length=200, description="states, with commas between them; `final` stands for those that end a job")
    ] = None,
) -> Response:
    """The jobs of the batch as they are now, one a line, in the order of its lines. Those that have ended are `final`: true.

    May be asked for while the batch runs; a job is told of as it is when its line is written.
    """
    statuses = _statuses(status)
    with face.context.database.read() as session:
        batch = batch_of(session, tenant_id, batch_id)
    lines = batch_results.stream(face, tenant_id, batch.id, statuses)
    return Streamed(lines, face.streams, media_type="application/x-ndjson", headers=_UNBUFFERED)


@router.get("/v1/batches/{batch_id}/bundle", responses=documents.BUNDLE_200)
def bundle(face: At, tenant_id: TenantId, batch_id: str) -> Response:
    """Everything the batch made, as one ZIP archive.

    `manifest.ndjson` comes first, with a line for each job: `line, custom_id, job_id, operation, status, final, error`, and
    `files` with `name, index, sha256, bytes, media_type`. The files follow as `LINE-CUSTOM_ID-INDEX.EXTENSION` (the job's id
    where it has no custom_id), results in JSON as `LINE-CUSTOM_ID-output.json`. A file that storage no longer has whole is left
    out and named in `errors.ndjson`, which comes last.

    May be asked for while the batch runs: it has the files of the jobs that have ended.
    """
    return _bundle(face, tenant_id, batch_id, with_body=True)


@router.head("/v1/batches/{batch_id}/bundle", include_in_schema=False)
def bundle_head(face: At, tenant_id: TenantId, batch_id: str) -> Response:
    """What a bundle would have."""
    return _bundle(face, tenant_id, batch_id, with_body=False)


@router.post("/v1/batches/{batch_id}/retry-failed", status_code=202, responses=documents.RETRIED_BATCH_202)
async def retry_failed(
    face: At,
    tenant_id: TenantId,
    batch_id: str,
    key: Key,
    include: Annotated[str | None, Query(max_length=100, description="`expired`, `canceled`, or both with a comma between")] = None,
) -> Response:
    """A new batch that asks again for the jobs that failed. It may cost money again.

    Its lines keep their numbers, custom_ids and callbacks; each job names the old one as `retry_of`, the batch the old batch. A
    line that needs a job that succeeded goes on pointing at it; one that needs another retried line points at its new job.
    409 `batch_running` while a job of the batch has not ended, `nothing_to_retry` if none failed.
    """
    wanted = params.words("include", include, {state.value: {state} for state in batch_retry.INCLUDABLE})
    taken = await asyncio.get_running_loop().run_in_executor(
        face.heavy,
        lambda: batch_retry.retry_failed(face, tenant_id, params.plausible_id(batch_id, "batch"), wanted or frozenset(), key=key),
    )
    return _accepted(face, taken)


@router.post("/v1/batches/{batch_id}/cancel", status_code=202, responses=documents.CANCELED_BATCH_202)
def cancel(
    face: At,
    tenant_id: TenantId,
    batch_id: str,
    include: Annotated[str | None, Query(max_length=100, description="`running`: end what runs as well")] = None,
) -> Response:
    """End what has not started of the batch. What runs is let finish: it has been paid for; `left_running` says how much that is.

    With `include=running` that is ended as well; what the provider has taken by then may be charged all the same. A large batch
    goes on being canceled after the answer. Asked again, it goes on where it stopped; `include=running` may come later.
    """
    running = params.words("include", include, {"running": {True}}) is not None
    return answer(batch_steering.cancel(face, tenant_id, params.plausible_id(batch_id, "batch"), running=running), 202)


def _of_url(lines: bool, given: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """What the URL says of a batch of lines, which have no place for it."""
    said = {name: value for name, value in given.items() if value is not None}
    if metadata:
        said["metadata"] = metadata
    if said and not lines:
        msg = "goes with NDJSON only; in JSON it is a field of the body"
        raise invalid([{"loc": f"query.{name}", "code": "unknown_parameter", "msg": msg} for name in said])
    return said


def _accepted(face: Face, taken: TakenBatch) -> Response:
    headers = REPLAYED if taken.replayed else {}
    then = None if taken.replayed else BackgroundTask(face.afterwards.nudge)
    return made(taken.view, 202, "/v1/batches", headers=headers, then=then)


def _statuses(given: str | None) -> frozenset[JobState] | None:
    return params.words("status", given, {state.value: {state} for state in JobState} | {"final": FINAL})


def _bundle(face: Face, tenant_id: str, batch_id: str, *, with_body: bool) -> Response:
    with face.context.database.read() as session:
        batch = batch_of(session, tenant_id, batch_id)
        files, size_bytes = batches.media(session, batch.id)
    headers = _UNBUFFERED | {
        "Content-Disposition": content_disposition(f"{batch.id}.zip", attachment=True),
        # The archive's own length is known when it has been made; these two are for whoever shows how far it is.
        "Mediamill-Files": str(files),
        "Mediamill-Bytes": str(size_bytes),
    }
    pieces = batch_bundle.stream(face, batch) if with_body else _nothing()
    return Streamed(pieces, face.streams, media_type="application/zip", headers=headers)


def _nothing() -> Generator[bytes]:
    yield from ()
