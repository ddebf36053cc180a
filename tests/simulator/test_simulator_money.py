"""What calls cost, to the cent: in the ledger, in the till, and at the balance query."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2

from simulator.till import Till, as_usd

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
VIDEO = {"model_name": "kling-v1", "prompt": "a kite"}
KLING = "/kling/v1/videos/text2video"
KLING_IMAGES = "/kling/v1/images/generations"


def name_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def money(simulator: Any) -> dict[str, Any]:
    told: dict[str, Any] = simulator.get("/_simulator/money").json()
    return told


def fail(simulator: Any) -> None:
    """A video that fails; returns when a poll says so."""
    task_id = simulator.post(KLING, VIDEO, simulate="failed").json()["data"]["task_id"]
    simulator.poll(f"{KLING}/{task_id}", lambda answer: answer["data"]["task_status"] == "failed")


def test_the_ledger_has_the_key_the_units_and_the_price_of_every_call(simulator: Any) -> None:
    simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": 3})
    simulator.post(KLING, VIDEO)
    simulator.post("/v1/images/generations", {"model": "dall-e-2", "prompt": "x", "size": "256x256", "n": 2})

    told = [(row["operation"], row["units"], row["usd"]) for row in simulator.ledger(event="paid_call")]
    assert told == [
        ("kling.image_generation", 3, "0.042"),
        ("kling.text_to_video", 1, "0.28"),
        ("openai.image_generation", 1, "0.034"),
    ]
    assert {row["key"] for row in simulator.ledger(event="paid_call")} == {name_of("sk-test")}


def test_a_refused_call_has_units_and_costs_nothing(simulator: Any) -> None:
    simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": 2}, simulate="rate_limit")
    simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": [2]})

    assert [(row["units"], row["usd"], row["charged"]) for row in simulator.ledger()] == [(2, "0", False), (1, "0", False)]
    assert money(simulator)["charged_usd"] == "0"


def test_whoever_sees_a_task_fail_finds_it_refunded_at_once(simulator: Any) -> None:
    fail(simulator)

    told = money(simulator)

    assert (told["charged_usd"], told["refunded_usd"], told["net_usd"]) == ("0.28", "0.28", "0")
    line = simulator.finished()
    assert (line["refunded"], line["refunded_usd"]) == (True, "0.28")


def test_work_that_succeeds_is_not_refunded(simulator: Any) -> None:
    simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": 2})

    line = simulator.finished()

    assert (line["refunded"], line["refunded_usd"]) == (False, "0")
    assert money(simulator)["net_usd"] == "0.028"


def test_the_ledger_adds_up_to_what_the_till_says_by_key_and_by_operation(simulator: Any) -> None:
    for key, calls in (("sk-one", 3), ("sk-two", 1)):
        for _ in range(calls):
            httpx2.post(f"{simulator.url}/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {key}"})
    fail(simulator)
    simulator.post(KLING, VIDEO, simulate="unavailable")
    simulator.poll("/_simulator/ledger?event=finished&refunded=true", lambda rows: len(rows) == 1)

    told, ledger = money(simulator), simulator.ledger()

    calls = [row for row in ledger if row["event"] == "paid_call"]
    charged = sum(Decimal(row["usd"]) for row in calls)
    refunded = sum(Decimal(row["refunded_usd"]) for row in ledger if row["event"] == "finished")
    assert (Decimal(told["charged_usd"]), Decimal(told["refunded_usd"])) == (charged, refunded)
    by_key = {key: sum(Decimal(row["usd"]) for row in calls if row["key"] == key) for key in {row["key"] for row in calls}}
    assert {key: Decimal(one["charged_usd"]) for key, one in told["by_key"].items()} == by_key
    assert by_key[name_of("sk-one")] == 3 * by_key[name_of("sk-two")]
    assert told["by_operation"]["openai.chat"] == {"charged_usd": "0.008", "refunded_usd": "0", "net_usd": "0.008"}
    assert told["by_operation"]["kling.text_to_video"] == {"charged_usd": "0.28", "refunded_usd": "0.28", "net_usd": "0"}


def test_the_balance_query_shows_each_key_and_what_it_used(simulator: Any) -> None:
    simulator.post("/v1/chat/completions", CHAT)

    quota = simulator.get("/user/quota", params={"key": "sk-other"}).json()

    used = {key["name"]: (key["remain_quota"], key["used_quota"]) for key in quota["keys"]}
    assert used == {name_of("sk-test"): (-1, 0.002), name_of("sk-other"): (-1, 0)}
    assert (quota["total_quota"], quota["total_used_quota"], quota["request_count"]) == (49.998, 0.002, 1)


def test_the_price_list_has_what_every_call_is_charged(simulator: Any) -> None:
    prices = simulator.get("/_simulator/prices").json()
    assert prices["kling.image_generation"] == {"usd": "0.014", "times_units": True, "link_usd": "0"}
    assert prices["minimax.video"] == {"usd": "0.28", "times_units": False, "link_usd": "0.004"}
    assert prices["openai.realtime"] == {"usd": "0.03", "times_units": False, "link_usd": "0"}

    simulator.post("/v1/chat/completions", CHAT)
    simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": 5})
    simulator.post("/suno/submit/music", {"prompt": "x"})

    for row in simulator.ledger(charged="true"):
        price = prices[row["operation"]]
        assert Decimal(row["usd"]) == Decimal(price["usd"]) * (row["units"] if price["times_units"] else 1)


def test_a_link_that_is_bought_is_charged_to_the_key_that_asks(simulator: Any) -> None:
    task_id = simulator.post("/v1/video_generation", {"model": "MiniMax-Hailuo-02", "prompt": "a kite"}).json()["task_id"]
    polls = simulator.poll(f"/v1/query/video_generation?task_id={task_id}", lambda answer: answer["status"] == "Success")
    for _ in range(2):
        simulator.get("/v1/files/retrieve", params={"file_id": polls[-1]["file_id"]})

    links = simulator.ledger(event="file_retrieved")

    assert [(row["key"], row["usd"]) for row in links] == [(name_of("sk-test"), "0.004")] * 2
    assert money(simulator)["by_operation"]["minimax.video"]["net_usd"] == "0.288"


def test_a_thousand_tenths_of_a_cent_are_a_dollar() -> None:
    till = Till(Decimal(10), clock=lambda: 0.0)
    for _ in range(1000):
        till.charge("k", "shop.wares", Decimal("0.001"))

    assert till.money()["charged_usd"] == "1"
    assert till.balance == 9


def test_a_refund_comes_back_at_its_time_on_its_day() -> None:
    now = datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC).timestamp()
    times = [now]
    till = Till(Decimal(10), clock=lambda: times[-1])
    till.charge("k", "shop.wares", Decimal(3))
    till.refund_at(now + 2, "k", "shop.wares", Decimal(3))
    assert till.money()["refunded_usd"] == "0"

    times.append(now + 2)

    assert till.money()["refunded_usd"] == "3"
    days = till.statement("k", date(2026, 1, 1), date(2026, 1, 2))["daily_quota"]
    assert {day: rows[0]["quota_used"] for day, rows in days.items()} == {"2026-01-01": 3.0, "2026-01-02": -3.0}


def test_amounts_are_written_without_exponent_and_without_zeros_at_the_end() -> None:
    told = [as_usd(Decimal(text)) for text in ("0.280", "3.00", "100", "0", "0.0000001", "-0.50")]

    assert told == ["0.28", "3", "100", "0", "0.0000001", "-0.5"]
