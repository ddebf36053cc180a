"""Hunyuan3D: jobs in the vendor's contract, at a gateway's paths and by the native header."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
from typing import Any

import av
import pytest
from PIL import Image

PRO = "/tencent/hunyuan3d/pro-job"
RAPID = "/tencent/hunyuan3d/rapid-job"
VASE = {"Prompt": "a blue vase"}


def picture(width: int = 128, height: int = 128, kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def submit(simulator: Any, path: str = PRO, **body: Any) -> str:
    answer = simulator.post(path, body).raise_for_status().json()
    job_id: str = answer["Response"]["JobId"]
    assert len(job_id) == 19
    return job_id


def polls(simulator: Any, job_id: str) -> list[dict[str, Any]]:
    seen = simulator.poll(f"/tencent/hunyuan3d/jobs/{job_id}", lambda body: body["Response"]["Status"] in {"DONE", "FAIL"})
    return [body["Response"] for body in seen]


def download(simulator: Any, url: str) -> bytes:
    content: bytes = simulator.get(url).raise_for_status().content
    return content


def code(answer: Any) -> str:
    assert answer.status_code == 200
    found: str = answer.json()["Response"]["Error"]["Code"]
    return found


def test_pro_makes_a_glb_and_a_zipped_obj_with_a_preview(simulator: Any) -> None:
    seen = polls(simulator, submit(simulator, **VASE))

    words = [body["Status"] for body in seen]
    assert words == sorted(words, key=("WAIT", "RUN", "DONE").index)
    assert words[0] != "DONE"
    assert seen[0]["ResultFile3Ds"] == []
    glb, obj = seen[-1]["ResultFile3Ds"]
    assert (glb["Type"], obj["Type"]) == ("GLB", "OBJ")
    content = download(simulator, glb["Url"])
    assert struct.unpack_from("<4sII", content) == (b"glTF", 2, len(content))
    with zipfile.ZipFile(io.BytesIO(download(simulator, obj["Url"]))) as archive:
        assert archive.testzip() is None
        assert "model.obj" in archive.namelist()
    assert Image.open(io.BytesIO(download(simulator, glb["PreviewImageUrl"]))).size == (512, 512)


def test_links_are_signed(simulator: Any) -> None:
    (first, *_) = polls(simulator, submit(simulator, **VASE))[-1]["ResultFile3Ds"]

    assert simulator.get(first["Url"].partition("?")[0]).status_code == 403


@pytest.mark.parametrize("query", ["/tencent/hunyuan3d/pro-query", "/"])
def test_a_job_is_asked_about_with_post(simulator: Any, query: str) -> None:
    job_id = submit(simulator, **VASE)
    answer = simulator.http.post(query, json={"JobId": job_id}, headers={"x-tc-action": "QueryHunyuanTo3DProJob"})

    assert set(answer.json()["Response"]) == {"Status", "ErrorCode", "ErrorMessage", "ResultFile3Ds", "RequestId"}


def test_the_native_form_names_its_action_in_a_header(simulator: Any) -> None:
    answer = simulator.http.post("/", json=VASE, headers={"x-tc-action": "SubmitHunyuanTo3DProJob"})

    assert answer.json()["Response"]["JobId"]
    assert [row["operation"] for row in simulator.ledger(charged="true")] == ["hunyuan3d.generation"]
    assert code(simulator.http.post("/", json={}, headers={"x-tc-action": "SellTheFactory"})) == "InvalidAction"
    assert simulator.http.post("/", json={}).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("wanted", "start"),
    [("GLB", b"glTF"), ("OBJ", b"PK"), ("STL", b"mediamill simulator")],
)
def test_rapid_makes_the_one_format_that_was_asked_for(simulator: Any, wanted: str, start: bytes) -> None:
    (file,) = polls(simulator, submit(simulator, RAPID, **VASE, ResultFormat=wanted))[-1]["ResultFile3Ds"]

    assert file["Type"] == wanted
    assert download(simulator, file["Url"]).startswith(start)


def test_rapid_can_make_a_clip(simulator: Any) -> None:
    (file,) = polls(simulator, submit(simulator, RAPID, **VASE, ResultFormat="MP4"))[-1]["ResultFile3Ds"]

    with av.open(io.BytesIO(download(simulator, file["Url"]))) as container:
        assert (file["Type"], container.streams.video[0].width) == ("MP4", 512)


def test_geometry_alone_has_no_texture(simulator: Any) -> None:
    (file,) = polls(simulator, submit(simulator, **VASE, GenerateType="Geometry"))[-1]["ResultFile3Ds"]

    assert b"baseColorTexture" not in download(simulator, file["Url"])


@pytest.mark.parametrize(
    "body",
    [
        {"ImageUrl": "https://example.org/vase.png", "MultiViewImages": [{"ViewType": "back", "ViewImageUrl": "https://x"}]},
        {"ImageBase64": picture(), "EnablePBR": True, "FaceCount": 40_000},
        {"ImageBase64": picture(kind="WEBP"), **VASE, "GenerateType": "Sketch"},
        {**VASE, "GenerateType": "LowPoly", "PolygonType": "quadrilateral"},
    ],
    ids=["link and views", "picture", "sketch", "low poly"],
)
def test_documented_bodies_are_taken(simulator: Any, body: dict[str, Any]) -> None:
    assert submit(simulator, **body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PRO, {}),
        (PRO, {**VASE, "ImageUrl": "https://x"}),
        (PRO, {"Prompt": "x" * 1025}),
        (RAPID, {"Prompt": "x" * 201}),
        (PRO, {"ImageBase64": "!"}),
        (PRO, {"ImageBase64": base64.b64encode(b"no picture").decode()}),
        (PRO, {"ImageBase64": picture(127, 200)}),
        (PRO, {"ImageBase64": "A" * (8 * 1024 * 1024 + 4)}),
        (PRO, {**VASE, "GenerateType": "Sketch"}),
        (PRO, {**VASE, "GenerateType": "Statue"}),
        (PRO, {**VASE, "PolygonType": "triangle"}),
        (PRO, {**VASE, "FaceCount": 39_999}),
        (PRO, {**VASE, "EnablePBR": "yes"}),
        (PRO, {**VASE, "MultiViewImages": [{"ViewType": "top", "ViewImageUrl": "https://x"}]}),
        (PRO, {**VASE, "MultiViewImages": [{"ViewType": "left"}]}),
        (PRO, {**VASE, "MultiViewImages": [{"ViewType": "left", "ViewImageUrl": "https://x"}] * 2}),
        (RAPID, {**VASE, "ResultFormat": "PLY"}),
        (RAPID, {**VASE, "ResultFormat": "FBX"}),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_the_vendor_does_not_take_is_refused_with_200_and_costs_nothing(
    simulator: Any, path: str, body: dict[str, Any]
) -> None:
    assert code(simulator.post(path, body)) == "InvalidParameterValue"
    assert [(row["outcome"], row["charged"]) for row in simulator.ledger(event="paid_call")] == [("refused", False)]


@pytest.mark.parametrize(
    ("fault", "expected", "outcome"),
    [
        ("rate_limit", "RequestLimitExceeded", "rate_limited"),
        ("server_error", "InternalError", "failed"),
        ("invalid code=InvalidParameter.FaceCount", "InvalidParameter.FaceCount", "refused"),
    ],
)
def test_the_vendor_words_its_own_refusals(simulator: Any, fault: str, expected: str, outcome: str) -> None:
    assert code(simulator.post(PRO, VASE, simulate=fault)) == expected
    assert [row["outcome"] for row in simulator.ledger(event="paid_call")] == [outcome]


@pytest.mark.parametrize(("fault", "status"), [("bad_key", 401), ("no_money", 403), ("unavailable", 503)])
def test_the_gateway_words_keys_quota_and_channels(simulator: Any, fault: str, status: int) -> None:
    answer = simulator.post(PRO, VASE, simulate=fault)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "comet_api_error")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("failed", "FailedOperation.InnerError"),
        ("moderation", "OperationDenied.TextIllegalDetected"),
        ("failed code=FailedOperation.Busy", "FailedOperation.Busy"),
    ],
)
def test_a_failed_job_says_why_and_has_no_files(simulator: Any, fault: str, expected: str) -> None:
    last = polls(simulator, submit(simulator, Prompt=f"a vase [[simulate:{fault}]]"))[-1]

    assert (last["Status"], last["ErrorCode"], last["ResultFile3Ds"]) == ("FAIL", expected, [])
    assert last["ErrorMessage"]
    assert simulator.finished()["refunded"] is True


def test_success_can_be_empty(simulator: Any) -> None:
    last = polls(simulator, submit(simulator, Prompt="a vase [[simulate:no_outputs]]"))[-1]

    assert (last["Status"], last["ResultFile3Ds"]) == ("DONE", [])


def test_an_unknown_job_is_an_error_with_200(simulator: Any) -> None:
    assert code(simulator.post("/tencent/hunyuan3d/pro-query", {"JobId": "1"})) == "ResourceNotFound"
    assert code(simulator.post("/tencent/hunyuan3d/pro-query", {})) == "InvalidParameterValue"


def test_the_answers_can_stand_in_the_task_row_of_the_gateway(simulator: Any) -> None:
    answer = simulator.post(PRO, {"Prompt": "a vase [[simulate:wrapped]]"}).json()
    assert (answer["code"], len(answer["data"])) == ("success", 19)

    last = simulator.poll(f"/tencent/hunyuan3d/jobs/{answer['data']}", lambda body: body["data"]["status"] == "SUCCESS")[-1]
    assert last["data"]["data"]["Response"]["Status"] == "DONE"


def test_the_other_gateway_form_answers_with_a_task(simulator: Any) -> None:
    path = "/v1/3d/generations"
    task_id = simulator.post(path, {"model": "hunyuan3d-pro", "prompt": "a vase"}).json()["data"]["task_id"]

    last = simulator.poll(f"{path}/{task_id}", lambda body: body["data"]["status"] == "SUCCESS")[-1]
    (file,) = last["data"]["data"]["ResultFile3Ds"]
    assert download(simulator, file["Url"]).startswith(b"glTF")
    assert code(simulator.post(path, {"prompt": "a vase"})) == "InvalidParameterValue"
