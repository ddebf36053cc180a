"""What can go wrong with a job, in words that stay the same.

`JobError` is what a job carries in `error` and a webhook tells. `code` is stable and meant for programs, `message` for people. The
codes, and what each asks of whoever reads it, stand in docs/reference/errors.md.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class UpstreamDetail(BaseModel):
    """What the provider said, redacted and cut; support asks for `request_id`."""

    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None


class JobError(BaseModel):
    """Why a job is where it is.

    `retryable`: the same request may work later. `may_have_been_charged`: True unless it is certain that the provider
    never took the request or took no money for it.
    """

    code: str
    message: str
    retryable: bool = False
    may_have_been_charged: bool = False
    upstream: UpstreamDetail | None = None

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
