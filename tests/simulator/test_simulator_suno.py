"""Suno music. Source: suno.md sections 0, 4, 10."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from PIL import Image

BODY = {"mv": "chirp-crow", "gpt_description_prompt": "rainy jazz cafe"}


def is_over(answer: dict[str, Any]) -> bool:
    return answer["data"]["status"] in ("SUCCESS", "FAILURE")


def test_a_song_becomes_two_clips_with_sound_and_cover(simulator: Any) -> None:
    simulator.control(latency={"music": 0.6})
    submitted = simulator.post("/suno/submit/music", {**BODY, "title": "Harbour"}).json()
    assert (submitted["code"], submitted["message"]) == ("success", "")

    seen = simulator.poll(f"/suno/fetch/{submitted['data']}", is_over)

    task = seen[-1]["data"]
    assert (task["task_id"], task["action"], task["progress"]) == (submitted["data"], "MUSIC", "100%")
    assert task["finish_time"] >= task["start_time"] >= task["submit_time"] > 0
    assert [clip["status"] for clip in task["data"]] == ["complete", "complete"]
    for clip in task["data"]:
        assert clip["title"] == "Harbour"
        with av.open(io.BytesIO(simulator.get(clip["audio_url"]).content), "r") as sound:
            assert sound.duration is not None
            assert abs(sound.duration / 1e6 - clip["metadata"]["duration"]) < 0.2
            assert sound.streams.audio[0].codec_context.name.startswith("mp3")
        assert Image.open(io.BytesIO(simulator.get(clip["image_large_url"]).content)).size == (1024, 1024)
    with av.open(io.BytesIO(simulator.get(task["data"][0]["video_url"]).content), "r") as video:
        assert video.streams.video
        assert video.streams.audio
    assert task["data"][1]["video_url"] == ""


def test_status_and_progress_walk_and_the_stream_is_not_the_file(simulator: Any) -> None:
    simulator.control(latency={"music": 1.5})
    task_id = simulator.post("/suno/submit/music", BODY).json()["data"]

    seen = [answer["data"] for answer in simulator.poll(f"/suno/fetch/{task_id}", is_over)]

    assert list(dict.fromkeys(task["status"] for task in seen)) == ["SUBMITTED", "QUEUED", "IN_PROGRESS", "SUCCESS"]
    clip_words = [task["data"][0]["status"] for task in seen]
    assert list(dict.fromkeys(clip_words)) == ["submitted", "queued", "streaming", "complete"]
    assert "30%" in {task["progress"] for task in seen}
    streaming = next(task["data"][0] for task in seen if task["data"][0]["status"] == "streaming")
    stream = simulator.get(streaming["audio_url"])
    whole = simulator.get(seen[-1]["data"][0]["audio_url"])
    assert streaming["metadata"]["duration"] is None
    assert "content-length" not in stream.headers
    assert len(stream.content) < len(whole.content)


def test_a_batch_leaves_out_ids_it_does_not_know(simulator: Any) -> None:
    ids = [simulator.post("/suno/submit/music", BODY).json()["data"] for _ in range(2)]

    found = simulator.post("/suno/fetch", {"ids": [*ids, "nobody"], "action": "MUSIC"}).json()

    assert found["code"] == "success"
    assert [task["task_id"] for task in found["data"]] == ids
    assert simulator.post("/suno/fetch", {"ids": []}).json()["data"] == []
    assert simulator.post("/suno/fetch", {}).status_code == 400


def test_an_unknown_id_is_task_not_exist(simulator: Any) -> None:
    answer = simulator.get("/suno/fetch/nobody")

    assert answer.status_code == 400
    assert answer.json() == {"code": "task_not_exist", "message": "task_not_exist", "data": None}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"mv": "chirp-crow"}, "prompt_empty"),
        ({"continue_clip_id": "aa11", "continue_at": 10}, "task id is empty"),
        ({"mv": "chirp-v4", "prompt": "x" * 3001}, "prompt must not be longer than 3000 characters"),
    ],
)
def test_wrong_bodies_are_refused_in_the_task_layer_shape(simulator: Any, body: dict[str, Any], message: str) -> None:
    answer = simulator.post("/suno/submit/music", body)

    assert answer.status_code == 400
    assert answer.json() == {"code": "invalid_request", "message": message, "data": None}


def test_nulls_of_an_instrumental_count_as_absent(simulator: Any) -> None:
    body = {"prompt": "", "tags": "lofi", "mv": "chirp-v4", "continue_clip_id": None, "continue_at": None}

    assert simulator.post("/suno/submit/music", body).json()["code"] == "success"
