"""What operators rely on when keys are scarce and calls cost money: four worker processes keep to a limit and use it up, and at the
end of the day the books say what the gateway's say. Measured at the gateway, which is the simulator.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from fleet import KEY, Api, Fleet, fleet_of, wait_for
from servers import Postgres, Simulator

WORKERS = 4
JOBS = 2_000


@pytest.fixture(scope="module")
def fleet(
    postgres: Postgres, redis_url: str, simulator_process: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Four workers, each a process, and what they need."""
    folder = tmp_path_factory.mktemp("limits")
    prices = folder / "prices.toml"
    prices.write_text(_as_price_list(simulator_process.prices()))
    environment = {
        "MEDIAMILL_DATA": str(folder),
        "MEDIAMILL_DATABASE_URL": postgres.url(postgres.create()),
        "MEDIAMILL_BROKER_URL": redis_url,
        "MEDIAMILL_STORAGE_URL": f"file://{folder}/media",
        "MEDIAMILL_UPSTREAM_URL": simulator_process.url,
        "COMETAPI_KEY": "sk-acceptance",
        "MEDIAMILL_BOOTSTRAP_KEY": KEY,
        "MEDIAMILL_EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
        "MEDIAMILL_PRICES": str(prices),
        "MEDIAMILL_HINT_S": "5",
        "MEDIAMILL_TICK_S": "0.25",
    }
    with fleet_of(environment, folder) as started:
        assert started.run("db", "upgrade").returncode == 0
        started.start("api", "api", "--port", str(started.port))
        lanes = ("image", "video", "music", "audio", "text", "model3d")
        for n in range(WORKERS):
            started.start(f"work{n}", "worker", *lanes, "--concurrency", "12")
        started.start_control()
        started.start("beat", "beat")
        started.wait_until_ready()
        yield started


def _as_price_list(prices: dict[str, Any]) -> str:
    """The simulator's prices as an operator writes his own."""
    rows = []
    for operation, price in prices.items():
        if price["link_usd"] != "0" or price["usd"] == "0":
            continue
        rate = f'rates = {{ image = "{price["usd"]}" }}' if price["times_units"] else f'usd = "{price["usd"]}"'
        rows.append(f'[[price]]\noperations = ["{operation}"]\n{rate}\n')
    return "\n".join(rows)


def _submit(api: Api, lines: list[dict[str, Any]]) -> str:
    body = "\n".join(json.dumps(line) for line in lines)
    answer = api.request("POST", "/v1/batches", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_four_workers_keep_to_a_limit_and_use_it_up_even_if_redis_forgets_everything(
    fleet: Fleet, upstream: Simulator, redis_url: str
) -> None:
    api = Api(fleet.url)
    limit, calls, each_s = 5, 32, 6.0
    upstream.control(latency={"image": each_s})
    set_ = fleet.run("limits", "set", "--provider", "openai", "--concurrency", str(limit))
    assert set_.returncode == 0, set_.stderr
    given = {"model": "dall-e-2", "prompt": "a paper boat", "size": "256x256"}
    batch = _submit(api, [{"operation": "openai.image_generation", "input": given | {"prompt": f"boat {n}"}} for n in range(calls)])

    def load() -> dict[str, Any]:
        found: dict[str, Any] = upstream.load()["by_provider"].get("openai", {"now": 0, "peak": 0})
        return found

    wait_for(lambda: load()["now"] == limit or None, within_s=30, what="the limit is used up")
    assert upstream.reset_load()["by_provider"]["openai"]["peak"] == limit

    def queued() -> int:
        return int(api.get(f"/v1/batches/{batch}")["counts"]["queued"])

    wait_for(lambda: queued() <= calls // 2 or None, within_s=60, what="half of them have started")
    redis.Redis.from_url(redis_url).flushall()
    wait_for(lambda: queued() == 0 or None, within_s=90, what="all of them have started")
    measured = upstream.load()
    used = measured["by_provider"]["openai"]
    wait_for(lambda: api.get(f"/v1/batches/{batch}")["status"] == "completed" or None, within_s=60, what="the batch is over")

    assert used["peak"] == limit, "never one more"
    utilisation = used["unit_seconds"] / measured["since_s"] / limit
    print(f"{utilisation:.1%} of the limit used, {used['peak']} of {limit} at most")
    assert utilisation >= 0.95, f"{utilisation:.1%} of the limit was used"
    assert api.get(f"/v1/batches/{batch}")["counts"]["succeeded"] == calls
    assert len(upstream.paid_calls()) == calls, "nobody was turned away"
    assert fleet.run("limits", "rm", "provider=openai").returncode == 0


#: What is asked how often, and which faults some of those meet.
def _mixed(chance: random.Random) -> Iterator[dict[str, Any]]:
    faults = {
        "kling.text_to_video": [
            "failed",
            "reset_after_accept",
            "timeout_after_accept delay=0",
            "no_outputs",
            "invalid",
            "moderation",
        ],
        "kling.image_generation": ["failed", "reset_after_accept", "invalid"],
        "suno.music": ["failed", "no_outputs", "reset_after_accept", "invalid", "moderation"],
        "openai.image_generation": ["moderation", "reset_after_accept", "invalid"],
        "openai.speech": ["invalid", "reset_after_accept"],
        "openai.chat": ["no_outputs", "invalid", "moderation", "truncated_json"],
    }
    for _ in range(JOBS):
        operation = chance.choices(list(faults), weights=[6, 6, 6, 6, 12, 64])[0]
        prompt = "a paper boat"
        if chance.random() < 0.2:
            prompt += f" [[simulate:{chance.choice(faults[operation])}]]"
        given = {
            "kling.text_to_video": {"prompt": prompt, "aspect_ratio": "1:1"},
            "kling.image_generation": {"prompt": prompt, "n": chance.randint(1, 3)},
            "suno.music": {"tags": prompt},
            "openai.image_generation": {"model": "dall-e-2", "prompt": prompt, "size": "256x256"},
            "openai.speech": {"model": "tts-1", "voice": "alloy", "input": prompt},
            "openai.chat": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]},
        }[operation]
        yield {"operation": operation, "input": given, "on_unknown": "fail"}


