"""What /openapi.json says of bodies and answers: the routes read bodies themselves, so FastAPI cannot know."""

from __future__ import annotations

import json
from typing import Any

from api_stub.params import METADATA_PARAMETER
from jobs.states import EVENT_TYPES
from jobs.submission import JobRequest

Document = dict[str, Any]
Responses = dict[int | str, Document]

JOB_REQUEST: Document = {
    "operation": "kling.text_to_video",
    "input": {"prompt": "A paper boat drifts down a rainy street at dusk", "duration": "5"},
    "callback_url": "https://example.com/hooks/mediamill",
    "metadata": {"order": "1042"},
}
JOB: Document = {
    "id": "job_019ab0e1c7b7725c8a94d1e2f3a4b5c6",
    "object": "job",
    "operation": "kling.text_to_video",
    "modality": "video",
    "provider": "kling",
    "status": "succeeded",
    "progress": 1.0,
    "input": JOB_REQUEST["input"],
    "metadata": JOB_REQUEST["metadata"],
    "custom_id": None,
    "batch_id": None,
    "priority": 0,
    "callback_url": JOB_REQUEST["callback_url"],
    "events": None,
    "on_unknown": "hold",
    "fallbacks": None,
    "served_by": None,
    "shared_from": None,
    "attempts": 1,
    "waits_for": [],
    "start_at": None,
    "start_by": None,
    "created_at": "2026-11-22T17:00:00.123456Z",
    "started_at": "2026-11-22T17:00:00.140211Z",
    "finished_at": "2026-11-22T17:01:12.004120Z",
    "deadline_at": None,
    "upstream": {"task_id": "790182374650918273", "status": "succeed"},
    "artifacts": [
        {
            "id": "art_019ab0e2a1b27f3c9d8e7f6a5b4c3d2e",
            "index": 0,
            "kind": "video",
            "media_type": "video/mp4",
            "bytes": 4718592,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "width": 1280,
            "height": 720,
            "duration_s": 5.0,
            "url": "https://media.example.com/…signed, short-lived…",
            "preview_url": "https://media.example.com/…signed, short-lived…",
            "expires_at": "2026-11-22T17:16:12.500000Z",
        }
    ],
    "output": None,
    "error": None,
    "cost": {"estimated_usd": "0.28", "kind": "exact", "actual_usd": "0.28", "max_usd": None},
    "retry_of": None,
}
QUEUED_JOB = JOB | {
    "status": "queued",
    "progress": None,
    "attempts": 0,
    "started_at": None,
    "finished_at": None,
    "upstream": {"task_id": None, "status": None},
    "artifacts": [],
    "cost": {"estimated_usd": "0.28", "kind": "exact", "actual_usd": None, "max_usd": None},
}
BATCH: Document = {
    "id": "batch_019ab0e1c7b7725c8a94d1e2f3a4b5c6",
    "object": "batch",
    "status": "running",
    "counts": {"total": 2, "queued": 1, "running": 1, "succeeded": 0, "failed": 0, "canceled": 0, "expired": 0},
    "callback_url": None,
    "metadata": {},
    "max_cost_usd": None,
    "created_at": "2026-11-22T17:00:00.123456Z",
    "canceled_at": None,
    "finished_at": None,
    "retry_of": None,
}
BATCH_QUOTE: Document = {
    "object": "batch_quote",
    "valid": True,
    "jobs": 4,
    "estimated_usd": "0.56",
    "max_cost_usd": None,
    "shared": 1,
    "unknown": {
        "jobs": 1,
        "reasons": [{"operation": "suno.music", "why": "no price is known for this operation", "jobs": 1, "lines": [4]}],
    },
    "operations": [{"operation": "kling.text_to_video", "kind": "exact", "jobs": 2, "estimated_usd": "0.56"}],
}
FILE: Document = {
    "id": "file_019ab0e1c7b7725c8a94d1e2f3a4b5c6",
    "object": "file",
    "filename": "portrait.png",
    "kind": "image",
    "media_type": "image/png",
    "bytes": 81920,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-11-22T17:00:00.123456Z",
    "url": "https://media.example.com/…signed, short-lived…",
    "expires_at": "2026-11-22T17:15:00.123456Z",
}
PROBLEM: Document = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "code": "not_one_of",
    "detail": 'input.duration: must be one of "5", "10"',
    "errors": [{"loc": "input.duration", "code": "not_one_of", "msg": 'must be one of "5", "10"'}],
    "request_id": "req_6f1c2b0b822cd15d6c15b0f00a08aa11",
}

