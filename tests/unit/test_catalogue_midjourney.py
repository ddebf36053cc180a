"""Midjourney: what is sent for every operation, what the documented answers mean, and what is refused before it costs.

Paths and answers are copied from the upstream facts (midjourney.md), not from the catalogue.
"""

from __future__ import annotations

import json
from copy import deepcopy
from graphlib import TopologicalSorter
from typing import Any

import pytest

from jobs import catalogue, references, submission
from jobs.catalogue import asking, media, wire
from jobs.catalogue.outcomes import Accepted, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running
from jobs.catalogue.spec import Operation
from jobs.validation import Problem, Refused

#: Operation → where it is submitted, below `/mj/submit`.
PATHS = {
    "imagine": "imagine",
    "action": "action",
    "modal": "modal",
    "blend": "blend",
    "describe": "describe",
    "edit": "edits",
    "video": "video",
}
PICTURES = ("imagine", "action", "modal", "blend", "edit")

TASK_ID = "1790000000000123"
SUBMITTED: dict[str, Any] = {
    "code": 1,
    "description": "Submission successful",
    "result": TASK_ID,
    "properties": {"discordInstanceId": "a1b2c3d4e5f60708", "discordChannelId": "a1b2c3d4e5f60708"},
}
U1 = "MJ::JOB::upsample::1::0f0f0f0f-1111-4222-8333-444444444444"
IMAGE = f"https://api.cometapi.com/mj/image/{TASK_ID}"
TILE = "https://tiles.example.net/0_0.png"
VIDEO = "https://videos.example.net/0_0.mp4"


def op_(name: str) -> Operation:
    found = catalogue.find(f"midjourney.{name}")
    assert found is not None
    return found


def body_(document: Any) -> bytes:
    return json.dumps(document).encode()


def task(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": TASK_ID,
        "action": "IMAGINE",
        "status": status,
        "progress": "46%",
        "prompt": "a tin robot --ar 1:1",
        "promptEn": "a tin robot --ar 1:1",
        "description": "/imagine a tin robot --ar 1:1",
        "state": "job-42",
        "submitTime": 1790000000100,
        "startTime": 1790000002100,
        "finishTime": 0,
        "imageUrl": "",
        "videoUrl": "",
        "failReason": "",
        "buttons": [],
        "properties": {},
        **more,
    }


DONE = task(
    "SUCCESS",
    progress="100%",
    finishTime=1790000061000,
    imageUrl=IMAGE,
    videoUrls=None,
    customId="",
    botType="",
    maskBase64="",
    buttons=[{"customId": U1, "emoji": "", "label": "U1", "type": 2, "style": 2}],
    properties={"finalPrompt": "a tin robot, final --ar 1:1", "finalZhPrompt": ""},
)


def outputs_of(outcome: Any) -> list[tuple[str, str]]:
    assert isinstance(outcome, Done), outcome
    return [(output["kind"], output.get("url") or output["text"]) for output in outcome.outputs]


def polled(name: str, answer: Any, status: int = 200) -> Any:
    return wire.read_poll(op_(name), status, {}, body_(answer))


# Requests -----------------------------------------------------------------------------------------------------------------


def filled(name: str) -> dict[str, Any]:
    """The example as it is when the jobs it waits for are done."""

    def value(reference: references.Reference) -> str:
        if reference.get is None:
            return "data:image/png;base64,aGVsbG8="
        return references.value_of(reference.get, {"upstream": {"task_id": TASK_ID}, "output": {"buttons": BUTTONS}})

    given: dict[str, Any] = references.replace(op_(name).example, value)
    return given


BUTTONS = [{"customId": f"id-of-{label}", "label": label} for label in ("U1", "U2", "V1", "V2")]


def test_every_operation_of_the_list_is_there() -> None:
    there_are = {name.partition(".")[2] for name, op in catalogue.all_operations().items() if op.provider == "midjourney"}
    assert there_are == set(PATHS)


@pytest.mark.parametrize("name", PATHS)
def test_an_example_is_submitted_with_our_address_and_asked_after_on_the_plain_route(name: str) -> None:
    given = filled(name)
    assert [error.message for error in op_(name).validator.iter_errors(given)] == []
    request = asking.submit_request(op_(name), given, "ref-1", "https://mill.example/in/x")
    assert (request.method, request.path, request.auth) == ("POST", f"/mj/submit/{PATHS[name]}", "bearer")
    assert request.json == given | {"notifyHook": "https://mill.example/in/x"}
    poll = asking.poll_request(op_(name), asking.Asked(given, "17/9"))
    assert (poll.method, poll.path, poll.json) == ("GET", "/mj/task/17%2F9/fetch", None)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("route", ["mj", "mj-fast/mj", "mj-relax/mj", "mj-turbo/mj"])
