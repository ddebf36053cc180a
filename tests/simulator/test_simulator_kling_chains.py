"""Kling calls that name earlier work: extension, lip sync, speech, sound for a video.

Source of every expectation: kling.md sections 5.4 to 5.6 and 5.8 to 5.10.
"""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from test_simulator_kling import run

VIDEOS = "/kling/v1/videos"
AUDIO = "/kling/v1/audio"
URL = "https://videos.example.net/v.mp4"
SPEECH = {"text": "good evening and welcome to the harbour of small boats", "voice_id": "genshin_vindi2", "voice_language": "en"}
BY_TEXT = {"mode": "text2video", "text": "hello there", "voice_id": "oversea_male1", "voice_language": "en"}


def video_id(simulator: Any, **more: Any) -> str:
    body = {"model_name": "kling-v1-6", "prompt": "a lantern", "aspect_ratio": "1:1", **more}
    return str(run(simulator, f"{VIDEOS}/text2video", body)["task_result"]["videos"][0]["id"])


def said(simulator: Any) -> dict[str, Any]:
    data: dict[str, Any] = simulator.post(f"{AUDIO}/tts", SPEECH).raise_for_status().json()["data"]
    return data


def length_s(simulator: Any, url: str) -> float:
    with av.open(io.BytesIO(simulator.get(url).content), "r") as file:
        assert file.duration is not None
        return file.duration / 1e6


def test_an_extension_is_the_whole_video_and_knows_its_parent(simulator: Any) -> None:
    source = video_id(simulator)

    data = run(simulator, f"{VIDEOS}/video-extend", {"video_id": source, "prompt": "it drifts away"})
    again = run(simulator, f"{VIDEOS}/video-extend", {"video_id": data["task_result"]["videos"][0]["id"]})

    (video,) = data["task_result"]["videos"]
    assert 4 <= float(video["duration"]) - 5 <= 5
    assert abs(length_s(simulator, video["url"]) - float(video["duration"])) < 0.15
    parent = data["task_info"]["parent_video"]
    assert (parent["id"], parent["duration"]) == (source, "5.0")
    assert abs(length_s(simulator, parent["url"]) - 5) < 0.15
    assert again["task_info"]["parent_video"]["id"] == video["id"]
    assert again["task_result"]["videos"][0]["duration"] == "14.0"


def test_only_videos_of_the_first_models_are_extended(simulator: Any) -> None:
    source = video_id(simulator, model_name="kling-v2-6")

    answer = simulator.post(f"{VIDEOS}/video-extend", {"video_id": source})

    assert (answer.status_code, answer.json()["code"]) == (400, 1201)


def test_a_video_that_is_not_done_has_no_id_yet(simulator: Any) -> None:
    body = {"prompt": "a kite"}
    task_id = simulator.post(f"{VIDEOS}/text2video", body, "never_finishes").json()["data"]["task_id"]

    answer = simulator.post(f"{VIDEOS}/video-extend", {"video_id": f"v-{task_id}"})

    assert (answer.status_code, answer.json()["code"]) == (404, 1203)


def test_ids_are_forgotten_with_everything_else(simulator: Any) -> None:
    source, audio_id = video_id(simulator), said(simulator)["task_result"]["audios"][0]["id"]
    simulator.http.post("/_simulator/reset").raise_for_status()

    extended = simulator.post(f"{VIDEOS}/video-extend", {"video_id": source})
    speaking = simulator.post(f"{VIDEOS}/avatar/image2video", {"image": URL, "audio_id": audio_id})

    assert [one.json()["code"] for one in (extended, speaking)] == [1203, 1203]


NOBODY = "123456789012345678"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{VIDEOS}/video-extend", {"video_id": f"v-{NOBODY}"}),
        (f"{VIDEOS}/video-extend", {"video_id": NOBODY}),
        (f"{VIDEOS}/avatar/image2video", {"image": URL, "audio_id": f"a-{NOBODY}"}),
        (f"{VIDEOS}/lip-sync", {"input": {**BY_TEXT, "video_id": f"v-{NOBODY}"}}),
        (f"{VIDEOS}/lip-sync", {"input": {**BY_TEXT, "task_id": NOBODY}}),
        (f"{VIDEOS}/identify-face", {"video_id": f"v-{NOBODY}"}),
        (f"{VIDEOS}/advanced-lip-sync", {"session_id": "s-1", "face_choose": [{"face_id": "0"}]}),
        (f"{AUDIO}/video-to-audio", {"video_id": f"v-{NOBODY}"}),
        (f"{VIDEOS}/multi-elements/init-selection", {"video_id": f"v-{NOBODY}"}),
        (f"{VIDEOS}/multi-elements/clear-selection", {"session_id": "s-1"}),
        (f"{VIDEOS}/multi-elements", {"session_id": "s-1", "edit_mode": "removal", "prompt": "away"}),
    ],
)
def test_a_well_formed_id_from_elsewhere_is_refused_with_1203_and_costs_nothing(
    simulator: Any, path: str, body: dict[str, Any]
) -> None:
    answer = simulator.post(path, body)

    assert (answer.status_code, answer.json()["code"]) == (404, 1203)
    assert set(answer.json()) == {"code", "message", "request_id"}
    assert [(row["outcome"], row["charged"]) for row in simulator.ledger()] == [("refused", False)]


