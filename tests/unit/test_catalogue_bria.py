"""Bria: pictures and vector graphics at once, edits as tasks with fields of their own for each action. Copied from bria.md."""

from __future__ import annotations

from typing import Any

import pytest
from reading import GONE, NO_TASK, changed, forms_of, gateway_error, operation, polled, problems, request_of, submitted

from jobs.catalogue import asking
from jobs.catalogue.asking import Asked
from jobs.catalogue.outcomes import Accepted, Answered, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

DRAWINGS = ("bria.image_generation", "bria.vector_generation")
EDIT = "bria.image_edit"
ID = "9d4a0000aaaa4b6f8a0c2d3e4f5a6b7c"
URL = "https://img.example.invalid/out.png"
URL_2 = "https://img.example.invalid/out2.png"


@pytest.mark.parametrize(
    ("name", "path", "always"),
    [
        ("bria.image_generation", "/bria/text-to-image", {"num_results": 1}),
        # Without it the answer is made of addresses whose files come later.
        ("bria.vector_generation", "/bria/text-to-vector", {"sync": True}),
    ],
)
def test_a_drawing_is_asked_for_and_waited_for(name: str, path: str, always: dict[str, Any]) -> None:
    request = request_of(name, {"prompt": "a ship"})
    assert (request.method, request.path, request.json) == ("POST", path, {**always, "prompt": "a ship"})


def test_an_edit_names_its_action_in_the_path() -> None:
    example = operation(EDIT).example
    request = request_of(EDIT, example)
    assert (request.method, request.path) == ("POST", "/bria/image/edit/gen_fill")
    assert request.json == {name: value for name, value in example.items() if name != "action"}
    poll = asking.poll_request(operation(EDIT), Asked({}, ID))
    assert (poll.method, poll.path) == ("GET", f"/bria/{ID}")


def result(*urls: str, **more: Any) -> dict[str, Any]:
    return {"urls": list(urls), "seed": 12345678, "uuid": "0aa0aa00-1111-11f1-ad57-000000000000_12345678", **more}


BLOCKED = {"blocked": True, "seed": 5, "uuid": "u"}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize(
    ("document", "urls"),
    [
        ({"result": [result(URL)]}, [URL]),
        ({"result": [result(URL), result(URL_2)]}, [URL, URL_2]),
        ({"result": [result(URL, URL_2)]}, [URL, URL_2]),
        ({"result": [BLOCKED, result(URL)]}, [URL]),
    ],
)
def test_every_address_of_every_result_is_an_output(name: str, document: Any, urls: list[str]) -> None:
    found = submitted(name, document)
    assert isinstance(found, Answered), found
    assert [output["url"] for output in found.result.outputs] == urls
    vector = name == "bria.vector_generation"
    assert all(output["kind"] == "image" for output in found.result.outputs)
    assert {output.get("extension") for output in found.result.outputs} == {"svg" if vector else None}
    assert len(found.result.values["results"]) == len(document["result"])


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, {"result": [BLOCKED]}, Rejected, "content_rejected"),
        (200, {"result": []}, Rejected, "no_output"),
        (200, {}, Rejected, "no_output"),
        (400, {"error": {"code": 123, "message": "bad", "details": "prompt"}, "request_id": "r"}, Rejected, "invalid_input"),
        (415, {"error": {"code": 415, "message": "file type"}}, Rejected, "invalid_input"),
        (422, {"error": {"code": 422, "message": "moderation"}}, Rejected, "content_rejected"),
        (460, {"error": {"code": 460, "message": "download failed"}}, Rejected, "invalid_input"),
        (401, {"error": {"code": 401, "message": "token"}}, Rejected, "upstream_auth"),
        (429, {"error": {"code": 429, "message": "limit"}}, NotAccepted, "rate_limited"),
        (500, {"error": {"code": 500, "message": "broke"}}, Lost, "upstream_outcome_unknown"),
        (400, gateway_error("sensitive_words_detected"), Rejected, "content_rejected"),
    ],
)
def test_an_answer_without_a_drawing_means_what_it_says(name: str, status: int, document: Any, outcome: type, code: str) -> None:
    found = submitted(name, document, status)
    assert type(found) is outcome, found
    assert found.error.code == code  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (202, {"request_id": ID, "status_url": f"https://engine.prod.bria-api.com/v2/status/{ID}"}, Accepted, ID),
        (200, {"request_id": ID}, Accepted, ID),
        (200, {}, Lost, "upstream_outcome_unknown"),
        (460, {"error": {"code": 460, "message": "download failed"}}, Rejected, "invalid_input"),
        (429, gateway_error(""), NotAccepted, "rate_limited"),
    ],
)
def test_an_answer_to_the_submit_of_an_edit_means_what_it_says(status: int, document: Any, outcome: type, said: str) -> None:
    found = submitted(EDIT, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


def task(status: str, **more: Any) -> dict[str, Any]:
    return {"request_id": ID, "status": status, **more}


BROKE = {"code": 500, "message": "Processing failed", "details": "pipeline error"}


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, task("IN_PROGRESS"), Running, None),
        (200, task("COMPLETED", result={"image_url": URL, "seed": 746000000, "refined_prompt": "a bright loft"}), Done, None),
        (200, task("COMPLETED", result=[result(URL)]), Done, None),
        (200, task("COMPLETED", result={"urls": [URL]}), Done, None),
        (200, task("COMPLETED", result={}), Failed, "no_output"),
        (200, task("ERROR", error=BROKE), Failed, "upstream_failed"),
        (200, task("UNKNOWN"), Failed, "upstream_failed"),
        (404, task("NOT_FOUND"), NotVisible, None),
        (400, NO_TASK, NotVisible, "not_visible"),
        (500, gateway_error(""), Puzzling, "upstream_failed"),
    ],
)
def test_an_answer_to_a_poll_means_what_it_says(status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled(EDIT, document, status)
    assert type(found) is outcome, found
    if isinstance(found, Done):
        assert found.outputs == [{"kind": "image", "url": URL}]
    if isinstance(found, Running):
        assert not found.strange
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]


