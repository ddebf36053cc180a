"""Uploaded files in an input, handed to the provider in the form its operation wants: an address, a data: URI, or base64."""

from __future__ import annotations

import base64
from typing import Any

from jobs.catalogue.spec import Operation
from jobs.errors import JobError
from jobs.models import InputFile, Job
from jobs.queries import files
from jobs.submission import files_in
from storage import StorageError, StorageUnavailable
from workers.context import Context

#: Links to uploaded media live as long as a slow provider may take to fetch them.
_LINK_S = 86_400
#: Larger files are never put into a JSON body.
_MOST_INLINE_BYTES = 32 << 20


class InputUnavailable(Exception):
    """An input file cannot be handed over. `temporary`: storage is away, the file is still there."""

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary

    def as_job_error(self) -> JobError:
        code = "storage_unavailable" if self.temporary else "invalid_input"
        return JobError(code=code, message=str(self), retryable=self.temporary)


def with_media(context: Context, job: Job, op: Operation) -> dict[str, Any]:
    """The job's input with each `{"file": …}` replaced. Raises InputUnavailable."""
    wanted = set(files_in(job.input))
    if not wanted:
        return job.input
    with context.database.read() as session:
        found = {file_id: files.get(session, job.tenant_id, file_id) for file_id in wanted}
    handed: dict[str, str] = {}
    for file_id, file in found.items():
        if file is None:
            raise InputUnavailable(f"The input file {file_id} was deleted before the job started.")
        handed[file_id] = _hand_over(context, op, file)
    replaced: dict[str, Any] = _replace(job.input, handed)
    return replaced


def _hand_over(context: Context, op: Operation, file: InputFile) -> str:
    try:
        if op.submit.media == "url":
            return context.store.url(file.key, expires_in_s=_LINK_S, filename=file.filename)
        if file.size_bytes > _MOST_INLINE_BYTES:
            raise InputUnavailable(
                f"The input file {file.id} has {file.size_bytes} bytes; this operation takes {_MOST_INLINE_BYTES}."
            )
        with context.store.open(file.key) as stream:
            encoded = base64.b64encode(stream.read()).decode()
    except FileNotFoundError:
        raise InputUnavailable(f"The bytes of input file {file.id} are gone from storage.") from None
    except StorageError as error:
        raise InputUnavailable(
            f"Storage did not give the input file: {error}", temporary=isinstance(error, StorageUnavailable)
        ) from error
    return encoded if op.submit.media == "base64" else f"data:{file.media_type.partition(';')[0]};base64,{encoded}"


def _replace(value: Any, handed: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(file_id := value.get("file"), str) and file_id in handed:
            return handed[file_id]
        return {name: _replace(part, handed) for name, part in value.items()}
    if isinstance(value, list):
        return [_replace(part, handed) for part in value]
    return value