def test_speech_is_answered_at_once_with_a_sound_that_an_avatar_can_say(simulator: Any) -> None:
    data = said(simulator)

    (audio,) = data["task_result"]["audios"]
    assert (data["task_status"], set(audio)) == ("succeed", {"id", "url", "duration"})
    download = simulator.get(audio["url"])
    assert download.headers["content-type"] == "audio/mpeg"
    assert abs(length_s(simulator, audio["url"]) - float(audio["duration"])) < 0.15

    spoken = run(simulator, f"{VIDEOS}/avatar/image2video", {"image": URL, "audio_id": audio["id"]})

    (video,) = spoken["task_result"]["videos"]
    assert video["duration"] == audio["duration"]
    assert {row["operation"] for row in simulator.ledger()} == {"kling.tts", "kling.avatar"}


def test_faster_speech_is_shorter(simulator: Any) -> None:
    fast = simulator.post(f"{AUDIO}/tts", {**SPEECH, "voice_speed": 2.0}).json()["data"]["task_result"]["audios"][0]

    assert float(fast["duration"]) < float(said(simulator)["task_result"]["audios"][0]["duration"])


def face_of(simulator: Any, **source: str) -> tuple[str, dict[str, Any]]:
    """A session and its only face."""
    data = simulator.post(f"{VIDEOS}/identify-face", source).raise_for_status().json()["data"]
    (face,) = data["face_data"]
    return data["session_id"], face


def choice(face: dict[str, Any], **more: Any) -> dict[str, Any]:
    times = {"sound_start_time": 0, "sound_end_time": 2500, "sound_insert_time": 1000}
    return {"face_id": face["face_id"], "sound_file": URL, **times, **more}


def test_an_identified_face_speaks(simulator: Any) -> None:
    source, audio_id = video_id(simulator), said(simulator)["task_result"]["audios"][0]["id"]
    session_id, face = face_of(simulator, video_id=source)

    assert (face["start_time"], face["end_time"]) == (0, 5000)
    assert simulator.get(face["face_image"]).headers["content-type"] == "image/png"
    chosen = choice(face, audio_id=audio_id, sound_file=None, sound_end_time="2500", original_sound_volume=0.3)
    data = run(simulator, f"{VIDEOS}/advanced-lip-sync", {"session_id": session_id, "face_choose": [without_nulls(chosen)]})

    (video,) = data["task_result"]["videos"]
    assert data["task_info"]["parent_video"]["id"] == source
    with av.open(io.BytesIO(simulator.get(video["url"]).content), "r") as file:
        assert (file.streams.video[0].width, len(file.streams.audio)) == (960, 1)


def without_nulls(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def test_a_face_in_a_video_from_elsewhere_speaks_without_a_parent(simulator: Any) -> None:
    session_id, face = face_of(simulator, video_url=URL)

    data = run(simulator, f"{VIDEOS}/advanced-lip-sync", {"session_id": session_id, "face_choose": [choice(face)]})

    assert data["task_info"] == {}
    assert len(data["task_result"]["videos"]) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"face_id": "7"}, 1203),
        ({"audio_id": "a-1"}, 1201),
        ({"sound_file": None, "audio_id": "a-1"}, 1203),
        ({"sound_end_time": 1999}, 1201),
        ({"sound_end_time": "soon"}, 1201),
        ({"sound_insert_time": 9000}, 1201),
        ({"sound_volume": 2.1}, 1201),
        ({"sound_insert_time": None}, 1201),
    ],
    ids=str,
)
def test_a_wrong_choice_is_refused(simulator: Any, wrong: dict[str, Any], code: int) -> None:
    session_id, face = face_of(simulator, video_url=URL)
    body = {"session_id": session_id, "face_choose": [without_nulls(choice(face, **wrong))]}

    assert simulator.post(f"{VIDEOS}/advanced-lip-sync", body).json()["code"] == code


def test_a_video_may_have_no_face(simulator: Any) -> None:
    answer = simulator.post(f"{VIDEOS}/identify-face", {"video_url": URL}, "no_outputs").json()

    assert (answer["code"], answer["data"]["face_data"]) == (0, [])


