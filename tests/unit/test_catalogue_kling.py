"""Kling: what is sent for every operation, what the documented answers mean, and what is refused before it costs.

Paths and answers are copied from the upstream facts (kling.md), not from the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import pytest

from jobs import catalogue, submission
from jobs.catalogue import asking, media, wire
from jobs.catalogue.outcomes import Accepted, Answered, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running
from jobs.catalogue.spec import Operation
from jobs.validation import Problem, Refused

#: Operation → where it is asked for, below `/kling/v1`. A task is found below the same path by its id, or by our name for it.
TASKS = {
    "text_to_video": "videos/text2video",
    "image_to_video": "videos/image2video",
    "multi_image_to_video": "videos/multi-image2video",
    "video_extension": "videos/video-extend",
    "avatar": "videos/avatar/image2video",
    "lip_sync": "videos/lip-sync",
    "advanced_lip_sync": "videos/advanced-lip-sync",
    "video_effects": "videos/effects",
    "text_to_audio": "audio/text-to-audio",
    "video_to_audio": "audio/video-to-audio",
    "image_generation": "images/generations",
    "multi_image_to_image": "images/multi-image2image",
    "image_expansion": "images/editing/expand",
    "virtual_try_on": "images/kolors-virtual-try-on",
    "edit_video": "videos/multi-elements",
}
CALLS = {
    "identify_face": "videos/identify-face",
    "tts": "audio/tts",
    "image_recognize": "videos/image-recognize",
    "edit_init_selection": "videos/multi-elements/init-selection",
    "edit_add_selection": "videos/multi-elements/add-selection",
    "edit_delete_selection": "videos/multi-elements/delete-selection",
    "edit_clear_selection": "videos/multi-elements/clear-selection",
    "edit_preview_selection": "videos/multi-elements/preview-selection",
}
EVERY = (*TASKS, *CALLS)


def op_(name: str) -> Operation:
    found = catalogue.find(f"kling.{name}")
    assert found is not None
    return found


def body_(document: Any) -> bytes:
    return json.dumps(document).encode()


def kling(data: Any, code: Any = 0) -> dict[str, Any]:
    return {"code": code, "message": "SUCCEED", "request_id": "req-71", "data": data}


def task(status: str, **more: Any) -> dict[str, Any]:
    return kling(
        {
            "task_id": "840011223344",
            "task_status": status,
            "task_status_msg": "",
            "task_info": {"external_task_id": "job-5f"},
            "created_at": 1774200000123,
            "updated_at": 1774200009000,
            **more,
        }
    )


def wrapped(status: str, data: Any = None, **more: Any) -> dict[str, Any]:
    """The older gateway wrapper."""
    head = {"task_id": "840011223344", "status": status, "fail_reason": "", "submit_time": 1774200000, "progress": "100%"}
    return {"code": "success", "message": "", "data": {**head, "data": data, **more}}


CDN = "https://cdn.example.net"
VIDEO = {"id": "v-9001", "url": f"{CDN}/v-9001.mp4", "watermark_url": "", "duration": "5.1"}
IMAGE_0: dict[str, Any] = {"index": 0, "url": f"{CDN}/i-0.png", "watermark_url": ""}
IMAGE_1: dict[str, Any] = {"index": 1, "url": f"{CDN}/i-1.png", "watermark_url": ""}
AUDIO = {"id": "a-31", "url_mp3": f"{CDN}/a-31.mp3", "url_wav": f"{CDN}/a-31.wav", "duration_mp3": "5.0", "duration_wav": "5.0"}
SPEECH = {"id": "a-77", "url": f"{CDN}/a-77.mp3", "duration": "3.2"}

IMAGES = ("image_generation", "multi_image_to_image", "image_expansion", "virtual_try_on")
#: What each task makes, by the field of `task_result`.
RESULTS: dict[str, dict[str, Any]] = {
    **{name: {"videos": [VIDEO]} for name in TASKS},
    **{name: {"images": [IMAGE_0, IMAGE_1]} for name in IMAGES},
    "text_to_audio": {"audios": [AUDIO]},
    "video_to_audio": {"videos": [VIDEO], "audios": [AUDIO]},
    "edit_video": {"videos": [VIDEO | {"session_id": "s-88"}]},
}
FILES: dict[str, list[tuple[str, str]]] = {
    "videos": [("video", VIDEO["url"])],
    "images": [("image", IMAGE_0["url"]), ("image", IMAGE_1["url"])],
    "audios": [("audio", AUDIO["url_mp3"]), ("audio", AUDIO["url_wav"])],
}


def files_of(done: Done) -> list[tuple[str, str]]:
    return [(output["kind"], output["url"]) for output in done.outputs if "url" in output]


# Requests -----------------------------------------------------------------------------------------------------------------


def with_values(value: Any) -> Any:
    """The example as it is when the jobs it waits for are done."""
    if isinstance(value, dict):
        if set(value) == {"job", "get"}:
            return "id-1"
        if set(value) == {"job", "artifact"}:
            return "aGVsbG8gd29ybGQhIQ=="
        return {name: with_values(part) for name, part in value.items()}
    return [with_values(part) for part in value] if isinstance(value, list) else value


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "job" in value:
            yield value["job"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_every_operation_of_the_list_is_there() -> None:
    there_are = {name.partition(".")[2] for name, op in catalogue.all_operations().items() if op.provider == "kling"}
    assert there_are == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_the_example_is_a_whole_input_once_the_jobs_it_waits_for_are_done(name: str) -> None:
    assert [error.message for error in op_(name).validator.iter_errors(with_values(op_(name).example))] == []


def test_the_examples_wait_for_each_other_in_an_order_that_exists() -> None:
    waits = {f"kling.{name}": set(references(op_(name).example)) for name in EVERY}
    order = list(TopologicalSorter(waits).static_order())
    assert set(order) == set(waits), "every job an example waits for is an example as well"


def test_the_steps_of_an_editing_session_follow_one_another() -> None:
    """Marks belong to the session: two steps at once, and one would see, or spoil, the other's."""
    steps = ("init_selection", "add_selection", "delete_selection", "preview_selection", "video", "clear_selection")
    waits = [set(references(op_(f"edit_{step}").example)) for step in steps]
    assert waits == [{"kling.text_to_video"}, *({f"kling.edit_{step}"} for step in steps[:-1])]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_created_under_our_name_and_with_our_address(name: str) -> None:
    given = with_values(op_(name).example)
    request = asking.submit_request(op_(name), given, "ref-1", "https://mill.example/in/x")
    assert (request.method, request.path) == ("POST", f"/kling/v1/{TASKS[name]}")
    assert request.json == given | {"external_task_id": "ref-1", "callback_url": "https://mill.example/in/x"}
    assert asking.poll_request(op_(name), asking.Asked(given, "84/1")).path == f"/kling/v1/{TASKS[name]}/84%2F1"
    assert asking.lookup_request(op_(name), "ref-1").path == f"/kling/v1/{TASKS[name]}/ref-1"


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_answers_at_once_is_sent_as_it_was_asked(name: str) -> None:
    given = with_values(op_(name).example)
    request = asking.submit_request(op_(name), given, "ref-1", "https://mill.example/in/x")
    assert (request.method, request.path, request.json) == ("POST", f"/kling/v1/{CALLS[name]}", given)
    assert op_(name).synchronous


