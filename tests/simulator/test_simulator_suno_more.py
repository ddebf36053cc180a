"""Suno beyond a song: lyrics, follow-ups of a clip, stems, conversions. Source: suno.md."""

from __future__ import annotations

import io
import time
import wave
from typing import Any

import av
import pytest

MUSIC = "/suno/submit/music"
SONG = {"mv": "chirp-crow", "prompt": "[Verse]\nHarbour lights are low\n[Chorus]\nHold on", "tags": "lofi", "title": "Harbour"}


def is_over(answer: dict[str, Any]) -> bool:
    return answer["data"]["status"] in ("SUCCESS", "FAILURE")


def submitted(simulator: Any, path: str, body: dict[str, Any], simulate: str = "") -> str:
    answer = simulator.post(path, body, simulate).json()
    assert answer["code"] == "success", answer
    task_id: str = answer["data"]
    return task_id


def finished(simulator: Any, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = simulator.poll(f"/suno/fetch/{task_id}", is_over)[-1]["data"]
    assert task["status"] == "SUCCESS", task
    return task


def done(simulator: Any, path: str, body: dict[str, Any], simulate: str = "") -> dict[str, Any]:
    return finished(simulator, submitted(simulator, path, body, simulate))


def seconds(simulator: Any, url: str) -> float:
    with av.open(io.BytesIO(simulator.get(url).raise_for_status().content), "r") as file:
        assert file.duration is not None
        return file.duration / 1e6


@pytest.fixture
def song(simulator: Any) -> dict[str, Any]:
    """A finished task of two clips."""
    return done(simulator, MUSIC, SONG)


@pytest.fixture
def extend(song: dict[str, Any]) -> dict[str, Any]:
    """The body of an extension of the first clip."""
    clip_id = song["data"][0]["id"]
    return {**SONG, "task": "extend", "task_id": song["task_id"], "continue_clip_id": clip_id, "continue_at": 12}


def stems(song: dict[str, Any], word: str) -> dict[str, Any]:
    return {
        "task": "gen_stem",
        "generation_type": "TEXT",
        "title": "Harbour",
        "mv": "chirp-auk",
        "prompt": "",
        "make_instrumental": True,
        "task_id": song["task_id"],
        "continue_clip_id": song["data"][0]["id"],
        "continued_aligned_prompt": None,
        "continue_at": None,
        "stem_type_id": 91,
        "stem_type_group_name": word.title(),
        "stem_task": word,
    }


def test_lyrics_are_one_object_with_a_text(simulator: Any) -> None:
    simulator.control(latency={"text": 0.6})
    task_id = submitted(simulator, "/suno/submit/lyrics", {"prompt": "low tide in a small harbour"})

    assert simulator.get(f"/suno/fetch/{task_id}").json()["data"]["data"] is None
    task = finished(simulator, task_id)

    assert task["action"] == "LYRICS"
    assert set(task["data"]) == {"id", "title", "text", "status"}
    assert (task["data"]["id"], task["data"]["status"]) == (task_id, "complete")
    assert task["data"]["text"].startswith("[Verse]\n")
    assert "low tide in a small harbour" in task["data"]["text"]
    assert [row["operation"] for row in simulator.ledger(charged="true")] == ["suno.lyrics"]


def test_lyrics_need_a_prompt(simulator: Any) -> None:
    answer = simulator.post("/suno/submit/lyrics", {"prompt": ""})

    assert (answer.status_code, answer.json()["message"]) == (400, "prompt_empty")


def test_lyrics_can_fail_or_be_empty(simulator: Any) -> None:
    failed = submitted(simulator, "/suno/submit/lyrics", {"prompt": "x [[simulate:moderation]]"})
    empty = done(simulator, "/suno/submit/lyrics", {"prompt": "x"}, "no_outputs")

    last = simulator.poll(f"/suno/fetch/{failed}", is_over)[-1]["data"]
    assert (last["status"], last["fail_reason"]) == ("FAILURE", "prompt rejected by moderation")
    assert (last["data"], empty["data"]) == (None, None)


def test_an_extension_is_joined_to_its_source(simulator: Any, song: dict[str, Any], extend: dict[str, Any]) -> None:
    extension = done(simulator, MUSIC, extend)
    clip = extension["data"][0]
    assert clip["metadata"]["history"] == [{"id": song["data"][0]["id"], "continue_at": 12}]

    joined = done(simulator, "/suno/submit/concat", {"clip_id": clip["id"], "is_infill": False})

    (whole,) = joined["data"]
    assert (joined["action"], whole["metadata"]["type"]) == ("CONCAT", "concat")
    assert [one["id"] for one in whole["metadata"]["concat_history"]] == [song["data"][0]["id"], clip["id"]]
    assert abs(seconds(simulator, whole["audio_url"]) - (12 + clip["metadata"]["duration"])) < 0.2
    wrong = simulator.post("/suno/submit/concat", {"clip_id": clip["id"], "is_infill": True})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_request")


def test_a_song_that_goes_on_from_nothing_is_whole_already(simulator: Any, song: dict[str, Any]) -> None:
    source = song["data"][0]
    (whole,) = done(simulator, "/suno/submit/concat", {"clip_id": source["id"]})["data"]
    assert whole["metadata"]["concat_history"] == [{"id": source["id"]}]
    assert whole["metadata"]["duration"] == source["metadata"]["duration"]


def test_a_replaced_section_leaves_the_length_alone(simulator: Any, song: dict[str, Any]) -> None:
    source = song["data"][1]
    body = {**SONG, "task": "infill", "task_id": song["task_id"], "continue_clip_id": source["id"]}
    infill = done(simulator, MUSIC, {**body, "infill_start_s": 4, "infill_end_s": 9.5})

    (whole,) = done(simulator, "/suno/submit/concat", {"clip_id": infill["data"][0]["id"], "is_infill": True})["data"]

    assert whole["metadata"]["duration"] == source["metadata"]["duration"]
    upside_down = simulator.post(MUSIC, {**body, "infill_start_s": 9, "infill_end_s": 4})
    assert upside_down.json()["message"] == "infill_start_s must be less than infill_end_s"


def test_an_uploaded_clip_has_no_media_and_can_be_extended(simulator: Any, song: dict[str, Any]) -> None:
    task = done(simulator, "/suno/uploads/audio-url", {"url": "https://example.net/hum.mp3?x=1"})
    (clip,) = task["data"]
    assert (task["action"], clip["title"], clip["status"], clip["metadata"]["type"]) == ("UPLOAD", "hum.mp3", "complete", "upload")
    assert [clip[name] for name in ("audio_url", "video_url", "image_url")] == ["", "", ""]
    body = {**SONG, "task_id": task["task_id"], "continue_clip_id": clip["id"], "continue_at": 20}

    assert simulator.post(MUSIC, {**body, "task": "extend"}).json()["message"] == "task extend does not fit the clip"
    assert len(done(simulator, MUSIC, {**body, "task": "upload_extend"})["data"]) == 2
    assert len(done(simulator, MUSIC, {**SONG, "task": "cover", "cover_clip_id": clip["id"]})["data"]) == 2
    operations = [row["operation"] for row in simulator.ledger(charged="true")]
    assert operations == ["suno.music", "suno.upload_clip", "suno.music", "suno.music"]


def test_an_upload_can_answer_with_the_bare_id(simulator: Any) -> None:
    task = done(simulator, "/suno/uploads/audio-url", {"url": "https://example.net/hum.mp3"}, "variant clip=flat")

    assert task["data"]["clip_id"] == task["data"]["id"]


@pytest.mark.parametrize("body", [{}, {"url": "hum.mp3"}, {"url": 7}])
def test_an_upload_needs_a_url(simulator: Any, body: dict[str, Any]) -> None:
    answer = simulator.post("/suno/uploads/audio-url", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("word", "operation", "names"),
    [
        ("two", "suno.stems_single", ["Vocals", "Instrumental"]),
        ("twelve", "suno.stems_full", ["Vocals", "Backing Vocals", "Drums"]),
    ],
)
def test_a_song_comes_apart(simulator: Any, song: dict[str, Any], word: str, operation: str, names: list[str]) -> None:
    task = done(simulator, MUSIC, stems(song, word))

    clips = task["data"]
    assert len(clips) == {"two": 2, "twelve": 12}[word]
    assert [clip["metadata"]["stem_type_group_name"] for clip in clips][: len(names)] == names
    for clip in clips:
        assert clip["title"].endswith(clip["metadata"]["stem_type_group_name"])
        assert (clip["model_name"], clip["metadata"]["stem_task"]) == ("chirp-stem", word)
        assert clip["metadata"]["stem_from_id"] == song["data"][0]["id"]
    assert abs(seconds(simulator, clips[-1]["audio_url"]) - song["data"][0]["metadata"]["duration"]) < 0.2
    assert len({simulator.get(clip["audio_url"]).content for clip in clips}) == len(clips)
    assert simulator.ledger(charged="true")[-1]["operation"] == operation


def test_stems_may_answer_with_the_clips_themselves(simulator: Any, song: dict[str, Any]) -> None:
    raw = simulator.post(MUSIC, stems(song, "two"), simulate="variant reply=raw").json()

    assert set(raw) == {"id", "clips"}
    assert {clip["status"] for clip in raw["clips"]} == {"submitted"}
    assert [clip["id"] for clip in finished(simulator, raw["id"])["data"]] == [clip["id"] for clip in raw["clips"]]


@pytest.mark.parametrize("wrong", [{"title": ""}, {"mv": "chirp-crow"}, {"stem_type_group_name": "Three"}, {"stem_task": None}])
def test_stems_have_fixed_fields(simulator: Any, song: dict[str, Any], wrong: dict[str, Any]) -> None:
    answer = simulator.post(MUSIC, {**stems(song, "two"), **wrong})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def persona_of(simulator: Any, song: dict[str, Any], simulate: str = "") -> Any:
    root = song["data"][0]["id"]
    body = {"root_clip_id": root, "name": "Mara", "description": "low and close", "clips": [root], "is_public": False}
    return simulator.post("/suno/persona/create", body, simulate)


def test_a_persona_is_made_at_once_and_sings(simulator: Any, song: dict[str, Any]) -> None:
    persona = persona_of(simulator, song).raise_for_status().json()
    root = song["data"][0]["id"]
    assert (persona["name"], persona["root_clip_id"], persona["is_public"]) == ("Mara", root, False)
    assert persona["clip"]["id"] == persona["persona_clips"][0]["clip"]["id"] == root
    body = {**SONG, "task": "artist_consistency", "persona_id": persona["id"], "artist_clip_id": root}

    assert len(done(simulator, MUSIC, body)["data"]) == 2
    raw = simulator.post("/suno/generate", {**body, "generation_type": "TEXT", "negative_tags": ""}).json()
    assert len(finished(simulator, raw["id"])["data"]) == len(raw["clips"]) == 2
    assert simulator.post(MUSIC, {**body, "persona_id": "nobody"}).json()["message"] == "persona not found"
    assert simulator.post("/suno/generate", body).status_code == 400
    operations = [row["operation"] for row in simulator.ledger(charged="true")]
    assert operations == ["suno.music", "suno.persona", "suno.music", "suno.music"]


def test_a_persona_can_come_in_the_envelope(simulator: Any, song: dict[str, Any]) -> None:
    answer = persona_of(simulator, song, "wrapped").json()

    assert (answer["code"], answer["data"]["name"]) == ("success", "Mara")


def test_a_persona_needs_a_generated_root_among_its_clips(simulator: Any, song: dict[str, Any]) -> None:
    (uploaded,) = done(simulator, "/suno/uploads/audio-url", {"url": "https://example.net/hum.mp3"})["data"]
    body = {"name": "Mara", "description": "low", "is_public": True}

    answers = [
        simulator.post("/suno/persona/create", {**body, **wrong}).json()["message"]
        for wrong in (
            {"root_clip_id": uploaded["id"], "clips": [uploaded["id"]]},
            {"root_clip_id": song["data"][0]["id"], "clips": [song["data"][1]["id"]]},
            {"root_clip_id": "nobody", "clips": ["nobody"]},
        )
    ]

    assert answers == [
        "root clip must be generated, not uploaded",
        "clips must be a list with the root clip in it",
        "clip not found: nobody",
    ]


def test_style_tags_grow_into_a_sentence(simulator: Any) -> None:
    answer = simulator.post("/suno/act/tags", {"original_tags": "campfire"})
    wrapped = simulator.post("/suno/act/tags", {"original_tags": "campfire"}, simulate="wrapped").json()

    assert set(answer.json()) == {"upsampled_tags", "request_id"}
    assert "campfire" in answer.json()["upsampled_tags"]
    assert wrapped["data"]["upsampled_tags"] == answer.json()["upsampled_tags"]
    assert simulator.post("/suno/act/tags", {}).status_code == 400
    assert simulator.post("/suno/act/tags", {"original_tags": "x"}, simulate="failed").json()["code"] == "bad_response"


def link_of(answer: dict[str, Any], name: str) -> str:
    link: str = answer["data"][name]
    return link


def test_a_wav_is_asked_for_until_it_is_there_and_paid_once(simulator: Any, song: dict[str, Any]) -> None:
    clip = song["data"][1]
    path = f"/suno/act/wav/{clip['id']}"

    seen = simulator.poll(path, lambda answer: bool(answer["data"]["wav_file_url"]))

    assert seen[0] == {"code": "success", "message": "", "data": {"wav_file_url": ""}}
    with wave.open(io.BytesIO(simulator.get(link_of(seen[-1], "wav_file_url")).content)) as file:
        assert abs(file.getnframes() / file.getframerate() - clip["metadata"]["duration"]) < 0.01
    assert simulator.get(path).json() == seen[-1]
    assert [row["charged"] for row in simulator.ledger(event="paid_call", operation="suno.wav")] == [True]


def test_an_mp4_has_picture_and_sound(simulator: Any, song: dict[str, Any]) -> None:
    clip = song["data"][1]
    seen = simulator.poll(f"/suno/act/mp4/{clip['id']}", lambda answer: bool(answer["data"]["mp4_file_url"]))

    with av.open(io.BytesIO(simulator.get(link_of(seen[-1], "mp4_file_url")).content), "r") as file:
        assert file.streams.video
        assert file.streams.audio
    assert [row["operation"] for row in simulator.ledger(charged="true")] == ["suno.music", "suno.mp4_video"]


def test_midi_is_notes_in_json(simulator: Any, song: dict[str, Any]) -> None:
    clip = song["data"][0]
    seen = simulator.poll(f"/suno/act/midi/{clip['id']}", lambda answer: answer["state"] == "complete")

    assert seen[0] == {"state": "running"}
    assert [one["name"] for one in seen[-1]["instruments"]] == ["Piano", "Bass"]
    for instrument in seen[-1]["instruments"]:
        for note in instrument["notes"]:
            assert 0 <= note["start"] < note["end"] <= clip["metadata"]["duration"]
            assert 0 <= note["velocity"] <= 1
            assert 0 <= note["pitch"] <= 127


def test_midi_of_a_stem_is_its_instrument(simulator: Any, song: dict[str, Any]) -> None:
    drums = done(simulator, MUSIC, stems(song, "twelve"))["data"][2]

    seen = simulator.poll(f"/suno/act/midi/{drums['id']}", lambda answer: answer["state"] == "complete")

    assert [one["name"] for one in seen[-1]["instruments"]] == ["Drums"]


def test_timing_puts_every_word_on_the_clock(simulator: Any, song: dict[str, Any]) -> None:
    clip = song["data"][0]
    answer = simulator.get(f"/suno/act/timing/{clip['id']}").json()

    words = answer["aligned_words"]
    assert words[0]["word"] == "[Verse]\nHarbour "
    assert "".join(word["word"] for word in words) == SONG["prompt"]
    starts = [word["start_s"] for word in words]
    assert starts == sorted(starts)
    assert words[-1]["end_s"] == clip["metadata"]["duration"]
    assert answer["is_streamed"] is False
    assert all(0 <= point <= 1 for point in answer["waveform_data"])
    assert simulator.ledger(charged="true")[-1]["operation"] == "suno.timing"


@pytest.mark.parametrize("what", ["mp4", "wav", "midi", "timing"])
def test_a_clip_must_be_known_and_complete(simulator: Any, what: str) -> None:
    task_id = submitted(simulator, MUSIC, SONG, "never_finishes")
    (early, _) = simulator.get(f"/suno/fetch/{task_id}").json()["data"]["data"]

    answers = [simulator.get(f"/suno/act/{what}/{clip_id}") for clip_id in ("nobody", early["id"])]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert [answer.json()["message"] for answer in answers] == ["clip not found: nobody", "clip is not complete"]
    assert [row["charged"] for row in simulator.ledger(event="paid_call")] == [True, False, False]


@pytest.mark.parametrize(
    ("what", "options", "waiting", "member"),
    [
        ("wav", "shape=bare", {"wav_file_url": ""}, "wav_file_url"),
        ("mp4", "shape=bare", {"mp4": ""}, "mp4"),
        ("wav", "shape=url", {"code": "success", "message": "", "data": {"wav_url": ""}}, "wav_url"),
    ],
)
def test_links_come_in_other_shapes(
    simulator: Any, song: dict[str, Any], what: str, options: str, waiting: dict[str, Any], member: str
) -> None:
    path = f"/suno/act/{what}/{song['data'][0]['id']}"
    first = simulator.get(path, headers={"x-simulate": f"variant {options}"}).json()

    last = simulator.poll(path, lambda answer: bool(answer.get("data", answer)[member]))[-1]

    assert first == waiting
    assert simulator.get(last.get("data", last)[member]).status_code == 200


def test_a_token_may_stand_in_for_a_wav_that_is_not_ready(simulator: Any, song: dict[str, Any]) -> None:
    path = f"/suno/act/wav/{song['data'][0]['id']}"
    first = simulator.get(path, headers={"x-simulate": "variant waiting=token shape=string"}).json()

    last = simulator.poll(path, lambda answer: answer["data"].startswith("http"))[-1]

    assert len(first["data"]) == 36
    assert simulator.get(last["data"]).headers["content-type"].endswith("wav")


def test_an_error_may_say_that_it_is_not_ready(simulator: Any, song: dict[str, Any]) -> None:
    path = f"/suno/act/mp4/{song['data'][0]['id']}"
    first = simulator.get(path, headers={"x-simulate": "variant waiting=error"})

    assert (first.status_code, first.json()["code"]) == (500, "fail_to_fetch_task")
    end = time.monotonic() + 10
    while simulator.get(path).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_conversion_fails_for_ever_and_gives_the_money_back(simulator: Any, song: dict[str, Any]) -> None:
    path = f"/suno/act/wav/{song['data'][0]['id']}"
    assert simulator.get(path, headers={"x-simulate": "failed"}).json()["data"] == {"wav_file_url": ""}

    end = time.monotonic() + 10
    while (answer := simulator.get(path)).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.02)

    assert answer.json() == {"code": "fail_to_fetch_task", "message": "conversion failed", "data": None}
    assert simulator.ledger(event="finished", operation="suno.wav")[0]["refunded"] is True
    assert len(simulator.ledger(event="paid_call", operation="suno.wav")) == 1


