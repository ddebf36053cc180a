"""Providers that call us: whoever knows the address makes us look, and nothing else comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import servers
from callers import SPEECH, VIDEO, Caller, Json, Serve, Served, problem
from servers import eventually
from sqlalchemy import func, select, update
from sqlmodel import col

from jobs import catalogue
from jobs.catalogue import samples
from jobs.catalogue.spec import Operation
from jobs.db import after, now
from jobs.models import Job, Transition
from workers import collect, inbound, poll, submit, tick
from workers.context import Context, open_context

HAILUO: Json = {"operation": "minimax.video", "input": {"model": "T2V-01", "prompt": "A paper boat in the rain"}}
ANSWERED = {"received": True}


def post(url: str, **body: Any) -> httpx2.Response:
    """As a provider calls: without any key."""
    return httpx2.post(url, trust_env=False, timeout=20, **body)


def row(context: Context, job_id: str) -> Job:
    with context.database.read() as session:
        return session.get_one(Job, job_id)


def address_of(context: Context, job_id: str) -> str:
    """Where this job's provider would call us, whether or not it is told."""
    job = row(context, job_id)
    return f"{context.settings.public_url}/v1/upstream/{job.provider}/{job_id}/{inbound._token(context, job_id)}"


def change(context: Context, job_id: str, **values: Any) -> None:
    with context.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(values))


def waiting(caller: Caller, document: Json = VIDEO) -> str:
    """A job whose task runs, and that will be looked at in an hour."""
    job_id: str = caller.submit(document)["id"]
    caller.accept(job_id, f"task-{job_id}")
    change(caller.context, job_id, due_at=after(3600))
    return job_id


def is_due(context: Context, job_id: str) -> bool:
    with context.database.read() as session:
        return bool(session.scalar(select(func.count()).where(col(Job.id) == job_id, col(Job.due_at) <= now())))


def moves(context: Context, job_id: str) -> int:
    with context.database.read() as session:
        return session.scalar(select(func.count()).where(col(Transition.job_id) == job_id)) or 0


def test_a_call_makes_the_job_due_and_changes_nothing_else(caller: Caller) -> None:
    job_id = waiting(caller)
    before, moved = row(caller.context, job_id), moves(caller.context, job_id)

    answer = post(address_of(caller.context, job_id), json={"task_status": "failed", "task_id": "another"})

    assert (answer.status_code, answer.json()) == (200, ANSWERED)
    assert is_due(caller.context, job_id)
    job = row(caller.context, job_id)
    kept = before.model_dump(exclude={"due_at"})
    assert (job.model_dump(exclude={"due_at"}), moves(caller.context, job_id)) == (kept, moved)


def test_whoever_does_not_know_the_address_learns_nothing(caller: Caller) -> None:
    job_id, other = waiting(caller), waiting(caller)
    good = address_of(caller.context, job_id)
    base, provider, _, token = good.rsplit("/", 3)
    strangers = {
        "wrong token": f"{base}/{provider}/{job_id}/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        "cut token": f"{base}/{provider}/{job_id}/{token[:-1]}",
        "foreign letters": f"{base}/{provider}/{job_id}/%C3%A9%F0%9F%AA%81",
        "token of another job": f"{base}/{provider}/{job_id}/{address_of(caller.context, other).rpartition('/')[2]}",
        "wrong provider": f"{base}/suno/{job_id}/{token}",
        "unknown provider": f"{base}/nobody/{job_id}/{token}",
        "unknown job": f"{base}/{provider}/job_{'0' * 32}/{inbound._token(caller.context, f'job_{0:032}')}",
        "no job": f"{base}/{provider}/x/{inbound._token(caller.context, 'x')}",
    }
    told = {}
    for name, url in strangers.items():
        document = problem(post(url, json={"task_status": "succeed"}), 404, "not_found")
        told[name] = {key: value for key, value in document.items() if key not in ("request_id", "instance")}
    assert len({str(document) for document in told.values()}) == 1, told
    assert not is_due(caller.context, job_id)