def test_the_speed_is_a_matter_of_the_path(name: str, route: str) -> None:
    request = asking.submit_request(op_(name), {**filled(name), "route": route}, "ref-1")
    assert request.path == f"/{route}/submit/{PATHS[name]}"
    assert request.json is not None
    assert "route" not in request.json
    assert asking.poll_request(op_(name), asking.Asked({"route": route}, "179")).path == "/mj/task/179/fetch"


def test_a_continued_video_is_sent_with_an_empty_picture() -> None:
    given = {"motion": "low", "action": "extend", "index": 0, "taskId": TASK_ID}
    assert asking.submit_request(op_("video"), given, "r").json == {**given, "image": ""}


def test_the_examples_wait_for_each_other_in_an_order_that_exists() -> None:
    waits = {f"midjourney.{name}": set(references.names(op_(name).example)) for name in PATHS}
    assert set(TopologicalSorter(waits).static_order()) == set(waits)


def test_the_form_of_the_modal_example_is_opened_by_the_action_example() -> None:
    """A variation opens a form where it is asked to; custom zoom and regions are buttons of upscaled pictures only."""
    assert filled("action") == {"taskId": TASK_ID, "customId": "id-of-V1", "enableRemix": True}
    assert references.names(op_("modal").example) == ["midjourney.action"]


def test_pictures_travel_as_data_uris() -> None:
    file = {"file": "file_" + "0" * 32}
    inputs: dict[str, dict[str, Any]] = {
        "imagine": {"prompt": "x", "base64Array": [file]},
        "blend": {"base64Array": [file, file]},
        "describe": {"link": file},
        "edit": {"image": file, "maskBase64": file},
        "modal": {"maskBase64": file},
        "video": {"image": file, "endImage": file},
    }
    found = {name: {place.path: place.forms for place in media.places(op_(name), given)} for name, given in inputs.items()}
    both, inline = ("data_uri", "url"), ("data_uri",)
    assert found == {
        "imagine": {("base64Array", 0): inline},
        "blend": {("base64Array", 0): inline, ("base64Array", 1): inline},
        "describe": {("link",): ("url",)},
        "edit": {("image",): both, ("maskBase64",): inline},
        "modal": {("maskBase64",): inline},
        "video": {("image",): both, ("endImage",): both},
    }


# Submits ------------------------------------------------------------------------------------------------------------------

FORM = {
    "code": 21,
    "description": "Waiting for window confirm",
    "result": TASK_ID,
    "properties": {"finalPrompt": "a tin robot", "remix": True},
}
AGAIN = {"code": 21, "description": "exists", "result": TASK_ID, "properties": {"status": "SUCCESS", "imageUrl": IMAGE}}
QUEUED = {
    "code": 22,
    "description": "queued",
    "result": TASK_ID,
    "properties": {"numberOfQueues": 3, "discordInstanceId": "a1"},
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("answer", "shared"),
    [
        (SUBMITTED, False),
        (SUBMITTED | {"result": int(TASK_ID)}, False),
        (SUBMITTED | {"code": "1", "description": "提交成功"}, False),
        (FORM, False),
        (QUEUED, False),
        (AGAIN, True),
        (AGAIN | {"properties": {"status": "IN_PROGRESS", "imageUrl": None}}, True),
    ],
)
def test_a_task_is_accepted_and_only_an_earlier_one_is_shared(name: str, answer: Any, shared: bool) -> None:
    outcome = wire.read_submit(op_(name), 200, {}, body_(answer))
    # The form of midjourney.modal belongs to the action's task.
    assert outcome == Accepted(TASK_ID, None, None, shared=shared or name == "modal")


def slug(code: int, description: str) -> dict[str, Any]:
    """The gateway's own refusal."""
    return {"description": description, "type": "upstream_error", "code": code}


def proxy(code: int, description: str = "当前服务不可用", **properties: Any) -> dict[str, Any]:
    """The proxy's, which the gateway passes on."""
    return {"code": code, "description": description, "result": "", "properties": properties}


LOST = "upstream_outcome_unknown"


