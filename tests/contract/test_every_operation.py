"""Every operation of the catalogue in every situation a provider can put it in, by the real steps against the real simulator.

Each operation runs its own example. What must come of it stands in `TABLE`, by the kind of operation; what a provider is known to
do otherwise stands in `EXCEPTIONS`, with the reason. Both follow the reliability plan and the providers' documents.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from house import history_of, rows_of
from mill import Mill
from servers import eventually
from sqlalchemy import update
from sqlmodel import col
from workshop import LATENCY_S, Workshop

from jobs import catalogue
from jobs.catalogue.spec import Operation
from jobs.db import after
from jobs.models import Gate, Job
from jobs.states import JobState
from workers import submit

#   of          kind of operation, and for lost answers what can be done about them: A may be asked again, B looked up, C neither
#   played by   the simulator's fault; `latency=S`: the call takes so long; -: nothing goes wrong
#   seen        the moment the job is looked at: after its `submit`, when it is asked `again`, after `two looks` at its task,
#               `in the call` while that is on the wire, when the outputs are `made` and not yet fetched, at the `end`,
#               or when its time is over and it is `given up`
#   again       whether the error says that trying again may help
#   charged     whether the error says that it may have cost money
#   attempts    what became of each paid call
#   calls       of the paid route that reached the gateway, and how many of them it took money for
TABLE = """
scenario        | of        | played by                        | seen        | moves                       | status     | error                    | again | charged | attempts              | calls | paid
accepted        | async     | -                                | submit      | claim accept                | running    | -                        | -     | -       | accepted              | 1     | 1
accepted        | sync      | -                                | submit      | claim receive               | collecting | -                        | -     | -       | answered              | 1     | 1
accepted        | websocket | -                                | submit      | claim receive               | collecting | -                        | -     | -       | answered              | 1     | 1
accepted        | repeat    | -                                | submit      | claim accept                | running    | -                        | -     | -       | accepted              | 0     | 0

running         | async     | never_finishes                   | two looks   | claim accept                | running    | -                        | -     | -       | accepted              | 1     | 1
running         | sync      | latency=0.4                      | in the call | claim                       | submitting | -                        | -     | -       | sending               | 1     | 1
running         | websocket | latency=0.4                      | in the call | claim                       | submitting | -                        | -     | -       | sending               | 1     | 1
running         | repeat    | never_finishes                   | two looks   | claim accept                | running    | -                        | -     | -       | accepted              | 1     | 1

done            | async     | -                                | end         | claim accept collect finish | succeeded  | -                        | -     | -       | accepted              | 1     | 1
done            | sync      | -                                | end         | claim receive finish        | succeeded  | -                        | -     | -       | answered              | 1     | 1
done            | websocket | -                                | end         | claim receive finish        | succeeded  | -                        | -     | -       | answered              | 1     | 1
done            | repeat    | -                                | end         | claim accept collect finish | succeeded  | -                        | -     | -       | accepted              | 1     | 1

failed          | async     | failed                           | end         | claim accept fail           | failed     | upstream_failed          | yes   | perhaps | accepted              | 1     | 1
failed          | sync A    | failed times=1                   | made        | claim requeue claim receive | collecting | -                        | -     | -       | unknown answered      | 2     | 1
failed          | sync C    | failed                           | end         | claim lose                  | unknown    | upstream_outcome_unknown | no    | perhaps | unknown               | 1     | 0
failed          | websocket | failed                           | end         | claim lose                  | unknown    | upstream_outcome_unknown | no    | perhaps | unknown               | 1     | 1
failed          | repeat    | failed                           | given up    | claim accept fail           | failed     | upstream_failed          | yes   | perhaps | accepted              | 1     | 1

refused         | async     | invalid                          | end         | claim fail                  | failed     | invalid_input            | no    | no      | rejected              | 1     | 0
refused         | sync      | invalid                          | end         | claim fail                  | failed     | invalid_input            | no    | no      | rejected              | 1     | 0
refused         | websocket | invalid                          | end         | claim fail                  | failed     | invalid_input            | no    | no      | rejected              | 1     | 0
refused         | repeat    | invalid                          | given up    | claim accept fail           | failed     | invalid_input            | no    | perhaps | accepted              | 3     | 0