def test_an_unknown_address_is_refused_before_its_body_is_read(served: Served) -> None:
    url = f"{served.url}/v1/upstream/kling/job_1/none"
    problem(post(url, content=b"x" * (64 << 10) + b"x"), 404, "not_found")


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_may_have_64_kilobytes(caller: Caller, chunked: bool) -> None:
    job_id = waiting(caller)
    url = address_of(caller.context, job_id)

    def body(size: int) -> Any:
        return [b" " * 1024] * (size >> 10) if chunked else b" " * size

    problem(post(url, content=body(65 << 10)), 413, "body_too_large")
    assert not is_due(caller.context, job_id)
    assert post(url, content=body(64 << 10)).status_code == 200
    assert is_due(caller.context, job_id)


@pytest.mark.parametrize(
    "body",
    [
        {"content": b""},
        {"content": b"{not json"},
        {"content": b"\xff\xfe"},
        {"content": b"[" * 5000},
        {"json": ["a", "list"]},
        {"json": None},
        {"data": {"a": "form"}},
        {"content": b'{"a": 1}', "headers": {"content-type": "text/plain"}},
        {"content": [b'{"a"', b": ", b"1}"]},
    ],
    ids=["empty", "broken", "bytes", "tower", "list", "null", "form", "text", "in-pieces"],
)
def test_whatever_is_in_the_body_makes_us_look(caller: Caller, body: Json) -> None:
    job_id = waiting(caller)
    answer = post(address_of(caller.context, job_id), **body)
    assert (answer.status_code, answer.json()) == (200, ANSWERED)
    assert is_due(caller.context, job_id)


@pytest.mark.parametrize(
    ("document", "body", "said"),
    [
        (HAILUO, {"challenge": "1a3cs1j-601a-118y-ch52-o48911eabc3u"}, {"challenge": "1a3cs1j-601a-118y-ch52-o48911eabc3u"}),
        (HAILUO, {"task_id": "1", "status": "success"}, ANSWERED),
        (HAILUO, ["challenge"], ANSWERED),
        (VIDEO, {"challenge": "not asked of this one"}, ANSWERED),
    ],
    ids=["asked", "not-asked", "list", "other-provider"],
)
def test_a_challenge_is_sent_back_where_the_provider_asks_for_it(caller: Caller, document: Json, body: Any, said: Json) -> None:
    answer = post(address_of(caller.context, waiting(caller, document)), json=body)
    assert (answer.status_code, answer.json()) == (200, said)


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_job_that_has_ended_stays_as_it_is(caller: Caller, end: str) -> None:
    job_id = waiting(caller)
    if end == "fail":
        caller.fail(job_id)
    else:
        caller.http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    before = row(caller.context, job_id).model_dump()
    assert post(address_of(caller.context, job_id), json={"task_status": "succeed"}).status_code == 200
    assert row(caller.context, job_id).model_dump() == before


def test_a_job_in_somebodys_hands_is_looked_at_already(caller: Caller) -> None:
    job_id = waiting(caller)
    change(caller.context, job_id, lease_owner="worker")
    assert post(address_of(caller.context, job_id)).status_code == 200
    assert not is_due(caller.context, job_id), "its lease is not ours to end"


def test_a_job_whose_task_is_looked_for_is_looked_for_now_and_one_that_is_held_is_held(caller: Caller) -> None:
    searched, held = caller.submit(VIDEO)["id"], caller.submit(SPEECH)["id"]
    for job_id in (searched, held):
        caller.lose(job_id)
    change(caller.context, searched, due_at=after(300))
    for job_id in (searched, held):
        assert post(address_of(caller.context, job_id)).status_code == 200
    assert (is_due(caller.context, searched), row(caller.context, held).due_at) == (True, None)


def test_only_a_post_is_a_call(caller: Caller) -> None:
    url = address_of(caller.context, waiting(caller))
    assert httpx2.get(url, trust_env=False).status_code == 405
    assert "/v1/upstream" not in str(caller.http.get("/openapi.json").json()["paths"])


# Who is told the address --------------------------------------------------------------------------------------------------

