"""Storage that is away: what was paid for waits for it, in memory of the spool or at the provider, and is never paid for again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from mill import Mill

from jobs import policy
from jobs.states import JobState
from storage import Stat, StorageRefused, StorageUnavailable, Store
from storage.media import inspect


class Failing:
    """A store whose `put` fails so many times with this error, then works."""

    def __init__(self, store: Store, error: Exception, times: int) -> None:
        self._store = store
        self._error = error
        self.left = times

    def put(self, key: str, file: BinaryIO, *, size_bytes: int, media_type: str, sha256: str) -> None:
        if self.left > 0:
            self.left -= 1
            raise self._error
        self._store.put(key, file, size_bytes=size_bytes, media_type=media_type, sha256=sha256)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        with self._store.open(key) as file:
            yield file

    def url(self, key: str, *, expires_in_s: int, filename: str | None = None, attachment: bool = True) -> str:
        return self._store.url(key, expires_in_s=expires_in_s, filename=filename, attachment=attachment)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def stat(self, key: str) -> Stat | None:
        return self._store.stat(key)

    def check(self) -> None:
        self._store.check()


def break_storage(mill: Mill, error: Exception, times: int) -> Failing:
    failing = Failing(mill.context.store, error, times)
    # Frozen for the program. A copy would have its own HTTP clients, which nobody closes.
    object.__setattr__(mill.context, "store", failing)
    return failing


def test_a_finished_task_waits_for_storage_that_is_away_and_is_not_paid_for_again(mill: Mill) -> None:
    job_id = mill.accept("kling.text_to_video")
    mill.submit(job_id)
    mill.poll_until(job_id, JobState.COLLECTING)
    failing = break_storage(mill, StorageUnavailable("refused"), policy.MOST_COLLECT_TRIES + 3)

    while failing.left:
        job = mill.collect(job_id)
        assert (job.status, job.lease_owner, job.collect_tries) == (JobState.COLLECTING, None, 0), "this wait costs no try"
        assert job.due_at is not None
        mill.time_passes(job_id)

    assert mill.run(job_id).status == JobState.SUCCEEDED
    assert mill.calls == 1


def test_a_synchronous_answer_is_offered_again_until_storage_is_back(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.finish.time.sleep", lambda _: None)  # the waits themselves are policy's and tested there
    break_storage(mill, StorageUnavailable("refused"), 5)
    job_id = mill.accept("openai.speech")

    assert mill.submit(job_id).status == JobState.COLLECTING
    assert mill.run(job_id).status == JobState.SUCCEEDED
    assert mill.calls == 1


def test_a_paid_answer_that_storage_never_takes_is_kept_and_the_job_says_where(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.submit._SPOOL_PATIENCE_S", 0.0)
    break_storage(mill, StorageRefused("no such bucket"), 1000)
    job = mill.submit(mill.accept("openai.speech"))

    assert job.status == JobState.FAILED
    assert job.error is not None
    assert (job.error["code"], job.error["may_have_been_charged"]) == ("storage_unavailable", True)
    (kept,) = (mill.context.settings.data / "rescued").iterdir()
    assert str(kept) in job.error["message"]
    assert inspect(kept, "audio").size_bytes > 1000
    assert mill.calls == 1


def test_a_job_ends_after_some_tries_when_storage_refuses_its_outputs(mill: Mill) -> None:
    job_id = mill.accept("kling.text_to_video")
    mill.submit(job_id)
    mill.poll_until(job_id, JobState.COLLECTING)
    break_storage(mill, StorageRefused("access denied"), 1000)

    for _ in range(policy.MOST_COLLECT_TRIES):
        assert mill.collect(job_id).status == JobState.COLLECTING
        mill.time_passes(job_id)
    job = mill.collect(job_id)

    assert (job.status, (job.error or {}).get("code")) == (JobState.FAILED, "storage_unavailable")


def test_an_accident_of_our_own_is_tried_again(mill: Mill) -> None:
    job_id = mill.accept("kling.text_to_video")
    mill.submit(job_id)
    mill.poll_until(job_id, JobState.COLLECTING)
    break_storage(mill, RuntimeError("nobody thought of this"), 2)

    for _ in range(2):
        assert mill.collect(job_id).status == JobState.COLLECTING
        mill.time_passes(job_id)

    assert mill.run(job_id).status == JobState.SUCCEEDED
    assert mill.calls == 1
