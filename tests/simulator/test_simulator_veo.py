"""Veo on the shared route and on its older paths. Source: veo.md sections 1 to 3."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from PIL import Image

PATH = "/v1/videos"


def form(**fields: str) -> dict[str, tuple[None, str]]:
    return {name: (None, value) for name, value in fields.items()}


def picture() -> tuple[str, bytes, str]:
    file = io.BytesIO()
    Image.new("RGB", (64, 36)).save(file, "png")
    return ("frame.png", file.getvalue(), "image/png")


def is_over(answer: dict[str, Any]) -> bool:
    return answer["status"] in ("completed", "failed")


def test_a_video_of_eight_seconds_with_sound_is_linked_to(simulator: Any) -> None:
    created = simulator.http.post(PATH, files=form(prompt="a dolly shot", model="veo3.1-fast", size="9x16")).json()
    assert (created["model"], created["status"], created["seconds"]) == ("veo_3_1-fast", "queued", "")

    done = simulator.poll(f"{PATH}/{created['id']}", is_over)[-1]

    assert done["task_id"] == done["id"] == created["id"]
    assert (done["progress"], done["size"]) == (100, "9x16")
    content = simulator.get(done["video_url"]).content
    assert content == simulator.get(f"{PATH}/{created['id']}/content").content
    with av.open(io.BytesIO(content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (720, 1280)
        assert file.streams.audio
        assert file.duration is not None
        assert abs(file.duration / 1e6 - 8) < 0.3
    assert [row["operation"] for row in simulator.ledger()] == ["veo.video", "veo.video"]


def test_the_link_is_optional_even_when_completed(simulator: Any) -> None:
    prompt = "a dolly shot [[simulate:variant link=none]]"
    video_id = simulator.http.post(PATH, files=form(prompt=prompt, model="veo3")).json()["id"]

    assert "video_url" not in simulator.poll(f"{PATH}/{video_id}", is_over)[-1]
    assert simulator.get(f"{PATH}/{video_id}/content").headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(("frames", "status"), [(1, 200), (2, 200), (3, 400)])
def test_up_to_two_frames_can_be_sent(simulator: Any, frames: int, status: int) -> None:
    files = [("input_reference", picture()) for _ in range(frames)]

    answer = simulator.http.post(PATH, data={"prompt": "a kite", "model": "veo3"}, files=files)

    assert answer.status_code == status


def test_the_size_is_an_orientation_with_an_x(simulator: Any) -> None:
    answer = simulator.http.post(PATH, files=form(prompt="a kite", model="veo3", size="16:9"))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "size")


@pytest.mark.parametrize(
    ("fault", "message"), [("moderation", "request refused by safety system"), ("failed", "video generation failed")]
)
def test_a_failed_video_says_why(simulator: Any, fault: str, message: str) -> None:
    files = form(prompt=f"a kite [[simulate:{fault}]]", model="veo3")
    video_id = simulator.http.post(PATH, files=files).json()["id"]

    failed = simulator.poll(f"{PATH}/{video_id}", is_over)[-1]

    assert failed["error"] == {"code": "generation_failed", "message": message}


def test_the_older_unified_pair(simulator: Any) -> None:
    body = {"model": "veo3", "prompt": "a dolly shot", "aspect_ratio": "9:16", "enhance_prompt": True}
    created = simulator.post("/v1/video/create", body).json()
    assert created["status"] == "pending"
    assert created["id"].startswith("veo3:")

    done = simulator.poll(f"/v1/video/query?id={created['id']}", is_over)[-1]

    assert done["enhanced_prompt"] == "a dolly shot"
    with av.open(io.BytesIO(simulator.get(done["video_url"]).content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (720, 1280)
    assert simulator.get("/v1/video/query").status_code == 400
    assert simulator.get("/v1/video/query?id=nobody").status_code == 404


def test_the_older_dedicated_pair(simulator: Any) -> None:
    accepted = simulator.post("/veo/v1/api/video/submit", {"model": "veo3-fast", "prompt": "a kite", "images": []}).json()
    assert accepted["success"] is True
    task_id = accepted["data"]["taskId"]

    path = f"/veo/v1/api/video/status/{task_id}"
    done = simulator.poll(path, lambda answer: is_over(answer["data"]))[-1]["data"]

    assert done["upstreamData"]["status"] == "completed"
    assert simulator.get(done["upstreamData"]["video_url"]).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("path", ["/v1/video/create", "/veo/v1/api/video/submit"])
def test_the_older_paths_say_why_a_task_failed(simulator: Any, path: str) -> None:
    created = simulator.post(path, {"model": "veo3", "prompt": "a kite"}, simulate="moderation").json()
    task_id = created.get("id") or created["data"]["taskId"]

    failed = simulator.poll(f"/v1/video/query?id={task_id}", is_over)[-1]

    assert (failed["status"], failed["error"]) == ("failed", "content filtered")


@pytest.mark.parametrize(("model", "most"), [("veo3-pro-frames", 2), ("veo3-components", 3), ("veo3", 5)])
def test_the_older_paths_limit_the_images(simulator: Any, model: str, most: int) -> None:
    def status(images: int) -> int:
        body = {"model": model, "prompt": "a kite", "images": ["https://media.example.net/a.png"] * images}
        code: int = simulator.post("/veo/v1/api/video/submit", body).status_code
        return code

    assert (status(most), status(most + 1)) == (200, 400)
