"""The jobs of a batch as lines of JSON, however many: a few rows at a time, and no transaction stays open while they are sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Iterator
from typing import Any

from api_stub.face import Face
from api_stub.presenting import shown_jobs
from jobs.queries import jobs
from jobs.states import FINAL, JobState

#: Jobs in memory at once. An input may have 64 kB, a text result some MB.
A_PAGE = 50
#: Ids in memory at once.
_IDS = 5000


def stream(face: Face, tenant_id: str, batch_id: str, statuses: Collection[JobState] | None) -> Generator[bytes]:
    """Each job as it is now, in the order of the batch's lines, with `line` and whether it is `final`."""
    for page in pages(face, tenant_id, batch_id, statuses):
        with face.context.database.read() as session:
            # Some have moved on since they were looked for.
            found = [job for job in jobs.on_lines(session, page) if statuses is None or job.status in statuses]
            shown = shown_jobs(face.context, session, found)
        if found:
            yield b"".join(
                json_line({"line": job.line, "final": job.status in FINAL} | one) for job, one in zip(found, shown, strict=True)
            )


def pages(face: Face, tenant_id: str, batch_id: str, statuses: Collection[JobState] | None = None) -> Iterator[list[str]]:
    """The ids of a batch's jobs in the order of its lines, some at a time."""
    line = 0
    while True:
        with face.context.database.read() as session:
            found = jobs.line_ids(session, tenant_id, batch_id, after_line=line, limit=_IDS, statuses=statuses)
        for start in range(0, len(found), A_PAGE):
            yield [job_id for _, job_id in found[start : start + A_PAGE]]
        if len(found) < _IDS:
            return
        line = found[-1][0]


def json_line(value: Any) -> bytes:
    # Half of a surrogate pair, which a provider's text may hold, has no UTF-8; what takes its place is its escape in JSON.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