@pytest.mark.parametrize(
    ("status", "answer", "outcome", "error"),
    [
        (200, proxy(23), NotAccepted, "rate_limited"),
        (200, proxy(9), NotAccepted, "upstream_unavailable"),
        (200, proxy(3), NotAccepted, "upstream_unavailable"),
        (429, slug(30, "group_saturated 当前分组负载已饱和"), NotAccepted, "rate_limited"),
        (200, proxy(30), NotAccepted, "rate_limited"),
        (200, proxy(24, "banned", promptEn="x", bannedWord="gore"), Rejected, "content_rejected"),
        (200, proxy(4), Rejected, "invalid_input"),
        (400, slug(4, "quota_not_enough "), Rejected, "upstream_payment"),
        (200, slug(4, "quota_not_enough "), Rejected, "upstream_payment"),
        (400, slug(4, "prompt_is_required "), Rejected, "invalid_input"),
        (400, slug(4, "task_not_found "), Rejected, "invalid_input"),
        (400, slug(4, "task_status_not_success "), Rejected, "invalid_input"),
        (400, slug(4, "custom_id_is_required "), Rejected, "invalid_input"),
        (400, slug(5, "do_request_failed "), Lost, LOST),
        (400, slug(5, "empty_response_body "), Lost, LOST),
        (200, proxy(5), Lost, LOST),
        (200, {"code": 1, "description": "ok", "result": ""}, Lost, LOST),
        (401, {"error": {"message": "invalid token (request id: 2026)", "type": "x", "code": ""}}, Rejected, "upstream_auth"),
        (403, {"error": {"message": "x", "type": "x", "code": "insufficient_user_quota"}}, Rejected, "upstream_payment"),
        (503, {"error": {"message": "x", "type": "x", "code": "model_not_found"}}, NotAccepted, "upstream_unavailable"),
    ],
)
def test_every_documented_refusal_means_the_same_for_every_operation(status: int, answer: Any, outcome: type, error: str) -> None:
    for name in PATHS:
        read = wire.read_submit(op_(name), status, {}, body_(answer))
        assert type(read) is outcome, (name, read)
        assert isinstance(read, Rejected | NotAccepted | Lost)
        assert read.error.code == error, name


def test_prose_of_the_proxy_does_not_decide() -> None:
    read = wire.read_submit(op_("imagine"), 200, {}, body_(proxy(4, "quota_not_enough, says the proxy")))
    assert isinstance(read, Rejected)
    assert read.error.code == "invalid_input"


def test_a_code_nobody_knows_is_not_sent_again_and_may_have_cost() -> None:
    read = wire.read_submit(op_("imagine"), 200, {}, body_(proxy(77, "what")))
    assert isinstance(read, Rejected)
    assert (read.error.code, read.error.may_have_been_charged) == ("upstream_failed", True)


def test_the_banned_word_is_told() -> None:
    read = wire.read_submit(op_("imagine"), 200, {}, body_(proxy(24, "banned", bannedWord="gore")))
    assert isinstance(read, Rejected)
    assert "banned: gore" in read.error.message


# Tasks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (task("", progress=""), Running),
        (task("NOT_START", progress="0%"), Running),
        (task("SUBMITTED"), Running),
        (task("IN_PROGRESS", imageUrl=f"{IMAGE}?rand=4"), Running),
        (task("DREAMING"), Running),
        (task("FAILURE", progress="", failReason="[Invalid parameter] unrecognized flag"), Failed),
        (task("CANCEL"), Failed),
        (task("SUCCESS", prompt="", promptEn=""), Failed),
        ({"id": TASK_ID}, Puzzling),
    ],
)
def test_a_task_goes_on_or_ends_as_it_says(name: str, wrapped: bool, answer: Any, outcome: type) -> None:
    assert type(polled(name, {"code": 1, "description": "ok", "result": answer} if wrapped else answer)) is outcome


def test_progress_and_the_reason_of_a_failure_are_told() -> None:
    assert polled("imagine", task("IN_PROGRESS")) == Running("IN_PROGRESS", 0.46)
    assert polled("imagine", task("", progress="")) == Running("NOT_START", None)
    failed = polled("imagine", task("FAILURE", failReason="[Invalid parameter] unrecognized flag"))
    assert failed.error.code == "upstream_failed"
    assert "unrecognized flag" in failed.error.message


@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [
        (400, slug(4, "task_no_found "), NotVisible),
        (200, slug(4, "task_no_found "), NotVisible),
        (400, slug(5, "do_request_failed "), Puzzling),
        (429, slug(30, "x"), Puzzling),
        (200, [], Puzzling),
    ],
)
def test_an_answer_that_is_no_task_ends_nothing(status: int, answer: Any, outcome: type) -> None:
    assert type(polled("imagine", answer, status)) is outcome


