"""The Celery tasks: thin, named after their queue, so that Flower reads like the house.

Arguments are ids and fences and nothing else; a hint that is malformed, stale or forged finds no row and does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jobs.states import MODALITIES
from workers import collect as collecting
from workers import deliver as delivering
from workers import follow as following
from workers import lookup as looking
from workers import poll as polling
from workers import process
from workers import submit as submitting
from workers import tick as ticking
from workers.app import app
from workers.context import Context

_ID = re.compile(r"(job|dlv|att)_[0-9a-f]{32}")


class BadHint(ValueError):
    """A queue message that none of our programs would send."""


def _checked(name: object, fence: object) -> tuple[str, int]:
    if not isinstance(name, str) or not _ID.fullmatch(name) or not isinstance(fence, int) or isinstance(fence, bool):
        raise BadHint("a hint names a job, a delivery or an attempt, and its fence")
    return name, fence


def _step(work: Callable[[Context, str, int], None]) -> Callable[..., None]:
    def run(job: Any = None, fence: Any = None, operation: Any = None) -> None:
        work(process.context(), *_checked(job, fence))

    return run


def _poll(jobs: Any = None) -> None:
    if not isinstance(jobs, list) or len(jobs) > 1000:
        raise BadHint("a poll names a list of at most 1000 jobs")
    polling.poll(process.context(), [_checked(*pair) for pair in jobs if isinstance(pair, list) and len(pair) == 2])


def _follow(attempts: Any = None) -> None:
    if not isinstance(attempts, list) or len(attempts) > 1000:
        raise BadHint("a look names a list of at most 1000 attempts")
    following.follow(process.context(), [_checked(attempt, 0)[0] for attempt in attempts])


for _modality in MODALITIES:
    app.task(name=f"{_modality}.submit")(_step(submitting.submit))
    app.task(name=f"{_modality}.collect")(_step(collecting.collect))
    app.task(name=f"{_modality}.lookup")(_step(looking.look_up))
    app.task(name=f"{_modality}.poll")(_poll)
    app.task(name=f"{_modality}.follow")(_follow)


@app.task(name="webhook.deliver")  # type: ignore[untyped-decorator]
def deliver(delivery: Any = None, fence: Any = None) -> None:
    delivering.deliver(process.context(), *_checked(delivery, fence))


@app.task(name="control.tick", send_events=False)  # type: ignore[untyped-decorator]
def tick() -> None:
    ticking.tick(process.context())