def test_a_rule_spoils_the_second_call_for_a_wav(simulator: Any, song: dict[str, Any]) -> None:
    simulator.control(faults=[{"match": {"on": "poll", "operation": "suno.wav"}, "fault": "rate_limit"}])
    path = f"/suno/act/wav/{song['data'][0]['id']}"

    assert [simulator.get(path).status_code for _ in range(3)] == [200, 429, 200]


def test_the_link_of_a_conversion_can_be_dead(simulator: Any, song: dict[str, Any]) -> None:
    path = f"/suno/act/wav/{song['data'][0]['id']}"
    simulator.get(path, headers={"x-simulate": "dead_link"})

    last = simulator.poll(path, lambda answer: bool(answer["data"]["wav_file_url"]))[-1]

    assert simulator.get(link_of(last, "wav_file_url")).status_code == 404


def test_clips_can_go_on_streaming_after_their_task_is_over(simulator: Any) -> None:
    task_id = submitted(simulator, MUSIC, {**SONG, "prompt": "x [[simulate:variant clips=streaming seconds=1.5]]"})
    over = finished(simulator, task_id)
    assert {clip["status"] for clip in over["data"]} == {"streaming"}
    assert all("item_id" in clip["audio_url"] for clip in over["data"])

    last = simulator.poll(f"/suno/fetch/{task_id}", lambda answer: answer["data"]["data"][0]["status"] == "complete")[-1]

    assert last["data"]["data"][0]["audio_url"].endswith(".mp3")


