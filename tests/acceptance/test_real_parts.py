"""The main job on real parts: PostgreSQL, Redis, S3 over HTTP, every role a process, the simulator as the gateway."""

from __future__ import annotations

import hashlib
import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from fleet import KEY, Api, Fleet, fleet_of, wait_for
from rabbit import rabbitmq
from servers import Postgres, Receiver, Simulator

EXAMPLES = Path(__file__).parents[2] / "examples" / "batch.jsonl"
MOST = 20


@pytest.fixture(scope="module")
def environment(
    postgres: Postgres,
    redis_url: str,
    s3_endpoint: str,
    simulator_process: Simulator,
    receiver_process: Receiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    return {
        "MEDIAMILL_DATA": str(tmp_path_factory.mktemp("data")),
        "MEDIAMILL_DATABASE_URL": postgres.url(postgres.create()),
        "MEDIAMILL_BROKER_URL": redis_url,
        "MEDIAMILL_STORAGE_URL": f"s3://acceptance/media?endpoint_url={s3_endpoint}&region=us-east-1&create=true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "MEDIAMILL_UPSTREAM_URL": simulator_process.url,
        "COMETAPI_KEY": "sk-acceptance",
        "MEDIAMILL_BOOTSTRAP_KEY": KEY,
        "MEDIAMILL_WEBHOOK_SECRET": receiver_process.secret,
        # The receiver of these tests listens on loopback.
        "MEDIAMILL_EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
        # Leases as long as in production would only make the tests wait.
        "MEDIAMILL_LEASE_S": "4",
        "MEDIAMILL_HINT_S": "4",
        "MEDIAMILL_TICK_S": "0.25",
    }


@pytest.fixture(scope="module")
def roles(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Every role, started once: what one test leaves behind is the next one's yesterday, as in production."""
    with fleet_of(environment, tmp_path_factory.mktemp("roles")) as started:
        started.start_all()
        yield started


@pytest.fixture
def fleet(roles: Fleet, upstream: Simulator, receiver: Receiver) -> Fleet:
    """The roles, with a simulator and a receiver that have seen nothing yet."""
    return roles


@pytest.fixture
def api(fleet: Fleet) -> Api:
    return Api(fleet.url)


@pytest.fixture
def twenty() -> list[str]:
    seen: Counter[str] = Counter()
    ranked = []
    for place, line in enumerate(EXAMPLES.read_text().splitlines()):
        operation = json.loads(line)["operation"]
        ranked.append((seen[operation], place, line))
        seen[operation] += 1
    # In turn, so that twenty of them show every operation.
    chosen = [line for _, _, line in sorted(ranked)[:MOST]]
    assert (len(chosen), len(seen)) == (MOST, 7)
    return chosen


def test_twenty_jobs_run_from_submit_to_verified_webhook(
    api: Api, fleet: Fleet, twenty: list[str], upstream: Simulator, receiver: Receiver
) -> None:
    # When
    batch = api.submit_batch(twenty, callback_url=receiver.url)
    done = api.wait_for_batch(batch["id"], within_s=90)
    # Then: every job succeeded, for exactly twenty paid calls
    assert done["counts"] == {
        "total": MOST, "queued": 0, "running": 0, "succeeded": MOST, "failed": 0, "canceled": 0, "expired": 0
    }  # fmt: skip
    jobs = api.results(batch["id"])
    assert_all_is_stored(jobs, upstream)
    assert len(upstream.paid_calls()) == MOST
    # and every receiver was told once, with a signature that the standard's own package accepts
    received = receiver.wait_for(MOST + 1)
    assert all(one.valid for one in received)
    assert Counter(one.event["type"] for one in received) == {"job.succeeded": MOST, "batch.completed": 1}
    assert {one.event["data"]["id"] for one in received if one.event["type"] == "job.succeeded"} == {job["id"] for job in jobs}
    # and the feed tells the same in one unbroken order
    feed = api.get("/v1/events?after=0&limit=200")["data"]
    assert [event["sequence"] for event in feed] == sorted(event["sequence"] for event in feed)
    assert {job["id"] for job in jobs} <= {event["data"]["id"] for event in feed if event["type"] == "job.succeeded"}


def test_the_same_batch_twice_under_one_key_is_one_batch(api: Api, twenty: list[str], upstream: Simulator) -> None:
    first = api.submit_batch(twenty, **{"Idempotency-Key": "once"})
    second = api.submit_batch(twenty, **{"Idempotency-Key": "once"})
    assert first["id"] == second["id"]
    api.wait_for_batch(first["id"], within_s=90)
    assert len(upstream.paid_calls()) == MOST


def test_a_killed_worker_and_a_flushed_redis_cost_time_and_nothing_else(
    api: Api, fleet: Fleet, twenty: list[str], upstream: Simulator, receiver: Receiver, redis_url: str
) -> None:
    # Given: twenty jobs under way, each paid call answered, the slow ones still being made
    upstream.control(latency={"video": 6, "music": 6, "image": 1, "audio": 0.3, "text": 0.3})
    batch = api.submit_batch(twenty, callback_url=receiver.url)

    def answered() -> bool | None:
        statuses = Counter(job["status"] for job in api.results(batch["id"]))
        return (len(upstream.paid_calls()) == MOST and not statuses["submitting"] and not statuses["queued"]) or None

    wait_for(answered, within_s=40, what="every paid call is answered")
    # When
    fleet.kill("work")
    fleet.kill("control")
    assert redis.Redis.from_url(redis_url).flushall()
    statuses = Counter(job["status"] for job in api.results(batch["id"]))
    assert statuses["running"] + statuses["collecting"] > 0, f"there was nothing in the middle to lose: {statuses}"
    fleet.start_worker()
    fleet.start_control()
    # Then
    done = api.wait_for_batch(batch["id"], within_s=90)
    assert done["counts"]["succeeded"] == MOST, [job["error"] for job in api.results(batch["id"]) if job["error"]]
    assert_all_is_stored(api.results(batch["id"]), upstream)
    assert len(upstream.paid_calls()) == MOST
    # A webhook may come twice; its id is then the same.
    wait_for(lambda: len({one.id for one in receiver.received}) == MOST + 1 or None, within_s=30, what="all webhooks arrive")
    assert all(one.valid for one in receiver.received)


def test_a_job_whose_worker_dies_in_the_paid_call_is_held_and_never_sent_again(api: Api, fleet: Fleet, upstream: Simulator) -> None:
    # Given: a picture being drawn, its call on the wire
    upstream.control(latency={"image": 30})
    job = api.submit("openai.image_generation", {"model": "gpt-image-1", "prompt": "A harbour"})
    wait_for(lambda: len(upstream.paid_calls()) == 1 or None, within_s=20, what="the paid call is on the wire")
    # When
    fleet.kill("work")
    fleet.start_worker()
    # Then: nobody can know what became of it, and the job says so
    held = api.wait_for_job(job["id"], "unknown", within_s=30)
    assert held["error"]["code"] == "upstream_outcome_unknown"
    assert held["error"]["may_have_been_charged"] is True
    assert len(upstream.paid_calls()) == 1
    # and a person decides
    upstream.control(latency={"image": 0.2})
    assert api.request("POST", f"/v1/jobs/{job['id']}/resolve", json={"as": "retry"}).status_code == 202
    api.wait_for_job(job["id"], "succeeded", within_s=30)
    assert len(upstream.paid_calls()) == 2


def test_a_lost_answer_is_looked_up_and_the_task_adopted(api: Api, fleet: Fleet, upstream: Simulator) -> None:
    job = api.submit("kling.text_to_video", {"prompt": "A kite [[simulate:reset_after_accept]]", "duration": "5"})
    done = api.wait_for_job(job["id"], "succeeded", "failed", within_s=60)
    assert done["status"] == "succeeded", done["error"]
    moves = [move["to"] for move in api.get(f"/v1/jobs/{job['id']}/events")["data"]]
    assert "unknown" in moves
    assert len(upstream.paid_calls()) == 1


def test_a_worker_told_to_stop_finishes_what_it_has_in_hand(api: Api, fleet: Fleet, upstream: Simulator) -> None:
    upstream.control(latency={"image": 3})
    job = api.submit("openai.image_generation", {"model": "gpt-image-1", "prompt": "A harbour"})
    wait_for(lambda: len(upstream.paid_calls()) == 1 or None, within_s=20, what="the paid call is on the wire")
    worker = fleet.processes["work"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0, fleet.log("work")
    fleet.start_worker()
    assert api.get(f"/v1/jobs/{job['id']}")["status"] in ("collecting", "succeeded")


def assert_all_is_stored(jobs: list[dict[str, Any]], upstream: Simulator) -> None:
    """Each artifact is what the simulator served, byte for byte, and its link opens for anybody who holds it."""
    served = {file["sha256"] for file in upstream.files()}
    for job in jobs:
        assert job["status"] == "succeeded", job
        assert job["artifacts"], job
        for artifact in job["artifacts"]:
            body = httpx2.get(artifact["url"], timeout=30)
            assert body.status_code == 200, artifact
            assert hashlib.sha256(body.content).hexdigest() == artifact["sha256"]
            assert len(body.content) == artifact["bytes"]
            if artifact["kind"] != "text":
                assert artifact["sha256"] in served, (job["operation"], artifact)


def test_it_runs_on_rabbitmq_as_well(environment: dict[str, str], tmp_path: Path, upstream: Simulator) -> None:
    folder = tmp_path / "rabbitmq"
    folder.mkdir()
    with rabbitmq(folder) as address, fleet_of({**environment, "MEDIAMILL_BROKER_URL": address}, tmp_path) as fleet:
        fleet.start_all()
        api = Api(fleet.url)
        batch = api.submit_batch(EXAMPLES.read_text(encoding="utf-8").splitlines())
        done = api.wait_for_batch(batch["id"], within_s=60)
        assert done["counts"]["succeeded"] == done["counts"]["total"] == len(upstream.paid_calls())