@pytest.mark.parametrize("body", [{}, {"video_id": "v-1", "video_url": URL}, {"video_url": "v.mp4"}], ids=str)
def test_faces_are_looked_for_in_exactly_one_video(simulator: Any, body: dict[str, Any]) -> None:
    assert simulator.post(f"{VIDEOS}/identify-face", body).json()["code"] == 1201


def test_an_answer_at_once_is_moderated_with_kling_s_own_code(simulator: Any) -> None:
    answer = simulator.post(f"{AUDIO}/tts", SPEECH, "moderation")

    assert (answer.status_code, answer.json()["code"]) == (400, 1301)


@pytest.mark.parametrize("by", ["video_id", "task_id", "both"])
def test_the_older_lip_sync_takes_the_video_or_its_task(simulator: Any, by: str) -> None:
    source = video_id(simulator)
    ids = {"video_id": source, "task_id": source.removeprefix("v-")}
    given = ids if by == "both" else {by: ids[by]}

    data = run(simulator, f"{VIDEOS}/lip-sync", {"input": {**given, **BY_TEXT}})

    assert data["task_info"]["parent_video"]["id"] == source
    assert data["task_result"]["videos"][0]["duration"] == "5.0"


def test_the_older_lip_sync_takes_a_sound_as_well(simulator: Any) -> None:
    by_file = {"video_url": URL, "mode": "audio2video", "audio_type": "file", "audio_file": "SUQz"}

    assert simulator.post(f"{VIDEOS}/lip-sync", {"input": by_file}).json()["code"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "text"},
        {"mode": None},
        {"text": "x" * 121},
        {"voice_id": None},
        {"voice_language": "fr"},
        {"voice_speed": 2.5},
        {"video_id": "v-1"},
        {"video_url": None},
        {"mode": "audio2video"},
        {"mode": "audio2video", "audio_type": "file"},
        {"mode": "audio2video", "audio_type": "url", "audio_url": "SUQz"},
    ],
    ids=str,
)
def test_a_wrong_lip_sync_is_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    given = without_nulls({"video_url": URL, **BY_TEXT, **wrong})

    assert simulator.post(f"{VIDEOS}/lip-sync", {"input": given}).json()["code"] == 1201


def test_sound_is_made_in_two_formats(simulator: Any) -> None:
    data = run(simulator, f"{AUDIO}/text-to-audio", {"prompt": "rain on a tin roof", "duration": 4.5})

    (audio,) = data["task_result"]["audios"]
    assert (audio["duration_mp3"], audio["duration_wav"]) == ("4.5", "4.5")
    for kind in ("mp3", "wav"):
        assert abs(length_s(simulator, audio[f"url_{kind}"]) - 4.5) < 0.15


def test_sound_for_a_video_is_a_video_with_sound_and_the_sound(simulator: Any) -> None:
    source = video_id(simulator)

    data = run(simulator, f"{AUDIO}/video-to-audio", {"video_id": source, "bgm_prompt": "a flute", "asmr_mode": True})

    (video,), (audio,) = data["task_result"]["videos"], data["task_result"]["audios"]
    with av.open(io.BytesIO(simulator.get(video["url"]).content), "r") as file:
        assert (len(file.streams.video), len(file.streams.audio)) == (1, 1)
    assert abs(length_s(simulator, audio["url_mp3"]) - 5) < 0.15
    assert data["task_info"]["parent_video"]["id"] == source


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("text-to-audio", {"prompt": "rain"}),
        ("text-to-audio", {"prompt": "rain", "duration": 2.9}),
        ("text-to-audio", {"prompt": "rain", "duration": "5"}),
        ("text-to-audio", {"prompt": "x" * 201, "duration": 5}),
        ("video-to-audio", {"bgm_prompt": "flute"}),
        ("video-to-audio", {"video_url": URL, "video_id": "v-1"}),
        ("video-to-audio", {"video_url": URL, "sound_effect_prompt": "x" * 201}),
        ("video-to-audio", {"video_url": URL, "asmr_mode": "yes"}),
        ("tts", {**SPEECH, "text": ""}),
        ("tts", {**SPEECH, "text": "x" * 1001}),
        ("tts", {**SPEECH, "voice_language": "de"}),
        ("tts", {**SPEECH, "voice_speed": 0.5}),
        ("tts", {"text": "hello", "voice_language": "en"}),
    ],
)
def test_sounds_are_refused_outside_their_tables(simulator: Any, path: str, body: dict[str, Any]) -> None:
    answer = simulator.post(f"{AUDIO}/{path}", body)

    assert (answer.status_code, answer.json()["code"]) == (400, 1201)
    assert [row["charged"] for row in simulator.ledger()] == [False]
