"""Sora on ``/v1/videos``. Source: sora.md."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from PIL import Image

PATH = "/v1/videos"
BODY = {"prompt": "a paper boat", "seconds": "4", "size": "1280x720"}


def create(simulator: Any, files: Any = None, simulate: str = "", **fields: str) -> dict[str, Any]:
    """The accepted video, asked for by form."""
    parts = files or {name: (None, value) for name, value in fields.items()}
    answer = simulator.http.post(PATH, data=fields if files else None, files=parts, headers={"x-simulate": simulate})
    assert answer.status_code == 200, answer.text
    video: dict[str, Any] = answer.json()
    return video


def finish(simulator: Any, video_id: str) -> list[dict[str, Any]]:
    polls: list[dict[str, Any]] = simulator.poll(f"{PATH}/{video_id}", lambda v: v["status"] in ("completed", "failed"))
    return polls


def picture(width: int, height: int, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


def test_a_video_asked_for_by_form_comes_as_bytes(simulator: Any) -> None:
    video = create(simulator, **BODY, model="sora-2")
    assert set(video) == {"id", "object", "model", "status", "progress", "created_at", "seconds", "size"}
    assert (video["object"], video["status"], video["progress"]) == ("video", "queued", 0)

    done = finish(simulator, video["id"])[-1]

    assert (done["progress"], done["seconds"], done["size"], done["model"]) == (100, "4", "1280x720", "sora-2")
    assert done["expires_at"] - done["completed_at"] == 3600
    assert done["error"] is None
    assert "video_url" not in done
    content = simulator.get(f"{PATH}/{video['id']}/content")
    assert content.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(content.content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (1280, 720)
        assert file.streams.audio
        assert file.duration is not None
        assert abs(file.duration / 1e6 - 4) < 0.3


def test_status_and_progress_walk(simulator: Any) -> None:
    simulator.control(latency={"video": 1.0})

    seen = finish(simulator, create(simulator, **BODY)["id"])

    assert list(dict.fromkeys(video["status"] for video in seen)) == ["queued", "in_progress", "completed"]
    assert [video["progress"] for video in seen] == sorted(video["progress"] for video in seen)
    assert any(0 < video["progress"] < 100 for video in seen)
    assert seen[0]["completed_at"] is None


@pytest.mark.parametrize(
    ("variant", "media_type", "size"),
    [("thumbnail", "image/webp", (1280, 720)), ("spritesheet", "image/jpeg", (1024, 1024))],
)
def test_a_video_has_pictures_beside_it(simulator: Any, variant: str, media_type: str, size: tuple[int, int]) -> None:
    video_id = create(simulator, **BODY)["id"]
    finish(simulator, video_id)

    content = simulator.get(f"{PATH}/{video_id}/content", params={"variant": variant})

    assert content.headers["content-type"] == media_type
    assert Image.open(io.BytesIO(content.content)).size == size


def test_json_is_taken_as_well_and_the_defaults_are_the_vendors(simulator: Any) -> None:
    video = simulator.post(PATH, {"prompt": "a paper boat"}).json()

    assert (video["model"], video["seconds"], video["size"]) == ("sora-2", "4", "720x1280")


def test_content_asked_for_too_early_is_a_json_error(simulator: Any) -> None:
    simulator.control(latency={"video": 5})
    video_id = create(simulator, **BODY)["id"]

    answer = simulator.get(f"{PATH}/{video_id}/content")

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("video is not ready yet (request id: ")


def test_a_remix_takes_model_length_and_size_from_its_source(simulator: Any) -> None:
    source = create(simulator, **{**BODY, "seconds": "8", "size": "1792x1024"}, model="sora-2-pro")["id"]
    finish(simulator, source)

    remix = simulator.post(f"{PATH}/{source}/remix", {"prompt": "at night"}).json()

    assert remix["remixed_from_video_id"] == source != remix["id"]
    assert (remix["model"], remix["seconds"], remix["size"]) == ("sora-2-pro", "8", "1792x1024")
    assert finish(simulator, remix["id"])[-1]["remixed_from_video_id"] == source
    assert simulator.get(f"{PATH}/{remix['id']}/content").status_code == 200
    assert [row["operation"] for row in simulator.ledger(event="paid_call")] == ["sora.create_video", "sora.remix_video"]


def test_a_remix_of_an_unfinished_or_unknown_video_is_refused(simulator: Any) -> None:
    source = create(simulator, **BODY, simulate="never_finishes")["id"]

    unfinished = simulator.post(f"{PATH}/{source}/remix", {"prompt": "at night"})
    unknown = simulator.post(f"{PATH}/video_nobody/remix", {"prompt": "at night"})

    assert (unfinished.status_code, unfinished.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "task_not_exist")
    assert [row["charged"] for row in simulator.ledger(event="paid_call")] == [True, False, False]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"seconds": "5"}, "seconds"),
        ({"size": "1024x1792"}, "size"),
        ({"size": "1024x1792", "model": "sora-2", "seconds": "4"}, "size"),
    ],
    ids=str,
)
def test_wrong_fields_are_refused_as_the_vendor_does(simulator: Any, fields: dict[str, str], param: str) -> None:
    answer = simulator.http.post(PATH, files={name: (None, value) for name, value in ({**BODY, **fields}).items()})

    assert answer.status_code == 400
    assert (answer.json()["error"]["type"], answer.json()["error"]["param"]) == ("invalid_request_error", param)
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_seconds_are_a_string(simulator: Any) -> None:
    assert simulator.post(PATH, {**BODY, "seconds": 4}).json()["error"]["param"] == "seconds"


@pytest.mark.parametrize(
    ("content", "status"),
    [(picture(1280, 720), 200), (picture(1280, 720, "webp"), 200), (picture(720, 1280), 400), (b"no picture", 400)],
    ids=["fits", "webp", "turned", "garbage"],
)
def test_a_reference_must_be_a_picture_of_the_size_of_the_video(simulator: Any, content: bytes, status: int) -> None:
    answer = simulator.http.post(PATH, data=BODY, files={"input_reference": ("first.png", content, "image/png")})

    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["param"] == "input_reference"


def test_a_model_nobody_makes_has_no_channel(simulator: Any) -> None:
    assert simulator.post(PATH, {**BODY, "model": "strange-1"}).status_code == 503


def test_the_self_developed_route_links_to_the_video(simulator: Any) -> None:
    video = create(simulator, prompt="a paper boat", model="sora-2-all", seconds="10", size="720x1280")
    assert video["id"].startswith("task_")

    done = finish(simulator, video["id"])[-1]

    linked = simulator.get(done["video_url"]).content
    assert linked == simulator.get(f"{PATH}/{video['id']}/content").content
    with av.open(io.BytesIO(linked), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (720, 1280)
    assert simulator.ledger(event="paid_call")[0]["operation"] == "sora.self_developed_video"


def test_the_link_can_be_left_out(simulator: Any) -> None:
    prompt = "a paper boat [[simulate:variant link=none]]"
    video_id = create(simulator, prompt=prompt, model="sora-2-all")["id"]

    assert "video_url" not in finish(simulator, video_id)[-1]
    assert simulator.get(f"{PATH}/{video_id}/content").status_code == 200


def test_content_can_be_a_redirect(simulator: Any) -> None:
    video_id = create(simulator, **BODY, simulate="variant content=redirect")["id"]
    finish(simulator, video_id)

    answer = simulator.get(f"{PATH}/{video_id}/content")

    assert answer.status_code == 302
    assert simulator.get(answer.headers["location"]).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("moderation", "moderation_blocked", "request refused by safety system"),
        ("failed", "video_generation_failed", "video generation failed"),
        ("failed code=internal_error", "internal_error", "video generation failed"),
    ],
)
def test_a_failed_video_says_why_in_a_200(simulator: Any, fault: str, code: str, message: str) -> None:
    video_id = create(simulator, **BODY, simulate=fault)["id"]

    failed = finish(simulator, video_id)[-1]

    assert (failed["status"], failed["error"]) == ("failed", {"code": code, "message": message})
    assert simulator.get(f"{PATH}/{video_id}/content").status_code == 400


def test_content_breaks_as_files_do(simulator: Any) -> None:
    gone = create(simulator, **BODY, simulate="dead_link_once")["id"]
    finish(simulator, gone)

    assert [simulator.get(f"{PATH}/{gone}/content").status_code for _ in range(2)] == [404, 200]


def test_a_video_without_outputs_has_no_content(simulator: Any) -> None:
    video_id = create(simulator, **BODY, simulate="no_outputs")["id"]

    assert finish(simulator, video_id)[-1]["status"] == "completed"
    assert simulator.get(f"{PATH}/{video_id}/content").status_code == 404


def test_polls_and_content_can_be_spoilt(simulator: Any) -> None:
    video_id = create(simulator, **{**BODY, "prompt": "a boat [[simulate:server_error on=poll times=1]]"})["id"]

    assert [simulator.get(f"{PATH}/{video_id}").status_code for _ in range(2)] == [500, 200]
    finish(simulator, video_id)
    assert simulator.get(f"{PATH}/{video_id}/content", headers={"x-simulate": "unavailable"}).status_code == 503


def test_an_unknown_id_is_task_not_exist(simulator: Any) -> None:
    for path in (f"{PATH}/video_nobody", f"{PATH}/video_nobody/content"):
        assert simulator.get(path).json() == {"code": "task_not_exist", "message": "task_not_exist", "data": None}


def test_a_status_nobody_knows_can_be_asked_for(simulator: Any) -> None:
    video_id = create(simulator, **BODY, simulate="unknown_status polls=1 word=preparing")["id"]

    assert simulator.get(f"{PATH}/{video_id}").json()["status"] == "preparing"
    assert finish(simulator, video_id)[-1]["status"] == "completed"