HERE, PUBLIC, GATEWAY = "http://127.0.0.1:8080", "https://mill.example", "https://gateway.example"


@pytest.mark.parametrize(
    ("ours", "gateway", "if_wanted", "if_required"),
    [
        (PUBLIC, GATEWAY, True, True),
        (HERE, GATEWAY, False, True),
        ("http://localhost:8080", GATEWAY, False, True),
        ("http://[::1]:8080", GATEWAY, False, True),
        ("http://0.0.0.0:8080", GATEWAY, False, True),
        (HERE, "http://localhost:9000", True, True),
        (PUBLIC, "http://127.0.0.1:9000", True, True),
    ],
)
def test_an_address_is_told_only_where_it_can_be_reached_unless_one_is_required(
    served: Served, ours: str, gateway: str, if_wanted: bool, if_required: bool
) -> None:
    settings = served.context.settings.model_copy(update={"public_url": ours, "upstream_url": gateway})
    context = replace(served.context, settings=settings)
    job = Job(id="job_1", provider="kling", operation="", modality="", tenant_id="", input={}, meta={})

    def told(required: bool) -> bool:
        operation = _operation("kling.text_to_video")
        assert operation.submit is not None
        assert operation.submit.callback is not None
        callback = operation.submit.callback.model_copy(update={"required": required})
        asked = operation.model_copy(update={"submit": operation.submit.model_copy(update={"callback": callback})})
        address = inbound.address(context, job, asked)
        assert address is None or address.startswith(f"{ours}/v1/upstream/kling/job_1/")
        return address is not None

    assert (told(required=False), told(required=True)) == (if_wanted, if_required)
    assert inbound.address(context, job, _operation("openai.chat")) is None


def test_every_process_makes_the_same_address_and_every_job_another(served: Served) -> None:
    again = open_context(served.context.settings)
    try:
        assert inbound._token(again, "job_1") == inbound._token(served.context, "job_1")
        assert inbound._token(again, "job_2") != inbound._token(served.context, "job_1")
        assert len(inbound._token(again, "job_1")) == 32
    finally:
        again.close()


def _operation(name: str) -> Operation:
    found = catalogue.find(name)
    assert found is not None
    return found


# For real -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def beside_simulator(serve: Serve, new_database: Callable[[str], str], upstream: servers.Simulator) -> Served:
    """An API that the simulator can call, and that nobody else uses."""
    return serve(new_database("sqlite"), upstream_url=upstream.url, upstream_key="sk-test", egress_allow_cidrs="127.0.0.0/8")


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (VIDEO, "succeed"),
        # It hears of the end only because the challenge was answered.
        (HAILUO, "success"),
        (
            {
                "operation": "seedance.video",
                "input": {
                    "model": "doubao-seedance-1-0-lite-i2v-250428",
                    "content": [{"type": "text", "text": "a boat"}, {"type": "image_url", "image_url": {"url": samples.picture()}}],
                },
            },
            "succeeded",
        ),
    ],
    ids=["kling", "minimax", "seedance"],
)
def test_a_job_ends_early_because_its_provider_called(
    beside_simulator: Served, upstream: servers.Simulator, document: Json, word: str
) -> None:
    caller, context = beside_simulator.tenant(), beside_simulator.context
    upstream.control(latency={"video": 0.5})
    job_id = caller.submit(document)["id"]
    eventually(lambda: row(context, job_id).reserved, what="the hand-over after the answer")
    submit.submit(context, job_id, row(context, job_id).fence)
    assert row(context, job_id).status == "running", row(context, job_id).error
    # Its own next look is an hour away, whatever happens.
    change(context, job_id, due_at=after(3600))

    told = eventually(lambda: upstream.ledger(event="callback"), lambda rows: any(one["status"] == word for one in rows), word)

    assert {one["answered"] for one in told} == {200}
    assert is_due(context, job_id)
    tick.tick(context)
    poll.poll(context, [(job_id, row(context, job_id).fence)])
    assert row(context, job_id).status == "collecting"
    collect.collect(context, job_id, row(context, job_id).fence)
    assert caller.job(job_id)["status"] == "succeeded"
