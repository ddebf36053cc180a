"""Work that takes time: accepted now, done later, asked about in between.

A task's phase is computed from the clock whenever somebody asks; nothing is stepped. So a poll costs nothing, and a
thousand tasks cost one sleeping coroutine each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from simulator.faults import Fault
from simulator.files import PublishedFile


class Phase(StrEnum):
    """The course every provider's own status words are made from."""

    SUBMITTED = "submitted"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED})

#: Share of the latency a task waits before it is worked on.
WAITING_SHARE = 0.15

#: Share of the latency after which moderation speaks: early, before the work is done.
MODERATION_SHARE = 0.5


@dataclass(slots=True)
class Task:
    id: str
    #: Tasks of one family are asked about at one place.
    family: str
    body: dict[str, Any]
    #: Unix seconds.
    created_at: float
    latency_s: float
    #: Start of output URLs when no request says otherwise (callbacks).
    base_url: str
    #: The client's own id, unique per provider.
    external_id: str | None = None
    faults: list[Fault] = field(default_factory=list)
    #: Faults on the answers to this task's polls.
    poll_faults: list[Fault] = field(default_factory=list)
    #: Why it fails; empty when it does not.
    failure: str = ""
    never_finishes: bool = False
    #: None until everything is drawn: a task is not done before its outputs can be fetched.
    outputs: list[PublishedFile] | None = None
    ready_at: float = 0.0
    #: What a provider needs to tell the story of this task, such as ids of its parts.
    details: dict[str, Any] = field(default_factory=dict)
    #: Which of the operations of its family was bought.
    operation: str = ""
    _first_poll_at: float | None = None
    _polls: int = 0

    @property
    def begins_at(self) -> float:
        return self.created_at + self.latency_s * WAITING_SHARE

    @property
    def ends_at(self) -> float:
        return max(self.created_at + self.latency_s, self.ready_at)

    def phase(self, now: float) -> Phase:
        if now < self.begins_at:
            return Phase.SUBMITTED
        if now < self.ends_at or self.never_finishes:
            return Phase.PROCESSING
        if self.failure:
            return Phase.FAILED
        return Phase.PROCESSING if self.outputs is None else Phase.SUCCEEDED

    def progress(self, now: float) -> float:
        """0 to 1; 1 only when it is over."""
        if self.phase(now) in FINAL:
            return 1.0
        if self.latency_s <= 0:
            return 0.99
        return min((now - self.created_at) / self.latency_s, 0.99)

    def is_hidden(self, now: float) -> bool:
        """Whether this poll comes too early to see the task. The first poll starts the clock."""
        fault = self.fault("not_yet_visible")
        if fault is None:
            return False
        if self._first_poll_at is None:
            self._first_poll_at = now
        return now - self._first_poll_at < fault.number("seconds", 3)

    def view(self, now: float, base_url: str) -> View:
        """What this poll sees; counts the poll."""
        self._polls += 1
        fault = self.fault("unknown_status")
        if fault is not None and self._polls <= fault.number("polls", 3):
            return View(self, Phase.PROCESSING, self.progress(now), now, base_url, fault.text("word", "hibernating"))
        return View(self, self.phase(now), self.progress(now), now, base_url)

    def fault(self, name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name), None)


@dataclass(frozen=True, slots=True)
class View:
    """A task at one moment, for one asker."""

    task: Task
    phase: Phase
    progress: float
    now: float
    base_url: str
    #: Instead of the provider's status word, one it never documented.
    strange_word: str | None = None

    def url(self, file: PublishedFile) -> str:
        return self.base_url + file.url_path

    @property
    def is_moderated(self) -> bool:
        return self.phase is Phase.FAILED and self.task.fault("moderation") is not None

    def failure_option(self, key: str, default: str) -> str:
        """What the fault that made the task fail says about `key`, such as the vendor's ``code``."""
        fault = self.task.fault("moderation") or self.task.fault("failed")
        return fault.text(key, default) if fault is not None else default

    @property
    def outputs(self) -> list[PublishedFile]:
        """Empty before success."""
        return self.task.outputs or [] if self.phase is Phase.SUCCEEDED else []


class TaskBook:
    """All tasks of this run. In memory: after a restart every id is unknown, as after a gateway lost its database."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], Task] = {}
        self._external: dict[tuple[str, str], Task] = {}
        self._lives: set[asyncio.Task[None]] = set()

    def add(self, task: Task, provider: str) -> bool:
        """False, and nothing added, when the provider already has a task with this external id."""
        if task.external_id is not None:
            if (provider, task.external_id) in self._external:
                return False
            self._external[provider, task.external_id] = task
        self._tasks[task.family, task.id] = task
        return True

    def find(self, family: str, task_id: str, provider: str = "") -> Task | None:
        """By task id, or by external id within `provider`."""
        task = self._tasks.get((family, task_id))
        if task is None and provider:
            task = self._external.get((provider, task_id))
        return task if task is not None and task.family == family else None

    def newest_first(self, family: str) -> list[Task]:
        return [task for task in reversed(self._tasks.values()) if task.family == family]

    def live(self, life: Coroutine[Any, Any, None]) -> None:
        """Run a task's life beside the requests."""
        running = asyncio.create_task(life)
        self._lives.add(running)
        running.add_done_callback(self._lives.discard)

    async def clear(self) -> None:
        for life in list(self._lives):
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        self._tasks.clear()
        self._external.clear()

    def __len__(self) -> int:
        return len(self._tasks)
