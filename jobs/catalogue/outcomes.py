"""What an answer comes to: a closed set of values. Each is decided on once, for all providers, by whoever made the call.

An answer to a paid call is one of `Accepted | Answered | Rejected | NotAccepted | Lost`; an answer to a poll one of
`Running | Done | Failed | NotVisible | Puzzling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.errors import JobError


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it and named its task."""

    task_id: str
    upstream_status: str | None
    request_id: str | None
    #: An earlier job may rightly hold the same task (a step inside it, or its repetition).
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A synchronous answer; `result` says what is in it."""

    result: Done
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for good; nothing was taken. `charged`: not refused, but done, and nothing to show for it."""

    error: JobError
    charged: bool = False


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Refused for now; surely not taken, so the same call may be made again."""

    error: JobError
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Lost:
    """It may or may not have been taken: never resend blindly."""

    error: JobError


SubmitOutcome = Accepted | Answered | Rejected | NotAccepted | Lost


@dataclass(frozen=True, slots=True)
class Running:
    upstream_status: str
    progress: float | None
    #: The word is not in the catalogue; waited on, counted, never guessed.
    strange: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """`outputs`: [{kind, url | b64 | text | path | body, …}]; `values`: what is worth keeping beside the media."""

    outputs: list[dict[str, Any]]
    values: Any
    upstream_status: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The task came to nothing. `charged`: the provider calls it done, and there is nothing to show for it."""

    error: JobError
    upstream_status: str | None = None
    charged: bool = False


@dataclass(frozen=True, slots=True)
class NotVisible:
    """The provider does not know the task (yet)."""

    error: JobError


@dataclass(frozen=True, slots=True)
class Puzzling:
    """Not an answer to the question: HTML, a 5xx, a rate limit. The task goes on; ask again later."""

    error: JobError
    retry_after_s: float | None = None


PollOutcome = Running | Done | Failed | NotVisible | Puzzling