def test_one_clip_of_a_successful_task_can_be_an_error(simulator: Any) -> None:
    task = done(simulator, MUSIC, SONG, "variant clips=error")

    good, bad = task["data"]
    assert (good["status"], bad["status"], bad["audio_url"]) == ("complete", "error", "")
    assert bad["metadata"]["error_message"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"continue_clip_id": "nobody"}, "clip not found: nobody"),
        ({"continue_at": None}, "continue_at is required"),
        ({"continue_at": 90}, "continue_at must be a number from 0 to 24.0"),
        ({"task": "stretch"}, "invalid_action"),
        ({"task": "cover"}, "cover_clip_id is required"),
        ({"metadata": {"vocal_gender": "x"}}, "metadata.vocal_gender must be one of f, m"),
        ({"metadata": {"control_sliders": {"style_weight": 2}}}, None),
        ({"make_instrumental": "yes"}, None),
        ({"generation_type": "VIDEO"}, None),
    ],
    ids=str,
)
def test_an_extension_is_checked(simulator: Any, extend: dict[str, Any], wrong: dict[str, Any], message: str | None) -> None:
    answer = simulator.post(MUSIC, {**extend, **wrong})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert message in (None, answer.json()["message"])


def test_the_task_of_a_clip_must_be_known(simulator: Any, extend: dict[str, Any]) -> None:
    answer = simulator.post(MUSIC, {**extend, "task_id": "nobody"})

    assert (answer.status_code, answer.json()["code"]) == (400, "task_not_exist")


def test_the_batch_says_text_and_is_json(simulator: Any, song: dict[str, Any]) -> None:
    answer = simulator.post("/suno/fetch", {"ids": [song["task_id"]], "action": "MUSIC"})

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json()["data"][0]["notify_hook"] == ""