@pytest.mark.parametrize("name", ["text_to_video", "image_to_video"])
def test_the_model_is_always_named(name: str) -> None:
    body = asking.submit_request(op_(name), {"prompt": "a"}, "ref-1").json
    assert body is not None
    assert body["model_name"] == "kling-v1-6"


def test_media_is_found_wherever_it_stands() -> None:
    file = {"file": "file_" + "0" * 32}
    inputs: dict[str, dict[str, Any]] = {
        "image_to_video": {"image": file, "dynamic_masks": [{"mask": file, "trajectories": [{"x": 0, "y": 0}] * 2}]},
        "video_effects": {"effect_scene": "hug", "input": {"images": [file, file]}},
        "lip_sync": {"input": {"video_url": file, "audio_file": file, "audio_url": file}},
        "advanced_lip_sync": {"face_choose": [{"sound_file": file}]},
    }
    found = {name: {place.path: place.forms for place in media.places(op_(name), given)} for name, given in inputs.items()}
    assert found == {
        "image_to_video": {("image",): ("base64", "url"), ("dynamic_masks", 0, "mask"): ("base64", "url")},
        "video_effects": {("input", "images", 0): ("base64", "url"), ("input", "images", 1): ("base64", "url")},
        "lip_sync": {
            ("input", "video_url"): ("url",),
            ("input", "audio_file"): ("base64",),
            ("input", "audio_url"): ("url",),
        },
        "advanced_lip_sync": {("face_choose", 0, "sound_file"): ("base64", "url")},
    }


# Tasks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_accepted_by_its_id(name: str) -> None:
    outcome = wire.read_submit(op_(name), 200, {}, body_(task("submitted")))
    assert outcome == Accepted("840011223344", "submitted", "req-71")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (task("submitted"), Running),
        (task("processing"), Running),
        (task("dreaming"), Running),
        (task("failed", task_status_msg="content blocked by risk control", task_info={}), Failed),
        (task("succeed"), Failed),
        (task("succeed", task_result={}), Failed),
        *((wrapped(word), Running) for word in ("NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "UNKNOWN")),
        (wrapped("FAILURE", fail_reason="moderated"), Failed),
        (wrapped("SUCCESS", fail_reason="no address"), Failed),
        (kling({"task_id": "840011223344"}), Puzzling),
        (kling(None), Puzzling),
        (kling(None, 1303), Puzzling),
        (kling(None, 1203), NotVisible),
        ({"code": "task_not_exist", "message": "x", "data": None}, NotVisible),
    ],
)
def test_a_task_goes_on_or_ends_as_it_says(answer: Any, outcome: type) -> None:
    for name in TASKS:
        assert type(wire.read_poll(op_(name), 200, {}, body_(answer))) is outcome, name