@pytest.mark.parametrize("name", [name for name in PATHS if name != "modal"])
def test_a_form_ends_the_job_that_opened_it(name: str) -> None:
    answer = task("MODAL", action="ZOOM", progress="0%", prompt="", promptEn="")
    for shape in (answer, {"code": 1, "result": answer}):
        outcome = polled(name, shape)
        assert outputs_of(outcome) == []
        assert (outcome.upstream_status, outcome.values["status"]) == ("MODAL", "MODAL")


def test_a_form_that_was_filled_in_is_read_in_time() -> None:
    assert polled("modal", task("MODAL", progress="0%")) == Running("MODAL", 0.0)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({}, [("image", IMAGE)]),
        ({"image_urls": [{"url": TILE}]}, [("image", IMAGE), ("image", TILE)]),
        ({"image_urls": [TILE, IMAGE]}, [("image", IMAGE), ("image", TILE)]),
        ({"imageUrls": [{"url": TILE, "thumbnail": "https://tiles.example.net/t.png"}]}, [("image", IMAGE), ("image", TILE)]),
        ({"image_urls": None, "imageUrls": []}, [("image", IMAGE)]),
        ({"videoUrl": VIDEO, "videoUrls": [{"url": VIDEO}]}, [("video", VIDEO)]),
    ],
)
def test_a_picture_comes_before_its_tiles_and_gives_way_to_videos(
    name: str, more: dict[str, Any], files: list[tuple[str, str]]
) -> None:
    for shape in (DONE | more, {"code": 1, "result": DONE | more}):
        outcome = polled(name, shape)
        assert outputs_of(outcome) == files
        assert outcome.values == {
            "action": "IMAGINE",
            "status": "SUCCESS",
            "buttons": [{"customId": U1, "label": "U1", "emoji": ""}],
            "final_prompt": "a tin robot, final --ar 1:1",
        }


@pytest.mark.parametrize(
    ("more", "videos"),
    [
        ({"videoUrl": VIDEO, "videoUrls": [{"url": VIDEO}, {"url": f"{VIDEO}?2"}]}, [VIDEO, f"{VIDEO}?2"]),
        ({"videoUrl": VIDEO, "videoUrls": None}, [VIDEO]),
        ({"videoUrl": VIDEO}, [VIDEO]),
    ],
)
def test_a_video_task_gives_its_videos(more: dict[str, Any], videos: list[str]) -> None:
    assert outputs_of(polled("video", DONE | more)) == [("video", url) for url in videos]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "a tin robot, final --ar 1:1"),
        ({"properties": {"finalPrompt": ""}, "promptEn": "1️⃣ one\n\n2️⃣ two"}, "1️⃣ one\n\n2️⃣ two"),
        ({"properties": None, "promptEn": None, "prompt": "one"}, "one"),
    ],
)
def test_a_description_is_a_text_and_the_picture_sent_is_none(more: dict[str, Any], said: str) -> None:
    outcome = polled("describe", DONE | more)
    assert outputs_of(outcome) == [("text", said)]
    assert outcome.values["text"] == said


@pytest.mark.parametrize("wrap", [lambda tasks: tasks, lambda tasks: {"code": 1, "description": "ok", "result": tasks}])
def test_many_tasks_are_asked_after_at_once(wrap: Any) -> None:
    request = asking.batch_poll_request(op_("imagine"), ["t1", "t2"])
    assert (request.method, request.path, request.json) == ("POST", "/mj/task/list-by-condition", {"ids": ["t1", "t2"]})
    tasks = [DONE | {"id": "t1"}, task("", id="t2"), DONE | {"id": "stranger"}, None, {}]
    asked = {name: asking.Asked({}, name) for name in ("t1", "t2", "t3")}
    found = wire.read_batch_poll(op_("imagine"), 200, {}, body_(wrap(tasks)), asked)
    assert isinstance(found, dict)
    assert {name: type(outcome) for name, outcome in found.items()} == {"t1": Done, "t2": Running}
    assert wire.read_batch_poll(op_("imagine"), 200, {}, body_(wrap([])), asked) == {}


# Inputs -------------------------------------------------------------------------------------------------------------------

URL = "https://x.example/a.png"
GONE = object()

