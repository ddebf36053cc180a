"""MiniMax: three steps to a video, codes inside HTTP 200, what each model takes. Copied from minimax-video.md."""

from __future__ import annotations

from typing import Any

import pytest
from reading import GONE, NO_TASK, changed, forms_of, gateway_error, operation, polled, problems, raw, request_of, submitted

from jobs.catalogue import asking, wire
from jobs.catalogue.asking import Asked
from jobs.catalogue.outcomes import Accepted, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

NAME = "minimax.video"
ID = "106916112212032"
FILE_ID = "205258526306433"
GOOD = {"status_code": 0, "status_msg": "success"}


def test_a_task_is_made_asked_for_and_its_file_looked_up() -> None:
    op = operation(NAME)
    made = request_of(NAME, op.example)
    assert (made.method, made.path, made.json) == ("POST", "/v1/video_generation", op.example)
    asked = asking.poll_request(op, Asked({}, ID))
    assert (asked.method, asked.path) == ("GET", f"/v1/query/video_generation?task_id={ID}")

    found = polled(NAME, task("Success", file_id=FILE_ID))
    assert isinstance(found, Done)
    (output,) = found.outputs
    assert output == {
        "kind": "video",
        "path": f"/v1/files/retrieve?file_id={FILE_ID}",
        "address": ["file.download_url", "data.file.download_url"],
    }
    assert asking.follow_up_request(op, output["path"]).method == "GET"
    assert found.values == {"file_id": FILE_ID, "width": 1366, "height": 768}


def test_it_is_told_where_to_call_and_must_hear_its_challenge_back() -> None:
    submit = operation(NAME).submit
    assert submit is not None
    assert submit.callback is not None
    assert (submit.callback.field, submit.callback.echo, submit.callback.required) == ("callback_url", "challenge", False)


def task(status: str, code: int = 0, said: str = "success", **more: Any) -> dict[str, Any]:
    head = {"task_id": ID, "status": status, "file_id": "", "video_width": 1366, "video_height": 768}
    return {**head, "base_resp": {"status_code": code, "status_msg": said}, **more}


def wrapped(status: str, **more: Any) -> dict[str, Any]:
    return {"code": "success", "data": {"task_id": ID, "status": status, "fail_reason": "", **more}}


FILE = {
    "file_id": FILE_ID,
    "bytes": 0,
    "created_at": 1774400000,
    "filename": "output_aigc.mp4",
    "purpose": "video_generation",
    "download_url": "https://files.example.net/output_aigc.mp4?sig=ab",
}


