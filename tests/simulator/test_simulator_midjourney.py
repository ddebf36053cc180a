"""Midjourney. Source of every expectation: midjourney.md."""

from __future__ import annotations

import base64
import io
import queue
from typing import Any

import av
import pytest
from PIL import Image

IMAGINE = "/mj/submit/imagine"
ROBOT = {"prompt": "a tin robot --ar 1:1", "botType": "MID_JOURNEY", "state": "job-42"}


def is_over(task: dict[str, Any]) -> bool:
    return task["status"] in ("SUCCESS", "FAILURE")


def data_uri(side: int = 16, mode: str = "RGB") -> str:
    content = io.BytesIO()
    Image.new(mode, (side, side)).save(content, "png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def begun(simulator: Any, what: str, body: dict[str, Any], simulate: str = "") -> str:
    """The id of a submit that was accepted."""
    answer = simulator.post(f"/mj/submit/{what}", body, simulate).json()
    assert answer["code"] == 1, answer
    task_id: str = answer["result"]
    return task_id


def finished(simulator: Any, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = simulator.poll(f"/mj/task/{task_id}/fetch", is_over)[-1]
    assert task["status"] == "SUCCESS", task
    return task


def done(simulator: Any, what: str, body: dict[str, Any], simulate: str = "") -> dict[str, Any]:
    return finished(simulator, begun(simulator, what, body, simulate))


def button(task: dict[str, Any], start: str) -> dict[str, Any]:
    """The body that presses the button whose custom id begins so."""
    custom_id = next(one["customId"] for one in task["buttons"] if one["customId"].startswith(f"MJ::{start}"))
    return {"taskId": task["id"], "customId": custom_id}


def picture(simulator: Any, url: str) -> Any:
    image: Any = Image.open(io.BytesIO(simulator.get(url).raise_for_status().content))
    image.load()
    return image


@pytest.fixture
def robot(simulator: Any) -> dict[str, Any]:
    """A finished grid."""
    return done(simulator, "imagine", ROBOT)


@pytest.fixture
def upscaled(simulator: Any, robot: dict[str, Any]) -> dict[str, Any]:
    """A finished single with all its buttons."""
    return done(simulator, "action", button(robot, "JOB::upsample::2"))


def test_an_imagine_is_one_grid_behind_the_image_proxy(simulator: Any) -> None:
    answer = simulator.post(IMAGINE, ROBOT)

    submitted = answer.json()
    assert (answer.status_code, submitted["code"], submitted["description"]) == (200, 1, "Submission successful")
    assert submitted["result"].isdecimal()
    assert len(submitted["result"]) == 16
    assert set(submitted["properties"]) == {"discordInstanceId", "discordChannelId"}
    task = finished(simulator, submitted["result"])
    assert (task["action"], task["progress"], task["prompt"], task["state"]) == ("IMAGINE", "100%", ROBOT["prompt"], "job-42")
    assert task["finishTime"] >= task["startTime"] >= task["submitTime"] > 1_700_000_000_000
    assert task["imageUrl"] == f"{simulator.url}/mj/image/{submitted['result']}"
    assert (task["videoUrl"], task["videoUrls"], "image_urls" in task) == ("", None, False)
    assert task["properties"]["finalPrompt"] == ROBOT["prompt"]
    assert picture(simulator, task["imageUrl"]).size == (1024, 1024)
    assert [row["operation"] for row in simulator.ledger(charged="true")] == ["midjourney.imagine"]


def test_the_picture_needs_no_key(simulator: Any, robot: dict[str, Any]) -> None:
    answer = simulator.get(robot["imageUrl"], headers={"authorization": ""})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")


def test_a_picture_nobody_knows_is_400(simulator: Any) -> None:
    answer = simulator.get("/mj/image/404")

    assert (answer.status_code, answer.json()) == (400, {"error": "midjourney_task_not_found"})


def test_status_walks_and_the_preview_is_not_the_picture(simulator: Any) -> None:
    simulator.control(latency={"image": 2.0})
    task_id = begun(simulator, "imagine", ROBOT)

    half = simulator.poll(f"/mj/task/{task_id}/fetch", lambda task: bool(task["imageUrl"]))
    preview = picture(simulator, half[-1]["imageUrl"])
    rest = simulator.poll(f"/mj/task/{task_id}/fetch", is_over)

    words = list(dict.fromkeys(task["status"] for task in half + rest))
    assert words[-2:] == ["IN_PROGRESS", "SUCCESS"]
    assert words == [word for word in ("", "NOT_START", "SUBMITTED", "IN_PROGRESS", "SUCCESS") if word in words]
    assert "?rand=" in half[-1]["imageUrl"]
    assert half[-1]["buttons"] == []
    assert preview.size == (128, 128)
    assert rest[-1]["imageUrl"] == half[-1]["imageUrl"].partition("?")[0]


def test_the_status_is_empty_before_the_gateway_has_asked_the_proxy(simulator: Any) -> None:
    simulator.control(latency={"image": 120})

    task = simulator.get(f"/mj/task/{begun(simulator, 'imagine', ROBOT)}/fetch").json()

    assert (task["status"], task["startTime"], task["imageUrl"]) == ("", 0, "")


def test_the_aspect_ratio_of_the_prompt_shapes_the_grid(simulator: Any) -> None:
    width, height = picture(simulator, done(simulator, "imagine", {"prompt": "a road --ar 16:9 --v 7"})["imageUrl"]).size

    assert abs(width / height - 16 / 9) < 0.02


@pytest.mark.parametrize("prefix", ["/mj-fast/mj", "/mj-relax/mj", "/mj-turbo/mj"])
def test_the_speed_stands_in_the_path_and_polls_do_not_need_it(simulator: Any, prefix: str) -> None:
    task_id = simulator.post(f"{prefix}/submit/imagine", ROBOT).json()["result"]

    assert finished(simulator, task_id)["id"] == task_id


def test_an_upscale_is_the_tile_of_the_grid_alone_and_larger(simulator: Any, robot: dict[str, Any]) -> None:
    assert [one["label"] for one in robot["buttons"]] == ["U1", "U2", "U3", "U4", "", "V1", "V2", "V3", "V4"]

    single = done(simulator, "action", {**button(robot, "JOB::upsample::2"), "state": "up"})

    grid, tile = picture(simulator, robot["imageUrl"]), picture(simulator, single["imageUrl"])
    assert (single["action"], single["state"], tile.size) == ("UPSCALE", "up", (1024, 1024))
    for x, y in ((5, 5), (500, 5), (5, 500)):
        expected, actual = grid.getpixel((512 + x, y)), tile.getpixel((x * 2, y * 2))
        assert max(abs(a - b) for a, b in zip(expected, actual, strict=True)) < 24


@pytest.mark.parametrize(("start", "action"), [("JOB::variation::1", "VARIATION"), ("JOB::reroll", "REROLL")])
def test_a_grid_becomes_other_grids(simulator: Any, robot: dict[str, Any], start: str, action: str) -> None:
    task = done(simulator, "action", button(robot, start))

    made = picture(simulator, task["imageUrl"])
    assert (task["action"], made.size) == (action, (1024, 1024))
    assert made.tobytes() != picture(simulator, robot["imageUrl"]).tobytes()
    assert len(task["buttons"]) == 9


@pytest.mark.parametrize(
    ("start", "action", "size"),
    [
        ("JOB::upsample_v7_2x_subtle", "UPSCALE", (2048, 2048)),
        ("JOB::low_variation", "LOW_VARIATION", (1024, 1024)),
        ("Outpaint::50", "ZOOM", (1024, 1024)),
        ("JOB::pan_left", "PAN", (1536, 1024)),
    ],
)
def test_a_single_has_buttons_of_its_own(
    simulator: Any, upscaled: dict[str, Any], start: str, action: str, size: tuple[int, int]
) -> None:
    task = done(simulator, "action", button(upscaled, start))

    assert (task["action"], picture(simulator, task["imageUrl"]).size) == (action, size)


def test_a_single_can_be_animated(simulator: Any, upscaled: dict[str, Any]) -> None:
    task = done(simulator, "action", button(upscaled, "JOB::animate_low"))

    assert (task["action"], task["imageUrl"], len(task["videoUrls"])) == ("VIDEO", "", 4)


def test_newer_versions_have_fewer_buttons(simulator: Any) -> None:
    grid = done(simulator, "imagine", {"prompt": "a tin robot --v 8"})
    single = done(simulator, "action", button(grid, "JOB::upsample::1"))

    ids = " ".join(one["customId"] for one in single["buttons"])
    assert "Inpaint" in ids
    assert "Zoom" not in ids
    assert "pan_" not in ids


def test_a_custom_zoom_waits_for_its_modal_and_only_that_costs(simulator: Any, upscaled: dict[str, Any]) -> None:
    paid = len(simulator.ledger(charged="true"))
    answer = simulator.post("/mj/submit/action", {**button(upscaled, "CustomZoom"), "state": "zoom"})

    opened = answer.json()
    assert (answer.status_code, opened["code"], opened["description"]) == (200, 21, "Waiting for window confirm")
    assert opened["properties"] == {"finalPrompt": ROBOT["prompt"], "remix": False}
    waiting = simulator.get(f"/mj/task/{opened['result']}/fetch").json()
    assert (waiting["action"], waiting["status"], waiting["progress"], waiting["buttons"]) == ("ZOOM", "MODAL", "0%", [])
    assert len(simulator.ledger(charged="true")) == paid
    missing = simulator.post("/mj/submit/modal", {"taskId": opened["result"]})
    assert (missing.status_code, missing.json()["description"]) == (400, "prompt_is_required ")

    body = {"taskId": opened["result"], "prompt": "a tin robot in a desert --zoom 1.8"}
    confirmed = simulator.post("/mj/submit/modal", body).json()

    assert (confirmed["code"], confirmed["result"]) == (1, opened["result"])
    task = finished(simulator, opened["result"])
    assert (task["action"], task["prompt"], task["state"]) == ("ZOOM", body["prompt"], "zoom")
    assert picture(simulator, task["imageUrl"]).size == (1024, 1024)
    assert [row["operation"] for row in simulator.ledger(charged="true")][paid:] == ["midjourney.modal"]
    again = simulator.post("/mj/submit/modal", body)
    assert (again.status_code, again.json()["code"]) == (200, 4)


def test_a_region_is_repainted_with_a_mask(simulator: Any, upscaled: dict[str, Any]) -> None:
    opened = simulator.post("/mj/submit/action", button(upscaled, "Inpaint")).json()
    body = {"taskId": opened["result"], "prompt": "a red door"}

    unmasked = simulator.post("/mj/submit/modal", body).json()
    confirmed = simulator.post("/mj/submit/modal", {**body, "maskBase64": data_uri(mode="L")}).json()

    assert (opened["code"], unmasked["code"], confirmed["code"]) == (21, 4, 1)
    assert finished(simulator, confirmed["result"])["action"] == "INPAINT"


def test_what_was_to_go_wrong_with_the_action_goes_wrong_after_the_modal(simulator: Any, upscaled: dict[str, Any]) -> None:
    opened = simulator.post("/mj/submit/action", button(upscaled, "CustomZoom"), simulate="moderation").json()
    assert simulator.get(f"/mj/task/{opened['result']}/fetch").json()["status"] == "MODAL"
    simulator.post("/mj/submit/modal", {"taskId": opened["result"], "prompt": "a desert --zoom 2"})

    last = simulator.poll(f"/mj/task/{opened['result']}/fetch", is_over)[-1]

    assert (last["status"], "Banned prompt" in last["failReason"]) == ("FAILURE", True)


def test_a_remix_opens_a_modal_though_the_code_is_1(simulator: Any, robot: dict[str, Any]) -> None:
    opened = begun(simulator, "action", {**button(robot, "JOB::variation::3"), "enableRemix": True})
    assert simulator.get(f"/mj/task/{opened}/fetch").json()["status"] == "MODAL"

    begun(simulator, "modal", {"taskId": opened, "prompt": "a brass robot"})

    assert finished(simulator, opened)["properties"]["finalPrompt"] == "a brass robot"
    assert [row["operation"] for row in simulator.ledger(charged="true")][1:] == ["midjourney.action", "midjourney.modal"]


def test_an_action_needs_a_button_of_its_parent(simulator: Any, robot: dict[str, Any]) -> None:
    other = done(simulator, "imagine", ROBOT)
    foreign = {**button(other, "JOB::upsample::1"), "taskId": robot["id"]}

    answers = [
        simulator.post("/mj/submit/action", body)
        for body in (foreign, {"taskId": robot["id"]}, {**button(robot, "JOB::reroll"), "taskId": "404"})
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert [answer.json()["description"] for answer in answers] == ["unknown_action ", "custom_id_is_required ", "task_not_found "]
    assert {answer.json()["code"] for answer in answers} == {4}


def test_a_parent_must_be_a_success(simulator: Any) -> None:
    task_id = begun(simulator, "imagine", ROBOT, "never_finishes")

    answer = simulator.post("/mj/submit/action", {"taskId": task_id, "customId": "MJ::JOB::upsample::1::x"})

    assert answer.status_code == 400
    assert answer.json() == {"description": "task_status_not_success ", "type": "upstream_error", "code": 4}


def test_a_blend_mixes_two_to_five_pictures(simulator: Any) -> None:
    task = done(simulator, "blend", {"base64Array": [data_uri(), data_uri(17)], "dimensions": "PORTRAIT"})

    width, height = picture(simulator, task["imageUrl"]).size
    assert (task["action"], task["prompt"], width / height) == ("BLEND", "", 2 / 3)


def test_a_describe_answers_with_four_prompts(simulator: Any) -> None:
    task = done(simulator, "describe", {"base64": data_uri(24)})

    prompts = task["properties"]["finalPrompt"].split("\n\n")
    assert [prompt[0] for prompt in prompts] == ["1", "2", "3", "4"]
    assert all(prompt[1:3] == "\ufe0f\u20e3" for prompt in prompts)
    assert (task["action"], task["buttons"]) == ("DESCRIBE", [])
    assert picture(simulator, task["imageUrl"]).size == (24, 24)
    assert simulator.finished()["files"] == []
    assert done(simulator, "describe", {"link": "https://example.net/cat.png"})["imageUrl"] == "https://example.net/cat.png"


def test_an_edit_is_one_step(simulator: Any) -> None:
    body = {"image": data_uri(mode="RGBA"), "prompt": "a red door --ar 3:2", "maskBase64": data_uri(mode="L")}
    task = done(simulator, "edits", body)

    assert (task["action"], len(task["buttons"])) == ("EDITS", 9)
    assert picture(simulator, task["imageUrl"]).size[0] > 1024


def test_a_video_task_makes_four_clips_and_one_of_them_can_go_on(simulator: Any) -> None:
    answer = simulator.post("/mj/submit/video", {"motion": "low", "image": data_uri(), "prompt": "it waves"}).json()
    assert answer["properties"] == {"prompt": "it waves"}
    task = finished(simulator, answer["result"])

    assert task["videoUrl"] == task["videoUrls"][0]["url"]
    contents = [simulator.get(one["url"]).content for one in task["videoUrls"]]
    assert len(set(contents)) == 4
    more = {"motion": "high", "action": "extend", "index": 3, "taskId": task["id"], "image": "", "batchSize": 1}
    longer = done(simulator, "video", more)
    seconds = []
    for content in (contents[3], simulator.get(longer["videoUrl"]).content):
        with av.open(io.BytesIO(content), "r") as file:
            assert file.duration is not None
            assert file.streams.video[0].codec_context.name == "h264"
            seconds.append(round(file.duration / 1e6))
    assert seconds == [5, 9]
    assert len(longer["videoUrls"]) == 1


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("imagine", {"prompt": "x", "base64Array": ["https://example.net/a.png"]}),
        ("imagine", {"prompt": "x", "botType": "NIJI"}),
        ("imagine", {"prompt": "x", "state": "x" * 256}),
        ("imagine", {"prompt": "x", "notifyHook": "ftp://example.net"}),
        ("imagine", {"prompt": "x", "accountFilter": {"modes": ["SLOW"]}}),
        ("imagine", {"prompt": ["x"]}),
        ("blend", {"base64Array": [data_uri()]}),
        ("blend", {"base64Array": [data_uri()] * 6}),
        ("blend", {"base64Array": [data_uri()] * 2, "dimensions": "WIDE"}),
        ("describe", {}),
        ("describe", {"base64": "data:image/png;base64,%%%"}),
        ("edits", {"prompt": "x"}),
        ("edits", {"prompt": "x", "image": "cat.png"}),
        ("edits", {"prompt": "x", "image": data_uri(), "maskBase64": "https://example.net/a.png"}),
        ("video", {"image": data_uri()}),
        ("video", {"image": data_uri(), "motion": "medium"}),
        ("video", {"motion": "low"}),
        ("video", {"motion": "low", "action": "extend", "index": 0}),
        ("video", {"motion": "low", "image": data_uri(), "batchSize": 3}),
    ],
    ids=str,
)
def test_the_proxy_refuses_with_code_4_in_http_200(simulator: Any, what: str, body: dict[str, Any]) -> None:
    answer = simulator.post(f"/mj/submit/{what}", body)

    refused = answer.json()
    assert (answer.status_code, refused["code"], refused["result"]) == (200, 4, "")
    assert set(refused) == {"code", "description", "properties", "result"}
    assert [row["outcome"] for row in simulator.ledger(event="paid_call")] == ["refused"]


@pytest.mark.parametrize("what", ["imagine", "edits"])
def test_the_gateway_itself_misses_the_prompt(simulator: Any, what: str) -> None:
    answer = simulator.post(f"/mj/submit/{what}", {"image": data_uri()})

    assert answer.status_code == 400
    assert answer.json() == {"description": "prompt_is_required ", "type": "upstream_error", "code": 4}


@pytest.mark.parametrize(("code", "status"), [(3, 200), (4, 400), (5, 400), (9, 200), (23, 200), (24, 200), (30, 429)])
def test_every_refusing_code_can_be_asked_for(simulator: Any, code: int, status: int) -> None:
    by_variant = simulator.post(IMAGINE, {"prompt": f"x [[simulate:variant code={code}]]"})
    by_fault = simulator.post(IMAGINE, ROBOT, simulate=f"invalid code={code}")

    assert (by_variant.status_code, by_variant.json()["code"]) == (status, code)
    assert by_fault.json() == by_variant.json()
    assert [row["charged"] for row in simulator.ledger()] == [False, False]
    if code == 24:
        assert set(by_fault.json()["properties"]) == {"promptEn", "bannedWord"}


def test_a_queued_submit_has_been_accepted(simulator: Any) -> None:
    answer = simulator.post(IMAGINE, ROBOT, simulate="variant code=22").json()

    assert (answer["code"], answer["properties"]["numberOfQueues"]) == (22, 3)
    assert finished(simulator, answer["result"])["imageUrl"]


def test_code_5_may_have_accepted(simulator: Any) -> None:
    answer = simulator.post(IMAGINE, ROBOT, simulate="variant code=5 accepted=yes")

    assert (answer.status_code, answer.json()["code"]) == (400, 5)
    assert [row["charged"] for row in simulator.ledger(event="paid_call")] == [True]


def test_code_21_leads_to_the_work_that_exists(simulator: Any, robot: dict[str, Any]) -> None:
    press = button(robot, "JOB::upsample::1")
    first = done(simulator, "action", press)

    again = simulator.post("/mj/submit/action", {**press, "state": "again"}, simulate="variant code=21").json()

    assert (again["code"], again["result"]) == (21, first["id"])
    assert again["properties"] == {"status": "SUCCESS", "imageUrl": first["imageUrl"]}
    charged = [row["charged"] for row in simulator.ledger(event="paid_call", operation="midjourney.action")]
    assert charged == [True, False]


def test_code_21_without_earlier_work_begins_it(simulator: Any) -> None:
    answer = simulator.post(IMAGINE, {"prompt": "x [[simulate:variant code=21]]"}).json()

    assert answer["code"] == 21
    assert answer["properties"]["imageUrl"].endswith(answer["result"])
    assert finished(simulator, answer["result"])["imageUrl"] == answer["properties"]["imageUrl"]


def test_a_code_nobody_knows_is_reported(simulator: Any) -> None:
    answer = simulator.post(IMAGINE, ROBOT, simulate="variant code=77")

    assert (answer.json()["code"], answer.headers["x-simulator-warning"]) == (1, "77 is no submit code")


def test_other_shapes_can_be_asked_for(simulator: Any) -> None:
    answer = simulator.post(IMAGINE, ROBOT, simulate="variant result=integer, wrapped").json()
    assert isinstance(answer["result"], int)

    path = f"/mj/task/{answer['result']}/fetch"
    last = simulator.poll(path, lambda task: is_over(task["result"]))[-1]

    assert last["result"]["id"] == str(answer["result"])


@pytest.mark.parametrize("form", ["strings", "objects", "plus"])
def test_a_grid_can_come_in_tiles_too(simulator: Any, form: str) -> None:
    task = done(simulator, "imagine", {"prompt": f"x [[simulate:variant tiles={form}]]"})

    tiles = task["imageUrls"] if form == "plus" else task["image_urls"]
    links = tiles if form == "strings" else [tile["url"] for tile in tiles]
    assert all("thumbnail" in tile for tile in tiles) is (form == "plus")
    grid = picture(simulator, task["imageUrl"])
    for number, link in enumerate(links):
        left, top = number % 2 * 512, number // 2 * 512
        assert picture(simulator, link).tobytes() == grid.crop((left, top, left + 512, top + 512)).tobytes()


def test_a_failed_task_says_why_and_gives_the_money_back(simulator: Any) -> None:
    task_id = begun(simulator, "imagine", {"prompt": "x [[simulate:failed]]"})

    last = simulator.poll(f"/mj/task/{task_id}/fetch", is_over)[-1]

    assert (last["status"], last["progress"], last["imageUrl"], last["buttons"]) == ("FAILURE", "100%", "", [])
    assert last["failReason"].startswith("[Invalid parameter]")
    assert simulator.finished()["refunded"] is True


def test_a_success_can_be_empty(simulator: Any) -> None:
    task = done(simulator, "imagine", ROBOT, "no_outputs")
    words = done(simulator, "describe", {"base64": data_uri()}, "no_outputs")

    assert (task["imageUrl"], task["buttons"], words["properties"]) == ("", [], {})


def test_faults_of_a_file_strike_at_the_image_proxy(simulator: Any) -> None:
    task = done(simulator, "imagine", {"prompt": "x [[simulate:dead_link_once]]"})

    assert [simulator.get(task["imageUrl"]).status_code for _ in range(2)] == [404, 200]


@pytest.mark.parametrize(("fault", "status", "code"), [("rate_limit", 429, 30), ("no_money", 400, 4), ("error_in_200", 200, 9)])
def test_refusals_speak_in_submit_codes(simulator: Any, fault: str, status: int, code: int) -> None:
    answer = simulator.post(IMAGINE, ROBOT, simulate=fault)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(("fault", "status"), [("bad_key", 401), ("unavailable", 503), ("server_error", 500)])
def test_keys_and_channels_are_checked_before_the_relay(simulator: Any, fault: str, status: int) -> None:
    answer = simulator.post(IMAGINE, ROBOT, simulate=fault)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "comet_api_error")


