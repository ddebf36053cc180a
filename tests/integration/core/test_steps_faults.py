"""What goes wrong between us and the gateway, on demand: what the job says of it, and how many calls were paid for."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import pytest
from house import claim, events_of, history_of, let_time_pass, move, rows_of
from mill import Mill
from servers import eventually
from sqlalchemy import update
from sqlmodel import col

from jobs.db import after
from jobs.errors import JobError
from jobs.ids import new_client_ref, new_id
from jobs.models import Gate, InputFile, Job, Pause, Transition
from jobs.queries import attempts, pauses, schedule
from workers import dispatch, poll, submit

KLING, SUNO, IMAGE, DALLE, SPEECH, CHAT, REPLICATE = "kling", "suno", "image", "dall-e", "speech", "chat", "replicate"


def ask(what: str, directive: str) -> tuple[str, dict[str, Any]]:
    """An operation, and an input whose prompt orders a fault."""
    prompt = f"a paper boat {directive}"
    return {
        KLING: ("kling.text_to_video", {"prompt": prompt, "aspect_ratio": "1:1"}),
        SUNO: ("suno.music", {"tags": prompt}),
        IMAGE: ("openai.image_generation", {"model": "gpt-image-1", "prompt": prompt}),
        DALLE: ("openai.image_generation", {"model": "dall-e-2", "prompt": prompt, "size": "256x256"}),
        SPEECH: ("openai.speech", {"model": "tts-1", "voice": "alloy", "input": prompt}),
        CHAT: ("openai.chat", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}),
        REPLICATE: ("replicate.prediction", {"model": "a/flux-pro", "input": {"prompt": prompt, "width": 64, "height": 64}}),
    }[what]


def ordered(mill: Mill, what: str, fault: str, **fields: Any) -> str:
    """A job that meets this fault: by a rule, so that the prompt, and with it what must be drawn, stays the same."""
    operation, given = ask(what, "")
    name, *words = fault.split()
    options: dict[str, Any] = dict(word.split("=", 1) for word in words)
    times = options.pop("times", None)
    rule = {"fault": name, "times": int(times) if times else None, "match": {"operation": operation}, **options}
    mill.upstream.control(faults=[rule])
    return mill.accept(operation, given, **fields)


def ordered_by_prompt(mill: Mill, what: str, fault: str, **fields: Any) -> str:
    """A job that alone meets this fault."""
    operation, given = ask(what, f"[[simulate:{fault}]]")
    return mill.accept(operation, given, **fields)


@dataclass(frozen=True)
class End:
    """Where a job comes to rest, and what it cost."""

    status: str
    code: str | None
    charged_perhaps: bool
    calls: int
    charged: int


GOOD = End("succeeded", None, False, 1, 1)
LOST = "upstream_outcome_unknown"
#: The answer was lost and the provider has it: whoever can be searched is found out, the others wait for a person.
ADOPTED = GOOD
HELD = End("unknown", LOST, True, 1, 1)
#: … the provider does not have it, but a miss proves nothing.
HELD_FOR_NOTHING = End("unknown", LOST, True, 1, 0)


def refused(code: str, calls: int = 1) -> End:
    return End("failed", code, False, calls, 0)


#: Our key was refused, not the job: it waits, and the key is paused.
WAITS_FOR_A_KEY = End("queued", None, False, 1, 0)


def failed(code: str) -> End:
    """The task ran: it may well be on the bill, whatever came of it."""
    return End("failed", code, True, 1, 1)


TABLE: dict[str, dict[str, End]] = {
    # Refused for the moment, then taken: one more call, one charge.
    "rate_limit times=1 retry_after=1": dict.fromkeys((KLING, SUNO, IMAGE, SPEECH), replace(GOOD, calls=2)),
    "unavailable times=2": dict.fromkeys((KLING, SUNO, IMAGE, CHAT), replace(GOOD, calls=3)),
    # Refused for the moment, again and again.
    "unavailable": dict.fromkeys((KLING, SUNO, IMAGE), refused("upstream_unavailable", calls=10)),
    # The key is refused, or its account.
    "bad_key": dict.fromkeys((KLING, SUNO, IMAGE, SPEECH, REPLICATE), WAITS_FOR_A_KEY),
    "no_money": dict.fromkeys((KLING, SUNO, IMAGE, CHAT), WAITS_FOR_A_KEY),
    "rate_limit code=1101": {KLING: WAITS_FOR_A_KEY},
    # Refused for good.
    "invalid": dict.fromkeys((KLING, SUNO, IMAGE, SPEECH), refused("invalid_input")),
    "invalid code=1301": {KLING: refused("content_rejected")},
    # Broken before it was taken: the gateway did nothing, but nobody here can know.
    "server_error": dict.fromkeys((KLING, SUNO, IMAGE, SPEECH, CHAT, REPLICATE), HELD_FOR_NOTHING),
    "html": dict.fromkeys((KLING, SUNO, IMAGE, SPEECH, CHAT), HELD_FOR_NOTHING),
    "html status=502": dict.fromkeys((KLING, SUNO, IMAGE), HELD_FOR_NOTHING),
    # Taken and paid for, the answer lost.
    "timeout_after_accept delay=0": {KLING: ADOPTED, SUNO: HELD, IMAGE: HELD, CHAT: HELD, REPLICATE: HELD},
    "reset_after_accept": {KLING: ADOPTED, SUNO: HELD, IMAGE: HELD, SPEECH: HELD, REPLICATE: HELD},
    "truncated_json": {KLING: ADOPTED, SUNO: HELD, IMAGE: HELD, CHAT: HELD, REPLICATE: HELD},
    "wrong_shape": {
        KLING: ADOPTED,
        SUNO: HELD,
        REPLICATE: HELD,
        SPEECH: HELD,
        # A synchronous answer that holds nothing is an answer all the same.
        IMAGE: failed("no_output"),
        CHAT: failed("no_output"),
    },
    # Taken, and the task came to nothing.
    "failed": {KLING: failed("upstream_failed"), SUNO: failed("upstream_failed"), REPLICATE: failed("upstream_failed")},
    "moderation": {
        KLING: failed("upstream_failed"),  # a failed task has words, no code
        SUNO: failed("upstream_failed"),
        IMAGE: refused("content_rejected"),
        CHAT: refused("content_rejected"),
    },
    "no_outputs": {
        KLING: failed("no_output"),
        SUNO: failed("no_output"),
        REPLICATE: failed("no_output"),
        CHAT: failed("no_output"),
        IMAGE: failed("content_rejected"),  # documented: 200 with empty data means that the prompt was filtered
        SPEECH: HELD,  # an empty body: perhaps the connection's fault
    },
    # Odd answers to polls, and a task that comes to a good end all the same.
    "not_yet_visible seconds=0.3": dict.fromkeys((KLING, SUNO, REPLICATE), GOOD),
    "unknown_status polls=3": dict.fromkeys((KLING, SUNO, REPLICATE), GOOD),
    "html on=poll times=3": dict.fromkeys((KLING, SUNO), GOOD),
    "server_error on=poll times=3": dict.fromkeys((KLING, SUNO), GOOD),
    "rate_limit on=poll times=3 retry_after=9": dict.fromkeys((KLING, SUNO), GOOD),
    "truncated_json on=poll times=3": dict.fromkeys((KLING, SUNO), GOOD),
    "wrong_shape on=poll times=3": dict.fromkeys((KLING, SUNO), GOOD),
    "error_in_200 on=poll times=3": dict.fromkeys((KLING, SUNO), GOOD),
    "bad_key on=poll times=3": {KLING: GOOD},
    "reset_after_accept on=poll times=3": {KLING: GOOD, REPLICATE: GOOD},
    # Outputs that cannot be had.
    "dead_link_once": {KLING: GOOD, DALLE: GOOD, REPLICATE: GOOD},
    "dead_link status=410": {KLING: failed("output_expired"), DALLE: failed("output_expired")},
    "dead_link status=403": {REPLICATE: failed("output_expired")},
    "dead_link status=500": {KLING: failed("output_unreachable")},
    "truncated_body": {KLING: failed("output_truncated"), DALLE: failed("output_truncated"), IMAGE: HELD},
}


@pytest.mark.parametrize(
    ("fault", "what", "end"),
    [pytest.param(fault, what, end, id=f"{fault}-{what}") for fault, rows in TABLE.items() for what, end in rows.items()],
)
def test_a_fault_comes_to_the_end_the_table_says(mill: Mill, fault: str, what: str, end: End) -> None:
    job_id = ordered(mill, what, fault)

    job = mill.run(job_id)

    error = job.error or {}
    found = End(job.status, error.get("code"), error.get("may_have_been_charged", False), mill.calls, mill.charged)
    assert found == end, job.error
    assert bool(mill.artifacts(job_id)) == (end.status == "succeeded")
    assert len({attempt.client_ref for attempt in mill.attempts(job_id)}) == len(mill.attempts(job_id)) == end.calls


@pytest.mark.parametrize("what", [KLING, SUNO, IMAGE])
def test_a_rate_limit_never_ends_a_job_however_long_it_lasts(mill: Mill, what: str) -> None:
    job_id = ordered(mill, what, "rate_limit times=12")
    for _ in range(12):
        assert mill.submit(job_id).status == "queued"
    # … and does not use up the patience for other refusals.
    mill.upstream.control(faults=[{"fault": "unavailable", "times": 1}])
    assert mill.submit(job_id).status == "queued"
    assert (mill.calls, mill.charged) == (13, 0)


@pytest.mark.parametrize(
    ("fault", "scope"),
    [
        ("bad_key", "key:default"),
        ("no_money", "key:default"),
        ("no_money code=insufficient_quota", "key:default"),
        # The vendor's own account for this; others may do as they did.
        ("rate_limit code=1101", "key:default operation:kling.text_to_video"),
    ],
)
def test_a_key_that_is_refused_is_paused_for_what_it_was_refused(mill: Mill, fault: str, scope: str) -> None:
    mill.run(ordered(mill, KLING, fault))
    (pause,) = rows_of(mill.database, Pause)
    assert (pause.scope, pause.automatic) == (scope, True)
    assert 590 < (pause.probe_at - mill.clock()).total_seconds() <= 600


def test_a_job_that_met_a_busy_provider_waits_for_a_key_all_the_same(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "unavailable times=5")
    for _ in range(5):
        assert mill.submit(job_id).status == "queued"
    mill.upstream.control(faults=[{"fault": "bad_key"}])
    assert mill.run(job_id).status == "queued"
    (pause,) = rows_of(mill.database, Pause)
    assert pause.scope == "key:default"


def test_a_job_that_tries_a_key_is_not_called_where_a_person_has_paused_it_meanwhile(mill: Mill) -> None:
    job_id = mill.accept(*ask(KLING, ""))
    with mill.database.transaction() as session:
        pauses.put(session, "key", "default", reason="refused", actor="worker", automatic=True, probe_at=after(-1))
    assert [ticket.job_id for ticket in dispatch.release(mill.context).tickets] == [job_id]
    assert mill.job(job_id).probe
    with mill.database.transaction() as session:
        pauses.put(session, "tenant", mill.tenant_id, reason="holidays", actor="a person")

    submit.submit(mill.context, job_id, 0)

    assert (mill.job(job_id).status, mill.job(job_id).reserved, mill.calls) == ("queued", False, 0)
    assert rows_of(mill.database, Transition)[-1].reason == f"tenant {mill.tenant_id} is paused: holidays"


def test_a_rate_limit_that_lasts_is_asked_about_less_and_less_often(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "rate_limit")
    waits = []
    for _ in range(9):
        began = mill.clock()
        assert mill.submit(job_id).status == "queued"
        (gate,) = rows_of(mill.database, Gate)
        waits.append((gate.closed_until - began).total_seconds())
    # A second, two, four … a minute, each up to a quarter less.
    assert waits[0] < 1.5
    assert all(wait > 40 for wait in waits[6:])
    assert max(waits) < 61


def test_the_providers_wait_is_kept(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "rate_limit retry_after=600")
    mill.submit(job_id)
    mill.tick()
    assert mill.job(job_id).released_at is None, "not before the provider's time"
    (gate,) = rows_of(mill.database, Gate)
    assert (gate.closed_until - mill.job(job_id).created_at).total_seconds() > 590


def test_an_error_in_a_good_answer_is_a_failure_and_nothing_is_stored(mill: Mill) -> None:
    for what in (KLING, SUNO, IMAGE, CHAT, SPEECH, REPLICATE):
        job_id = ordered_by_prompt(mill, what, "error_in_200")
        assert mill.run(job_id).status in ("failed", "unknown")
        assert mill.artifacts(job_id) == []
    assert mill.charged == 0


def test_a_gateway_that_hangs_after_it_took_the_task_is_left_and_the_task_found(impatient_mill: Mill) -> None:
    job_id = ordered(impatient_mill, KLING, "hang_after_accept")
    lost = impatient_mill.submit(job_id)
    assert (lost.status, lost.error and lost.error["code"]) == ("unknown", LOST)
    assert impatient_mill.run(job_id).status == "succeeded"
    assert (impatient_mill.calls, impatient_mill.charged) == (1, 1)


def test_a_gateway_that_is_not_there_costs_nothing_and_ends_the_job_after_some_tries(mill: Mill) -> None:
    away = replace(mill.context, settings=mill.context.settings.model_copy(update={"upstream_url": "http://127.0.0.1:9"}))
    job_id = mill.accept("kling.text_to_video")
    for _ in range(10):
        mill.hand_over(job_id)
        submit.submit(away, job_id, mill.job(job_id).fence)
    away.leases.close()
    away.loop.run(away.calls.aclose())
    away.loop.close()
    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", "upstream_unreachable")
    assert job.error is not None
    assert not job.error["may_have_been_charged"]
    assert {attempt.state for attempt in mill.attempts(job_id)} == {"not_sent"}


# Lost answers -------------------------------------------------------------------------------------------------------------


def test_a_task_that_is_found_by_our_own_name_is_adopted_and_the_history_says_so(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "reset_after_accept")
    job = mill.submit(job_id)
    assert job.status == "unknown"
    assert job.error is not None
    assert job.error["may_have_been_charged"]
    assert job.due_at is not None, "it will be looked up"
    assert mill.attempts(job_id)[0].state == "unknown"

    job = mill.look_up(job_id)

    assert (job.status, job.error) == ("running", None)
    (attempt,) = mill.attempts(job_id)
    (call,) = mill.upstream.paid_calls()
    assert (attempt.state, attempt.upstream_id, attempt.client_ref) == ("accepted", call["task_id"], call["external_id"])
    assert [name for _, name, _, _ in history_of(mill.database, job_id)] == ["claim", "lose", "accept"]
    assert mill.run(job_id).status == "succeeded"
    assert events_of(mill.database, job_id) == ["job.unknown", "job.running", "job.succeeded"]


def test_a_task_that_is_not_found_is_looked_for_to_the_end_and_then_held(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "server_error")
    mill.submit(job_id)
    looks = 0
    while mill.job(job_id).due_at is not None:
        assert mill.look_up(job_id).status == "unknown"
        looks += 1
    assert looks == 5
    assert mill.calls == 1, "a miss proves nothing: never resent on a guess"
    assert mill.job(job_id).lease_owner is None


@pytest.mark.parametrize("what", [SUNO, IMAGE, REPLICATE])
def test_on_unknown_hold_waits_for_a_person(mill: Mill, what: str) -> None:
    job_id = ordered(mill, what, "reset_after_accept")
    job = mill.submit(job_id)
    assert (job.status, job.due_at, job.lease_owner, job.released_at) == ("unknown", None, None, None)
    for _ in range(3):
        mill.tick()
    mill.look_up(job_id)
    assert mill.job(job_id).status == "unknown"
    assert mill.calls == 1


@pytest.mark.parametrize("what", [KLING, SUNO, IMAGE])
def test_on_unknown_fail_ends_it_and_says_that_it_may_have_been_charged(mill: Mill, what: str) -> None:
    job_id = ordered(mill, what, "server_error", on_unknown="fail")
    job = mill.run(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", LOST)
    assert job.error is not None
    assert job.error["may_have_been_charged"]
    assert mill.calls == 1


@pytest.mark.parametrize("what", [SUNO, IMAGE, REPLICATE])
def test_on_unknown_retry_sends_it_once_more_as_a_recorded_decision(mill: Mill, what: str) -> None:
    job_id = ordered(mill, what, "timeout_after_accept times=1 delay=0", on_unknown="retry")
    assert mill.run(job_id).status == "succeeded"
    assert (mill.calls, mill.charged) == (2, 2)
    names = [name for _, name, _, _ in history_of(mill.database, job_id)]
    assert names[:4] == ["claim", "lose", "resubmit", "claim"]
    assert mill.attempts(job_id)[0].state == "unknown"


@pytest.mark.parametrize("what", [KLING, SUNO, IMAGE])
def test_on_unknown_retry_sends_it_only_once_more(mill: Mill, what: str) -> None:
    # Kling's looks find nothing behind a plain 500; the others cannot be looked for.
    job_id = ordered(mill, what, "server_error" if what == KLING else "timeout_after_accept delay=0", on_unknown="retry")
    job = mill.run(job_id)
    assert (job.status, job.due_at) == ("unknown", None)
    assert mill.calls == 2
    for _ in range(3):
        mill.tick()
    assert mill.calls == 2


# Workers that die ---------------------------------------------------------------------------------------------------------


def _die_after_the_intent(mill: Mill, job_id: str) -> None:
    """As `submit` begins, and no further."""
    mill.hand_over(job_id)
    claimed = claim(mill.database, job_id, 0, "dead")
    assert claimed is not None
    attempt_id = new_id("att")
    with mill.database.transaction() as session:
        assert schedule.touch(session, job_id, claimed.job.fence, attempt_id=attempt_id, attempts=Job.attempts + 1, reserved=False)
        attempts.begin(session, attempt_id, claimed.job, new_client_ref())


@pytest.mark.parametrize("what", [KLING, SUNO, IMAGE])
def test_a_worker_that_died_after_its_intent_leaves_an_unknown_that_is_not_resent(mill: Mill, what: str) -> None:
    job_id = mill.accept(*ask(what, ""))
    _die_after_the_intent(mill, job_id)
    mill.tick()
    assert mill.job(job_id).status == "submitting", "its lease still runs"

    mill.time_passes(job_id)
    mill.tick()

    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("unknown", LOST)
    assert job.error is not None
    assert job.error["may_have_been_charged"]
    assert [attempt.state for attempt in mill.attempts(job_id)] == ["unknown"]
    assert mill.run(job_id).status == "unknown"
    assert mill.calls == 0


def test_a_worker_that_died_before_its_intent_costs_nothing_and_the_job_starts_over(mill: Mill) -> None:
    job_id = mill.accept(*ask(KLING, ""))
    assert claim(mill.database, job_id, 0, "dead")
    mill.time_passes(job_id)
    mill.tick()
    assert mill.job(job_id).status == "queued"
    assert mill.run(job_id).status == "succeeded"
    assert mill.calls == 1


def test_what_became_of_an_earlier_call_is_not_taken_for_the_one_that_a_dead_worker_never_made(mill: Mill) -> None:
    # Given a job whose first answer was lost, and which a person had sent again.
    job_id = ordered(mill, SUNO, "reset_after_accept times=1")
    mill.submit(job_id)
    with mill.database.transaction() as session:
        assert mill.context.life.move(session, job_id, "resubmit", actor="user", due_at=after(0))
    mill.hand_over(job_id)
    assert claim(mill.database, job_id, mill.job(job_id).fence, "dead")
    mill.time_passes(job_id)
    mill.tick()
    assert mill.job(job_id).status == "queued"
    assert mill.run(job_id).status == "succeeded"
    assert mill.calls == 2


@pytest.mark.parametrize(
    ("state", "expected"),
    [("unknown", "unknown"), ("sending", "unknown"), ("not_sent", "queued"), ("not_accepted", "queued")],
)
def test_a_worker_that_died_between_writing_down_an_answer_and_moving_the_job_loses_no_certainty(
    mill: Mill, state: str, expected: str
) -> None:
    job_id = mill.accept(*ask(SUNO, ""))
    _die_after_the_intent(mill, job_id)
    with mill.database.transaction() as session:
        attempts.end(session, mill.attempts(job_id)[0].id, state, JobError(code=LOST, message="the answer was lost"))
    mill.time_passes(job_id)
    mill.tick()
    assert mill.job(job_id).status == expected


def test_a_worker_that_died_after_the_provider_took_the_task_loses_nothing(mill: Mill) -> None:
    # Given a job whose task is known, its worker dead before the job moved on.
    job_id = mill.accept(*ask(KLING, ""))
    mill.submit(job_id)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(status="submitting", lease_owner="dead", due_at=after(-1)))
    mill.tick()
    assert mill.job(job_id).status == "running"
    assert mill.run(job_id).status == "succeeded"
    assert mill.calls == 1


def test_a_worker_that_died_after_an_answer_was_safe_loses_nothing(mill: Mill) -> None:
    job_id = mill.accept(*ask(CHAT, ""))
    mill.submit(job_id)
    with mill.database.transaction() as session:
        session.execute(
            update(Job).where(col(Job.id) == job_id).values(status="submitting", lease_owner="dead", due_at=after(-1), output=None)
        )
    mill.tick()
    job = mill.run(job_id)
    assert job.status == "succeeded"
    assert job.output["text"]
    assert mill.calls == 1


class _StallingStore:
    """A store that stands still, reading or writing, until it is let go."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.reached, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        self.reached.set()
        assert self.go_on.wait(20)
        with self._store.open(key) as stream:
            yield stream

    def put(self, key: str, file: BinaryIO, **facts: Any) -> None:
        self.reached.set()
        assert self.go_on.wait(20)
        self._store.put(key, file, **facts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _uploaded(mill: Mill) -> str:
    """A picture of the tenant's, in storage."""
    png = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    file_id, digest = new_id("file"), hashlib.sha256(png).hexdigest()
    mill.context.store.put(f"files/{file_id}", io.BytesIO(png), size_bytes=len(png), media_type="image/png", sha256=digest)
    with mill.database.transaction() as session:
        session.add(
            InputFile(
                id=file_id,
                tenant_id=mill.tenant_id,
                filename="a.png",
                kind="image",
                media_type="image/png",
                size_bytes=len(png),
                sha256=digest,
                key=f"files/{file_id}",
                created_at=mill.job(mill.accept("openai.chat")).created_at,
            )
        )
    return file_id


def test_a_worker_that_slept_through_its_lease_before_its_intent_does_not_pay_as_well(mill: Mill) -> None:
    """Two workers, one job, one paid call: the first one stood still between claim and intent, and was given up."""
    given = {"model": "doubao-seedream-4-0-250828", "prompt": "a boat", "size": "1K", "image": {"file": _uploaded(mill)}}
    job_id = mill.accept("seedream.image_generation", given)
    mill.hand_over(job_id)
    stalling = _StallingStore(mill.context.store)
    sleeper = threading.Thread(target=submit.submit, args=(replace(mill.context, store=stalling), job_id, 0))
    sleeper.start()
    assert stalling.reached.wait(20)
    # Given up, and taken by another.
    mill.time_passes(job_id)
    mill.tick()
    assert mill.job(job_id).status == "queued"
    # It wakes up before the other one has begun.
    stalling.go_on.set()
    sleeper.join(20)
    job = mill.run(job_id)

    assert job.status == "succeeded"
    assert mill.calls == 1


def test_an_answer_that_comes_after_its_worker_was_given_up_is_taken_all_the_same(mill: Mill) -> None:
    job_id = mill.accept(*ask(CHAT, ""))
    mill.hand_over(job_id)
    stalling = _StallingStore(mill.context.store)
    sleeper = threading.Thread(target=submit.submit, args=(replace(mill.context, store=stalling), job_id, 0))
    sleeper.start()
    assert stalling.reached.wait(20)
    mill.time_passes(job_id)
    mill.tick()
    assert mill.job(job_id).status == "unknown"
    stalling.go_on.set()
    sleeper.join(20)
    assert mill.run(job_id).status == "succeeded"
    assert mill.job(job_id).error is None
    assert mill.calls == 1


def test_a_worker_that_is_alive_keeps_its_lease_however_long_the_call_takes(short_lease_mill: Mill) -> None:
    mill = short_lease_mill
    mill.upstream.control(latency={"text": 2.5})  # two and a half leases
    job_id = mill.accept(*ask(CHAT, ""))
    mill.hand_over(job_id)
    worker = threading.Thread(target=submit.submit, args=(mill.context, job_id, 0))
    worker.start()
    seen = set()
    while worker.is_alive():
        mill.tick()
        seen.add(mill.job(job_id).status)
        worker.join(0.05)
    assert seen <= {"queued", "submitting", "collecting"}
    assert (mill.job(job_id).status, mill.calls) == ("collecting", 1)


def test_a_job_that_kills_its_workers_is_set_aside(mill: Mill) -> None:
    job_id = mill.accept(*ask(KLING, ""))
    for fence in range(10):
        current = mill.job(job_id)
        if current.status == "failed":
            break
        with mill.database.transaction() as session:
            session.execute(update(Job).where(col(Job.id) == job_id).values(crashes=fence))
        if fence >= 5:
            mill.submit(job_id)
            continue
        assert claim(mill.database, job_id, current.fence, "dies")
        let_time_pass(mill.database, job_id)
        mill.tick()
    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", "worker_crash_loop")
    assert mill.calls == 0


def test_a_message_that_comes_twice_makes_one_call(mill: Mill) -> None:
    job_id = mill.accept(*ask(KLING, ""))
    mill.hand_over(job_id)
    threads = [threading.Thread(target=submit.submit, args=(mill.context, job_id, 0)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert mill.job(job_id).status == "running"
    assert mill.calls == 1


# Ends on request, and by time ---------------------------------------------------------------------------------------------


def test_a_job_that_was_canceled_while_running_stays_canceled_whatever_its_task_does(mill: Mill) -> None:
    job_id = mill.accept(*ask(KLING, ""))
    running = mill.submit(job_id)
    assert move(mill.database, job_id, "cancel", actor="api")
    mill.upstream.wait_finished()
    mill.poll(job_id)
    poll.poll(mill.context, [(job_id, running.fence)])
    mill.collect(job_id)
    job = mill.job(job_id)
    assert (job.status, mill.artifacts(job_id)) == ("canceled", [])
    assert events_of(mill.database, job_id) == ["job.running", "job.canceled"]


def test_a_job_that_was_canceled_before_its_turn_is_never_paid_for(mill: Mill) -> None:
    job_id = mill.accept(*ask(KLING, ""))
    assert move(mill.database, job_id, "cancel", actor="api")
    mill.submit(job_id)
    assert (mill.job(job_id).status, mill.calls) == ("canceled", 0)


def test_a_job_that_was_canceled_while_it_was_being_submitted_remembers_the_task_it_paid_for(impatient_mill: Mill) -> None:
    mill = impatient_mill
    job_id = ordered(mill, SUNO, "timeout_after_accept delay=0.5")
    mill.hand_over(job_id)
    submitting = threading.Thread(target=submit.submit, args=(mill.context, job_id, 0))
    submitting.start()
    eventually(lambda: mill.calls, what="the call")
    assert move(mill.database, job_id, "cancel", actor="api")
    submitting.join(20)
    assert mill.job(job_id).status == "canceled"
    assert [attempt.state for attempt in mill.attempts(job_id)] == ["unknown"]


@pytest.mark.parametrize("started", [False, True])
def test_a_job_past_its_deadline_expires_and_says_whether_it_may_have_cost(mill: Mill, started: bool) -> None:
    operation, given = ask(KLING, "[[simulate:never_finishes]]")
    job_id = mill.accept(operation, given, deadline_s=3600)
    if started:
        assert mill.submit(job_id).status == "running"
    mill.tick()
    assert mill.job(job_id).status != "expired"
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(expire_at=after(-1)))

    mill.tick()

    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("expired", "deadline_exceeded")
    assert job.error is not None
    assert job.error["may_have_been_charged"] is started
    assert events_of(mill.database, job_id)[-1] == "job.expired"


def test_a_task_that_never_ends_is_given_up_after_the_operations_time(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "never_finishes")
    mill.submit(job_id)
    mill.poll(job_id)
    assert mill.job(job_id).status == "running"
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(accepted_at=after(-5401)))
    mill.poll(job_id)
    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", "timeout")
    assert job.error is not None
    assert job.error["may_have_been_charged"]


def test_a_task_the_provider_forgot_is_given_up_after_a_while(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "not_yet_visible seconds=9999")
    mill.submit(job_id)
    for _ in range(3):
        mill.poll(job_id)
    assert mill.job(job_id).status == "running", "too early to believe it"
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(accepted_at=after(-61)))
    mill.poll(job_id)
    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", "upstream_lost_job")


