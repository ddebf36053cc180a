"""Results that are asked for until they are there, calls that may be made again, and tasks that jobs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from house import claim, events_of, history_of, let_time_pass
from mill import Mill
from offers import WAV, Offer, operation, repeated, task
from recorder import Answer, Recorder
from sqlalchemy import update
from sqlmodel import col

from jobs.db import after
from jobs.errors import JobError
from jobs.ids import new_client_ref, new_id
from jobs.models import Job
from jobs.queries import attempts, schedule
from jobs.states import JobState

LOOK = "/v1/clips/c1/wav"


@pytest.fixture
def asking(own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer) -> Callable[..., str]:
    """A job whose result is asked for; the gateway says these things, one after the other, and then where it is."""

    def ask(*answers: Any) -> str:
        offer(repeated())
        world.serve({"/c1.wav": WAV})
        gateway.serve({LOOK: [*answers, {"code": "success", "url": f"{world.url}/c1.wav"}]})
        return own_mill.accept("test.make", {"clip": "c1"})

    return ask


def test_the_first_look_makes_it_and_nothing_is_sent_before(own_mill: Mill, gateway: Recorder, asking: Callable[..., str]) -> None:
    job_id = asking()
    began = own_mill.clock()
    job = own_mill.submit(job_id)
    assert (job.status, gateway.requests) == ("running", [])
    assert job.due_at is not None
    assert (job.due_at - began).total_seconds() < 2

    own_mill.poll(job_id)

    (look,) = gateway.requests
    assert (look.method, look.path, look.body) == ("GET", LOOK, b"")
    assert own_mill.run(job_id).status == "succeeded"
    assert own_mill.stored(own_mill.artifacts(job_id)[0]) == WAV
    assert [name for _, name, _, _ in history_of(own_mill.database, job_id)] == ["claim", "accept", "collect", "finish"]
    (attempt,) = own_mill.attempts(job_id)
    assert (attempt.state, attempt.upstream_id) == ("accepted", attempt.client_ref)


@pytest.mark.parametrize(
    "not_ready",
    [
        {"code": "success", "data": "5d1e4a3c-0000-4000-8000-000000000000"},
        {},
        [],
        {"code": "pending", "message": "not ready"},
        {"error": {"message": "still being made"}},
        Answer({"message": "no such file"}, 404),
        Answer({"error": {"message": "try later"}}, 400),
        Answer(b"<html>502</html>", 502, {"content-type": "text/html"}),
        Answer(b"", 204),
        Answer({"error": {"message": "slow down"}}, 429, {"retry-after": "1"}),
        Answer(b'{"url": "https://x', 200),
    ],
    ids=["token", "empty", "list", "code", "error", "404", "400", "html", "204", "429", "broken"],
)
def test_whatever_is_said_until_it_is_ready_is_waited_out(own_mill: Mill, asking: Callable[..., str], not_ready: Any) -> None:
    job_id = asking(*[not_ready] * 70)
    own_mill.submit(job_id)
    for _ in range(70):  # more than the odd answers that are borne of a task
        own_mill.poll(job_id)
        job = own_mill.job(job_id)
        assert (job.status, job.error) == ("running", None)
        assert job.lease_owner is None
    assert own_mill.run(job_id).status == "succeeded"


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [
        (Answer({"message": "no such clip"}, 404), "model_unavailable", "no such clip"),
        ({"code": "success", "data": "a-token"}, "timeout", "did not make it within 10 minutes"),
        (Answer(b"<html>", 200), "upstream_bad_response", "not JSON"),
    ],
    ids=["404", "token", "html"],
)
def test_it_is_given_up_after_its_time_with_the_last_word_and_may_have_cost_something(
    own_mill: Mill, asking: Callable[..., str], last: Any, code: str, said: str
) -> None:
    job_id = asking(*[last] * 5)
    own_mill.submit(job_id)
    own_mill.poll(job_id)
    assert own_mill.job(job_id).status == "running"
    with own_mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(accepted_at=after(-601)))
    own_mill.poll(job_id)
    job = own_mill.job(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", code, True)
    assert said in job.error["message"]


def test_a_worker_that_died_before_the_first_look_costs_time_only(own_mill: Mill, asking: Callable[..., str]) -> None:
    job_id = asking()
    assert claim(own_mill.database, job_id, 0, "dead")
    let_time_pass(own_mill.database, job_id)
    own_mill.tick()
    assert own_mill.job(job_id).status == "queued"
    assert own_mill.run(job_id).status == "succeeded"


def test_a_worker_that_died_between_two_looks_costs_time_only(
    own_mill: Mill, gateway: Recorder, asking: Callable[..., str]
) -> None:
    job_id = asking({"code": "success", "data": "a-token"})
    own_mill.submit(job_id)
    own_mill.poll(job_id)
    with own_mill.database.transaction() as session:
        pair = (job_id, own_mill.job(job_id).fence)
        assert schedule.claim(session, [pair], JobState.RUNNING, "dead", 60)
    own_mill.poll(job_id)
    assert len(gateway.requests) == 1, "its lease still runs"
    let_time_pass(own_mill.database, job_id)
    own_mill.tick()
    assert own_mill.run(job_id).status == "succeeded"
    assert events_of(own_mill.database, job_id) == ["job.running", "job.succeeded"]


def test_two_jobs_may_ask_for_the_same_result(own_mill: Mill, gateway: Recorder, asking: Callable[..., str]) -> None:
    job_ids = [asking(), own_mill.accept("test.make", {"clip": "c1"})]
    for job_id in job_ids:
        assert own_mill.submit(job_id).status == "running"
    own_mill.poll(*job_ids)
    assert [own_mill.run(job_id).status for job_id in job_ids] == ["succeeded"] * 2


def test_a_wav_of_the_simulator_is_asked_for_until_it_is_made(mill: Mill) -> None:
    song = mill.accept("suno.music", {"tags": "waltz"})
    assert mill.run(song).status == "succeeded"
    job_id = mill.accept("suno.wav", {"clip_id": {"job": song, "get": "output.clips[0].id"}})
    assert mill.run(job_id).status == "succeeded"
    (artifact,) = mill.artifacts(job_id)
    assert artifact.media_type == "audio/wav"


# Calls that may be made again ---------------------------------------------------------------------------------------------

LOST = {
    "504": Answer({"error": {"message": "gateway timeout"}}, 504),
    "html": Answer(b"<html>", 200, {"content-type": "text/html"}),
    "cut": Answer(b'{"text": "do', 200, {"content-length": "400", "connection": "close"}),
}


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_to_a_call_that_may_be_made_again_is_no_unknown(
    own_mill: Mill, gateway: Recorder, offer: Offer, lost: str
) -> None:
    offer(operation(dedupe={"grade": "A"}))
    gateway.serve({"/v1/make": [LOST[lost], {"text": "done"}]})
    job_id = own_mill.accept("test.make", {"prompt": "a kite"})

    job = own_mill.submit(job_id)

    assert (job.status, job.error) == ("queued", None)
    assert own_mill.run(job_id).status == "succeeded"
    assert len(gateway.requests) == 2
    assert [attempt.state for attempt in own_mill.attempts(job_id)] == ["unknown", "answered"]
    assert events_of(own_mill.database, job_id) == ["job.succeeded"]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_to_any_other_call_is_one(own_mill: Mill, gateway: Recorder, offer: Offer, lost: str) -> None:
    offer(operation())
    gateway.serve({"/v1/make": [LOST[lost], {"text": "done"}]})
    job_id = own_mill.accept("test.make", {"prompt": "a kite"})
    assert own_mill.run(job_id).status == "unknown"
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("state", ["sending", "unknown"])
@pytest.mark.parametrize("repeats", [True, False], ids=["asked-for", "called"])
def test_a_worker_that_died_around_a_call_that_may_be_made_again_leaves_no_unknown(
    own_mill: Mill, gateway: Recorder, offer: Offer, asking: Callable[..., str], repeats: bool, state: str
) -> None:
    if repeats:
        job_id = asking()
    else:
        offer(operation(dedupe={"grade": "A"}))
        gateway.serve({"/v1/make": {"text": "done"}})
        job_id = own_mill.accept("test.make", {"prompt": "a kite"})
    # As `submit` begins, and no further.
    claimed = claim(own_mill.database, job_id, 0, "dead")
    assert claimed is not None
    attempt_id = new_id("att")
    with own_mill.database.transaction() as session:
        assert schedule.touch(session, job_id, claimed.job.fence, attempt_id=attempt_id, attempts=Job.attempts + 1)
        attempts.begin(session, attempt_id, claimed.job, new_client_ref())
        if state == "unknown":
            attempts.end(session, attempt_id, "unknown", JobError(code="upstream_outcome_unknown", message="lost"))
    let_time_pass(own_mill.database, job_id)

    own_mill.tick()

    assert own_mill.job(job_id).status == "queued"
    assert own_mill.run(job_id).status == "succeeded"
    assert [attempt.state for attempt in own_mill.attempts(job_id)] == ["unknown", "accepted" if repeats else "answered"]
    assert "job.unknown" not in events_of(own_mill.database, job_id)


def test_answers_that_are_always_lost_end_the_job(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    offer(operation(dedupe={"grade": "A"}))
    gateway.serve({"/v1/make": LOST["504"]})
    job = own_mill.run(own_mill.accept("test.make", {"prompt": "a kite"}))
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "upstream_outcome_unknown")
    assert len(gateway.requests) == 10


def test_a_step_of_the_simulator_whose_answer_was_lost_is_made_once_more(mill: Mill) -> None:
    step = "kling.edit_init_selection"
    mill.upstream.control(faults=[{"fault": "reset_after_accept", "times": 1, "match": {"operation": step}}])
    job_id = mill.accept(step, {"video_url": "https://cdn.example/kite.mp4"})
    assert mill.run(job_id).status == "succeeded"
    assert mill.calls == 2
    assert "job.unknown" not in events_of(mill.database, job_id)


# Tasks that jobs share ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def either_mill(request: pytest.FixtureRequest, mill_at: Callable[..., Mill], gateway: Recorder) -> Mill:
    """An installation over each kind of database: a partial index is what this is about."""
    return mill_at(gateway, request.param)


def test_a_task_that_may_be_shared_serves_every_job_that_was_told_of_it(
    either_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer
) -> None:
    offer(task(task_shared="repeated", outputs=operation().outputs))
    shared = {"id": "t1", "repeated": True}
    gateway.serve({"/v1/make": [{"id": "t1"}, shared, shared], "/v1/tasks/t1": {"status": "done", "text": "done"}})
    job_ids = [either_mill.accept("test.make", {"prompt": "a kite"}) for _ in range(3)]
    assert [either_mill.run(job_id).status for job_id in job_ids] == ["succeeded"] * 3
    assert [either_mill.attempts(job_id)[0].shared for job_id in job_ids] == [False, True, True]


def test_a_task_that_may_not_be_shared_belongs_to_the_job_that_had_it_first(
    either_mill: Mill, gateway: Recorder, offer: Offer
) -> None:
    offer(task(task_shared="repeated"))
    gateway.serve({"/v1/make": [{"id": "t1"}, {"id": "t1", "repeated": False}]})
    first, second = (either_mill.accept("test.make", {"prompt": "a kite"}) for _ in range(2))
    assert either_mill.submit(first).status == "running"
    job = either_mill.submit(second)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "upstream_bad_response", True)
    assert either_mill.job(first).status == "running"