def test_an_id_nobody_knows_and_one_not_yet_visible_look_the_same(simulator: Any) -> None:
    hidden = begun(simulator, "imagine", ROBOT, "not_yet_visible seconds=30")

    answers = [simulator.get(f"/mj/task/{task_id}/fetch") for task_id in (hidden, "404")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() == {"description": "task_no_found ", "type": "upstream_error", "code": 4}


def test_many_tasks_are_listed_at_once(simulator: Any) -> None:
    ids = [begun(simulator, "imagine", ROBOT), begun(simulator, "describe", {"base64": data_uri()})]

    listed = simulator.post("/mj/task/list-by-condition", {"ids": [*ids, "404"]})

    assert [task["id"] for task in listed.json()] == ids
    assert simulator.post("/mj/task/list-by-condition", {"ids": []}).json() == []
    assert simulator.post("/mj/task/list-by-condition", {}).json()["code"] == 4
    assert simulator.post("/mj/task/list-by-condition", {"ids": ids}, simulate="rate_limit").status_code == 429


def test_a_rule_about_polls_means_the_operation_that_was_bought(simulator: Any) -> None:
    simulator.control(faults=[{"match": {"on": "poll", "operation": "midjourney.describe"}, "fault": "server_error"}])
    picture_id, words_id = begun(simulator, "imagine", ROBOT), begun(simulator, "describe", {"base64": data_uri()})

    statuses = [simulator.get(f"/mj/task/{task_id}/fetch").status_code for task_id in (picture_id, words_id, words_id)]

    assert statuses == [200, 500, 200]


def test_the_hook_hears_of_every_change(simulator: Any, receiver: tuple[str, queue.Queue[dict[str, Any]]]) -> None:
    url, arrived = receiver
    simulator.control(latency={"image": 2.0})
    task_id = begun(simulator, "imagine", {**ROBOT, "notifyHook": url})

    heard = [arrived.get(timeout=10) for _ in range(3)]

    assert [task["status"] for task in heard] == ["SUBMITTED", "IN_PROGRESS", "SUCCESS"]
    assert {(task["id"], task["state"]) for task in heard} == {(task_id, "job-42")}
    assert simulator.get(heard[-1]["imageUrl"]).status_code == 200


def test_the_hook_hears_of_a_modal(
    simulator: Any, upscaled: dict[str, Any], receiver: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, arrived = receiver
    simulator.post("/mj/submit/action", {**button(upscaled, "Inpaint"), "notifyHook": url})

    assert arrived.get(timeout=10)["status"] == "MODAL"
