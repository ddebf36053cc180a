"""Following jobs and batches: what to show of their state, and a bar for terminals that is plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

from api_stub.cli.shell import console
from api_stub.client import BATCH_FINAL, FINAL, Json

#: Seconds between two looks: quick at first, for what is over in a moment.
_LOOKS_S = (0.2, 0.2, 0.3, 0.3, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0)

#: How far along a job is when its provider says nothing, by state; running goes from the first to collecting's.
_SHARES = {"queued": 0.02, "submitting": 0.06, "running": 0.1, "unknown": 0.5, "collecting": 0.9}


class OutOfTime(Exception):
    """It is not over, and we wait no longer. It goes on without us."""


def share_of(job: Json) -> float:
    """0 to 1, from the job's state and what its provider says."""
    status = str(job["status"])
    if status in FINAL:
        return 1.0
    if status == "running":
        return _SHARES["running"] + (_SHARES["collecting"] - _SHARES["running"]) * float(job.get("progress") or 0.0)
    return _SHARES.get(status, 0.0)


def share_of_batch(batch: Json) -> float:
    counts = batch["counts"]
    if batch["status"] in BATCH_FINAL:
        return 1.0
    over = sum(counts[status] for status in FINAL)
    return over / counts["total"] if counts["total"] else 1.0


def words_of(job: Json) -> str:
    words = str(job["status"])
    if words == "running" and job.get("progress"):
        words += f" {job['progress']:.0%}"
    return words


def words_of_batch(batch: Json) -> str:
    counts = batch["counts"]
    shown = ("succeeded", "failed", "canceled", "expired", "running", "queued")
    jobs = "1 job" if counts["total"] == 1 else f"{counts['total']:,} jobs"
    return f"{jobs}: " + ", ".join(f"{counts[name]} {name}" for name in shown if counts[name])


def follow(
    look: Callable[[], Json], over: frozenset[str], *, timeout_s: float | None, pause: Callable[[float], object] = time.sleep
) -> Iterator[Json]:
    """What `look` answers, again and again, until its status is in `over` (that one too). Raises OutOfTime."""
    ends = None if timeout_s is None else time.monotonic() + timeout_s
    looks = 0
    while True:
        seen = look()
        yield seen
        if seen["status"] in over:
            return
        wait_s = _LOOKS_S[min(looks, len(_LOOKS_S) - 1)]
        looks += 1
        if ends is not None:
            left = ends - time.monotonic()
            if left <= 0:
                raise OutOfTime
            wait_s = min(wait_s, left)
        pause(wait_s)


class Show(Protocol):
    def __call__(self, share: float, words: str) -> None: ...


@contextmanager
def bar(title: str, *, quiet: bool = False) -> Iterator[Show]:
    """A progress bar on standard error; where that is no terminal, a line for each change of the words."""
    if quiet:
        yield lambda share, words: None
    elif sys.stderr.isatty():
        with _drawn(title) as show:
            yield show
    else:
        yield _lines(title)


@contextmanager
def _drawn(title: str) -> Iterator[Show]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(err=True)) as progress:
        task = progress.add_task(title, total=1.0, words="")

        def show(share: float, words: str) -> None:
            progress.update(task, completed=share, words=words)

        yield show


def _lines(title: str) -> Show:
    started = time.monotonic()
    last = ""

    def show(share: float, words: str) -> None:
        nonlocal last
        if words != last:
            last = words
            typer.echo(f"{time.monotonic() - started:6.1f} s  {title}: {words}", err=True)

    return show
