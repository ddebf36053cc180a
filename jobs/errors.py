"""What can go wrong with a job, in words that stay the same.

`JobError` is what a job carries in `error` and a webhook tells. `code` is stable and meant for programs, `message` for people.

Codes, and what each asks of whoever reads it:

* the request was wrong: `invalid_input`, `content_rejected`, `model_unavailable`
* the upstream account: `upstream_auth`, `upstream_payment`, `upstream_forbidden`
* the upstream's day: `upstream_unreachable`, `upstream_unavailable`, `upstream_failed`, `upstream_bad_response`,
  `upstream_lost_job`, `rate_limited`, `timeout`
* the outputs: `no_output`, `too_many_outputs`, `output_expired`, `output_*` (what storage found wrong with the bytes)
* the media it was given: `input_unreachable` (an address that does not answer, or one of ours that the provider cannot reach)
* the jobs it needs: `dependency_failed` (one of them ended without success), `reference_unresolved` (its value is not there)
* the job that runs for several equal ones: `coalesced_failed` (it failed, so none of them has a result; this one cost nothing)
* our side: `storage_unavailable`, `worker_crash_loop`, `operation_removed`, `internal_error`
* the paid call's answer was lost: `upstream_outcome_unknown`
* the job's own time: `deadline_exceeded`, `not_started_in_time` (`start_by`)
* what it may cost, and what it takes: `budget_exceeded` (its cap or its batch's), `over_limit` (more units than a limit lets be at
  work at once)
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
