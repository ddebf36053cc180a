"""References: found wherever they stand, renamed, replaced; values that are too much; circles."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import references
from jobs.references import Malformed, Reference, Unresolved

JOB: dict[str, Any] = {
    "id": "job_1",
    "upstream": {"task_id": "840011223344", "status": "succeed"},
    "output": {"buttons": [{"customId": "MJ::U1"}, {"customId": "MJ::U2"}], "text": "a boat", "count": 2, "flag": False},
    "artifacts": [{"kind": "image", "index": 0}, {"kind": "video", "index": 1}],
    "error": None,
}


def test_references_are_found_at_any_depth_with_their_places() -> None:
    media, value = {"job": "a", "artifact": 2}, {"job": "b", "get": "id"}
    given = {"image": media, "list": [{"x": [1, value]}], "no": {"job": "c"}, "file": {"file": "file_1"}}
    assert references.find(given) == [
        Reference(("image",), "a", artifact=2),
        Reference(("list", 0, "x", 1), "b", get="id"),
    ]
    assert references.names(given) == ["a", "b"]


def test_what_stands_inside_a_broken_reference_is_not_looked_for() -> None:
    (found,) = references.find({"x": {"job": {"job": "a", "get": "id"}, "get": "id"}})
    assert isinstance(found, Malformed)
    assert found.path == ("x",)
    assert references.names({"x": {"job": {"job": "a", "get": "id"}, "get": "id"}}) == []


def test_custom_ids_become_ids_and_all_else_stays() -> None:
    given = {"a": {"job": "one", "artifact": 0}, "b": [{"job": "job_9", "get": "id"}], "c": {"job": "one", "x": 1}, "d": None}
    renamed = references.rename(given, {"one": "job_1"})
    assert renamed == given | {"a": {"job": "job_1", "artifact": 0}}
    assert given["a"] == {"job": "one", "artifact": 0}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["job", "get", "artifact", "x"]), inner, max_size=3)
        | st.fixed_dictionaries({"job": st.text(max_size=3), "get": st.text(max_size=3) | inner})
        | st.fixed_dictionaries({"job": st.text(max_size=3), "artifact": st.integers() | inner})
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_walked_and_renaming_nothing_changes_nothing(value: Any) -> None:
    found = references.find(value)
    assert references.rename(value, {}) == value
    assert all(isinstance(one.path, tuple) for one in found)
    left = references.find(references.replace(value, lambda _: "there"))
    assert not any(isinstance(one, Reference) for one in left)


# Values -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("upstream.task_id", "840011223344"),
        ("output.buttons[0].customId", "MJ::U1"),
        ("output.buttons[-1].customId", "MJ::U2"),
        ("output.buttons[].customId", ["MJ::U1", "MJ::U2"]),
        ("artifacts[?kind=='video'] | [0].index", 1),
        ("to_string(output.count)", "2"),
        ("output.flag", False),
        ("output.missing || output.text", "a boat"),
        ("max_by(artifacts, &index).kind", "video"),
        ("output", JOB["output"]),
    ],
)
def test_a_value_of_a_finished_job_is_what_the_expression_yields(expression: str, value: object) -> None:
    assert isinstance(references.find({"job": "j", "get": expression})[0], Reference)
    assert references.value_of(expression, JOB) == value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("output.missing", "yields nothing"),
        ("error", "yields nothing"),
        ("output.buttons[7].customId", "yields nothing"),
        ("sum(output.buttons)", "cannot be evaluated there"),
        ("length(output, output)", "cannot be evaluated there"),
        ("output.buttons[::0]", "cannot be evaluated there"),
        ("&output", "cannot be evaluated there"),
        ("to_number('nan')", "cannot be evaluated there"),
        ("to_number('1e999')", "cannot be evaluated there"),
    ],
)
def test_a_value_that_cannot_be_had_is_told(expression: str, said: str) -> None:
    with pytest.raises(Unresolved, match=said):
        references.value_of(expression, JOB)


def test_a_value_of_more_than_a_megabyte_is_none() -> None:
    assert references.value_of("output", {"output": "x" * 1_000_000})
    with pytest.raises(Unresolved, match="more than"):
        references.value_of("output", {"output": "x" * 1_100_000})


@pytest.mark.parametrize(
    "expression",
    [
        "",
        " ",
        "output[",
        "a b",
        "output.`",
        "x" * 501,
        "(" * 250,
        "(" * 200 + "a" + ")" * 200,
        "!" * 400 + "a",
        "a||" * 100 + "b",
        "nope(a)",
        "[id, status]",
        "{a: id}",
        "output.buttons[].[customId, customId]",
        "merge(@, @)",
        "join(',', a)",
        "to_string(to_array(to_string(@)))",
        5,
        None,
        ["id"],
        {"job": "a", "get": "id"},
    ],
)
def test_what_is_no_expression_or_might_grow_without_bound_is_refused(expression: object) -> None:
    (found,) = references.find({"job": "j", "get": expression})
    if expression == "(" * 200 + "a" + ")" * 200:
        assert found == Reference((), "j", get=str(expression))  # brackets alone are no levels
        return
    assert isinstance(found, Malformed)
    assert found.said.startswith('"get" ')
    assert len(found.said) <= 300
    assert found.said.isprintable()
    assert found.said.isascii()


@pytest.mark.filterwarnings("ignore:deprecated string literal syntax")
@given(st.text(alphabet="ab.[]()&@!|*?:,'`\"0-<={}", max_size=60))
def test_any_expression_is_taken_or_refused_and_its_value_is_no_larger_than_the_job(expression: str) -> None:
    (found,) = references.find({"job": "j", "get": expression})
    if isinstance(found, Reference):
        try:
            references.value_of(expression, {"a": [{"b": "x" * 1000}, [1, 2]], "b": {"a": "y"}})
        except Unresolved as error:
            assert "more than" not in str(error)


# Circles ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ({}, []),
        ({2: [1], 3: [2, 1]}, []),
        ({1: [1]}, [[1]]),
        ({1: [2], 2: [1]}, [[1, 2]]),
        ({1: [2], 2: [3], 3: [1], 4: [3]}, [[1, 2, 3]]),
        ({1: [2, 3], 2: [4], 3: [4], 4: []}, []),
        ({1: [2], 2: [1], 5: [6], 6: [6]}, [[1, 2], [6]]),
        ({7: [3], 3: [9], 9: [3]}, [[3, 9]]),
    ],
)
def test_circles_are_found_once(needs: dict[int, list[int]], found: list[list[int]]) -> None:
    assert list(references.cycles(needs)) == found


@given(st.dictionaries(st.integers(0, 8), st.frozensets(st.integers(0, 8), max_size=4), max_size=9))
def test_there_is_a_circle_exactly_when_somebody_can_never_start(needs: dict[int, frozenset[int]]) -> None:
    started: set[int] = {line for line in range(9) if not needs.get(line)}
    while more := {line for line, wanted in needs.items() if line not in started and wanted <= started}:
        started |= more
    found = list(references.cycles(needs))
    assert bool(found) == (len(started) < 9)
    for circle in found:
        assert all(after in needs[before] for before, after in zip(circle, [*circle[1:], circle[0]], strict=True))


def test_a_circle_of_fifty_thousand_lines_is_found_without_recursion() -> None:
    needs = {line: [line % 50_000 + 1] for line in range(1, 50_001)}
    began = time.monotonic()
    (circle,) = references.cycles(needs)
    assert len(circle) == 50_000
    assert time.monotonic() - began < 5
