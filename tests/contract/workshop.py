"""Runs the examples of the catalogue one at a time, each with the jobs that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mill import Mill

from jobs import catalogue, references

#: Seconds a task takes here: long enough to be seen at work, and hundreds of tests do not wait for it.
LATENCY_S = 0.02


class Workshop:
    """What an operation builds on is made once and kept."""

    def __init__(self, mill: Mill) -> None:
        self.mill = mill
        self._made: dict[str, str] = {}

    def accept(self, operation: str, changes: Mapping[str, Any] | None = None) -> str:
        """A job of this operation's example, with `changes`. What it builds on has succeeded."""
        example = catalogue.all_operations()[operation].example
        ids = {needed: self._ready(needed) for needed in references.names(example)}
        return self.mill.accept(operation, {**references.rename(example, ids), **(changes or {})})

    def forget(self, operation: str) -> None:
        """The next job that needs this one gets a new one."""
        self._made.pop(operation, None)

    def _ready(self, operation: str) -> str:
        if operation not in self._made:
            job_id = self.accept(operation)
            job = self.mill.run(job_id)
            assert job.status == "succeeded", f"{operation}, which others need, ended otherwise: {job.error}"
            self._made[operation] = job_id
        return self._made[operation]