@pytest.mark.parametrize(
    "answer",
    [
        task("failed", task_status_msg="too dark"),
        wrapped("FAILURE", fail_reason="too dark"),
        wrapped("FAILURE", {"task_status": "failed", "task_status_msg": "too dark"}),
    ],
)
def test_a_failed_task_says_why(answer: Any) -> None:
    outcome = wire.read_poll(op_("avatar"), 200, {}, body_(answer))
    assert isinstance(outcome, Failed)
    assert "too dark" in outcome.error.message


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("shape", ["native", "newer word", "wrapped", "wrapped twice", "wrapped thrice"])
def test_a_finished_task_names_its_files_in_every_shape(name: str, shape: str) -> None:
    result = {"task_result": RESULTS[name]}
    answer = {
        "native": task("succeed", **result),
        "newer word": task("succeeded", **result),
        "wrapped": wrapped("SUCCESS", task_status="succeed", **result),
        "wrapped twice": wrapped("SUCCESS", {"task_status": "succeed", **result}),
        "wrapped thrice": wrapped("SUCCESS", {"code": 0, "data": {"task_status": "succeed", **result}}),
    }[shape]
    outcome = wire.read_poll(op_(name), 200, {}, body_(answer))
    assert isinstance(outcome, Done)
    assert files_of(outcome) == [file for kind in RESULTS[name] for file in FILES[kind]]
    assert set(outcome.values) >= set(RESULTS[name])


@pytest.mark.parametrize("name", TASKS)
def test_an_address_where_failures_have_their_reason_is_the_result(name: str) -> None:
    outcome = wire.read_poll(op_(name), 200, {}, body_(wrapped("SUCCESS", fail_reason=f"{CDN}/r.bin?sig=a%2Fb")))
    assert isinstance(outcome, Done)
    assert [url for _, url in files_of(outcome)] == [f"{CDN}/r.bin?sig=a%2Fb"]


@pytest.mark.parametrize(
    ("name", "more", "values"),
    [
        ("text_to_video", {}, {"videos": [{"id": "v-9001", "duration": "5.1"}]}),
        (
            "video_extension",
            {"task_info": {"parent_video": {"id": "v-8000", "url": f"{CDN}/v-8000.mp4", "duration": "5.0"}}},
            {"videos": [{"id": "v-9001", "duration": "5.1"}], "parent_video": {"id": "v-8000", "duration": "5.0"}},
        ),
        ("image_generation", {}, {"images": [{"index": 0}, {"index": 1}]}),
        ("text_to_audio", {}, {"audios": [{"id": "a-31", "duration": "5.0"}]}),
        ("edit_video", {}, {"videos": [{"id": "v-9001", "duration": "5.1", "session_id": "s-88"}]}),
    ],
)
def test_a_finished_task_leaves_the_ids_that_later_jobs_need(name: str, more: dict[str, Any], values: dict[str, Any]) -> None:
    answer = task("succeed", task_result=RESULTS[name], final_unit_deduction="2.5", **more)
    outcome = wire.read_poll(op_(name), 200, {}, body_(answer))
    assert isinstance(outcome, Done)
    assert outcome.values == values | {"final_unit_deduction": "2.5"}


def test_marked_copies_come_after_all_results() -> None:
    images = [IMAGE_0 | {"watermark_url": f"{CDN}/w-0.png"}, IMAGE_1 | {"watermark_url": f"{CDN}/w-1.png"}]
    outcome = wire.read_poll(op_("image_generation"), 200, {}, body_(task("succeed", task_result={"images": images})))
    assert isinstance(outcome, Done)
    assert [url.rpartition("/")[2] for _, url in files_of(outcome)] == ["i-0.png", "i-1.png", "w-0.png", "w-1.png"]


# Calls that answer at once ------------------------------------------------------------------------------------------------

MASK = {
    "object_id": 0,
    "rle_mask": {"size": [720, 1280], "counts": "ab12"},
    "png_mask": {"size": [720, 1280], "base64": "iVBORw0K"},
}
MARKED = {"status": 0, "session_id": "s-88", "res": {"frame_index": 12, "rle_mask_list": [MASK]}}


@dataclass(frozen=True)
class Call:
    """A documented answer, the media in it, and the values that stay."""

    data: dict[str, Any]
    files: list[tuple[str, str]]
    values: dict[str, Any]


