"""Every fault, asked for in one of the three ways."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import httpx2
import pytest
from PIL import Image

from simulator.faults import FAULTS

KLING = "/kling/v1/videos/text2video"
IMAGES = "/v1/images/generations"
CHAT_PATH = "/v1/chat/completions"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
VIDEO = {"model_name": "kling-v1", "prompt": "a kite"}
FLUX = "/replicate/v1/models/black-forest-labs/flux-schnell/predictions"
SPEECH = {"model": "tts-1", "input": "The ferry leaves at nine.", "voice": "alloy"}
DALLE = {"model": "dall-e-2", "prompt": "a kite", "size": "256x256"}


def outcomes(simulator: Any) -> list[tuple[str, bool]]:
    return [(row["outcome"], row["charged"]) for row in simulator.ledger(event="paid_call")]


@pytest.mark.parametrize(
    ("fault", "status", "code", "outcome"),
    [
        ("rate_limit", 429, "", "rate_limited"),
        ("server_error", 500, "do_request_failed", "failed"),
        ("unavailable", 503, "get_channel_failed", "failed"),
        ("unavailable code=model_not_found", 503, "model_not_found", "failed"),
        ("bad_key", 401, "", "refused"),
        ("no_money", 403, "insufficient_user_quota", "refused"),
        ("invalid", 400, "invalid_request", "refused"),
        ("moderation", 400, "sensitive_words_detected", "refused"),
        ("failed", 500, "bad_response", "failed"),
        ("error_in_200", 200, "bad_response", "refused"),
    ],
)
def test_a_refusal_comes_in_the_gateway_envelope_and_costs_nothing(
    simulator: Any, fault: str, status: int, code: str, outcome: str
) -> None:
    answer = simulator.post(CHAT_PATH, CHAT, simulate=fault)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert outcomes(simulator) == [(outcome, False)]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("rate_limit", 429, 1303),
        ("rate_limit code=1302", 429, 1302),
        ("server_error", 500, 5000),
        ("unavailable", 503, 5001),
        ("invalid", 400, 1201),
    ],
)
def test_kling_words_its_own_refusals(simulator: Any, fault: str, status: int, code: int) -> None:
    answer = simulator.post(KLING, VIDEO, simulate=fault)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_suno_words_refusals_of_the_task_layer(simulator: Any) -> None:
    answer = simulator.post("/suno/submit/music", {"prompt": "x"}, simulate="server_error")
    limited = simulator.post("/suno/submit/music", {"prompt": "x"}, simulate="rate_limit")

    assert (answer.status_code, answer.json()["code"]) == (500, "do_request_failed")
    assert limited.json()["error"]["type"] == "comet_api_error"


def test_retry_after_is_sent_when_asked_for(simulator: Any) -> None:
    assert simulator.post(CHAT_PATH, CHAT, simulate="rate_limit retry_after=1").headers["retry-after"] == "1"
    assert "retry-after" not in simulator.post(CHAT_PATH, CHAT, simulate="rate_limit").headers


def test_html_is_a_page_with_200(simulator: Any) -> None:
    answer = simulator.post(CHAT_PATH, CHAT, simulate="html")

    assert (answer.status_code, answer.text[:9]) == (200, "<!doctype")
    assert outcomes(simulator) == [("refused", False)]


def test_a_timeout_after_acceptance_has_cost_money(simulator: Any) -> None:
    answer = simulator.post(KLING, {**VIDEO, "external_task_id": "lost"}, simulate="timeout_after_accept delay=0.1")

    assert answer.status_code == 504
    assert outcomes(simulator) == [("accepted", True)]
    assert simulator.get(f"{KLING}/lost").json()["code"] == 0


def test_a_hanging_call_is_paid_and_the_client_gives_up_first(simulator: Any) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        simulator.http.post(CHAT_PATH, json=CHAT, headers={"x-simulate": "hang_after_accept"}, timeout=0.7)

    assert outcomes(simulator) == [("accepted", True)]


def test_a_hanging_call_ends_by_itself_after_its_delay(simulator: Any) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        simulator.post(KLING, VIDEO, simulate="hang_after_accept delay=0.1")


def test_a_reset_closes_the_connection_without_an_answer(simulator: Any) -> None:
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        simulator.post("/suno/submit/music", {"prompt": "x"}, simulate="reset_after_accept")

    assert outcomes(simulator) == [("accepted", True)]


def test_truncated_json_ends_in_the_middle(simulator: Any) -> None:
    answer = simulator.post(KLING, VIDEO, simulate="truncated_json")

    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert outcomes(simulator) == [("accepted", True)]


def test_a_wrong_shape_is_json_without_an_id(simulator: Any) -> None:
    answer = simulator.post(FLUX, {"input": {"prompt": "x"}}, simulate="wrong_shape")

    assert answer.json() == {"ok": True, "result": "done"}


@pytest.mark.parametrize(("fault", "word"), [("moderation", "risk control"), ("failed", "task failed")])
def test_a_task_fails_with_a_reason_and_is_refunded(simulator: Any, fault: str, word: str) -> None:
    body = {**VIDEO, "prompt": f"a kite [[simulate:{fault}]]"}
    task_id = simulator.post(KLING, body).json()["data"]["task_id"]

    last = simulator.poll(f"{KLING}/{task_id}", lambda answer: answer["data"]["task_status"] == "failed")[-1]

    assert word in last["data"]["task_status_msg"]
    finished = simulator.finished()
    assert (finished["outcome"], finished["refunded"], finished["files"]) == ("failed", True, [])


def test_a_failed_song_says_why_with_http_200(simulator: Any) -> None:
    task_id = simulator.post("/suno/submit/music", {"prompt": "x"}, simulate="moderation").json()["data"]

    last = simulator.poll(f"/suno/fetch/{task_id}", lambda answer: answer["data"]["status"] == "FAILURE")[-1]

    assert last["data"]["fail_reason"] == "prompt rejected by moderation"
    assert last["data"]["data"] == []


@pytest.mark.parametrize(
    ("path", "body", "empty"),
    [
        (IMAGES, {"model": "gpt-image-1", "prompt": "x"}, {"data": []}),
        (IMAGES, {"model": "seedream-4-0-250828", "prompt": "x"}, {"data": []}),
        (CHAT_PATH, CHAT, {"choices": []}),
    ],
)
def test_no_outputs_is_success_with_nothing_in_it(simulator: Any, path: str, body: dict[str, Any], empty: dict[str, Any]) -> None:
    answer = simulator.post(path, body, simulate="no_outputs")

    assert answer.status_code == 200
    assert answer.json() | empty == answer.json()


def test_speech_without_output_is_an_empty_body(simulator: Any) -> None:
    answer = simulator.post("/v1/audio/speech", SPEECH, simulate="no_outputs")

    assert (answer.status_code, answer.content) == (200, b"")


def test_a_task_without_outputs_succeeds_all_the_same(simulator: Any) -> None:
    kling = simulator.post(KLING, VIDEO, simulate="no_outputs").json()["data"]["task_id"]
    suno = simulator.post("/suno/submit/music", {"prompt": "x"}, simulate="no_outputs").json()["data"]
    flux = simulator.post(FLUX, {"input": {"prompt": "x"}}, simulate="no_outputs").json()["id"]

    video = simulator.poll(f"{KLING}/{kling}", lambda answer: answer["data"]["task_status"] == "succeed")[-1]
    song = simulator.poll(f"/suno/fetch/{suno}", lambda answer: answer["data"]["status"] == "SUCCESS")[-1]
    picture = simulator.poll(f"/replicate/v1/predictions/{flux}", lambda answer: answer["status"] == "succeeded")[-1]
    assert video["data"]["task_result"] == {"videos": []}
    assert song["data"]["data"] == []
    assert picture["output"] is None


def image_link(simulator: Any, fault: str) -> str:
    """The link of a finished prediction whose file has this fault."""
    prediction = simulator.post(FLUX, {"input": {"prompt": f"a kite [[simulate:{fault}]]"}}).json()
    path = f"/replicate/v1/predictions/{prediction['id']}"
    url: str = simulator.poll(path, lambda answer: answer["status"] == "succeeded")[-1]["output"][0]
    return url


def test_a_dead_link_stays_dead(simulator: Any) -> None:
    url = image_link(simulator, "dead_link status=403")

    assert [simulator.get(url).status_code for _ in range(2)] == [403, 403]


def test_a_link_that_is_dead_once_works_the_second_time(simulator: Any) -> None:
    url = image_link(simulator, "dead_link_once")

    assert [simulator.get(url).status_code for _ in range(3)] == [404, 200, 200]


def test_a_slow_body_drips_and_is_whole(simulator: Any) -> None:
    url = image_link(simulator, "slow_body seconds=0.5")

    before = time.monotonic()
    content = simulator.get(url).content

    assert time.monotonic() - before > 0.45
    Image.open(io.BytesIO(content)).load()


def test_a_truncated_body_breaks_off(simulator: Any) -> None:
    url = image_link(simulator, "truncated_body")

    with pytest.raises(httpx2.RemoteProtocolError):
        simulator.get(url)


@pytest.mark.parametrize("path_and_body", [("/v1/audio/speech", SPEECH), (IMAGES, {"model": "gpt-image-1", "prompt": "x"})])
def test_outputs_inside_the_answer_break_off_with_it(simulator: Any, path_and_body: tuple[str, dict[str, Any]]) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        simulator.post(*path_and_body, simulate="truncated_body")


def test_links_of_a_direct_answer_can_be_dead(simulator: Any) -> None:
    (item,) = simulator.post(IMAGES, DALLE, simulate="dead_link").json()["data"]

    assert simulator.get(item["url"]).status_code == 404


def test_a_task_that_never_finishes_keeps_processing(simulator: Any) -> None:
    simulator.control(latency={"video": 0})
    task_id = simulator.post(KLING, VIDEO, simulate="never_finishes").json()["data"]["task_id"]
    done = simulator.post(KLING, VIDEO).json()["data"]["task_id"]

    simulator.poll(f"{KLING}/{done}", lambda answer: answer["data"]["task_status"] == "succeed")

    assert simulator.get(f"{KLING}/{task_id}").json()["data"]["task_status"] == "processing"


@pytest.mark.parametrize(
    ("submit", "body", "poll", "status"),
    [
        (KLING, VIDEO, KLING, 400),
        ("/suno/submit/music", {"prompt": "x"}, "/suno/fetch", 400),
        (FLUX, {"input": {"prompt": "x"}}, "/replicate/v1/predictions", 404),
    ],
)
def test_a_task_can_be_invisible_at_first(simulator: Any, submit: str, body: dict[str, Any], poll: str, status: int) -> None:
    answer = simulator.post(submit, body, simulate="not_yet_visible seconds=0.3").json()
    data = answer.get("data", answer)
    task_id = data if isinstance(data, str) else data.get("task_id") or data["id"]

    first = simulator.get(f"{poll}/{task_id}")

    assert first.status_code == status
    if status == 400:
        assert first.json()["code"] == "task_not_exist"
    deadline = time.monotonic() + 5
    while simulator.get(f"{poll}/{task_id}").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_unknown_status_is_shown_for_a_few_polls(simulator: Any) -> None:
    simulator.control(latency=0)
    fault = "unknown_status polls=2 word=dreaming"
    prediction = simulator.post(FLUX, {"input": {"prompt": "x"}}, simulate=fault).json()
    path = f"/replicate/v1/predictions/{prediction['id']}"

    words = [simulator.get(path).json()["status"] for _ in range(3)]

    assert words[:2] == ["dreaming", "dreaming"]
    assert words[2] in {"processing", "succeeded"}


def test_a_rule_strikes_as_often_as_it_says_and_only_where_it_fits(simulator: Any) -> None:
    rule = {"match": {"operation": "suno.music"}, "fault": "rate_limit", "times": 2, "retry_after": 3}
    assert simulator.control(faults=[rule]).json()["faults"][0]["left"] == 2

    assert simulator.post(CHAT_PATH, CHAT).status_code == 200
    answers = [simulator.post("/suno/submit/music", {"prompt": "x"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "3"
    assert simulator.get("/_simulator/control").json()["faults"] == []


def test_a_rule_can_match_polls_models_and_words(simulator: Any) -> None:
    simulator.control(
        faults=[
            {"match": {"on": "poll", "operation": "kling.text_to_video"}, "fault": "server_error"},
            {"match": {"model": "gpt-4o", "prompt_contains": "storm"}, "fault": "no_money", "times": None},
        ]
    )
    task_id = simulator.post(KLING, VIDEO).json()["data"]["task_id"]
    storm = {**CHAT, "messages": [{"role": "user", "content": "a storm"}]}

    assert [simulator.get(f"{KLING}/{task_id}").status_code for _ in range(2)] == [500, 200]
    assert [simulator.post(CHAT_PATH, body).status_code for body in (CHAT, storm, storm)] == [200, 403, 403]


def test_a_directive_with_times_lets_the_repeated_call_through(simulator: Any) -> None:
    body = {**VIDEO, "prompt": "a kite [[simulate:unavailable times=2]]"}

    assert [simulator.post(KLING, body).status_code for _ in range(3)] == [503, 503, 200]


def test_a_directive_can_spoil_the_polls(simulator: Any) -> None:
    body = {**VIDEO, "prompt": "a kite [[simulate:html on=poll times=1]] [[simulate:truncated_json on=poll times=2]]"}
    task_id = simulator.post(KLING, body).json()["data"]["task_id"]

    answers = [simulator.get(f"{KLING}/{task_id}") for _ in range(3)]

    assert answers[0].text.startswith("<!doctype html>")
    assert not answers[1].text.endswith("}")
    assert answers[2].json()["code"] == 0


def test_a_header_on_a_poll_spoils_that_poll(simulator: Any) -> None:
    task_id = simulator.post(KLING, VIDEO).json()["data"]["task_id"]

    limited = simulator.get(f"{KLING}/{task_id}", headers={"x-simulate": "rate_limit"})

    assert (limited.status_code, limited.json()["code"]) == (429, 1303)
    assert simulator.get(f"{KLING}/{task_id}").status_code == 200


def test_names_nobody_knows_are_reported_and_change_nothing(simulator: Any) -> None:
    body = {**CHAT, "messages": [{"role": "user", "content": "hi [[simulate:thunder]]"}]}

    answer = simulator.post(CHAT_PATH, body, simulate="rain, unknown_status")

    assert answer.status_code == 200
    warning = answer.headers["x-simulator-warning"]
    assert warning == "unknown fault rain; unknown_status needs a task; unknown fault thunder"


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_can_be_asked_of_a_task_without_breaking_the_simulator(simulator: Any, fault: str) -> None:
    try:
        simulator.post("/suno/submit/music", {"prompt": "x"}, simulate=f"{fault} delay=0.01")
    except httpx2.RemoteProtocolError:
        assert fault in {"reset_after_accept", "hang_after_accept"}
    (row,) = simulator.ledger(event="paid_call")

    assert row["fault"] == fault
    assert row["charged"] is (FAULTS[fault] != "refusal")
