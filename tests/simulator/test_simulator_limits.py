"""Limits that the vendor keeps to, keys that are out of order, money that runs out, and storms."""

from __future__ import annotations

import concurrent.futures
import hashlib
from typing import Any

import httpx2
import pytest

from simulator.limits import Limit, Limits
from simulator.load import Load

CHAT_PATH = "/v1/chat/completions"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
VIDEO = {"model_name": "kling-v1", "prompt": "a kite"}
KLING = "/kling/v1/videos/text2video"
KLING_IMAGES = "/kling/v1/images/generations"
MINIMAX = {"model": "MiniMax-Hailuo-02", "prompt": "a kite"}


def name_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def post(simulator: Any, path: str, body: dict[str, Any], key: str) -> httpx2.Response:
    return httpx2.post(simulator.url + path, json=body, headers={"authorization": f"Bearer {key}"}, timeout=15)


def kling(simulator: Any, key: str = "sk-test") -> int:
    return post(simulator, KLING, VIDEO, key).status_code


def outcomes(simulator: Any) -> list[str]:
    return [row["outcome"] for row in simulator.ledger(event="paid_call")]


def test_beyond_a_limit_the_vendor_answers_429_in_its_words_and_charges_nothing(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "kling", "units": 2, "retry_after": 7}], latency=60)

    assert [kling(simulator), kling(simulator)] == [200, 200]
    refused = simulator.post(KLING, VIDEO)

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, 1303, "7")
    assert outcomes(simulator) == ["accepted", "accepted", "rate_limited"]
    assert simulator.get("/_simulator/money").json()["net_usd"] == "0.56"
    assert simulator.get("/_simulator/control").json()["limits"] == [
        {"provider": "kling", "units": 2, "retry_after": 7, "refused": 1}
    ]
    assert simulator.get("/_simulator/load").json()["total"]["peak"] == 2


def test_a_task_that_a_poll_shows_as_done_has_made_room(simulator: Any) -> None:
    simulator.control(limits=[{"operation": "kling.text_to_video", "units": 1}])
    for _ in range(3):
        task_id = simulator.post(KLING, VIDEO).json()["data"]["task_id"]
        assert kling(simulator) == 429
        simulator.poll(f"{KLING}/{task_id}", lambda answer: answer["data"]["task_status"] == "succeed")


def test_a_call_counts_its_units(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "kling", "units": 4}], latency=60)

    answers = [simulator.post(KLING_IMAGES, {"prompt": "a kite", "n": n}).status_code for n in (3, 2, 1, 1)]

    assert answers == [200, 429, 200, 429]


def test_of_many_calls_at_once_exactly_as_many_come_in_as_may(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "suno", "units": 3}], latency=60)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(post, simulator, "/suno/submit/music", {"prompt": "x"}, "sk-test") for _ in range(12)]
        statuses = [one.result().status_code for one in asked]

    assert (statuses.count(200), statuses.count(429)) == (3, 9)
    assert simulator.get("/_simulator/load").json()["total"]["peak"] == 3


def test_calls_that_are_answered_at_once_are_limited_while_they_are_worked_on(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "openai", "units": 1}], latency={"text": 1})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, simulator, CHAT_PATH, CHAT, "sk-test")
        simulator.poll("/_simulator/load", lambda told: told["total"]["now"] == 1)

        assert simulator.post(CHAT_PATH, CHAT).status_code == 429
        assert first.result().status_code == 200
    assert simulator.post(CHAT_PATH, CHAT).status_code == 200


def test_a_limit_of_each_key_leaves_the_other_keys_their_own(simulator: Any) -> None:
    simulator.control(limits=[{"key": "*", "provider": "kling", "units": 1}], latency=60)

    assert [kling(simulator, key) for key in ("sk-one", "sk-one", "sk-two", "sk-two")] == [200, 429, 200, 429]


def test_a_limit_of_one_key_can_be_given_by_the_key_or_by_its_name(simulator: Any) -> None:
    limits = [{"key": "sk-one", "units": 0}, {"key": name_of("sk-two"), "units": 0}]
    told = simulator.control(limits=limits).json()["limits"]

    assert [one["key"] for one in told] == [name_of("sk-one"), name_of("sk-two")]
    assert [kling(simulator, key) for key in ("sk-one", "sk-two", "sk-three")] == [429, 429, 200]


def test_calls_per_second_are_limited_whether_they_still_run_or_not(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "openai", "per_second": 2, "retry_after": None}], latency=0)

    answers = [simulator.post(CHAT_PATH, CHAT) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "retry-after" not in answers[2].headers


def test_a_second_begins_with_every_call() -> None:
    limits, load = Limits(), Load(lambda: 0.0)
    limits.set([Limit(provider="kling", per_second=2)])

    def ask(now: float) -> bool:
        if limits.reached_by("k", "kling.video", 1, load, now):
            return False
        limits.note("k", "kling.video", now)
        return True

    assert [ask(now) for now in (10.0, 10.6, 10.9, 11.0, 11.5, 11.7)] == [True, True, False, True, False, True]


def test_a_vendor_that_refuses_with_200_does_so_at_its_limit(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "minimax", "units": 0}])

    answer = simulator.post("/v1/video_generation", MINIMAX)

    assert (answer.status_code, answer.json()["base_resp"]["status_code"], answer.headers["retry-after"]) == (200, 1002, "1")
    assert outcomes(simulator) == ["rate_limited"]