@pytest.mark.parametrize(
    ("document", "url"),
    [
        ({"file": FILE, "base_resp": GOOD}, FILE["download_url"]),
        ({"code": "success", "data": {"file": FILE}}, FILE["download_url"]),
        ({"base_resp": {"status_code": 1013, "status_msg": "internal"}}, None),
        ({"file": FILE, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, None),
        ({"file": {"download_url": ""}, "base_resp": GOOD}, None),
    ],
)
def test_the_look_up_names_the_address_or_may_be_asked_again(document: Any, url: str | None) -> None:
    found = wire.read_follow_up(operation(NAME), ["file.download_url", "data.file.download_url"], 200, {}, raw(document))
    assert found == url or isinstance(found, Puzzling)
    assert isinstance(found, str) == (url is not None)


@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (200, {"task_id": ID, "base_resp": GOOD}, Accepted, ID),
        (200, {"task_id": int(ID), "base_resp": GOOD}, Accepted, ID),
        (200, {"code": "success", "data": {"task_id": ID}}, Accepted, ID),
        (200, {"task_id": "", "base_resp": GOOD}, Lost, "upstream_outcome_unknown"),
        (200, {"task_id": "", "base_resp": {"status_code": 4711, "status_msg": "?"}}, Rejected, "upstream_failed"),
        (400, gateway_error("invalid_request"), Rejected, "invalid_input"),
        (429, gateway_error(""), NotAccepted, "rate_limited"),
        (400, NO_TASK, Rejected, "invalid_input"),
        *(
            (200, {"task_id": "", "base_resp": {"status_code": number, "status_msg": "as listed"}}, outcome, code)
            for number, outcome, code in (
                (1000, Lost, "upstream_outcome_unknown"),
                (1001, Lost, "upstream_outcome_unknown"),
                (1002, NotAccepted, "rate_limited"),
                (1004, Rejected, "upstream_auth"),
                (1008, Rejected, "upstream_payment"),
                (1013, Lost, "upstream_outcome_unknown"),
                (1024, Lost, "upstream_outcome_unknown"),
                (1026, Rejected, "content_rejected"),
                (1027, Rejected, "content_rejected"),
                (1033, Lost, "upstream_outcome_unknown"),
                (1039, NotAccepted, "rate_limited"),
                (1041, NotAccepted, "rate_limited"),
                (1042, Rejected, "invalid_input"),
                (2013, Rejected, "invalid_input"),
                (2045, NotAccepted, "rate_limited"),
                (2049, Rejected, "upstream_auth"),
                (2056, Rejected, "upstream_payment"),
            )
        ),
    ],
)
def test_an_answer_to_the_submit_means_what_its_own_code_says(status: int, document: Any, outcome: type, said: str) -> None:
    found = submitted(NAME, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        *((200, task(word), Running, None) for word in ("Preparing", "Queueing", "Processing", "processing")),
        (200, task("Success", file_id=int(FILE_ID)), Done, None),
        (200, task("success", file_id=FILE_ID), Done, None),
        (200, task("Success"), Failed, "no_output"),
        (200, task("Fail", 1027, "output new_sensitive"), Failed, "content_rejected"),
        (200, task("Failed", 1026, "input new_sensitive"), Failed, "content_rejected"),
        (200, task("Fail", 1000, "unknown error"), Failed, "upstream_failed"),
        (200, task("Fail"), Failed, "upstream_failed"),
        (200, wrapped("IN_PROGRESS"), Running, None),
        (200, wrapped("SUCCESS", data={"status": "Success", "file_id": FILE_ID}), Done, None),
        (200, wrapped("FAILURE", fail_reason="moderated"), Failed, "upstream_failed"),
        # Without a status it is the request that failed, not the task.
        (200, {"task_id": "", "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, Puzzling, "rate_limited"),
        (200, {"status": "", "base_resp": {"status_code": 1004, "status_msg": "token"}}, Puzzling, "upstream_auth"),
        (400, NO_TASK, NotVisible, "not_visible"),
        (200, NO_TASK, NotVisible, "not_visible"),
    ],
)
def test_an_answer_to_a_poll_means_what_it_says(status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled(NAME, document, status)
    assert type(found) is outcome, found
    if isinstance(found, Running):
        assert not found.strange
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]


def test_a_file_whose_address_is_already_told_is_not_looked_up() -> None:
    found = polled(NAME, wrapped("SUCCESS", data={"status": "Success", "file_id": FILE_ID, "file": FILE}))
    assert isinstance(found, Done)
    assert found.outputs == [{"kind": "video", "url": FILE["download_url"]}]


@pytest.mark.parametrize(
    ("document", "code", "reason"),
    [
        (task("Fail", 1027, "output new_sensitive"), "1027", "output new_sensitive"),
        (task("Fail"), None, None),
        (wrapped("FAILURE", fail_reason="moderated"), None, "moderated"),
    ],
)
def test_why_a_task_failed_is_told_and_a_good_code_is_no_reason(document: Any, code: str | None, reason: str | None) -> None:
    found = polled(NAME, document)
    assert isinstance(found, Failed)
    assert found.error.upstream is not None
    assert (found.error.upstream.code, found.error.upstream.message) == (code, reason)


PICTURE = "https://x.example/a.png"
PERSON = [{"type": "character", "image": [PICTURE]}]


@pytest.mark.parametrize(
    ("given", "loc", "code"),
    [
        ({"prompt": "x"}, "input.model", "missing_field"),
        ({"model": "T2V-01"}, "input.prompt", "missing_field"),
        ({"model": "T2V-01", "prompt": "\t"}, "input.prompt", "blank"),
        ({"model": "T2V-01", "prompt": "x" * 2001}, "input.prompt", "too_long"),
        ({"model": "T2V-01", "prompt": "x", "first_frame_image": PICTURE}, "input.first_frame_image", "not_with_this_model"),
        ({"model": "T2V-01-Director", "prompt": "x", "duration": 10}, "input.duration", "not_one_of"),
        ({"model": "I2V-01", "prompt": "x"}, "input.first_frame_image", "missing_field"),
        ({"model": "I2V-01-live", "first_frame_image": PICTURE, "resolution": "1080P"}, "input.resolution", "not_one_of"),
        ({"model": "S2V-01", "prompt": "x"}, "input.subject_reference", "missing_field"),
        ({"model": "S2V-01", "prompt": "x", "subject_reference": PERSON * 2}, "input.subject_reference", "too_many"),
        ({"model": "MiniMax-Hailuo-2.3-Fast", "prompt": "x"}, "input.first_frame_image", "missing_field"),
        ({"model": "MiniMax-Hailuo-2.3", "prompt": "x", "resolution": "512P"}, "input.resolution", "not_one_of"),
        (
            {"model": "MiniMax-Hailuo-2.3", "first_frame_image": PICTURE, "last_frame_image": PICTURE},
            "input.last_frame_image",
            "not_with_this_model",
        ),
        (
            {"model": "MiniMax-Hailuo-02", "prompt": "x", "subject_reference": PERSON},
            "input.subject_reference",
            "not_with_this_model",
        ),
        ({"model": "MiniMax-Hailuo-02", "prompt": "x", "resolution": "720P"}, "input.resolution", "not_one_of"),
        ({"model": "minimax-hailuo-02", "prompt": "x", "resolution": "512P"}, "input.first_frame_image", "missing_field"),
        ({"model": "MiniMax-Hailuo-02", "prompt": "x", "resolution": "1080P", "duration": 10}, "input.duration", "not_one_of"),
        ({"model": "MiniMax-Hailuo-02", "prompt": "x", "duration": "6"}, "input.duration", "not_one_of"),
        ({"model": "MiniMax-Hailuo-02", "prompt": "x", "callback_url": PICTURE}, "input.callback_url", "unknown_field"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(given: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(NAME, given)


@pytest.mark.parametrize(
    "given",
    [
        operation(NAME).example,
        changed(NAME, {"prompt": GONE}),
        {"model": "MiniMax-Hailuo-2.3", "prompt": "x" * 2000, "duration": 10, "resolution": "768P"},
        {"model": "MiniMax-Hailuo-02", "first_frame_image": PICTURE, "last_frame_image": PICTURE, "resolution": "1080P"},
        {"model": "MiniMax-Hailuo-02", "first_frame_image": PICTURE, "resolution": "512P", "duration": 10},
        {"model": "I2V-01-live", "first_frame_image": "data:image/png;base64,aaaa", "resolution": "720P"},
        {"model": "S2V-01", "prompt": "x", "subject_reference": PERSON},
        {"model": "video-01", "prompt": "x"},
        {"model": "MiniMax-Hailuo-9", "prompt": "x", "prompt_optimizer": False, "fast_pretreatment": True},
    ],
)
def test_a_good_input_is_taken(given: dict[str, Any]) -> None:
    assert problems(NAME, given) == set()


def test_frames_may_travel_inline_and_persons_by_address() -> None:
    given = {"model": "S2V-01", "prompt": "x", "subject_reference": PERSON, "first_frame_image": PICTURE}
    assert forms_of(NAME, given) == {"subject_reference.0.image.0": ("url",), "first_frame_image": ("data_uri", "url")}