GOOD: dict[str, dict[str, Any]] = {
    "imagine": {"prompt": "a tin robot --ar 1:1"},
    "action": {"taskId": TASK_ID, "customId": U1},
    "modal": {"taskId": TASK_ID, "prompt": "a tin robot --zoom 1.8"},
    "blend": {"base64Array": [URL, URL]},
    "describe": {"link": URL},
    "edit": {"image": URL, "prompt": "a hat"},
    "video": {"motion": "low", "image": URL},
}


def problems_of(name: str, changes: dict[str, Any]) -> list[Problem]:
    given = {field: value for field, value in (deepcopy(GOOD[name]) | changes).items() if value is not GONE}
    try:
        submission.check(
            {"operation": f"midjourney.{name}", "input": given}, callback=lambda _: None, files_missing=lambda _: set()
        )
    except Refused as refused:
        return refused.problems
    return []


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        ("imagine", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("imagine", {"prompt": " \n"}, "input.prompt", "blank"),
        ("imagine", {"botType": "DALL_E"}, "input.botType", "not_one_of"),
        ("imagine", {"base64Array": URL}, "input.base64Array", "wrong_type"),
        ("imagine", {"accountFilter": {"modes": ["SLOW"]}}, "input.accountFilter.modes[0]", "not_one_of"),
        ("imagine", {"state": "x" * 256}, "input.state", "too_long"),
        ("imagine", {"route": "mj-fast"}, "input.route", "not_one_of"),
        ("imagine", {"notifyHook": URL}, "input.notifyHook", "unknown_field"),
        ("action", {"taskId": GONE}, "input.taskId", "missing_field"),
        ("action", {"customId": GONE}, "input.customId", "missing_field"),
        ("action", {"customId": ""}, "input.customId", "too_short"),
        ("action", {"enableRemix": "yes"}, "input.enableRemix", "wrong_type"),
        ("modal", {"taskId": GONE}, "input.taskId", "missing_field"),
        ("modal", {"maskBase64": "white"}, "input.maskBase64", "wrong_form"),
        ("blend", {"base64Array": [URL]}, "input.base64Array", "too_few"),
        ("blend", {"base64Array": [URL] * 6}, "input.base64Array", "too_many"),
        ("blend", {"dimensions": "1:1"}, "input.dimensions", "not_one_of"),
        ("blend", {"prompt": "x"}, "input.prompt", "unknown_field"),
        ("describe", {"link": GONE}, "input", "wrong_form"),
        ("edit", {"image": GONE}, "input.image", "missing_field"),
        ("edit", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("video", {"motion": GONE}, "input.motion", "missing_field"),
        ("video", {"motion": "medium"}, "input.motion", "not_one_of"),
        ("video", {"image": GONE}, "input.image", "missing_field"),
        ("video", {"action": "extend", "taskId": TASK_ID}, "input.index", "missing_field"),
        ("video", {"action": "extend", "index": 0}, "input.taskId", "missing_field"),
        ("video", {"index": 4}, "input.index", "out_of_range"),
        ("video", {"batchSize": 3}, "input.batchSize", "not_one_of"),
    ],
)
def test_what_the_provider_would_refuse_is_refused_before_it_costs(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in {(problem.loc, problem.code) for problem in problems_of(name, changes)}


def test_a_description_is_of_one_picture() -> None:
    assert problems_of("describe", {"base64": "data:image/png;base64,aaaa"})
    assert not problems_of("describe", {"base64": "data:image/png;base64,aaaa", "link": GONE})


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("imagine", {"botType": "NIJI_JOURNEY", "base64Array": [], "accountFilter": {"modes": ["FAST", "RELAX"]}, "state": ""}),
        ("imagine", {"accountFilter": {"channelId": "c", "instanceId": "i", "remark": "r", "remix": True}}),
        ("modal", {"prompt": GONE, "maskBase64": "data:image/png;base64,aaaa"}),
        ("blend", {"base64Array": [URL] * 5, "dimensions": "PORTRAIT"}),
        ("edit", {"maskBase64": {"job": "job_1", "artifact": 0}}),
        ("video", {"image": GONE, "action": "extend", "index": 3, "taskId": TASK_ID}),
        ("video", {"endImage": URL, "loop": True, "videoType": "vid_1.1_i2v_720", "batchSize": 1, "motion": "high"}),
    ],
)
def test_an_input_at_the_edge_of_what_is_allowed_is_accepted(name: str, changes: dict[str, Any]) -> None:
    assert problems_of(name, changes) == []