def test_limits_are_replaced_together_and_gone_after_a_reset(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "kling", "units": 0}])
    simulator.control(latency=0.1)
    assert kling(simulator) == 429
    simulator.control(limits=[{"provider": "suno", "units": 0}])
    assert kling(simulator) == 200

    simulator.http.post("/_simulator/reset")

    assert simulator.get("/_simulator/control").json()["limits"] == []


@pytest.mark.parametrize(
    "order",
    [
        {"limits": {"units": 1}},
        {"limits": [{"provider": "kling"}]},
        {"limits": [{"units": -1}]},
        {"limits": [{"units": 1.5}]},
        {"limits": [{"units": 1, "provider": ["kling"]}]},
        {"limits": [{"units": 1, "retry_after": "soon"}]},
        {"limits": [{"units": 1, "tenant": "t"}]},
        {"keys": ["sk-one"]},
        {"keys": {"sk-one": {"mood": "angry"}}},
        {"keys": {"sk-one": {"mood": ["refused"]}}},
        {"keys": {"sk-one": {"balance_usd": "much"}}},
        {"balance_usd": -1},
        {"balance_usd": "NaN"},
        {"balance_usd": None},
        {"faults": [{"fault": "rate_limit", "for_s": 0}]},
    ],
    ids=str,
)
def test_orders_that_make_no_sense_are_refused_and_change_nothing(simulator: Any, order: dict[str, Any]) -> None:
    before = simulator.get("/_simulator/control").json()

    answer = simulator.control(**{"latency": 9, **order})

    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert simulator.get("/_simulator/control").json() == before


@pytest.mark.parametrize(
    ("mood", "status", "code"),
    [
        ("refused", 401, ""),
        ("balance", 402, "insufficient_user_quota"),
        ("quota", 403, "pre_consume_token_quota_failed"),
        ("forbidden", 403, "access_denied"),
    ],
)
@pytest.mark.parametrize(("path", "body"), [(KLING, VIDEO), (CHAT_PATH, CHAT)], ids=["task", "at once"])
def test_a_key_out_of_order_is_refused_in_the_gateways_words_and_other_keys_are_not(
    simulator: Any, mood: str, status: int, code: str, path: str, body: dict[str, Any]
) -> None:
    told = simulator.control(keys={"sk-one": {"mood": mood}}).json()
    assert told["keys"] == {name_of("sk-one"): {"mood": mood, "balance_usd": None}}

    refused = post(simulator, path, body, "sk-one")

    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert post(simulator, path, body, "sk-two").status_code == 200
    assert simulator.get("/_simulator/money").json()["by_key"].keys() == {name_of("sk-two")}
    simulator.control(keys={"sk-one": {"mood": None}})
    assert post(simulator, path, body, "sk-one").status_code == 200
    assert simulator.get("/_simulator/control").json()["keys"] == {}


def test_a_refused_key_may_not_even_ask_and_one_without_money_may(simulator: Any) -> None:
    task_id = simulator.post(KLING, VIDEO).json()["data"]["task_id"]

    def asked(mood: str) -> list[int]:
        simulator.control(keys={"sk-test": {"mood": mood}})
        paths = (f"{KLING}/{task_id}", "/v1/models", "/user/quota?key=sk-test")
        return [simulator.get(path).status_code for path in paths]

    assert asked("refused") == [401, 401, 401]
    for mood in ("balance", "quota", "forbidden"):
        assert asked(mood) == [200, 200, 200]


def test_a_key_pays_from_its_own_balance_until_that_is_spent(simulator: Any) -> None:
    simulator.control(keys={"sk-one": {"balance_usd": "0.005"}})

    answers = [post(simulator, CHAT_PATH, CHAT, "sk-one") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 402]
    assert answers[2].json()["error"]["code"] == "insufficient_user_quota"
    assert post(simulator, CHAT_PATH, CHAT, "sk-two").status_code == 200
    keys = simulator.get("/user/quota", params={"key": "sk-one"}).json()["keys"]
    assert {"name": name_of("sk-one"), "remain_quota": 0.001, "used_quota": 0.004} in keys
    assert outcomes(simulator) == ["accepted", "accepted", "refused", "accepted"]


def test_a_refund_fills_the_balance_of_its_key(simulator: Any) -> None:
    simulator.control(keys={"sk-test": {"balance_usd": "0.28"}})
    task_id = simulator.post(KLING, VIDEO, simulate="failed").json()["data"]["task_id"]
    assert kling(simulator) == 402

    simulator.poll(f"{KLING}/{task_id}", lambda answer: answer["data"]["task_status"] == "failed")

    assert kling(simulator) == 200
    assert kling(simulator) == 402