def test_odd_answers_to_polls_are_borne_for_long_and_not_for_ever(mill: Mill) -> None:
    job_id = ordered(mill, KLING, "html on=poll")
    mill.submit(job_id)
    for _ in range(60):
        mill.poll(job_id)
        assert mill.job(job_id).status == "running"
    mill.poll(job_id)
    job = mill.job(job_id)
    assert (job.status, job.error and job.error["code"]) == ("failed", "upstream_bad_response")
    assert job.error is not None
    assert job.error["may_have_been_charged"]


def test_one_look_at_many_jobs_writes_down_what_each_of_them_said(mill: Mill) -> None:
    faults = ("failed", "html on=poll", "no_outputs", "unknown_status polls=99", "never_finishes")
    job_ids = {fault: ordered_by_prompt(mill, KLING, fault) for fault in faults} | {"none": mill.accept(*ask(KLING, ""))}
    for job_id in job_ids.values():
        assert mill.submit(job_id).status == "running"
    mill.upstream.wait_finished(5)
    mill.poll(*job_ids.values())
    assert {fault: mill.job(job_id).status for fault, job_id in job_ids.items()} == {
        "failed": "failed",
        "html on=poll": "running",
        "no_outputs": "failed",
        "unknown_status polls=99": "running",
        "never_finishes": "running",
        "none": "collecting",
    }
