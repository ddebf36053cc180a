"""Asking again for what failed in a batch: a new batch of those lines alone, which keep their numbers and their custom_ids.

What succeeded stays where it is: a line that needs it goes on pointing there, and one that needs another retried line points at
that line's new job. Lines that shared one job's result share one again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from api_stub import admission, batch_intake, intake
from api_stub.batch_intake import Checks, TakenBatch, Whole
from api_stub.batch_lines import Piece
from api_stub.batch_results import pages
from api_stub.face import Face
from api_stub.idempotency import Claim, earlier
from api_stub.presenting import batch_of
from api_stub.problems import ApiProblem
from jobs import submission
from jobs.ids import new_id
from jobs.queries import batches, jobs
from jobs.states import ACTIVE, JobState
from jobs.validation import Problem

#: What may be retried besides what failed, when it is asked for.
INCLUDABLE = (JobState.EXPIRED, JobState.CANCELED)


def retry_failed(face: Face, tenant_id: str, batch_id: str, include: frozenset[JobState], *, key: str | None) -> TakenBatch:
    """Store the new batch. Every line is checked again, as when it was new; all are taken or none. It costs money again.

    Raises ApiProblem: 409 `batch_running`, `nothing_to_retry`; 422 `batch_invalid` with the lines that cannot be had any more;
    what `admission.admit` says.
    """
    said = ["retry-failed", batch_id, sorted(include)]
    claim = Claim(tenant_id, key, submission.request_hash(said)) if key else None
    if first := earlier(face.context.database, claim):
        return batch_intake.look(face, tenant_id, first, replayed=True)
    admission.may_submit(face.context.database, tenant_id)
    wanted = include | {JobState.FAILED}
    with face.context.database.read() as session:
        old = batch_of(session, tenant_id, batch_id)
        counts = batches.counts(session, [old.id])[old.id]
    _refuse(counts, wanted)
    whole = Whole(new_id("batch"), old.callback_url, old.meta, retry_of=old.id, max_cost_usd=old.max_cost_usd)
    checks = _Checks(face, tenant_id, whole.batch_id, None, intake.callback_check(face.rules))
    with tempfile.TemporaryFile() as file:
        shelf = checks.shelve(_again(face, tenant_id, old.id, wanted), file)
        return batch_intake.store(face, tenant_id, claim, whole, shelf)


class _Checks(Checks):
    """As for any batch, but whoever retries has not written these lines just now."""

    def outside_problems(self, row: dict[str, Any], states: Mapping[str, JobState]) -> Iterator[Problem]:
        for problem in super().outside_problems(row, states):
            if problem.code == "dependency_failed":
                msg = f"{problem.msg}; a line of the same batch is retried along with it: ?include={','.join(INCLUDABLE)}"
                yield problem._replace(msg=msg)
            else:
                yield problem


def _refuse(counts: dict[str, int], wanted: frozenset[JobState]) -> None:
    if open_jobs := sum(counts.get(state, 0) for state in ACTIVE):
        counted = "1 job of it has" if open_jobs == 1 else f"{open_jobs:,} jobs of it have"
        detail = f"{counted} not ended; retry when the batch has, or cancel it"
        raise ApiProblem(409, "batch_running", detail)
    if not any(counts.get(state) for state in wanted):
        also = [state for state in INCLUDABLE if counts.get(state)]
        hint = f"; {' and '.join(f'{counts[state]:,} {state}' for state in also)}: ?include={','.join(also)}" if also else ""
        raise ApiProblem(409, "nothing_to_retry", f"no job of the batch is {' or '.join(sorted(wanted))}{hint}")


def _again(face: Face, tenant_id: str, batch_id: str, wanted: frozenset[JobState]) -> Iterator[Piece]:
    """The lines as requests."""
    for page in pages(face, tenant_id, batch_id, wanted):
        with face.context.database.read() as session:
            found = jobs.on_lines(session, page)
        for job in found:
            yield Piece(
                job.line or 0, json.dumps(intake.request_of(job)).encode(), retry_of=job.id, shares=job.fingerprint is not None
            )