def test_why_an_edit_failed_is_told() -> None:
    found = polled(EDIT, task("ERROR", error=BROKE))
    assert isinstance(found, Failed)
    assert "Processing failed" in found.error.message


# Inputs -------------------------------------------------------------------------------------------------------------------

MASK = "https://x.example/mask.png"
PLACED = {"canvas_size": [1000, 1000], "original_image_size": [500, 500], "original_image_location": [-10, 250]}


def edit(action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "image": "https://x.example/a.png", **more}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize(
    ("changes", "loc", "code"),
    [
        ({"prompt": GONE}, "input.prompt", "missing_field"),
        ({"prompt": " "}, "input.prompt", "blank"),
        ({"num_results": 5}, "input.num_results", "out_of_range"),
        ({"aspect_ratio": "21:9"}, "input.aspect_ratio", "not_one_of"),
        ({"medium": "oil"}, "input.medium", "not_one_of"),
        ({"sync": False}, "input.sync", "not_one_of"),
        ({"seed": "1"}, "input.seed", "wrong_type"),
        ({"webhook_url": "https://x.example"}, "input.webhook_url", "unknown_field"),
    ],
)
def test_a_bad_order_of_a_drawing_is_refused_where_it_is_wrong(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(name, changed(name, changes))


@pytest.mark.parametrize(
    ("given", "loc", "code"),
    [
        ({"image": "https://x.example/a.png"}, "input.action", "missing_field"),
        (edit("remove_background"), "input.action", "not_one_of"),
        (edit("../../v1/files"), "input.action", "not_one_of"),
        ({"action": "enhance"}, "input.image", "missing_field"),
        (edit("erase"), "input.mask", "missing_field"),
        (edit("gen_fill", mask=MASK), "input.prompt", "missing_field"),
        (edit("gen_fill", prompt="x"), "input.mask", "missing_field"),
        (edit("expand"), "input", "wrong_form"),
        (edit("expand", canvas_size=[1000, 1000]), "input", "wrong_form"),
        (edit("expand", **{**PLACED, "canvas_size": [1000]}), "input.canvas_size", "too_few"),
        (edit("enhance", desired_increase=2), "input.desired_increase", "not_with_this_model"),
        (edit("enhance", steps_num=9), "input.steps_num", "out_of_range"),
        (edit("increase_resolution", desired_increase=3), "input.desired_increase", "not_one_of"),
        (edit("replace_background"), "input", "wrong_form"),
        (edit("replace_background", prompt="x", mode="slow"), "input.mode", "not_one_of"),
        (edit("erase", mask=MASK, seed=1), "input.seed", "not_with_this_model"),
    ],
)
def test_a_bad_edit_is_refused_where_it_is_wrong(given: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(EDIT, given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *((name, operation(name).example) for name in (*DRAWINGS, EDIT)),
        ("bria.vector_generation", {"prompt": "x", "guidance_method_2_scale": 1, "sync": True}),
        (
            "bria.vector_generation",
            {"prompt": "x", "guidance_method_1": "controlnet_canny", "guidance_method_1_image_file": MASK},
        ),
        (EDIT, edit("erase", mask=MASK, mask_type="manual", preserve_alpha=True)),
        (EDIT, edit("gen_fill", mask=MASK, prompt="x", version=2, seed=1, num_results=1, sync=True)),
        (EDIT, edit("expand", aspect_ratio="16:9")),
        (EDIT, edit("expand", aspect_ratio="16:9", mask=MASK, prompt="x")),
        (EDIT, edit("expand", **PLACED)),
        (EDIT, edit("enhance", resolution="4MP", steps_num=50)),
        (EDIT, edit("increase_resolution", desired_increase=4)),
        (EDIT, edit("replace_background", ref_images=[MASK], mode="high_control")),
        (EDIT, edit("replace_background", prompt="a beach", original_quality=True)),
    ],
)
def test_a_good_input_is_taken(name: str, given: dict[str, Any]) -> None:
    assert problems(name, given) == set()


def test_pictures_may_travel_inline() -> None:
    assert set(forms_of(EDIT).values()) == {("data_uri", "url")}
    assert set(forms_of(EDIT)) == {"image", "mask"}
