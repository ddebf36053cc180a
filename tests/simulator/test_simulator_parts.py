"""Small parts, without a server."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

import simulator
from simulator.app import create_app
from simulator.config import SimulatorConfig
from simulator.exchange import Exchange
from simulator.faults import Fault, in_body, in_header, rule_from_json
from simulator.ledger import Ledger
from simulator.media.orders import Picture
from simulator.media.studio import Studio
from simulator.routes import Routes
from simulator.tasks import Phase, Task
from simulator.world import World

OURS = {"api_stub", "jobs", "storage", "workers"}


def test_the_simulator_imports_nothing_of_the_product() -> None:
    for path in Path(simulator.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & OURS, path


async def nobody(exchange: Exchange) -> Any:
    raise AssertionError("nobody calls this")


def test_a_route_matches_whole_segments_and_keeps_its_parameters() -> None:
    routes = Routes()
    routes.get("/a/{id}/b", nobody)

    found = routes.find("GET", "/a/7/b")
    assert found is not None
    assert found[1] == {"id": "7"}
    assert [routes.find(*asked) for asked in (("GET", "/a/7"), ("POST", "/a/7/b"), ("GET", "/a//b"))] == [None] * 3


def test_a_path_has_one_owner() -> None:
    routes = Routes()
    for path in ("/a", "/a/{id}"):
        routes.get(path, nobody)
        with pytest.raises(ValueError, match="already taken"):
            routes.get(path, nobody)


def test_faults_are_read_from_headers_and_from_nested_prompts() -> None:
    assert in_header("rate_limit retry_after=1, html") == [Fault("rate_limit", {"retry_after": "1"}), Fault("html")]
    assert in_body({"input": [{"prompt": "a [[simulate:failed]] b [[simulate:dead_link status=403]]"}]}) == [
        Fault("failed"),
        Fault("dead_link", {"status": "403"}),
    ]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"fault": "rain"},
        {"fault": "html", "times": 0},
        {"fault": "html", "match": {"sky": "blue"}},
        {"fault": "html", "on": "sunday"},
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|times|match|on"):
        rule_from_json(rule, 0.0)


def test_the_phase_is_a_matter_of_time_and_of_the_outputs() -> None:
    task = Task("t", "family", {}, created_at=100.0, latency_s=10.0, base_url="")

    assert [task.phase(at) for at in (100.0, 101.4, 101.6, 109.9)] == [
        Phase.SUBMITTED,
        Phase.SUBMITTED,
        Phase.PROCESSING,
        Phase.PROCESSING,
    ]
    assert task.phase(111.0) is Phase.PROCESSING  # not drawn yet
    task.outputs, task.ready_at = [], 112.0
    assert [task.phase(111.9), task.phase(112.0)] == [Phase.PROCESSING, Phase.SUCCEEDED]
    assert task.progress(105.0) == 0.5


def test_latencies_differ_by_at_most_a_fifth_and_stay_the_same_for_one_task(tmp_path: Path) -> None:
    world = World(SimulatorConfig(data=tmp_path, latency_s={"image": 10.0}))
    drawn = [world.seconds_for("image", f"task-{n}") for n in range(200)]
    asyncio.run(world.close())

    assert 8.0 <= min(drawn) < 8.5
    assert 11.5 < max(drawn) <= 12.0
    assert world.seconds_for("image", "task-7") == drawn[7]


def test_the_application_also_answers_inside_the_process(tmp_path: Path) -> None:
    async def ask() -> int:
        transport = httpx2.ASGITransport(app=create_app(SimulatorConfig(data=tmp_path)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as client:
            return (await client.get("/api/models")).status_code

    assert asyncio.run(ask()) == 200


def test_a_line_torn_by_a_crash_is_dropped_and_counting_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"n": 1, "event": "paid_call"}\n{"n": 2, "ev')

    async def append() -> list[dict[str, Any]]:
        ledger = Ledger(path)
        await ledger.append("paid_call", charged=True)
        rows = await ledger.entries(event="paid_call")
        await ledger.close()
        return rows

    assert [row["n"] for row in asyncio.run(append())] == [1, 2]


def test_equal_orders_are_made_once(tmp_path: Path) -> None:
    async def make() -> set[Path]:
        studio = Studio(tmp_path, renderers=2)
        made = await asyncio.gather(*(studio.make(Picture("x", 64, 64)) for _ in range(5)))
        studio.close()
        return {rendering.path for rendering in made}

    assert len(asyncio.run(make())) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "naïve — 日本語 привет", "x" * 40_000, "\ud800"])
def test_a_picture_of_any_text_can_be_drawn(text: str, tmp_path: Path) -> None:
    Picture(text, 96, 64, "jpeg").make(tmp_path / "picture.jpeg")

    assert (tmp_path / "picture.jpeg").stat().st_size > 0
