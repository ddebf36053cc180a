"""How jobs, batches and deliveries look from outside: the JSON of contract and webhooks, made in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from jobs import references
from jobs.models import (
    Artifact,
    Attempt,
    Batch,
    Delivery,
    DeliveryTry,
    Event,
    InputFile,
    Job,
    Transition,
    WebhookEndpoint,
)
from jobs.states import ACTIVE, JobState


class Links(NamedTuple):
    """Signed, short-lived addresses of one artifact."""

    url: str
    preview_url: str | None


#: Makes the links of an artifact, good for so many seconds.
Linker = Callable[[Artifact, int], Links]


def instant(value: datetime | None) -> str | None:
    """RFC 3339, UTC, microseconds: `2026-11-22T17:00:00.123456Z`."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def amount(value: Decimal | None) -> str | None:
    """USD as text, to the cent or as much finer as it is: 100.00, 0.0135. What is not known is null, never zero."""
    if value is None:
        return None
    whole, _, fraction = format(value, "f").partition(".")
    return f"{whole}.{fraction.rstrip('0'):0<2}"


def job_view(
    job: Job, artifacts: Iterable[Artifact] = (), attempt: Attempt | None = None, *, link: Linker, link_ttl_s: int
) -> dict[str, Any]:
    """The job as the API answers it and as webhooks carry it.

    It shows what was asked; where a fallback was taken, `served_by` says what was asked in its place.
    """
    asked = job.asked or {"operation": job.operation, "provider": job.provider, "input": job.input}
    expires_at = instant(datetime.now(UTC) + timedelta(seconds=link_ttl_s))
    return {
        "id": job.id,
        "object": "job",
        "operation": asked["operation"],
        "modality": job.modality,
        "provider": asked["provider"],
        "status": str(job.status),
        "progress": 1.0 if job.status == JobState.SUCCEEDED else job.progress,
        "input": asked["input"],
        "metadata": job.meta,
        "custom_id": job.custom_id,
        "batch_id": job.batch_id,
        "priority": job.priority,
        "callback_url": job.callback_url,
        "events": job.events,
        "on_unknown": job.on_unknown,
        "fallbacks": job.fallbacks,
        "served_by": _served_by(job) if job.asked else None,
        # The equal job whose result this one has, or waits for.
        "shared_from": job.twin_of,
        "attempts": job.attempts,
        # What its input points at; a twin points at nothing.
        "waits_for": references.names(job.input) if job.status == JobState.QUEUED and job.due_at is None else [],
        "start_at": instant(job.start_at),
        "start_by": instant(job.start_by),
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "finished_at": instant(job.finished_at),
        "deadline_at": instant(job.deadline_at),
        "upstream": {"task_id": attempt.upstream_id if attempt else None, "status": job.upstream_status},
        "artifacts": [_artifact_view(artifact, link(artifact, link_ttl_s), expires_at) for artifact in artifacts],
        "output": job.output,
        "error": job.error,
        "cost": {
            "estimated_usd": amount(job.quoted_usd),
            "kind": job.quote_kind,
            "actual_usd": amount(job.actual_usd),
            "max_usd": amount(job.max_cost_usd),
        },
        "retry_of": job.retry_of,
    }


def _served_by(job: Job) -> dict[str, Any]:
    return {"operation": job.operation, "provider": job.provider, "fallback": job.fallback}


def _artifact_view(artifact: Artifact, links: Links, expires_at: str | None) -> dict[str, Any]:
    return {
        "id": artifact.id,
        "index": artifact.index,
        "kind": artifact.kind,
        "media_type": artifact.media_type,
        "bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "width": artifact.width,
        "height": artifact.height,
        "duration_s": artifact.duration_s,
        "url": links.url,
        "preview_url": links.preview_url,
        "expires_at": expires_at,
    }


#: Where each state of a job is counted in its batch: what the world calls "running" has four steps inside.
_COUNTED_AS = {state: state.value for state in JobState} | dict.fromkeys(ACTIVE - {JobState.QUEUED}, "running")
_COUNTS = ("queued", "running", "succeeded", "failed", "canceled", "expired")


def batch_view(batch: Batch, by_status: Mapping[str, int]) -> dict[str, Any]:
    counts = dict.fromkeys(_COUNTS, 0)
    for status, count in by_status.items():
        counts[_COUNTED_AS[JobState(status)]] += count
    open_jobs = counts["queued"] + counts["running"]
    return {
        "id": batch.id,
        "object": "batch",
        "status": "running" if open_jobs else "canceled" if batch.canceled_at else "completed",
        "counts": {"total": batch.total, **counts},
        "callback_url": batch.callback_url,
        "metadata": batch.meta,
        "max_cost_usd": amount(batch.max_cost_usd),
        "created_at": instant(batch.created_at),
        "canceled_at": instant(batch.canceled_at),
        "finished_at": instant(batch.finished_at),
        "retry_of": batch.retry_of,
    }


def transition_view(row: Transition) -> dict[str, Any]:
    return {
        "id": str(row.version),
        "object": "transition",
        "job_id": row.job_id,
        "move": row.name,
        "from": row.source,
        "to": row.target,
        "at": instant(row.at),
        "actor": row.actor,
        "reason": row.reason,
    }


def event_envelope(type_: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a webhook (Standard Webhooks 1.0)."""
    return {"type": type_, "timestamp": instant(at), "data": data}


def event_view(row: Event, envelope: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row.id, "object": "event", "sequence": row.sequence, **envelope}


def delivery_view(row: Delivery, event: Event, tries: Sequence[DeliveryTry]) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "delivery",
        "event_id": row.event_id,
        "event_type": event.type,
        "job_id": row.job_id,
        "batch_id": event.batch_id,
        "endpoint_id": row.endpoint_id,
        "url": row.url,
        "status": row.status,
        "next_try_at": instant(row.due_at) if row.status == "pending" else None,
        "created_at": instant(row.created_at),
        "finished_at": instant(row.finished_at),
        "tries": [
            {
                "n": one.n,
                "at": instant(one.at),
                "duration_ms": one.duration_ms,
                "status_code": one.status_code,
                "error": one.error,
                "response_excerpt": one.excerpt,
            }
            for one in tries
        ],
    }


def endpoint_view(row: WebhookEndpoint) -> dict[str, Any]:
    """Without the secret: it is shown once, by the call that made it."""
    return {
        "id": row.id,
        "object": "webhook_endpoint",
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "enabled": row.disabled_at is None,
        "created_at": instant(row.created_at),
    }


def file_view(row: InputFile) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "file",
        "filename": row.filename,
        "kind": row.kind,
        "media_type": row.media_type,
        "bytes": row.size_bytes,
        "sha256": row.sha256,
        "created_at": instant(row.created_at),
    }