ANSWERS = {
    "identify_face": Call(
        {
            "session_id": "s-55",
            "face_data": [{"face_id": "0", "face_image": f"{CDN}/f0.png", "start_time": 0, "end_time": 5200}],
            "final_unit_deduction": "0.05",
        },
        [("image", f"{CDN}/f0.png")],
        {
            "session_id": "s-55",
            "face_data": [{"face_id": "0", "start_time": 0, "end_time": 5200}],
            "final_unit_deduction": "0.05",
        },
    ),
    "tts": Call(
        {
            "task_id": "84077",
            "task_status": "succeed",
            "task_status_msg": "",
            "task_info": {},
            "task_result": {"audios": [SPEECH]},
            "final_unit_deduction": "0.05",
        },
        [("audio", SPEECH["url"])],
        {"audios": [{"id": "a-77", "duration": "3.2"}], "final_unit_deduction": "0.05"},
    ),
    "image_recognize": Call(
        {
            "task_result": {
                "images": [
                    {"type": "object_seg", "is_contain": True, "url": f"{CDN}/seg-o.png"},
                    {"type": "face_seg", "is_contain": False, "url": ""},
                ]
            }
        },
        [("image", f"{CDN}/seg-o.png")],
        {"images": [{"type": "object_seg", "is_contain": True}, {"type": "face_seg", "is_contain": False}]},
    ),
    "edit_init_selection": Call(
        {
            "status": 0,
            "session_id": "s-88",
            "fps": 30.0,
            "original_duration": 5000,
            "width": 1280,
            "height": 720,
            "total_frame": 150,
            "normalized_video": f"{CDN}/n.mp4",
            "final_unit_deduction": "0",
        },
        [],
        {
            "session_id": "s-88",
            "fps": 30.0,
            "original_duration": 5000,
            "width": 1280,
            "height": 720,
            "total_frame": 150,
            "normalized_video": f"{CDN}/n.mp4",
            "final_unit_deduction": "0",
        },
    ),
    "edit_add_selection": Call(MARKED, [], {"session_id": "s-88", "frame_index": 12, "objects": [0]}),
    "edit_delete_selection": Call(MARKED, [], {"session_id": "s-88", "frame_index": 12, "objects": [0]}),
    "edit_clear_selection": Call({"status": 0, "session_id": "s-88"}, [], {"session_id": "s-88"}),
    "edit_preview_selection": Call(
        {
            "status": 0,
            "session_id": "s-88",
            "res": {"video": f"{CDN}/p.mp4", "video_cover": f"{CDN}/p.jpg", "tracking_output": f"{CDN}/p.json"},
        },
        [("video", f"{CDN}/p.mp4"), ("image", f"{CDN}/p.jpg")],
        {"session_id": "s-88", "tracking_output": f"{CDN}/p.json"},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_at_once_is_read_whole(name: str) -> None:
    case = ANSWERS[name]
    outcome = wire.read_submit(op_(name), 200, {}, body_(kling(case.data)))
    assert isinstance(outcome, Answered)
    assert outcome.request_id == "req-71"
    assert files_of(outcome.result) == case.files
    assert outcome.result.values == case.values


@pytest.mark.parametrize("name", [name for name in CALLS if name != "tts"])
def test_an_answer_in_words_is_kept_as_a_json_file_before_its_media(name: str) -> None:
    outcome = wire.read_submit(op_(name), 200, {}, body_(kling(ANSWERS[name].data)))
    assert isinstance(outcome, Answered)
    first = outcome.result.outputs[0]
    assert (first["kind"], first["extension"], json.loads(first["text"])) == ("text", "json", ANSWERS[name].data)


@pytest.mark.parametrize("name", ["edit_add_selection", "edit_delete_selection"])
def test_marks_come_as_pictures_and_stay_out_of_the_values(name: str) -> None:
    outcome = wire.read_submit(op_(name), 200, {}, body_(kling(MARKED)))
    assert isinstance(outcome, Answered)
    assert outcome.result.outputs[1:] == [{"kind": "image", "b64": "iVBORw0K", "object_id": 0}]
    assert "iVBORw0K" not in json.dumps(outcome.result.values)


def test_a_cut_out_of_what_the_picture_does_not_show_is_none() -> None:
    images = [{"type": "face_seg", "is_contain": False, "url": f"{CDN}/black.png"}]
    outcome = wire.read_submit(op_("image_recognize"), 200, {}, body_(kling({"task_result": {"images": images}})))
    assert isinstance(outcome, Answered)
    assert files_of(outcome.result) == []


def test_a_video_without_a_face_is_a_result() -> None:
    outcome = wire.read_submit(op_("identify_face"), 200, {}, body_(kling({"session_id": "s-55", "face_data": []})))
    assert isinstance(outcome, Answered)
    assert outcome.result.values["face_data"] == []


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("edit_")])
def test_a_rejected_video_is_rejected_although_the_code_is_good(name: str) -> None:
    outcome = wire.read_submit(op_(name), 200, {}, body_(kling(ANSWERS[name].data | {"status": 2})))
    assert isinstance(outcome, Rejected)
    assert outcome.error.code == "invalid_input"
    assert outcome.error.upstream is not None
    assert outcome.error.upstream.code == "status 2"
    assert not outcome.error.may_have_been_charged


def test_speech_that_failed_is_no_speech() -> None:
    failed = {"task_id": "84077", "task_status": "failed", "task_status_msg": "voice is gone"}
    outcome = wire.read_submit(op_("tts"), 200, {}, body_(kling(failed)))
    assert isinstance(outcome, Rejected)
    assert "voice is gone" in outcome.error.message
    assert outcome.error.may_have_been_charged


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("data", [None, {}, [], "x", {"status": 0}, {"task_result": None}, {"session_id": None}])
def test_an_answer_without_a_result_is_none(name: str, data: Any) -> None:
    outcome = wire.read_submit(op_(name), 200, {}, body_(kling(data)))
    assert isinstance(outcome, Rejected)
    assert outcome.error.code == "no_output"
    assert outcome.error.may_have_been_charged


