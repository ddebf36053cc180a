"""The vendor's own client against the simulator: only base URL and key are ours. Source: runwayml/sdk-python 5."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
import runwayml
from PIL import Image
from runwayml.lib import polling

IMAGE = "https://media.example.net/a.png"
VIDEO = "https://media.example.net/a.mp4"


@pytest.fixture
def client(simulator: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[runwayml.RunwayML]:
    # The client polls every 6 s with a jitter of 3.
    monkeypatch.setattr(polling, "POLL_TIME", 0.05)
    monkeypatch.setattr(polling, "POLL_JITTER", 0)
    with runwayml.RunwayML(api_key="sk-test", base_url=f"{simulator.url}/runwayml", max_retries=0) as client:
        yield client


def video_size(simulator: Any, url: str) -> tuple[int, int]:
    with av.open(io.BytesIO(simulator.get(url).content), "r") as file:
        return file.streams.video[0].width, file.streams.video[0].height


def test_a_video_from_an_image_can_be_retrieved(client: runwayml.RunwayML, simulator: Any) -> None:
    simulator.control(latency={"video": 1.0})
    created = client.image_to_video.create(
        model="gen4_turbo", prompt_image=IMAGE, prompt_text="a kite", ratio="1280:720", duration=5
    )

    early = client.tasks.retrieve(created.id)
    done = early.wait_for_task_output(timeout=20)

    assert (early.id, early.status) == (created.id, "PENDING")
    assert early.created_at == done.created_at
    assert done.status == "SUCCEEDED"
    assert video_size(simulator, done.output[0]) == (1280, 720)


def test_a_first_and_a_last_frame_can_be_sent_as_data(client: runwayml.RunwayML, simulator: Any) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 36)).save(file, "png")
    uri = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    frames: Any = [{"uri": uri, "position": "first"}, {"uri": uri, "position": "last"}]

    done = client.image_to_video.create(
        model="gen4.5", prompt_image=frames, prompt_text="a kite", ratio="960:960", duration=5
    ).wait_for_task_output(timeout=20)

    assert video_size(simulator, done.output[0]) == (960, 960)


def test_an_image_from_text(client: runwayml.RunwayML, simulator: Any) -> None:
    done = client.text_to_image.create(
        model="gen4_image",
        prompt_text="@cat in the rain",
        ratio="1920:1080",
        reference_images=[{"uri": IMAGE, "tag": "cat"}],
        seed=7,
    ).wait_for_task_output(timeout=20)

    assert done.status == "SUCCEEDED"
    assert Image.open(io.BytesIO(simulator.get(done.output[0]).content)).size == (1920, 1080)


def test_a_video_from_a_video(client: runwayml.RunwayML, simulator: Any) -> None:
    create: Any = client.video_to_video.create

    done = create(
        model="gen4_aleph", video_uri=VIDEO, prompt_text="in winter", references=[{"type": "image", "uri": IMAGE}]
    ).wait_for_task_output(timeout=20)

    assert video_size(simulator, done.output[0]) == (1280, 720)


def test_an_upscaled_video(client: runwayml.RunwayML, simulator: Any) -> None:
    # Newer clients no longer name this model; the gateway still documents it.
    create: Any = client.video_upscale.create

    done = create(model="upscale_v1", video_uri=VIDEO).wait_for_task_output(timeout=20)

    assert max(video_size(simulator, done.output[0])) == 4096


def test_a_character_performs(client: runwayml.RunwayML, simulator: Any) -> None:
    done = client.character_performance.create(
        model="act_two",
        character={"type": "image", "uri": IMAGE},
        reference={"type": "video", "uri": VIDEO},
        body_control=True,
        expression_intensity=4,
        ratio="720:1280",
    ).wait_for_task_output(timeout=20)

    assert done.status == "SUCCEEDED"
    assert video_size(simulator, done.output[0]) == (720, 1280)


def test_a_failed_task_is_the_clients_own_error(client: runwayml.RunwayML) -> None:
    created = client.image_to_video.create(
        model="gen4_turbo", prompt_image=IMAGE, prompt_text="a kite [[simulate:moderation]]", ratio="1280:720", duration=5
    )

    with pytest.raises(runwayml.TaskFailedError) as failed:
        created.wait_for_task_output(timeout=20)

    task = failed.value.task_details
    assert task.status == "FAILED"
    assert (task.failure_code, task.failure) == ("SAFETY.INPUT.TEXT", "input did not pass moderation")


def test_refusals_are_the_clients_own_errors(client: runwayml.RunwayML, simulator: Any) -> None:
    def create(**more: Any) -> None:
        body: Any = {"model": "gen4_turbo", "prompt_image": IMAGE, "ratio": "1280:720", "duration": 5, **more}
        client.image_to_video.create(**body)

    with pytest.raises(runwayml.BadRequestError, match="ratio"):
        create(ratio="16:9")
    with pytest.raises(runwayml.RateLimitError):
        create(prompt_text="a kite [[simulate:rate_limit]]")
    with pytest.raises(runwayml.AuthenticationError):
        create(prompt_text="a kite [[simulate:bad_key]]")
    with pytest.raises(runwayml.BadRequestError, match="task_not_exist"):
        client.tasks.retrieve("6f0c2a1e-7b1d-4c53-9d2b-0c1f3a5e7d90")
    assert not any(row["charged"] for row in simulator.ledger(event="paid_call"))
