"""Bria: pictures, drawings, edits. Source: bria.md."""

from __future__ import annotations

import base64
import io
import time
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from PIL import Image

PICTURE = "/bria/text-to-image"
DRAWING = "/bria/text-to-vector"
EDIT = "/bria/image/edit"
LINK = "https://media.example.net/room.png"


def encoded(width: int = 300, height: int = 200, kind: str = "png") -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def finish(simulator: Any, action: str, body: dict[str, Any], simulate: str = "") -> list[dict[str, Any]]:
    created = simulator.post(f"{EDIT}/{action}", body, simulate)
    assert created.status_code == 202, created.text
    assert set(created.json()) == {"request_id", "status_url"}
    polls: list[dict[str, Any]] = simulator.poll(
        f"/bria/{created.json()['request_id']}", lambda task: task["status"] in ("COMPLETED", "ERROR", "UNKNOWN")
    )
    return polls


def image_size(simulator: Any, url: str) -> tuple[int, int]:
    image = Image.open(io.BytesIO(simulator.get(url).content))
    assert image.format == "PNG"
    return image.size


def test_pictures_come_at_once_each_with_its_seed(simulator: Any) -> None:
    answer = simulator.post(PICTURE, {"prompt": "a loft", "num_results": 2, "aspect_ratio": "16:9", "seed": 41})

    result = answer.json()["result"]
    assert [item["seed"] for item in result] == [41, 42]
    assert all(item["uuid"].endswith(f"_{item['seed']}") for item in result)
    assert [image_size(simulator, item["urls"][0]) for item in result] == [(1360, 768)] * 2
    assert simulator.get(result[0]["urls"][0]).content != simulator.get(result[1]["urls"][0]).content
    assert simulator.ledger(event="paid_call")[0]["operation"] == "bria.image_generation"


def test_four_pictures_are_the_default(simulator: Any) -> None:
    assert len(simulator.post(PICTURE, {"prompt": "a loft"}).json()["result"]) == 4


