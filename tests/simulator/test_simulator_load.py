"""How much is in flight: now, at most, and over time."""

from __future__ import annotations

import concurrent.futures
import hashlib
from typing import Any

import httpx2
import pytest

from simulator.load import Load

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
VIDEO = {"model_name": "kling-v1", "prompt": "a kite"}
KLING = "/kling/v1/videos/text2video"
KLING_IMAGES = "/kling/v1/images/generations"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def load(clock: Clock) -> Load:
    return Load(clock)


def test_a_gauge_has_the_exact_peak_and_the_exact_integral(load: Load, clock: Clock) -> None:
    first = load.begin("k", "kling.video", 1)
    clock.now += 2
    second = load.begin("k", "kling.image", 3)
    clock.now += 1
    load.end(first)
    clock.now += 4
    load.end(second)
    clock.now += 100

    told = load.as_json()

    # 2 s of 1, 1 s of 4, 4 s of 3
    assert told["total"] == {"now": 0, "peak": 4, "unit_seconds": 18.0, "calls": 2}
    assert told["by_operation"]["kling.image"] == {"now": 0, "peak": 3, "unit_seconds": 15.0, "calls": 1}
    assert told["since_s"] == 107


def test_an_end_known_beforehand_counts_from_its_moment_however_late_somebody_asks(load: Load, clock: Clock) -> None:
    load.end_at(load.begin("k", "kling.video", 1), clock.now + 5)
    clock.now += 4.5
    assert load.as_json()["total"]["now"] == 1

    clock.now += 100
    load.begin("k", "kling.video", 1)

    assert load.as_json()["total"] == {"now": 1, "peak": 1, "unit_seconds": 5.0, "calls": 2}


def test_a_flight_ends_once(load: Load) -> None:
    flight = load.begin("k", "kling.video", 2)
    load.end(flight)
    load.end(flight)

    assert load.as_json()["total"]["now"] == 0


def test_load_is_told_by_provider_operation_key_and_both(load: Load) -> None:
    for key, operation in (("a", "kling.video"), ("a", "kling.image"), ("b", "kling.video"), ("b", "suno.music")):
        load.begin(key, operation, 1)

    told = load.as_json()

    def now(by: str) -> dict[str, int]:
        return {name: gauge["now"] for name, gauge in told[by].items()}

    assert now("by_provider") == {"kling": 3, "suno": 1}
    assert now("by_operation") == {"kling.video": 2, "kling.image": 1, "suno.music": 1}
    assert now("by_key") == {"a": 2, "b": 2}
    assert now("by_key_and_provider") == {"a kling": 2, "b kling": 1, "b suno": 1}
    assert now("by_key_and_operation") == {"a kling.video": 1, "a kling.image": 1, "b kling.video": 1, "b suno.music": 1}


def test_a_reset_measures_anew_and_keeps_what_is_in_flight(load: Load, clock: Clock) -> None:
    stays = load.begin("k", "kling.video", 1)
    load.end(load.begin("k", "suno.music", 5))
    clock.now += 10

    load.reset()

    told = load.as_json()
    assert told["total"] == {"now": 1, "peak": 1, "unit_seconds": 0.0, "calls": 0}
    assert list(told["by_provider"]) == ["kling"]
    clock.now += 2
    load.end(stays)
    assert load.as_json()["total"] == {"now": 0, "peak": 1, "unit_seconds": 2.0, "calls": 0}


def total(simulator: Any) -> dict[str, Any]:
    told: dict[str, Any] = simulator.get("/_simulator/load").json()["total"]
    return told


def test_a_task_is_in_flight_until_a_poll_says_that_it_is_over(simulator: Any) -> None:
    simulator.control(latency={"image": 0.5})
    task_id = simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": 4}).json()["data"]["task_id"]
    assert total(simulator)["now"] == 4

    simulator.poll(f"{KLING_IMAGES}/{task_id}", lambda answer: answer["data"]["task_status"] == "succeed")

    told = total(simulator)
    assert (told["now"], told["peak"], told["calls"]) == (0, 4, 1)
    # 0.5 s, give or take a fifth, counted from when the task was created: a moment before it was in flight
    assert told["unit_seconds"] >= 4 * 0.3


def test_a_task_that_never_finishes_stays_in_flight_until_everything_is_reset(simulator: Any) -> None:
    simulator.control(latency=0)
    simulator.post(KLING, VIDEO, simulate="never_finishes")
    simulator.post("/v1/chat/completions", CHAT)
    assert total(simulator)["now"] == 1

    simulator.http.post("/_simulator/reset")

    assert total(simulator) == {"now": 0, "peak": 0, "unit_seconds": 0.0, "calls": 0}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "model": "gpt-4o-image", "stream": True}),
        ("/v1/chat/completions", {**CHAT, "model": "veo3", "stream": True}),
        ("/v1/images/generations", {"model": "dall-e-2", "prompt": "x", "size": "256x256"}),
        ("/bria/text-to-vector", {"prompt": "x", "sync": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("model", ""),
)
def test_a_call_is_in_flight_until_its_answer_is_there(simulator: Any, path: str, body: dict[str, Any]) -> None:
    simulator.post(path, body)

    told = total(simulator)

    assert (told["now"], told["peak"], told["calls"]) == (0, 1, 1)
    # 0.15 s, give or take a fifth, unless drawing took longer
    assert told["unit_seconds"] >= 0.1


def test_a_client_that_leaves_a_stream_takes_its_call_out_of_the_air(simulator: Any) -> None:
    simulator.control(latency={"video": 30})
    body = {**CHAT, "model": "veo3", "stream": True}
    with simulator.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()  # one that nobody holds would close the connection
        next(lines)
        assert total(simulator)["now"] == 1

    simulator.poll("/_simulator/load", lambda told: told["total"]["now"] == 0)


def test_work_promised_in_an_answer_is_in_flight_after_it(simulator: Any) -> None:
    simulator.post("/bria/text-to-vector", {"prompt": "x"})
    assert total(simulator)["now"] == 1

    simulator.poll("/_simulator/load", lambda told: told["total"]["now"] == 0)


def test_refused_calls_and_polls_are_not_in_flight(simulator: Any) -> None:
    simulator.post(KLING, VIDEO, simulate="rate_limit")
    simulator.post(KLING, {"prompt": ""})
    simulator.get(f"{KLING}/nothing")

    assert total(simulator) == {"now": 0, "peak": 0, "unit_seconds": 0.0, "calls": 0}


def test_calls_at_once_add_up_to_a_peak_by_key(simulator: Any) -> None:
    simulator.control(latency={"text": 1})

    def ask(key: str) -> None:
        httpx2.post(f"{simulator.url}/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {key}"}, timeout=15)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, key) for key in ("sk-one", "sk-one", "sk-two")]
        simulator.poll("/_simulator/load", lambda told: told["total"]["now"] == 3)
    for one in asked:
        one.result()

    told = simulator.get("/_simulator/load").json()
    key = hashlib.sha256(b"sk-one").hexdigest()[:12]
    assert (told["by_key"][key]["peak"], told["by_key_and_operation"][f"{key} openai.chat"]["peak"]) == (2, 2)
    assert (told["by_provider"]["openai"]["peak"], told["total"]["now"]) == (3, 0)


def test_load_is_measured_anew_on_demand(simulator: Any) -> None:
    simulator.post("/v1/chat/completions", CHAT)

    answer = simulator.http.post("/_simulator/load/reset")

    assert answer.json()["total"] == {"now": 0, "peak": 0, "unit_seconds": 0.0, "calls": 0}
    assert simulator.get("/_simulator/load").json()["since_s"] < 10