@pytest.mark.parametrize(
    ("status", "code", "outcome", "error"),
    [
        (401, 1000, Rejected, "upstream_auth"),
        (401, 1001, Rejected, "upstream_auth"),
        (401, 1002, Rejected, "upstream_auth"),
        (401, 1003, Rejected, "upstream_auth"),
        (401, 1004, Rejected, "upstream_auth"),
        (429, 1100, Rejected, "upstream_forbidden"),
        (429, 1101, Rejected, "upstream_payment"),
        (429, 1102, Rejected, "upstream_payment"),
        (403, 1103, Rejected, "upstream_forbidden"),
        (400, 1200, Rejected, "invalid_input"),
        (400, 1201, Rejected, "invalid_input"),
        (404, 1202, Rejected, "invalid_input"),
        (404, 1203, Rejected, "model_unavailable"),
        (400, 1300, Rejected, "content_rejected"),
        (400, 1301, Rejected, "content_rejected"),
        (429, 1302, NotAccepted, "rate_limited"),
        (429, 1303, NotAccepted, "rate_limited"),
        (429, 1304, Rejected, "upstream_forbidden"),
        (500, 5000, Lost, "upstream_outcome_unknown"),
        (503, 5001, NotAccepted, "upstream_unavailable"),
        (504, 5002, Lost, "upstream_outcome_unknown"),
        (200, 1201, Rejected, "invalid_input"),
        (200, 1303, NotAccepted, "rate_limited"),
    ],
)
def test_every_documented_code_means_the_same_for_every_operation(status: int, code: int, outcome: type, error: str) -> None:
    answer = body_({"code": code, "message": "as the table has it", "request_id": "req-9"})
    for name in EVERY:
        read = wire.read_submit(op_(name), status, {}, answer)
        assert type(read) is outcome, name
        assert isinstance(read, Rejected | NotAccepted | Lost)
        assert read.error.code == error, name


# Inputs -------------------------------------------------------------------------------------------------------------------

URL = "https://x.example/a.png"
GONE = object()

#: The least, or a typical, good input of each operation.
GOOD: dict[str, dict[str, Any]] = {
    "text_to_video": {"prompt": "a boat"},
    "image_to_video": {"image": URL, "prompt": "it moves"},
    "multi_image_to_video": {"image_list": [{"image": URL}, {"image": URL}], "prompt": "they meet"},
    "video_extension": {"video_id": "v-9001"},
    "avatar": {"image": URL, "audio_id": "a-77"},
    "lip_sync": {"input": {"video_id": "v-9001", "mode": "text2video", "text": "Hello.", "voice_id": "genshin_vindi2"}},
    "identify_face": {"video_id": "v-9001"},
    "advanced_lip_sync": {
        "session_id": "s-55",
        "face_choose": [
            {"face_id": "0", "audio_id": "a-77", "sound_start_time": 0, "sound_end_time": 3000, "sound_insert_time": 0}
        ],
    },
    "video_effects": {"effect_scene": "squish", "input": {"image": URL, "duration": "5"}},
    "text_to_audio": {"prompt": "rain", "duration": 3.0},
    "video_to_audio": {"video_id": "v-9001"},
    "tts": {"text": "Hello.", "voice_id": "genshin_vindi2", "voice_language": "en"},
    "image_generation": {"prompt": "a boat"},
    "multi_image_to_image": {"subject_image_list": [{"subject_image": URL}]},
    "image_expansion": {
        "image": URL,
        "up_expansion_ratio": 0,
        "down_expansion_ratio": 0.5,
        "left_expansion_ratio": 0,
        "right_expansion_ratio": 2,
    },
    "image_recognize": {"image": URL},
    "virtual_try_on": {"human_image": URL, "cloth_image": URL},
    "edit_init_selection": {"video_id": "v-9001"},
    "edit_add_selection": {"session_id": "s-88", "frame_index": 0, "points": [{"x": 0, "y": 1}]},
    "edit_delete_selection": {"session_id": "s-88", "frame_index": 0, "points": [{"x": 0, "y": 1}]},
    "edit_clear_selection": {"session_id": "s-88"},
    "edit_preview_selection": {"session_id": "s-88"},
    "edit_video": {"session_id": "s-88", "edit_mode": "removal", "prompt": "remove the boat from <<<video_1>>>"},
}

SHOT = {"index": 1, "prompt": "a", "duration": "5"}
MOTION = {"mask": URL, "trajectories": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}


def lips(**changes: Any) -> dict[str, Any]:
    return {"input": changed(GOOD["lip_sync"]["input"], changes)}


def face(**changes: Any) -> dict[str, Any]:
    return {"face_choose": [changed(GOOD["advanced_lip_sync"]["face_choose"][0], changes)]}


def effect(scene: str, **given: Any) -> dict[str, Any]:
    return {"effect_scene": scene, "input": {"duration": "5", **given}}


def changed(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in (deepcopy(good) | changes).items() if value is not GONE}


def check(name: str, changes: dict[str, Any]) -> list[Problem]:
    """The problems the API would answer with."""
    document = {"operation": f"kling.{name}", "input": changed(GOOD[name], changes)}
    try:
        submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
    except Refused as refused:
        return refused.problems
    return []


AUDIO2VIDEO = {"mode": "audio2video", "text": GONE, "voice_id": GONE}

BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("text_to_video", {"model_name": "kling-v3", "cfg_scale": 0.5}, "input.cfg_scale", "not_with_this_model"),
    ("text_to_video", {"model_name": "kling-v2-master", "cfg_scale": 0.5}, "input.cfg_scale", "not_with_this_model"),
    ("text_to_video", {"model_name": "kling-v2-1-master", "duration": "3"}, "input.duration", "not_one_of"),
    ("text_to_video", {"model_name": "kling-v2-5-turbo", "sound": "on"}, "input.sound", "not_one_of"),
    ("text_to_video", {"model_name": "kling-v2-6", "sound": "on"}, "input.mode", "missing_field"),
    ("text_to_video", {"model_name": "kling-v2-6", "sound": "on", "mode": "std"}, "input.mode", "not_one_of"),
    ("text_to_video", {"multi_shot": True, "shot_type": "intelligence"}, "input.multi_shot", "not_one_of"),
    ("text_to_video", {"model_name": "kling-v3", "multi_shot": True}, "input.shot_type", "missing_field"),
    ("text_to_video", {"model_name": "kling-v3", "shot_type": "customize"}, "input.multi_shot", "missing_field"),
    ("text_to_video", {"model_name": "kling-v3", "multi_prompt": [SHOT]}, "input.multi_shot", "missing_field"),
    (
        "text_to_video",
        {"model_name": "kling-v3", "prompt": GONE, "multi_shot": True, "shot_type": "intelligence"},
        "input.prompt",
        "missing_field",
    ),
    ("text_to_video", {"camera_control": {"type": "simple"}}, "input.camera_control.config", "missing_field"),
    (
        "text_to_video",
        {"camera_control": {"type": "down_back", "config": {"zoom": 1}}},
        "input.camera_control.config",
        "not_with_this_model",
    ),
    (
        "text_to_video",
        {"camera_control": {"type": "simple", "config": {"zoom": 1, "pan": 1}}},
        "input.camera_control.config",
        "wrong_form",
    ),
    (
        "text_to_video",
        {"camera_control": {"type": "simple", "config": {"zoom": 0}}},
        "input.camera_control.config",
        "wrong_form",
    ),
    ("image_to_video", {"image": GONE}, "input", "wrong_form"),
    ("image_to_video", {"image": "not media"}, "input.image", "wrong_form"),
    ("image_to_video", {"aspect_ratio": "16:9"}, "input.aspect_ratio", "unknown_field"),
    ("image_to_video", {"image_tail": URL, "static_mask": URL}, "input.static_mask", "not_with_this_model"),
    ("image_to_video", {"image_tail": URL, "dynamic_masks": [MOTION]}, "input.dynamic_masks", "not_with_this_model"),
    ("image_to_video", {"image_tail": URL, "camera_control": {"type": "down_back"}}, "input.camera_control", "not_with_this_model"),
    ("image_to_video", {"static_mask": URL, "camera_control": {"type": "down_back"}}, "input.static_mask", "not_with_this_model"),
    ("image_to_video", {"dynamic_masks": [MOTION] * 7}, "input.dynamic_masks", "too_many"),
    (
        "image_to_video",
        {"dynamic_masks": [MOTION | {"trajectories": [{"x": 1, "y": 2}]}]},
        "input.dynamic_masks[0].trajectories",
        "too_few",
    ),
    (
        "image_to_video",
        {"dynamic_masks": [MOTION | {"trajectories": [{"x": 1, "y": 2}] * 78}]},
        "input.dynamic_masks[0].trajectories",
        "too_many",
    ),
    ("image_to_video", {"element_list": [{"element_id": 7}] * 4}, "input.element_list", "too_many"),
    ("image_to_video", {"voice_list": [{"voice_id": "v"}] * 3}, "input.voice_list", "too_many"),
    (
        "image_to_video",
        {"voice_list": [{"voice_id": "v"}], "element_list": [{"element_id": 7}]},
        "input.element_list",
        "not_with_this_model",
    ),
    ("multi_image_to_video", {"image_list": []}, "input.image_list", "too_few"),
    ("multi_image_to_video", {"image_list": [{"image": URL}] * 5}, "input.image_list", "too_many"),
    ("multi_image_to_video", {"prompt": GONE}, "input.prompt", "missing_field"),
    ("multi_image_to_video", {"duration": "7"}, "input.duration", "not_one_of"),
    ("video_extension", {"video_id": GONE}, "input.video_id", "missing_field"),
    ("video_extension", {"prompt": "x" * 2501}, "input.prompt", "too_long"),
    ("video_extension", {"cfg_scale": 1.1}, "input.cfg_scale", "out_of_range"),
    ("avatar", {"audio_id": GONE}, "input", "wrong_form"),
    ("avatar", {"sound_file": URL}, "input.sound_file", "not_with_this_model"),
    ("avatar", {"image": GONE}, "input.image", "missing_field"),
    ("lip_sync", {"input": GONE}, "input.input", "missing_field"),
    ("lip_sync", lips(video_id=GONE), "input.input", "wrong_form"),
    ("lip_sync", lips(video_url=URL), "input.input.video_url", "not_with_this_model"),
    ("lip_sync", lips(text=GONE), "input.input.text", "missing_field"),
    ("lip_sync", lips(voice_id=GONE), "input.input.voice_id", "missing_field"),
    ("lip_sync", lips(text="x" * 121), "input.input.text", "too_long"),
    ("lip_sync", lips(voice_speed=0.7), "input.input.voice_speed", "out_of_range"),
    ("lip_sync", lips(mode="sing"), "input.input.mode", "not_one_of"),
    ("lip_sync", lips(**AUDIO2VIDEO), "input.input.audio_type", "missing_field"),
    ("lip_sync", lips(**AUDIO2VIDEO, audio_type="file"), "input.input.audio_file", "missing_field"),
    ("lip_sync", lips(**AUDIO2VIDEO, audio_type="url"), "input.input.audio_url", "missing_field"),
    ("identify_face", {"video_id": GONE}, "input", "wrong_form"),
    ("identify_face", {"video_url": URL}, "input.video_url", "not_with_this_model"),
    ("advanced_lip_sync", {"session_id": GONE}, "input.session_id", "missing_field"),
    ("advanced_lip_sync", {"face_choose": []}, "input.face_choose", "too_few"),
    ("advanced_lip_sync", {"face_choose": GOOD["advanced_lip_sync"]["face_choose"] * 2}, "input.face_choose", "too_many"),
    ("advanced_lip_sync", face(face_id=GONE), "input.face_choose[0].face_id", "missing_field"),
    ("advanced_lip_sync", face(audio_id=GONE), "input.face_choose[0]", "wrong_form"),
    ("advanced_lip_sync", face(sound_file=URL), "input.face_choose[0].sound_file", "not_with_this_model"),
    ("advanced_lip_sync", face(sound_end_time=GONE), "input.face_choose[0].sound_end_time", "missing_field"),
    ("advanced_lip_sync", face(sound_end_time="soon"), "input.face_choose[0].sound_end_time", "wrong_form"),
    ("advanced_lip_sync", face(sound_volume=2.1), "input.face_choose[0].sound_volume", "out_of_range"),
    ("video_effects", effect("hug", image=URL), "input.input.images", "missing_field"),
    ("video_effects", effect("squish", images=[URL, URL], model_name="kling-v1-6"), "input.input.image", "missing_field"),
    ("video_effects", effect("hug", images=[URL], model_name="kling-v1-6"), "input.input.images", "too_few"),
    ("video_effects", effect("hug", images=[URL, URL]), "input.input.model_name", "missing_field"),
    ("video_effects", effect("squish", image=URL, duration="10"), "input.input.duration", "not_one_of"),
    (
        "video_effects",
        effect("squish", image=URL, duration=GONE) | {"input": {"image": URL}},
        "input.input.duration",
        "missing_field",
    ),
    ("video_effects", effect("next-year", image=URL, images=[URL, URL]), "input.input.images", "not_with_this_model"),
    ("text_to_audio", {"prompt": "x" * 201}, "input.prompt", "too_long"),
    ("text_to_audio", {"duration": 2.9}, "input.duration", "out_of_range"),
    ("text_to_audio", {"duration": 10.1}, "input.duration", "out_of_range"),
    ("text_to_audio", {"duration": GONE}, "input.duration", "missing_field"),
    ("video_to_audio", {"video_id": GONE}, "input", "wrong_form"),
    ("video_to_audio", {"bgm_prompt": "x" * 201}, "input.bgm_prompt", "too_long"),
    ("video_to_audio", {"asmr_mode": "yes"}, "input.asmr_mode", "wrong_type"),
    ("tts", {"text": "x" * 1001}, "input.text", "too_long"),
    ("tts", {"voice_language": "de"}, "input.voice_language", "not_one_of"),
    ("tts", {"voice_language": GONE}, "input.voice_language", "missing_field"),
    ("tts", {"voice_speed": 2.1}, "input.voice_speed", "out_of_range"),
    ("image_generation", {"prompt": "  "}, "input.prompt", "blank"),
    ("image_generation", {"image": URL, "negative_prompt": "blur"}, "input.negative_prompt", "not_with_this_model"),
    ("image_generation", {"model_name": "kling-v1-5", "image": URL}, "input.image_reference", "missing_field"),
    ("image_generation", {"n": 10}, "input.n", "out_of_range"),
    ("image_generation", {"resolution": "4k"}, "input.resolution", "not_one_of"),
    ("image_generation", {"aspect_ratio": "5:4"}, "input.aspect_ratio", "not_one_of"),
    ("multi_image_to_image", {"subject_image_list": []}, "input.subject_image_list", "too_few"),
    ("multi_image_to_image", {"subject_image_list": [{"subject_image": URL}] * 5}, "input.subject_image_list", "too_many"),
    ("image_expansion", {"left_expansion_ratio": GONE}, "input.left_expansion_ratio", "missing_field"),
    ("image_expansion", {"left_expansion_ratio": 2.1}, "input.left_expansion_ratio", "out_of_range"),
    ("image_recognize", {"image": GONE}, "input.image", "missing_field"),
    ("virtual_try_on", {"human_image": GONE}, "input.human_image", "missing_field"),
    ("virtual_try_on", {"cloth_image": GONE}, "input.cloth_image", "missing_field"),
    ("edit_init_selection", {"video_id": GONE}, "input", "wrong_form"),
    ("edit_init_selection", {"video_url": URL}, "input.video_url", "not_with_this_model"),
    ("edit_init_selection", {"video_id": GONE, "video_url": URL, "task_id": "84"}, "input.video_id", "missing_field"),
    ("edit_add_selection", {"points": []}, "input.points", "too_few"),
    ("edit_add_selection", {"points": [{"x": 0, "y": 0}] * 11}, "input.points", "too_many"),
    ("edit_add_selection", {"points": [{"x": 1.1, "y": 0}]}, "input.points[0].x", "out_of_range"),
    ("edit_add_selection", {"frame_index": -1}, "input.frame_index", "out_of_range"),
    ("edit_delete_selection", {"points": GONE}, "input.points", "missing_field"),
    ("edit_clear_selection", {"session_id": GONE}, "input.session_id", "missing_field"),
    ("edit_preview_selection", {"session_id": ""}, "input.session_id", "too_short"),
    ("edit_video", {"edit_mode": "paint"}, "input.edit_mode", "not_one_of"),
    ("edit_video", {"edit_mode": "addition"}, "input.image_list", "missing_field"),
    ("edit_video", {"edit_mode": "addition", "image_list": [{"image": URL}] * 3}, "input.image_list", "too_many"),
    ("edit_video", {"edit_mode": "swap", "image_list": [{"image": URL}] * 2}, "input.image_list", "too_many"),
    ("edit_video", {"image_list": [{"image": URL}]}, "input.image_list", "not_with_this_model"),
    ("edit_video", {"prompt": GONE}, "input.prompt", "missing_field"),
]