censored        | async     | moderation                       | end         | claim accept fail           | failed     | content_rejected         | no    | perhaps | accepted              | 1     | 1
censored        | sync      | moderation                       | end         | claim fail                  | failed     | content_rejected         | no    | no      | rejected              | 1     | 0
censored        | websocket | moderation                       | end         | claim fail                  | failed     | content_rejected         | no    | no      | rejected              | 1     | 0
censored        | repeat    | moderation                       | given up    | claim accept fail           | failed     | upstream_failed          | yes   | perhaps | accepted              | 1     | 1

rate-limited    | async     | rate_limit times=1 retry_after=7 | again       | claim requeue claim accept  | running    | -                        | -     | -       | not_accepted accepted | 2     | 1
rate-limited    | sync      | rate_limit times=1 retry_after=7 | again       | claim requeue claim receive | collecting | -                        | -     | -       | not_accepted answered | 2     | 1
rate-limited    | websocket | rate_limit times=1 retry_after=7 | again       | claim requeue claim receive | collecting | -                        | -     | -       | not_accepted answered | 2     | 1
rate-limited    | repeat    | rate_limit times=1 retry_after=7 | made        | claim accept collect        | collecting | -                        | -     | -       | accepted              | 2     | 1

not yet visible | async     | not_yet_visible seconds=0.1      | made        | claim accept collect        | collecting | -                        | -     | -       | accepted              | 1     | 1
not yet visible | sync      | dead_link_once                   | end         | claim receive finish        | succeeded  | -                        | -     | -       | answered              | 1     | 1
not yet visible | websocket | dead_link_once                   | end         | claim receive finish        | succeeded  | -                        | -     | -       | answered              | 1     | 1
not yet visible | repeat    | not_yet_visible seconds=0.1      | made        | claim accept collect        | collecting | -                        | -     | -       | accepted              | 1     | 1

malformed       | async B   | truncated_json                   | made        | claim lose accept collect   | collecting | -                        | -     | -       | accepted              | 1     | 1
malformed       | async C   | truncated_json                   | end         | claim lose                  | unknown    | upstream_outcome_unknown | no    | perhaps | unknown               | 1     | 1
malformed       | sync A    | truncated_json times=1           | made        | claim requeue claim receive | collecting | -                        | -     | -       | unknown answered      | 2     | 2
malformed       | sync C    | truncated_json                   | end         | claim lose                  | unknown    | upstream_outcome_unknown | no    | perhaps | unknown               | 1     | 1
malformed       | websocket | truncated_json                   | end         | claim lose                  | unknown    | upstream_outcome_unknown | no    | perhaps | unknown               | 1     | 1
malformed       | repeat    | truncated_json times=1           | made        | claim accept collect        | collecting | -                        | -     | -       | accepted              | 1     | 1

