"""Accepting work: every field checked, every problem named with its field and limit, nothing of the sender's repeated at length."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from jobs import submission, validation
from jobs.db import Database
from jobs.ids import new_id
from jobs.models import Job, Tenant
from jobs.states import JobState
from jobs.validation import Problem, Refused

LONG = "x" * 100_000
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}
GOOD: dict[str, Any] = {"operation": "openai.chat", "input": CHAT}
FILE = "file_" + "0" * 32


def problems(document: Any, *, missing: set[str] | None = None, states: dict[str, str] | None = None) -> list[Problem]:
    refuse = Problem("callback_url", "callback_url_refused", "is not public")
    try:
        submission.check(
            document,
            callback=lambda url: refuse if "private" in url else None,
            files_missing=lambda ids: ids & (missing or set()),
            states_of=lambda ids: {job_id: JobState(state) for job_id, state in (states or {}).items() if job_id in ids},
        )
    except Refused as refused:
        return refused.problems
    return []


def _pairs(document: Any, **options: Any) -> set[tuple[str, str]]:
    return {(problem.loc, problem.code) for problem in problems(document, **options)}


def test_only_operation_and_input_are_needed() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    "more",
    [
        {"callback_url": "https://receiver.example/hook"},
        {"callback_url": None, "events": None, "start_at": None, "deadline_s": None, "custom_id": None, "fallbacks": None},
        {"events": ["job.running", "job.succeeded", "batch.completed"]},
        {"metadata": {"k" * 64: "v" * 512}},
        {"metadata": {str(n): "" for n in range(16)}},
        {"priority": -100},
        {"priority": 100},
        {"start_at": "2099-01-01T00:00:00+02:00"},
        {"deadline_s": 604_800},
        {"deadline_s": 0.5},
        {"on_unknown": "retry"},
        {"custom_id": "c" * 200},
    ],
)
def test_what_is_allowed_is_accepted(more: dict[str, Any]) -> None:
    assert problems(GOOD | more) == []


@pytest.mark.parametrize(
    ("document", "loc", "code"),
    [
        (None, "body", "wrong_type"),
        ([], "body", "wrong_type"),
        ("x", "body", "wrong_type"),
        ({}, "operation", "missing_field"),
        ({"operation": "openai.chat"}, "input", "missing_field"),
        ({"operation": "openai.chat", "input": []}, "input", "wrong_type"),
        ({"operation": 5, "input": CHAT}, "operation", "wrong_type"),
        ({"operation": "", "input": CHAT}, "operation", "too_short"),
        ({"operation": "openai.chit", "input": CHAT}, "operation", "unknown_operation"),
        ({"operation": "../../etc", "input": CHAT}, "operation", "unknown_operation"),
        (GOOD | {"tenant_id": "ten_x"}, "tenant_id", "unknown_field"),
        (GOOD | {"status": "succeeded"}, "status", "unknown_field"),
        (GOOD | {"id": "job_x"}, "id", "unknown_field"),
        (GOOD | {"fence": 9}, "fence", "unknown_field"),
        (GOOD | {"callback_url": "https://private.example"}, "callback_url", "callback_url_refused"),
        (GOOD | {"callback_url": "https://" + "x" * 2048}, "callback_url", "too_long"),
        (GOOD | {"callback_url": 5}, "callback_url", "wrong_type"),
        (GOOD | {"events": ["job.exploded"]}, "events", "unknown_event"),
        (GOOD | {"events": ["job.running"] * 21}, "events", "too_many"),
        (GOOD | {"events": "job.running"}, "events", "wrong_type"),
        (GOOD | {"metadata": {"k" * 65: "v"}}, "metadata", None),
        (GOOD | {"metadata": {"": "v"}}, "metadata", None),
        (GOOD | {"metadata": {"k": "v" * 513}}, "metadata.k", "too_long"),
        (GOOD | {"metadata": {"k": 5}}, "metadata.k", "wrong_type"),
        (GOOD | {"metadata": {"k": {"nested": "x"}}}, "metadata.k", "wrong_type"),
        (GOOD | {"metadata": {str(n): "" for n in range(17)}}, "metadata", "too_many"),
        (GOOD | {"priority": 101}, "priority", "out_of_range"),
        (GOOD | {"priority": -101}, "priority", "out_of_range"),
        (GOOD | {"priority": "1"}, "priority", "wrong_type"),
        (GOOD | {"priority": 1.5}, "priority", None),
        (GOOD | {"priority": True}, "priority", "wrong_type"),
        (GOOD | {"start_at": "tomorrow"}, "start_at", None),
        (GOOD | {"start_at": "2099-01-01T00:00:00"}, "start_at", None),  # without a zone it is no moment
        (GOOD | {"start_at": "9999-12-31T23:59:59-14:00"}, "start_at", "out_of_range"),
        (GOOD | {"start_at": "9999-12-31T23:59:59Z", "deadline_s": 0.01}, "start_at", "out_of_range"),
        (GOOD | {"start_at": "0001-01-01T00:00:00+14:00"}, "start_at", "out_of_range"),
        (GOOD | {"start_by": "9001-01-01T00:00:00Z"}, "start_by", "out_of_range"),
        (GOOD | {"start_at": "2030-01-01T00:00:00Z", "start_by": "2030-01-01T01:00:00+01:00"}, "start_by", "out_of_range"),
        (GOOD | {"deadline_s": 0}, "deadline_s", "out_of_range"),
        (GOOD | {"deadline_s": 604_801}, "deadline_s", "out_of_range"),
        (GOOD | {"deadline_s": float("nan")}, "deadline_s", None),
        (GOOD | {"deadline_s": float("inf")}, "deadline_s", None),
        (GOOD | {"on_unknown": "guess"}, "on_unknown", "not_one_of"),
        (GOOD | {"custom_id": ""}, "custom_id", "too_short"),
        (GOOD | {"custom_id": "x" * 201}, "custom_id", "too_long"),
        (GOOD | {"fallbacks": [{"operation": "x"}]}, "fallbacks[0].input", "missing_field"),
        (GOOD | {"fallbacks": [{"operation": "x", "input": {}}]}, "fallbacks[0].operation", "unknown_operation"),
        (GOOD | {"max_cost_usd": 0.1}, "max_cost_usd", "invalid"),
    ],
)
def test_what_is_not_allowed_is_named_by_its_field_and_a_stable_code(document: Any, loc: str, code: str | None) -> None:
    found = problems(document)
    assert any(problem.loc.startswith(loc) and code in (None, problem.code) for problem in found), found


def test_all_problems_are_said_at_once() -> None:
    document = {"operation": "openai.speech", "input": {"voice": 5, "speed": 9}, "events": ["nope"]}
    assert _pairs(document) == {
        ("input.model", "missing_field"),
        ("input.input", "missing_field"),
        ("input.voice", "wrong_form"),
        ("input.speed", "out_of_range"),
        ("events", "unknown_event"),
    }


def test_a_name_nearly_right_is_suggested() -> None:
    (problem,) = problems({"operation": "kling.text2video", "input": {}})
    assert "did you mean kling.text_to_video?" in problem.msg


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        (GOOD | {"input": CHAT | {"temperature": 9}}, "2"),
        (GOOD | {"priority": 900}, "100"),
        ({"operation": "openai.speech", "input": {"model": "m", "voice": "v", "input": "x" * 5000}}, "4096"),
        (GOOD | {"custom_id": "x" * 900}, "200"),
        (GOOD | {"on_unknown": "guess"}, "hold"),
        ({"operation": "kling.text_to_video", "input": {"prompt": "x", "mode": "fast"}}, '"std", "pro"'),
    ],
)
def test_a_problem_names_its_limit(document: Any, limit: str) -> None:
    (problem,) = problems(document)
    assert limit in problem.msg


@pytest.mark.parametrize(
    "document",
    [
        {"operation": LONG, "input": {}},
        {"operation": "y" * 99, "input": {}},
        GOOD | {LONG: 1},
        GOOD | {"callback_url": LONG},
        GOOD | {"custom_id": LONG},
        GOOD | {"on_unknown": LONG},
        GOOD | {"start_at": LONG},
        GOOD | {"metadata": {LONG: "v"}},
        GOOD | {"metadata": {"k": LONG}},
        GOOD | {"metadata": {LONG: {LONG: LONG}}},
        GOOD | {"events": [LONG]},
        GOOD | {"events": ["z" * 50]},
        GOOD | {"priority": LONG},
        GOOD | {"input": CHAT | {LONG: 1}},
        GOOD | {"input": CHAT | {"model": LONG}},
        GOOD | {"input": CHAT | {"temperature": LONG}},
        GOOD | {"input": CHAT | {"messages": [{"role": LONG}]}},
        GOOD | {"input": CHAT | {"messages": [{"role": "user", LONG: LONG}]}},
        GOOD | {"input": CHAT | {"messages": LONG}},
        {"operation": "replicate.prediction", "input": {"model": LONG, "input": {}}},
        {"operation": "replicate.prediction", "input": {"model": "a/b", "input": {LONG: {"job": LONG, "artifact": 0}}}},
        {"operation": "replicate.prediction", "input": {"model": "a/b", "input": {"x": {"file": "file_" + LONG}}}},
    ],
)
def test_what_was_sent_is_never_repeated_at_length(document: Any) -> None:
    found = problems(document, missing={"file_" + LONG})
    assert found
    for problem in found:
        assert len(problem.loc) <= 300
        assert len(problem.msg) <= 300
        for letter in "xyz":
            assert letter * 66 not in problem.loc + problem.msg, problem


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "\x1b[31mred", "\u202eevil", "\u200b"])
def test_what_is_shown_is_escaped(value: str) -> None:
    (problem,) = problems({"operation": value, "input": {}})
    assert problem.msg.isprintable()
    assert problem.msg.isascii()


@pytest.mark.parametrize(
    "value", [LONG, "", None, True, 5, 10**400, 0.1, [], {}, [LONG], {"a": LONG}, "ü" * 100, "\\" * 100, '"' * 100]
)
def test_a_shown_value_has_at_most_64_characters(value: object) -> None:
    assert 0 < len(validation.shown(value)) <= 64


# Files and other jobs ---------------------------------------------------------------------------------------------------------

SEEDREAM = {"model": "doubao-seedream-4-0-250828", "prompt": "a boat"}


def test_a_file_that_is_not_the_tenants_is_refused() -> None:
    document = {"operation": "seedream.image_generation", "input": SEEDREAM | {"image": [{"file": FILE}]}}
    assert problems(document) == []
    assert _pairs(document, missing={FILE}) == {("input", "unknown_file")}


def test_files_are_found_wherever_they_stand() -> None:
    other = "file_" + "1" * 32
    given = {"a": [{"b": {"file": FILE}}, {"file": other}], "c": {"file": "no file"}, "d": {"file": FILE, "more": 1}}
    assert sorted(submission.files_in(given)) == [FILE, other]


# Replicate's models take anything: no schema of ours says where media stand.
MEDIA = {"job": "job_x", "artifact": 0}
VALUE = {"job": "job_x", "get": "output.text"}


def _anything(value: Any) -> dict[str, Any]:
    return {"operation": "replicate.prediction", "input": {"model": "a/b", "input": {"images": [{"x": value}]}}}


@pytest.mark.parametrize("pointer", [MEDIA, VALUE])
@pytest.mark.parametrize(
    ("states", "code"),
    [
        ({}, "unknown_job"),
        ({"job_y": "succeeded"}, "unknown_job"),
        ({"job_x": "failed"}, "dependency_failed"),
        ({"job_x": "canceled"}, "dependency_failed"),
        ({"job_x": "expired"}, "dependency_failed"),
        *(({"job_x": state}, None) for state in ("queued", "submitting", "running", "collecting", "unknown", "succeeded")),
    ],
)
def test_a_job_that_an_input_points_at_must_be_there_and_may_not_have_failed(
    pointer: dict[str, Any], states: dict[str, str], code: str | None
) -> None:
    assert _pairs(_anything(pointer), states=states) == ({("input.input.images[0].x", code)} if code else set())


def test_who_points_at_a_failed_job_is_told_to_name_the_new_one() -> None:
    (problem,) = problems(_anything(VALUE), states={"job_x": "failed"})
    assert problem.msg == '"job_x" is failed and will have no outputs; if it was retried, name the new job'


@pytest.mark.parametrize(
    "broken",
    [
        {"job": 5, "artifact": 0},
        {"job": "", "artifact": 0},
        {"job": LONG, "artifact": 0},
        {"job": "job_x", "artifact": -1},
        {"job": "job_x", "artifact": 1000},
        {"job": "job_x", "artifact": True},
        {"job": "job_x", "artifact": 1.0},
        {"job": "job_x", "artifact": "0"},
        {"job": "job_x", "get": "output["},
        {"job": "job_x", "get": "[id, status]"},
        {"job": "job_x", "get": "join(',', output)"},
        {"job": "job_x", "get": LONG},
        {"job": "job_x", "get": None},
        {"job": None, "get": "id"},
    ],
)
@pytest.mark.parametrize("where", ["anywhere", "image"])
def test_a_reference_that_can_be_none_is_told_once_with_its_place(broken: dict[str, Any], where: str) -> None:
    if where == "image":
        document, loc = {"operation": "seedream.image_generation", "input": SEEDREAM | {"image": [broken]}}, "input.image[0]"
    else:
        document, loc = _anything(broken), "input.input.images[0].x"
    (problem,) = problems(document, states={"job_x": "succeeded"})
    assert (problem.loc, problem.code) == (loc, "invalid_reference")
    assert len(problem.msg) <= 300
    assert "xxxxxxxx" not in problem.msg


def test_a_value_may_stand_where_any_type_is_asked_for() -> None:
    chat = {"model": VALUE, "temperature": VALUE, "messages": [{"role": "user", "content": VALUE}]}
    assert problems({"operation": "openai.chat", "input": chat}, states={"job_x": "running"}) == []
    assert problems({"operation": "openai.chat", "input": CHAT | {"messages": VALUE}}, states={"job_x": "running"}) == []


def test_what_is_wrong_beside_a_value_is_still_told() -> None:
    chat = {"model": VALUE, "temperature": 99, "messages": VALUE, "more": 1}
    found = _pairs({"operation": "openai.chat", "input": chat}, states={"job_x": "running"})
    assert found == {("input.temperature", "out_of_range"), ("input.more", "unknown_field")}


def test_an_artifact_stands_only_where_media_stand() -> None:
    states = {"job_x": "running"}
    assert problems({"operation": "seedream.image_generation", "input": SEEDREAM | {"image": [MEDIA]}}, states=states) == []
    wrong = _pairs({"operation": "seedream.image_generation", "input": SEEDREAM | {"prompt": MEDIA}}, states=states)
    assert wrong == {("input.prompt", "wrong_type")}


@pytest.mark.parametrize("near", [{"job": "job_x"}, {"artifact": 0}, {**MEDIA, "get": "id"}, {**MEDIA, "more": 1}])
def test_other_keys_make_no_reference(near: dict[str, Any]) -> None:
    assert problems(_anything(near)) == []


def test_a_job_points_at_others_fifty_times_at_most() -> None:
    states = {"job_x": "succeeded"}
    assert problems(_anything([VALUE] * 50), states=states) == []
    assert _pairs(_anything([VALUE] * 51), states=states) == {("input", "too_many")}
    assert _pairs(_anything([{"job": 1, "get": 2}] * 5000), states=states) == {("input", "too_many")}


def test_whom_a_request_needs_is_said_once_each_in_its_order() -> None:
    given = {"a": {"job": "two", "get": "id"}, "b": [{"job": "one", "get": "id"}, {"job": "two", "artifact": 3}]}
    assert _checked({"operation": "replicate.prediction", "input": {"model": "a/b", "input": given}}).needs == ("two", "one")


# Callbacks and rows -------------------------------------------------------------------------------------------------------


def _checked(document: Any, default_callback: str | None = None) -> submission.Checked:
    return submission.check(document, callback=lambda _: None, files_missing=lambda _: set(), default_callback=default_callback)


@pytest.mark.parametrize(("own", "expected"), [(None, "https://batch"), ("https://own", "https://own")])
def test_a_batchs_callback_stands_in_for_a_jobs_own(own: str | None, expected: str) -> None:
    assert _checked(GOOD | {"callback_url": own}, "https://batch").request.callback_url == expected


@pytest.fixture
def store(fresh_database_url: Callable[[str], str]) -> Iterator[Database]:
    opened = Database(fresh_database_url("sqlite"))
    yield opened
    opened.dispose()


def test_rows_become_jobs_with_the_databases_own_time(store: Database) -> None:
    tenant_id = new_id("ten")
    documents = [
        GOOD | {"custom_id": "one", "metadata": {"k": "v"}, "priority": 7, "deadline_s": 60, "events": ["job.failed"]},
        GOOD | {"start_at": "2099-06-01T12:00:00+02:00"},
        GOOD | {"start_at": "1999-01-01T00:00:00Z"},
    ]
    with store.transaction() as session:
        session.add(Tenant(id=tenant_id, name="acme"))
        session.flush()
        submission.store(session, submission.rows(tenant_id, [_checked(document) for document in documents]))
        submission.store(session, [])
    with store.read() as session:
        one, later, past = session.scalars(select(Job).order_by(Job.id)).all()
    assert (one.custom_id, one.meta, one.priority, one.events) == ("one", {"k": "v"}, 7, ["job.failed"])
    assert (one.operation, one.modality, one.provider, one.status) == ("openai.chat", "text", "openai", "queued")
    assert one.due_at == one.created_at
    assert one.deadline_at is not None
    assert (one.deadline_at - one.created_at).total_seconds() == 60
    assert later.due_at is not None
    assert later.due_at.isoformat() == "2099-06-01T10:00:00+00:00"
    assert (one.start_at, later.start_at) == (None, later.due_at)
    assert past.due_at == past.created_at, "a start in the past is now"
    assert (one.batch_id, one.line) == (None, None)


def test_lines_of_a_batch_are_numbered() -> None:
    rows = submission.rows("ten_x", [_checked(GOOD)] * 3, batch_id="batch_x", first_line=501)
    assert [(row["batch_id"], row["line"]) for row in rows] == [("batch_x", 501), ("batch_x", 502), ("batch_x", 503)]
    assert len({row["id"] for row in rows}) == 3


# The digest of a request --------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def _turned(value: Any) -> Any:
    """The same JSON with every object's fields the other way round."""
    if isinstance(value, dict):
        return {name: _turned(part) for name, part in reversed(value.items())}
    return [_turned(part) for part in value] if isinstance(value, list) else value


@given(_JSON)
def test_the_order_of_fields_does_not_change_a_request(document: Any) -> None:
    assert submission.request_hash(document) == submission.request_hash(_turned(document))
    assert submission.request_hash(document) == submission.request_hash(json.loads(json.dumps(document, indent=3)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [2, 1]),
        ({}, []),
        (None, {}),
        ("ü", "u"),
        ([], [[]]),
    ],
)
def test_another_request_has_another_digest(one: Any, other: Any) -> None:
    assert submission.request_hash(one) != submission.request_hash(other)
