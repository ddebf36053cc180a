"""Replicate predictions. Source: replicate.md sections 0 to 2."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from PIL import Image


def predict(simulator: Any, model: str, **given: Any) -> dict[str, Any]:
    """The finished prediction."""
    answer = simulator.post(f"/replicate/v1/models/{model}/predictions", {"input": {"prompt": "a kite", **given}})
    assert answer.status_code == 201
    assert answer.json()["status"] == "starting"
    assert answer.json()["output"] is None
    path = f"/replicate/v1/predictions/{answer.json()['id']}"
    finished: dict[str, Any] = simulator.poll(path, lambda p: p["status"] in ("succeeded", "failed"))[-1]
    return finished


@pytest.mark.parametrize(("output_format", "pillow"), [("webp", "WEBP"), ("jpg", "JPEG"), ("png", "PNG")])
def test_an_image_model_answers_with_a_list_of_pictures(simulator: Any, output_format: str, pillow: str) -> None:
    prediction = predict(
        simulator, "black-forest-labs/flux-schnell", num_outputs=2, output_format=output_format, aspect_ratio="16:9"
    )

    assert prediction["model"] == "black-forest-labs/flux-schnell"
    assert prediction["error"] is None
    assert prediction["metrics"]["image_count"] == 2
    assert prediction["created_at"] < prediction["started_at"] < prediction["completed_at"]
    assert len(set(prediction["output"])) == 2
    image = Image.open(io.BytesIO(simulator.get(prediction["output"][0]).content))
    assert (image.size, image.format) == ((1344, 768), pillow)


def test_a_pro_model_answers_with_one_string(simulator: Any) -> None:
    output = predict(simulator, "black-forest-labs/flux-1.1-pro")["output"]

    assert Image.open(io.BytesIO(simulator.get(output).content)).format == "WEBP"


def test_a_segmentation_model_answers_with_an_object(simulator: Any) -> None:
    output = predict(simulator, "meta/segment-anything")["output"]

    assert set(output) == {"image", "mask"}
    assert simulator.get(output["mask"]).status_code == 200


def test_a_video_model_answers_with_an_mp4(simulator: Any) -> None:
    output = predict(simulator, "wan-ai/wan-2.1", duration=2, width=320, height=240)["output"]

    with av.open(io.BytesIO(simulator.get(output).content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (320, 240)


def test_a_text_model_answers_with_chunks(simulator: Any) -> None:
    chunks = predict(simulator, "meta/meta-llama-3-8b-instruct")["output"]

    assert len(chunks) > 5
    assert "a kite" in "".join(chunks)


def test_the_urls_of_a_prediction_lead_away_from_the_gateway(simulator: Any) -> None:
    urls = predict(simulator, "black-forest-labs/flux-schnell")["urls"]

    assert all("replicate.com" in url for url in urls.values())


def test_wrong_input_is_refused_the_native_way(simulator: Any) -> None:
    path = "/replicate/v1/models/black-forest-labs/flux-schnell/predictions"

    assert simulator.post(path, {"prompt": "a kite"}).status_code == 400
    answer = simulator.post(path, {"input": {"prompt": "a kite", "output_format": "tiff"}})
    assert (answer.status_code, answer.json()["title"]) == (422, "Input validation failed")


def test_an_unknown_prediction_is_a_native_404(simulator: Any) -> None:
    answer = simulator.get("/replicate/v1/predictions/nobody")

    assert answer.status_code == 404
    assert set(answer.json()) == {"type", "title", "status", "detail", "instance"}