def test_after_two_thousand_mixed_jobs_the_books_equal_the_gateways_to_the_cent(fleet: Fleet, upstream: Simulator) -> None:
    api = Api(fleet.url)
    upstream.control(
        latency=0.1,
        faults=[
            {"match": {"operation": "openai.chat"}, "fault": "rate_limit", "times": 4},
            {"match": {"operation": "suno.music"}, "fault": "unavailable", "times": 4},
        ],
    )
    before = api.get("/v1/usage")["total"]
    # Wide enough for all of it: what is counted for one of these is counted for no other.
    for said in (
        "limits set --per-second 1000",
        "limits set --provider kling --each-key --concurrency 500 --per-minute 60000",
        "tenants set default --weight 2 --max-running 1000 --submits-per-minute 1000 --max-queued 10000",
    ):
        set_ = fleet.run(*said.split())
        assert set_.returncode == 0, set_.stderr
    # A task that never ends is canceled while it runs: paid, and nobody knows for what.
    endless = [api.submit("kling.text_to_video", {"prompt": f"[[simulate:never_finishes]] {n}"})["id"] for n in range(5)]
    for job_id in endless:
        wait_for(lambda job=job_id: api.get(f"/v1/jobs/{job}")["status"] == "running" or None, within_s=120, what="it runs")
        assert api.request("POST", f"/v1/jobs/{job_id}/cancel").status_code == 202
    began = time.monotonic()
    batch = _submit(api, list(_mixed(random.Random(7))))
    wait_for(
        lambda: api.get(f"/v1/batches/{batch}")["status"] == "completed" or None,
        within_s=900,
        what="the batch is over",
        every_s=0.5,
    )
    print(f"{JOBS} mixed jobs in {time.monotonic() - began:.0f} s: {api.get(f'/v1/batches/{batch}')['counts']}")

    def books() -> Decimal:
        """What it cost, and what is set aside for calls whose answer is lost: here the gateway took the money for each of those."""
        total = api.get("/v1/usage")["total"]
        return sum((Decimal(total[name]) - Decimal(before[name]) for name in ("settled_usd", "open_usd")), Decimal(0))

    gateway = Decimal(upstream.money()["net_usd"])
    assert gateway > 10
    wait_for(lambda: books() == gateway or None, within_s=20, what=f"the books say what the gateway says: {books()}, {gateway}")
    counts = api.get(f"/v1/batches/{batch}")["counts"]
    assert counts["succeeded"] > JOBS * 0.75
    assert counts["failed"] > JOBS * 0.1


def test_prices_of_a_test_are_written_somewhere(fleet: Fleet) -> None:
    """The operator's file is the one in force: a dry run says the simulator's price."""
    answer = Api(fleet.url).request(
        "POST", "/v1/jobs?dry_run=true", json={"operation": "kling.image_generation", "input": {"prompt": "x", "n": 3}}
    )
    assert answer.status_code == 200, answer.text
    assert Decimal(answer.json()["cost"]["estimated_usd"]) == 3 * Decimal("0.014")
    assert Path(fleet.environment["MEDIAMILL_PRICES"]).exists()