@pytest.mark.parametrize("name", EVERY)
def test_the_good_inputs_of_this_file_are_good(name: str) -> None:
    assert check(name, {}) == []


@pytest.mark.parametrize(("name", "changes", "loc", "code"), BAD)
def test_what_the_provider_would_refuse_is_refused_before_it_costs(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in {(problem.loc, problem.code) for problem in check(name, changes)}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("field", ["callback_url", "external_task_id"])
def test_addresses_and_names_of_ours_are_no_fields_of_a_user(name: str, field: str) -> None:
    assert (f"input.{field}", "unknown_field") in {(problem.loc, problem.code) for problem in check(name, {field: "https://x"})}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("text_to_video", {"model_name": "kling-v3", "duration": "15", "sound": "on"}),
        ("text_to_video", {"model_name": "kling-v9-from-tomorrow", "duration": "12", "sound": "on"}),
        ("text_to_video", {"model_name": "kling-v2-6", "sound": "on", "mode": "pro", "duration": "10"}),
        ("text_to_video", {"camera_control": {"type": "simple", "config": {"zoom": -10, "pan": 0}}}),
        ("text_to_video", {"camera_control": {"type": "down_back"}, "cfg_scale": 0.5, "sound": "off"}),
        ("text_to_video", {"model_name": "kling-v3", "multi_shot": True, "shot_type": "intelligence"}),
        (
            "text_to_video",
            {"model_name": "kling-v3", "prompt": GONE, "multi_shot": True, "shot_type": "customize", "multi_prompt": [SHOT] * 6},
        ),
        ("image_to_video", {"image": GONE, "image_tail": URL, "prompt": GONE}),
        ("image_to_video", {"image": "data:image/png;base64,aaaa", "static_mask": URL, "dynamic_masks": [MOTION] * 6}),
        ("image_to_video", {"image": "aGVsbG8gd29ybGQhIQ==", "element_list": [{"element_id": "e"}] * 3}),
        ("multi_image_to_video", {"image_list": [{"image": URL}], "prompt": "x" * 2500}),
        ("multi_image_to_video", {"image_list": [{"image": {"file": "file_" + "0" * 32}}] * 4, "cfg_scale": 0.5}),
        ("video_extension", {"prompt": "", "cfg_scale": 1}),
        ("avatar", {"audio_id": GONE, "sound_file": URL, "mode": "pro"}),
        ("lip_sync", lips(**AUDIO2VIDEO, audio_type="url", audio_url=URL)),
        ("lip_sync", lips(**AUDIO2VIDEO, audio_type="file", audio_file="aGVsbG8gd29ybGQhIQ==", task_id="84")),
        ("lip_sync", lips(video_id=GONE, video_url=URL, voice_language="zh", voice_speed=2.0)),
        ("identify_face", {"video_id": GONE, "video_url": URL}),
        ("advanced_lip_sync", face(sound_start_time="0", sound_end_time="3000", original_sound_volume=0)),
        ("advanced_lip_sync", face(audio_id=GONE, sound_file=URL, sound_volume=2, original_audio_volume=0)),
        ("video_effects", effect("next-year", images=[URL, URL], model_name="kling-v1", duration="10", mode="pro")),
        ("video_to_audio", {"sound_effect_prompt": "rain", "bgm_prompt": "", "asmr_mode": True}),
        ("image_generation", {"model_name": "kling-v1-5", "image": URL, "image_reference": "face", "human_fidelity": 0.45, "n": 9}),
        ("image_generation", {"prompt": "x" * 2500, "negative_prompt": "y" * 2500, "resolution": "2k", "aspect_ratio": "21:9"}),
        ("multi_image_to_image", {"scene_image": URL, "style_image": URL, "prompt": "x", "n": 9}),
        ("edit_init_selection", {"task_id": "84"}),
        ("edit_add_selection", {"points": [{"x": 0.5, "y": 1}] * 10, "frame_index": 149}),
        ("edit_video", {"edit_mode": "swap", "image_list": [{"image": URL}], "duration": "10"}),
        ("edit_video", {"edit_mode": "addition", "image_list": [{"image": URL}] * 2, "mode": "pro"}),
    ],
)
def test_what_the_pages_allow_is_accepted(name: str, changes: dict[str, Any]) -> None:
    assert check(name, changes) == []


@pytest.mark.parametrize("name", TASKS)
def test_every_task_takes_a_watermark(name: str) -> None:
    assert check(name, {"watermark_info": {"enabled": True}}) == []