malformed look  | async     | html on=poll times=3             | made        | claim accept collect        | collecting | -                        | -     | -       | accepted              | 1     | 1
malformed look  | repeat    | html on=poll times=3             | made        | claim accept collect        | collecting | -                        | -     | -       | accepted              | 1     | 1
"""  # noqa: E501


@dataclass(frozen=True)
class Different:
    """What a provider is known to do otherwise: a pattern of operations, the rows it concerns, their other cells."""

    operations: str
    of: str
    scenario: str
    cells: dict[str, str]
    why: str


_WORDS_ONLY = {"error": "upstream_failed", "again": "yes"}
_PAID = {"charged": "perhaps", "paid": "1"}
_TOLD = {"moves": "claim fail", "status": "failed", "attempts": "rejected", "paid": "1"}

EXCEPTIONS = (
    Different("kling.*", "async", "censored", _WORDS_ONLY, "a failed task gives its reason in words, without a code"),
    Different("midjourney.*", "async", "censored", _WORDS_ONLY, "as Kling"),
    Different("replicate.*", "async", "censored", _WORDS_ONLY, "as Kling"),
    Different("suno.*", "async", "censored", _WORDS_ONLY, "as Kling"),
    Different("veo.video", "async", "censored", _WORDS_ONLY, "its codes are not published"),
    Different("hunyuan3d.*", "async", "censored", _WORDS_ONLY, "what Tencent calls it is not known"),
    Different("anthropic.*", "sync", "censored", _PAID, "a good answer without content, which counts tokens"),
    Different("gemini.*", "sync", "censored", _PAID, "as Anthropic"),
    Different("openai.gpt4o_image", "sync", "censored", _PAID, "as Anthropic"),
    Different("openai.responses", "sync", "censored", _PAID, "as Anthropic"),
    Different("openai.responses", "sync C", "failed", _TOLD | {"error": "upstream_failed"}, "a good answer whose status is failed"),
    Different("veo.chat", "sync", "censored", _PAID | {"error": "no_output"}, "said in the text of a good answer, nowhere else"),
    Different("veo.chat", "sync C", "failed", _TOLD | {"error": "no_output"}, "as censored"),
    Different("openai.realtime", "websocket", "censored", _PAID, "said when the reply was under way"),
    Different("openai.translation", "sync C", "malformed", {"played_by": "html", "paid": "0"}, "half of a text is a text"),
)

#: What is changed of an example, and why.
CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "midjourney.action": (
        {"enableRemix": False},
        "the example opens a form, which ends the job at once; a picture takes its course",
    ),
}

#: Needs that serve one job only, and why.
USED_UP = {
    "kling.edit_delete_selection": ("kling.edit_add_selection", "a point that is taken away is gone"),
    "midjourney.modal": ("midjourney.action", "a form is filled in once"),
    "suno.midi": ("suno.stems_full", "the first look at a clip's file has it made, all later ones find it"),
    "suno.mp4_video": ("suno.music", "as with midi"),
    "suno.wav": ("suno.stems_single", "as with midi"),
}


@dataclass(frozen=True)
class Row:
    """A line of the table, in its own words."""

    scenario: str
    of: str
    played_by: str
    seen: str
    moves: str
    status: str
    error: str
    again: str
    charged: str
    attempts: str
    calls: str
    paid: str


def _rows() -> list[Row]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in TABLE.splitlines() if line)
    assert head == [field.name.replace("_", " ") for field in fields(Row)]
    return [Row(*line) for line in lines]


ROWS = _rows()
SCENARIOS = list(dict.fromkeys(row.scenario for row in ROWS))


def row_of(op: Operation, scenario: str) -> Row | None:
    """What the table says of this operation, exceptions included."""
    here = {row.of: row for row in ROWS if row.scenario == scenario}
    row = here.get(f"{op.kind} {op.dedupe.grade}") or here.get(op.kind)
    for one in EXCEPTIONS:
        if row and one.scenario == scenario and one.of == row.of and fnmatchcase(op.name, one.operations):
            row = replace(row, **one.cells)
    return row


def _cases() -> Iterator[Any]:
    for name, op in sorted(catalogue.all_operations().items()):
        for scenario in SCENARIOS:
            if row := row_of(op, scenario):
                yield pytest.param(op, row, id=f"{name}-{scenario.replace(' ', '_')}")


def test_every_operation_is_seen_in_every_scenario() -> None:
    for op in catalogue.all_operations().values():
        left_out = [scenario for scenario in SCENARIOS if row_of(op, scenario) is None]
        assert left_out == ([] if op.poll else ["malformed look"]), f"{op.name}: the table has no row for {left_out}"


def test_every_exception_is_one() -> None:
    everything = catalogue.all_operations().values()
    for one in EXCEPTIONS:
        (row,) = [row for row in ROWS if (row.scenario, row.of) == (one.scenario, one.of)]
        assert replace(row, **one.cells) != row, one
        assert any(fnmatchcase(op.name, one.operations) for op in everything), one
    assert {*CHANGED, *USED_UP, *(need for need, _ in USED_UP.values())} <= {op.name for op in everything}


@pytest.mark.parametrize(("op", "row"), list(_cases()))
def test_it_comes_to_what_the_table_says(workshop: Workshop, op: Operation, row: Row) -> None:
    mill = workshop.mill
    mill.upstream.control(clear_faults=True, latency=LATENCY_S)
    if op.name in USED_UP:
        workshop.forget(USED_UP[op.name][0])
    job_id = workshop.accept(op.name, CHANGED.get(op.name, ({}, ""))[0])
    before = len(mill.upstream.paid_calls(operation=op.name))
    _play(mill, op, row.played_by)

    seen = _carry_out(mill, job_id, op, before, row)

    calls = mill.upstream.paid_calls(operation=op.name)[before:]
    found = replace(row, **seen, calls=str(len(calls)), paid=str(sum(call["charged"] for call in calls)))
    job = mill.job(job_id)
    different = {name: f"{value}, not {getattr(row, name)}" for name, value in vars(found).items() if value != getattr(row, name)}
    assert not different, f"{different} {job.error}"
    assert len({attempt.client_ref for attempt in mill.attempts(job_id)}) == len(mill.attempts(job_id))
    if job.status == "succeeded":
        _all_is_stored(mill, op, job)
    else:
        assert mill.artifacts(job_id) == []


def _look(mill: Mill, job_id: str) -> dict[str, str]:
    """The job in the words of the table."""
    job = mill.job(job_id)
    error = job.error or {}
    return {
        "moves": " ".join(name for _, name, _, _ in history_of(mill.database, job_id)),
        "status": job.status,
        "error": error.get("code", "-"),
        "again": {True: "yes", False: "no", None: "-"}[error.get("retryable")],
        "charged": {True: "perhaps", False: "no", None: "-"}[error.get("may_have_been_charged")],
        "attempts": " ".join(attempt.state for attempt in mill.attempts(job_id)),
    }


def _play(mill: Mill, op: Operation, play: str) -> None:
    name, *words = play.split()
    options: dict[str, Any] = dict(word.split("=", 1) for word in words)
    times = options.pop("times", None)
    faults = [{"fault": name, "times": int(times) if times else None, "match": {"operation": op.name}, **options}]
    if name.startswith("latency="):
        mill.upstream.control(latency=float(name.partition("=")[2]))
    elif name != "-":
        mill.upstream.control(faults=faults)


def _carry_out(mill: Mill, job_id: str, op: Operation, before: int, row: Row) -> dict[str, str]:
    """Step after step until the moment the row speaks of; the job as it is then."""
    match row.seen:
        case "in the call":
            return _in_the_call(mill, job_id, op, before)
        case "submit":
            mill.submit(job_id)
        case "again":
            _the_wait_is_kept(mill, job_id, op)
            mill.submit(job_id)
        case "two looks":
            mill.submit(job_id)
            mill.poll(job_id)
            mill.poll(job_id)
        case "given up":
            _run_out_of_time(mill, job_id, op)
        case "made":
            _until_made(mill, job_id)
        case "end":
            mill.run(job_id)
    return _look(mill, job_id)


def _run_out_of_time(mill: Mill, job_id: str, op: Operation) -> None:
    assert op.poll is not None
    mill.submit(job_id)
    for began_s_ago in (0, 1, op.poll.give_up_s + 1):
        # What is to fail does so between the looks.
        mill.upstream.control(latency=0)
        with mill.database.transaction() as session:
            session.execute(update(Job).where(col(Job.id) == job_id).values(accepted_at=after(-began_s_ago)))
        assert mill.job(job_id).status == "running"
        mill.poll(job_id)


def _until_made(mill: Mill, job_id: str) -> None:
    for _ in range(10):
        job = mill.job(job_id)
        match JobState(job.status):
            case JobState.QUEUED:
                mill.submit(job_id)
            case JobState.RUNNING:
                mill.poll_until(job_id)
            case JobState.UNKNOWN if job.due_at is not None:
                mill.look_up(job_id)
            case _:
                return


def _the_wait_is_kept(mill: Mill, job_id: str, op: Operation) -> None:
    """By whatever goes to this provider; the job itself may start as soon as that is over."""
    began = mill.clock()
    due_at = mill.submit(job_id).due_at
    assert due_at is not None and due_at <= mill.clock()
    (gate,) = rows_of(mill.database, Gate, col(Gate.provider) == op.provider)
    assert (gate.closed_until - began).total_seconds() >= 7


def _in_the_call(mill: Mill, job_id: str, op: Operation, before: int) -> dict[str, str]:
    """The job while its call is on the wire; it then goes on as if nobody had looked."""
    mill.hand_over(job_id)
    worker = threading.Thread(target=submit.submit, args=(mill.context, job_id, mill.job(job_id).fence))
    worker.start()
    eventually(lambda: len(mill.upstream.paid_calls(operation=op.name)) > before, what="the call")
    assert mill.job(job_id).lease_owner is not None
    seen = _look(mill, job_id)
    worker.join(20)
    assert mill.job(job_id).status == "collecting"
    return seen


def _all_is_stored(mill: Mill, op: Operation, job: Job) -> None:
    artifacts = mill.artifacts(job.id)
    assert artifacts or op.nothing_due, "a success has something to show"
    assert [artifact.index for artifact in artifacts] == list(range(len(artifacts)))
    declared = {output.kind for output in op.outputs}
    assert "other" in declared or {artifact.kind for artifact in artifacts} <= declared
    for artifact in artifacts:
        stored = mill.stored(artifact)
        assert (hashlib.sha256(stored).hexdigest(), len(stored)) == (artifact.sha256, artifact.size_bytes)
    assert [attempt.spool_key for attempt in mill.attempts(job.id) if attempt.spool_key] == [], "what was spooled is tidied up"