def test_moderation_refuses_the_whole_request(simulator: Any) -> None:
    answer = simulator.post(PICTURE, {"prompt": "a loft [[simulate:moderation]]"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, 422)
    assert answer.json()["request_id"]


def test_one_picture_can_be_blocked(simulator: Any) -> None:
    prompt = "a loft [[simulate:variant blocked=yes]]"

    first, second = simulator.post(PICTURE, {"prompt": prompt, "num_results": 2}).json()["result"]

    assert first["blocked"] is True
    assert "urls" not in first
    assert second["urls"]


def test_a_success_without_outputs_has_no_result(simulator: Any) -> None:
    assert simulator.post(PICTURE, {"prompt": "a loft"}, "no_outputs").json() == {"result": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": None},
        {"num_results": 5},
        {"aspect_ratio": "21:9"},
        {"medium": "sculpture"},
        {"seed": "7"},
        {"prompt_enhancement": "yes"},
        {"text_guidance_scale": "5"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [PICTURE, DRAWING])
def test_wrong_fields_come_in_the_gateway_envelope(simulator: Any, path: str, wrong: dict[str, Any]) -> None:
    answer = simulator.post(path, {"prompt": "a loft", **wrong})

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "comet_api_error")
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_a_drawing_waited_for_is_there(simulator: Any) -> None:
    answer = simulator.post(DRAWING, {"prompt": "a fox & a hen", "num_results": 1, "sync": True, "aspect_ratio": "2:3"})

    file = simulator.get(answer.json()["result"][0]["urls"][0])
    assert file.headers["content-type"].startswith("image/svg+xml")
    drawing = ElementTree.fromstring(file.text)
    assert (drawing.get("width"), drawing.get("height")) == ("832", "1248")


def test_a_drawing_not_waited_for_appears_later(simulator: Any) -> None:
    simulator.control(latency={"image": 0.5})
    (item,) = simulator.post(DRAWING, {"prompt": "a fox", "num_results": 1}).json()["result"]
    assert simulator.get(item["urls"][0]).status_code == 404
    assert [row["event"] for row in simulator.ledger()] == ["paid_call"]

    finished = simulator.finished()

    assert ElementTree.fromstring(simulator.get(item["urls"][0]).text).tag.endswith("svg")
    assert [file["name"] for file in finished["files"]] == [item["urls"][0].rpartition("/")[2]]


def test_a_drawing_not_waited_for_may_never_appear(simulator: Any) -> None:
    (item,) = simulator.post(DRAWING, {"prompt": "a fox", "num_results": 1}, "no_outputs").json()["result"]

    assert simulator.finished()["files"] == []
    assert simulator.get(item["urls"][0]).status_code == 404


@pytest.mark.parametrize(
    ("action", "body", "size"),
    [
        ("erase", {"image": LINK, "mask": LINK}, (1024, 1024)),
        ("gen_fill", {"image": encoded(), "mask": encoded(), "prompt": "a lamp"}, (300, 200)),
        ("expand", {"image": encoded(), "aspect_ratio": "16:9"}, (1360, 768)),
        (
            "expand",
            {
                "image": LINK,
                "canvas_size": [1200, 800],
                "original_image_size": [600, 400],
                "original_image_location": [300, 200],
            },
            (1200, 800),
        ),
        ("enhance", {"image": f"data:image/png;base64,{encoded()}", "resolution": "2MP"}, (1448, 965)),
        ("increase_resolution", {"image": encoded(kind="jpeg"), "desired_increase": 4}, (1200, 800)),
        ("replace_background", {"image": encoded(), "prompt": "a bright loft"}, (300, 200)),
        ("replace_background", {"image": encoded(), "ref_images": [LINK], "mode": "high_control"}, (300, 200)),
    ],
)
def test_every_edit_makes_a_picture(simulator: Any, action: str, body: dict[str, Any], size: tuple[int, int]) -> None:
    seen = finish(simulator, action, {**body, "sync": True})

    assert {task["status"] for task in seen[:-1]} <= {"IN_PROGRESS"}
    result = seen[-1]["result"]
    assert set(result) == {"image_url", "seed", "refined_prompt"}
    assert image_size(simulator, result["image_url"]) == size
    assert simulator.ledger(event="paid_call")[0]["operation"] == "bria.image_edit"


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("paint", {"image": LINK}, 400),
        ("erase", {"image": LINK}, 400),
        ("gen_fill", {"image": LINK, "mask": LINK}, 400),
        ("expand", {"image": LINK, "canvas_size": [1200, 800]}, 400),
        ("enhance", {"image": LINK, "resolution": "3MP"}, 400),
        ("enhance", {"image": LINK, "steps_num": 9}, 400),
        ("increase_resolution", {"image": LINK, "desired_increase": 3}, 400),
        ("increase_resolution", {"image": encoded(2100, 10), "desired_increase": 4}, 400),
        ("replace_background", {"image": LINK}, 400),
        ("enhance", {"image": "not a picture"}, 415),
        ("enhance", {"image": encoded(kind="gif")}, 415),
    ],
)
def test_wrong_edits_are_refused(simulator: Any, action: str, body: dict[str, Any], status: int) -> None:
    answer = simulator.post(f"{EDIT}/{action}", body)

    assert answer.status_code == status
    assert [row["charged"] for row in simulator.ledger()] == [False]


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("moderation", "ERROR", 422), ("failed", "ERROR", 500), ("failed word=UNKNOWN", "UNKNOWN", 500)]
)
def test_a_failed_edit_is_an_error_in_200(simulator: Any, fault: str, status: str, code: int) -> None:
    task = finish(simulator, "enhance", {"image": LINK}, fault)[-1]

    assert (task["status"], task["error"]["code"]) == (status, code)
    assert set(task["error"]) == {"code", "message", "details"}
    assert "result" not in task


def test_an_unknown_request_is_not_found(simulator: Any) -> None:
    answer = simulator.get("/bria/9d4a0000")

    assert (answer.status_code, answer.json()) == (404, {"request_id": "9d4a0000", "status": "NOT_FOUND"})


def test_the_status_url_leads_away_from_the_gateway(simulator: Any) -> None:
    answer = simulator.post(f"{EDIT}/enhance", {"image": LINK}).json()

    assert answer["status_url"] == f"https://engine.prod.bria-api.com/v2/status/{answer['request_id']}"


def test_a_call_answered_at_once_takes_its_time(simulator: Any) -> None:
    simulator.control(latency={"image": 0.4})
    begun = time.monotonic()

    simulator.post(PICTURE, {"prompt": "a loft", "num_results": 1})

    assert time.monotonic() - begun > 0.3