def test_the_balance_of_the_account_is_enforced_once_it_is_set(simulator: Any) -> None:
    assert simulator.get("/_simulator/control").json()["balance_usd"] is None
    assert simulator.control(balance_usd="0.003").json()["balance_usd"] == "0.003"

    assert [post(simulator, CHAT_PATH, CHAT, key).status_code for key in ("sk-one", "sk-two")] == [200, 402]

    assert simulator.get("/user/quota?key=sk-one").json()["total_quota"] == 0.001
    assert simulator.control(balance_usd=0.0021).json()["balance_usd"] == "0.0021"
    assert post(simulator, CHAT_PATH, CHAT, "sk-two").status_code == 200


def test_a_task_that_was_refused_at_a_limit_is_in_no_list(simulator: Any) -> None:
    simulator.control(limits=[{"provider": "kling", "units": 0}])
    body = {**VIDEO, "external_task_id": "mine"}
    assert simulator.post(KLING, body).status_code == 429
    assert simulator.get(KLING).json()["data"] == []

    simulator.control(limits=[])

    assert simulator.post(KLING, body).status_code == 200


def test_a_storm_over_a_provider_hits_its_calls_and_polls_until_it_is_removed(simulator: Any) -> None:
    task_id = simulator.post(KLING, VIDEO).json()["data"]["task_id"]
    storm = {"match": {"provider": "kling", "on": "any"}, "fault": "rate_limit", "times": None, "retry_after": 2}
    simulator.control(faults=[storm])

    calls = [simulator.post(KLING, VIDEO), simulator.post(KLING_IMAGES, {"prompt": "x"}), simulator.get(f"{KLING}/{task_id}")]

    assert [(answer.status_code, answer.headers["retry-after"]) for answer in calls] == [(429, "2")] * 3
    assert simulator.post("/suno/submit/music", {"prompt": "x"}).status_code == 200
    simulator.control(clear_faults=True)
    assert simulator.get(f"{KLING}/{task_id}").status_code == 200


def test_a_storm_can_be_over_the_submits_of_an_operation_with_one_key_only(simulator: Any) -> None:
    task_id = simulator.post(KLING, VIDEO).json()["data"]["task_id"]
    match = {"operation": "kling.text_to_video", "key": "sk-one"}
    told = simulator.control(faults=[{"match": match, "fault": "rate_limit", "times": None}]).json()["faults"]
    assert told == [{"match": {**match, "key": name_of("sk-one")}, "fault": "rate_limit", "left": None}]

    assert [kling(simulator, "sk-one"), kling(simulator, "sk-two")] == [429, 200]
    assert httpx2.get(f"{simulator.url}{KLING}/{task_id}", headers={"authorization": "Bearer sk-one"}).status_code == 200


def test_a_storm_passes_by_itself_after_its_seconds(simulator: Any) -> None:
    (rule,) = simulator.control(faults=[{"match": {"provider": "openai"}, "fault": "rate_limit", "for_s": 1.5}]).json()["faults"]
    assert 0 < rule["for_s"] <= 1.5
    assert simulator.post(CHAT_PATH, CHAT).status_code == 429

    simulator.poll("/_simulator/control", lambda told: told["faults"] == [])

    assert simulator.post(CHAT_PATH, CHAT).status_code == 200


def test_answers_are_counted_by_status_outcome_and_operation(simulator: Any) -> None:
    simulator.control(faults=[{"match": {"provider": "kling"}, "fault": "rate_limit", "times": 3}])
    tries = [simulator.post(KLING, VIDEO) for _ in range(4)]
    simulator.get(f"{KLING}/{tries[-1].json()['data']['task_id']}")
    simulator.post("/v1/video_generation", MINIMAX, simulate="rate_limit")
    with pytest.raises(httpx2.RemoteProtocolError):
        simulator.post(CHAT_PATH, CHAT, simulate="reset_after_accept")

    told = simulator.get("/_simulator/answers").json()

    assert told["calls"] == {
        "kling.text_to_video": {"200": 1, "429": 3},
        "minimax.video": {"200": 1},
        "openai.chat": {"none": 1},
    }
    assert told["outcomes"] == {
        "kling.text_to_video": {"accepted": 1, "rate_limited": 3},
        "minimax.video": {"rate_limited": 1},
        "openai.chat": {"accepted": 1},
    }
    assert told["polls"] == {"kling.text_to_video": {"200": 1}}


def test_answers_can_be_asked_of_one_key_and_counted_anew(simulator: Any) -> None:
    simulator.control(keys={"sk-one": {"mood": "refused"}})
    assert [kling(simulator, key) for key in ("sk-one", "sk-one", "sk-two")] == [401, 401, 200]
    post(simulator, CHAT_PATH, CHAT, "sk-one")

    for key in ("sk-one", name_of("sk-one")):
        told = simulator.get("/_simulator/answers", params={"key": key}).json()
        # Several operations share the path of chats, and a key that is refused gets no further than the path.
        assert told["calls"] == {"kling.text_to_video": {"401": 2}, "unknown": {"401": 1}}
        assert told["outcomes"] == {}

    assert simulator.http.post("/_simulator/answers/reset").json()["calls"] == {}
    assert simulator.get("/_simulator/answers").json()["since_s"] < 10
