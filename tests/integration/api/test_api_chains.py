"""The chains that the documentation shows: each file submitted as a batch, and run to its end against the simulator."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import servers
from callers import Caller, Json, Serve, Served

from jobs import references

# The house of the core's tests, as pytest itself would add it if its tests were collected first.
sys.path.append(str(Path(__file__).parents[1] / "core"))

from mill import Mill

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "chains").glob("*.jsonl"))


@pytest.fixture(scope="module")
def workshop(serve: Serve, new_database: Callable[[str], str], simulator_process: servers.Simulator) -> Served:
    """An API in front of the simulator. Its jobs are run step by step, without a queue."""
    return serve(
        new_database("sqlite"),
        upstream_url=simulator_process.url,
        upstream_key="sk-test",
        egress_allow_cidrs="127.0.0.0/8",
    )


def run_to_its_end(mill: Mill, caller: Caller, batch_id: str) -> list[Json]:
    """Every job that may start is run, until none is left; the jobs in the order of their lines."""
    while True:
        jobs = caller.http.get(f"/v1/jobs?batch_id={batch_id}&limit=100").json()["data"]
        ready = [job["id"] for job in jobs if job["status"] == "queued" and not job["waits_for"]]
        if not ready:
            return [json.loads(line) for line in caller.http.get(f"/v1/batches/{batch_id}/results").text.splitlines()]
        for job_id in ready:
            mill.run(job_id)


def test_there_is_a_chain_for_each_provider_that_is_known_for_them() -> None:
    assert [path.stem for path in EXAMPLES] == ["kling", "midjourney", "suno"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_chain_runs_to_its_end(path: Path, workshop: Served, upstream: servers.Simulator) -> None:
    caller = workshop.tenant()
    mill = Mill(workshop.context, upstream)
    names = [json.loads(line)["custom_id"] for line in path.read_text("utf-8").splitlines()]

    answer = caller.http.post("/v1/batches", content=path.read_bytes(), headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 202, answer.text
    batch_id = answer.json()["id"]
    jobs = run_to_its_end(mill, caller, batch_id)

    assert [(job["custom_id"], job["status"], job["error"]) for job in jobs] == [(name, "succeeded", None) for name in names]
    assert caller.http.get(f"/v1/batches/{batch_id}").json()["status"] == "completed"
    assert mill.charged == len(names), "each was bought once"
    by_id = {job["id"]: job for job in jobs}
    for job in jobs:
        assert job["artifacts"], f"{job['custom_id']} left no file"
        for needed in references.names(job["input"]):
            assert by_id[needed]["finished_at"] <= job["started_at"], f"{job['custom_id']} did not wait"
