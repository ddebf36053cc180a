"""Every state × every move, and the picture in README.md. The matrix is written by hand, not read from MOVES."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.states import ACTIVE, DEFAULT_EVENTS, FINAL, JOB_EVENTS, MOVES, JobState

README = Path(__file__).parents[2] / "README.md"

STATES = ("queued", "submitting", "running", "collecting", "unknown", "succeeded", "failed", "canceled", "expired")

#: Where each move leads from each state; a dot: the move leaves a job in that state alone.
MATRIX = """
            queued      submitting  running     collecting  unknown     succeeded failed canceled expired
claim       submitting  .           .           .           .           .         .      .        .
requeue     .           queued      .           .           .           .         .      .        .
fallback    queued      queued      queued      .           .           .         .      .        .
accept      .           running     .           .           running     .         .      .        .
receive     .           collecting  .           .           collecting  .         .      .        .
lose        .           unknown     .           .           .           .         .      .        .
resubmit    .           .           .           .           queued      .         .      .        .
collect     .           .           collecting  .           .           .         .      .        .
repoll      .           .           .           running     .           .         .      .        .
finish      .           .           .           succeeded   .           .         .      .        .
share       succeeded   .           .           .           .           .         .      .        .
fail        failed      failed      failed      failed      failed      .         .      .        .
cancel      canceled    canceled    canceled    canceled    canceled    .         .      .        .
expire      expired     expired     expired     expired     expired     .         .      .        .
"""

#: The event each move tells.
TOLD = {
    "claim": None,
    "requeue": None,
    "fallback": None,
    "accept": "job.running",
    "receive": None,
    "lose": "job.unknown",
    "resubmit": None,
    "collect": None,
    "repoll": None,
    "finish": "job.succeeded",
    "share": "job.succeeded",
    "fail": "job.failed",
    "cancel": "job.canceled",
    "expire": "job.expired",
}


def _matrix() -> dict[tuple[str, str], str | None]:
    head, *rows = [line.split() for line in MATRIX.strip().splitlines()]
    assert tuple(head) == STATES
    return {
        (state, name): None if target == "." else target
        for name, *targets in rows
        for state, target in zip(head, targets, strict=True)
    }


@pytest.mark.parametrize(("state", "name", "target"), [(*pair, target) for pair, target in _matrix().items()])
def test_each_move_leads_where_the_matrix_says_or_leaves_the_job_alone(state: str, name: str, target: str | None) -> None:
    move = MOVES[name]
    assert (move.target if state in move.sources else None) == target


def test_the_matrix_knows_every_state_and_every_move() -> None:
    assert {state.value for state in JobState} == set(STATES)
    assert set(MOVES) == {name for _, name in _matrix()} == set(TOLD)


@pytest.mark.parametrize("name", TOLD)
def test_each_move_tells_the_event_it_should(name: str) -> None:
    assert MOVES[name].event == TOLD[name]


def test_no_move_leaves_a_final_state() -> None:
    assert {"succeeded", "failed", "canceled", "expired"} == FINAL
    assert not any(move.sources & FINAL for move in MOVES.values())
    assert frozenset(JobState) == FINAL | ACTIVE
    assert not FINAL & ACTIVE


def test_a_submitter_who_asks_for_nothing_is_told_of_every_end_and_of_unknown() -> None:
    assert {
        "job.succeeded",
        "job.failed",
        "job.canceled",
        "job.expired",
        "job.unknown",
        "batch.completed",
    } == DEFAULT_EVENTS
    assert set(JOB_EVENTS) == {event for event in TOLD.values() if event}


# The picture --------------------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^```mermaid\n\s*(stateDiagram-v2\n.*?)^```", re.MULTILINE | re.DOTALL)
_ARROW = re.compile(r"^(\S+)\s*-->\s*(\S+?)(?:\s*:\s*(.+))?$")
_COMPOSITE = re.compile(r"^state\s+(\w+)\s*\{$")


def arrows_of(picture: str) -> set[tuple[str, str, str]]:
    """(from, label, to) of each arrow. One that leaves a composite state leaves every state inside it.

    Arrows from and to `[*]` are no moves. Labels may name several moves: `a: claim, retry`. Anything else that is drawn
    (a direction, a note of one line) is no arrow. Raises ValueError for an arrow without a label.
    """
    inside: dict[str, set[str]] = {}
    drawn: list[tuple[str, str, str]] = []
    open_states: list[str] = []
    for line in (raw.strip() for raw in picture.splitlines()):
        if match := _COMPOSITE.match(line):
            open_states.append(match[1])
            inside[match[1]] = set()
        elif line == "}":
            open_states.pop()
        elif match := _ARROW.match(line):
            source, target, label = match.groups()
            for composite in open_states:
                inside[composite] |= {source, target} - {"[*]"}
            if "[*]" in (source, target):
                continue
            if not label:
                raise ValueError(f"an arrow needs the name of its move: {line}")
            drawn += [(source, name.strip(), target) for name in label.split(",")]
    return {(source, name, target) for start, name, target in drawn for source in inside.get(start, {start})}


def test_an_arrow_from_a_composite_state_leaves_each_state_inside_it() -> None:
    picture = """stateDiagram-v2
        direction LR
        [*] --> queued
        state open {
            queued --> submitting: claim
            submitting --> queued: requeue
        }
        open --> failed: fail
        failed --> [*]
    """
    assert arrows_of(picture) == {
        ("queued", "claim", "submitting"),
        ("submitting", "requeue", "queued"),
        ("queued", "fail", "failed"),
        ("submitting", "fail", "failed"),
    }


def test_the_picture_in_the_readme_shows_exactly_the_moves_there_are() -> None:
    found = _FENCE.findall(README.read_text("utf-8"))
    assert len(found) == 1, "README.md needs one ```mermaid block with a stateDiagram-v2"
    there_are = {(source.value, name, move.target.value) for name, move in MOVES.items() for source in move.sources}
    assert arrows_of(found[0]) == there_are