_TEXT = {"type": "string"}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": _TEXT | {"description": "stable; for programs"},
        "detail": _TEXT,
        "errors": {"type": "array", "items": {"type": "object"}},
        "request_id": _TEXT,
    },
}

#: Every route may answer so.
PROBLEMS: Responses = {
    "4XX": {
        "description": "a problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA, "example": PROBLEM}},
    },
    # Said by name, so that FastAPI does not describe an error shape that is not ours.
    422: {
        "description": "the request is understood and wrong; `errors` says where",
        "content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA, "example": PROBLEM}},
    },
}


def _answer(example: Document, description: str) -> Document:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}, "example": example}}}


def _answers(examples: dict[str, Document], description: str) -> Document:
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}, "examples": shown}}}


def _body(schema: Document, example: Any) -> Document:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


_JOB_SCHEMA = JobRequest.model_json_schema()
_QUEUE = {
    "position": 12,
    "starts_by_p50": "2026-11-22T17:04:10.000000Z",
    "starts_by_p90": "2026-11-22T17:09:30.000000Z",
    "waiting_for": {"reason": "limit", "why": "the limit provider=kling key=* is used up"},
}
JOB_200: Responses = {
    200: _answers({"finished": JOB | {"queue": None}, "waiting": QUEUED_JOB | {"queue": _QUEUE}}, "the job; `queue` while it waits")
}
JOB_202: Responses = {202: _answer(QUEUED_JOB, "the job, accepted and stored"), 200: _answer(JOB, "the finished job")}
JOBS_200: Responses = {200: _answer({"data": [JOB], "next_cursor": None}, "a page of jobs")}
BATCH_200: Responses = {200: _answer(BATCH, "the batch")}
BATCH_202: Responses = {202: _answer(BATCH, "the batch, accepted and stored")}
SUBMITTED_BATCH_202: Responses = BATCH_202 | {200: _answer(BATCH_QUOTE, "what the batch would cost (`dry_run=true`)")}
CANCELED_BATCH_202: Responses = {
    202: _answer(
        BATCH | {"canceled_at": "2026-11-22T17:00:09.000000Z", "left_running": 1}, "the batch; `left_running` of its jobs go on"
    )
}
RETRIED_BATCH_202: Responses = {
    202: _answer(BATCH | {"retry_of": "batch_019ab0d7f2c47a118bd0c5e6a7f81923"}, "the new batch, accepted and stored")
}
RESULTS_200: Responses = {
    200: {
        "description": "one job a line",
        "content": {
            "application/x-ndjson": {
                "schema": _TEXT,
                "example": json.dumps({"line": 1, "final": True} | JOB, ensure_ascii=False) + "\n",
            }
        },
    }
}
BUNDLE_200: Responses = {
    200: {
        "description": "the archive; it has no length before it ends",
        "headers": {
            "Mediamill-Files": {"schema": {"type": "integer"}, "description": "media files that are in storage at the moment"},
            "Mediamill-Bytes": {"schema": {"type": "integer"}, "description": "the bytes of those files"},
        },
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
BATCHES_200: Responses = {200: _answer({"data": [BATCH], "next_cursor": None}, "a page of batches")}
FILE_200: Responses = {200: _answer(FILE, "the file")}
FILE_201: Responses = {201: _answer(FILE, "the file, stored")}

SUBMIT_JOB = _body(_JOB_SCHEMA, JOB_REQUEST)
RESOLVE = _body(
    {
        "type": "object",
        "required": ["as"],
        "properties": {"as": {"enum": ["retry", "failed", "task"]}, "task_id": _TEXT},
        "additionalProperties": False,
    },
    {"as": "task", "task_id": "790182374650918273"},
)
SUBMIT_BATCH: Document = {
    "parameters": [METADATA_PARAMETER],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["jobs"],
                    "properties": {
                        "jobs": {"type": "array", "items": _JOB_SCHEMA, "minItems": 1},
                        "callback_url": _TEXT,
                        "metadata": {"type": "object", "additionalProperties": _TEXT},
                        "max_cost_usd": _TEXT,
                        "coalesce": {"type": "boolean"},
                        "reuse_within_s": {"type": "number", "exclusiveMinimum": 0},
                    },
                    "additionalProperties": False,
                },
                "example": {"jobs": [JOB_REQUEST | {"custom_id": "first"}], "metadata": {"campaign": "autumn"}},
            },
            "application/x-ndjson": {
                "schema": _TEXT,
                "example": '{"operation":"openai.images","input":{"prompt":"a lighthouse"},"custom_id":"1"}\n',
            },
        },
    },
}
UPLOAD: Document = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
            }
        },
    }
}
_ENDPOINT_FIELDS: Document = {
    "url": _TEXT,
    "events": {"type": ["array", "null"], "items": {"enum": list(EVENT_TYPES)}},
    "description": _TEXT,
}
NEW_ENDPOINT = _body(
    {"type": "object", "required": ["url"], "properties": _ENDPOINT_FIELDS, "additionalProperties": False},
    {"url": "https://example.com/hooks/mediamill", "events": ["job.succeeded", "job.failed"]},
)
CHANGE_ENDPOINT = _body(
    {"type": "object", "properties": _ENDPOINT_FIELDS | {"enabled": {"type": "boolean"}}, "additionalProperties": False},
    {"enabled": False},
)
_NUMBER_OR_NULL: Document = {"type": ["number", "null"], "exclusiveMinimum": 0}
_COUNT_OR_NULL: Document = {"type": ["integer", "null"], "minimum": 1}
_USD_OR_NULL: Document = {"type": ["string", "null"], "description": "USD as text, to six places"}
NEW_PAUSE = _body(
    {
        "type": "object",
        "required": ["kind", "name", "reason"],
        "properties": {
            "kind": {"enum": ["provider", "operation", "tenant", "key"]},
            "name": _TEXT | {"description": "a tenant by id or name"},
            "reason": _TEXT,
            "operation": _TEXT | {"description": "kind key: only this operation"},
        },
        "additionalProperties": False,
    },
    {"kind": "provider", "name": "kling", "reason": "their status page says maintenance until six"},
)
SET_LIMIT = _body(
    {
        "type": "object",
        "minProperties": 1,
        "properties": {"concurrency": _COUNT_OR_NULL, "per_second": _NUMBER_OR_NULL, "per_minute": _NUMBER_OR_NULL},
        "additionalProperties": False,
    },
    {"concurrency": 5, "per_minute": 60},
)
CHANGE_TENANT = _body(
    {
        "type": "object",
        "properties": {
            "weight": {"type": "integer", "minimum": 1, "maximum": 1000},
            "max_running": _COUNT_OR_NULL,
            "submits_per_minute": _COUNT_OR_NULL,
            "max_queued": _COUNT_OR_NULL,
            "cap_usd": _USD_OR_NULL,
            "cap_day_usd": _USD_OR_NULL,
        },
        "additionalProperties": False,
    },
    {"weight": 3, "max_running": 10, "cap_day_usd": "10.00"},
)
