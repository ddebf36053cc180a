"""The vendor's own client against the simulator: only base URL and key are ours. Source: replicate/replicate-python 1."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
import replicate
from PIL import Image
from replicate.exceptions import ModelError, ReplicateError

SCHNELL = "black-forest-labs/flux-schnell"


@pytest.fixture
def client(simulator: Any) -> Iterator[replicate.Client]:
    client = replicate.Client(api_token="sk-test", base_url=f"{simulator.url}/replicate")
    client.poll_interval = 0.05
    yield client
    client._client.close()


def test_a_prediction_is_created_and_waited_for(client: replicate.Client, simulator: Any) -> None:
    prediction = client.models.predictions.create(
        SCHNELL, input={"prompt": "a paper lantern", "num_outputs": 2, "output_format": "png", "aspect_ratio": "3:2"}
    )
    assert (prediction.status, prediction.output, prediction.error) == ("starting", None, None)
    assert prediction.model == SCHNELL

    prediction.wait()

    assert prediction.status == "succeeded"
    assert prediction.metrics is not None
    assert prediction.metrics["image_count"] == 2
    sizes = [Image.open(io.BytesIO(simulator.get(url).content)).size for url in prediction.output]
    assert sizes == [(1216, 832)] * 2
    (row,) = simulator.ledger(event="paid_call")
    assert (row["operation"], row["task_id"]) == ("replicate.prediction", prediction.id)


def test_a_prediction_can_be_found_again(client: replicate.Client) -> None:
    created = client.models.predictions.create(SCHNELL, input={"prompt": "a paper lantern"})

    found = client.predictions.get(created.id)

    assert (found.id, found.model, found.version) == (created.id, SCHNELL, "hidden")
    assert found.input == {"prompt": "a paper lantern"}
    assert found.urls is not None
    assert found.urls["get"].endswith(created.id)


def test_progress_of_a_prediction_grows_in_its_logs(client: replicate.Client, simulator: Any) -> None:
    simulator.control(latency={"image": 1.0})
    prediction = client.models.predictions.create(SCHNELL, input={"prompt": "a paper lantern"})
    seen = []
    while prediction.status in ("starting", "processing"):
        seen.append(prediction.progress)
        prediction.reload()

    shown = [one.percentage for one in seen if one is not None]

    assert seen[0] is None
    assert shown == sorted(shown)
    assert max(shown) > 0


def test_run_waits_for_the_output(client: replicate.Client, simulator: Any) -> None:
    output: Any = client.run("black-forest-labs/flux-1.1-pro", input={"prompt": "a paper lantern", "aspect_ratio": "9:16"})

    assert Image.open(io.BytesIO(simulator.get(str(output)).content)).size == (768, 1344)


def test_run_gives_the_chunks_of_a_text(client: replicate.Client) -> None:
    output: Any = client.run("meta/meta-llama-3-8b-instruct", input={"prompt": "a paper lantern"})

    assert "a paper lantern" in "".join(output)


def test_a_video_is_one_link(client: replicate.Client, simulator: Any) -> None:
    output: Any = client.run("wan-ai/wan-2.1", input={"prompt": "a kite", "width": 320, "height": 240, "duration": 2})

    with av.open(io.BytesIO(simulator.get(str(output)).content), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (320, 240)


def test_the_blocking_wish_changes_nothing(client: replicate.Client) -> None:
    prediction = client.models.predictions.create(SCHNELL, input={"prompt": "a paper lantern"}, wait=5)

    assert prediction.status == "starting"


@pytest.mark.parametrize(("fault", "reason"), [("moderation", "NSFW content detected"), ("failed", "out of memory")])
def test_a_failed_prediction_is_the_clients_own_error(client: replicate.Client, fault: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as failed:
        client.run(SCHNELL, input={"prompt": f"a kite [[simulate:{fault}]]"})

    assert failed.value.prediction.status == "failed"


def test_refusals_are_the_clients_own_errors(client: replicate.Client, simulator: Any) -> None:
    def refusal(**given: Any) -> ReplicateError:
        with pytest.raises(ReplicateError) as refused:
            client.models.predictions.create(SCHNELL, input={"prompt": "a kite", **given})
        return refused.value

    wrong = refusal(output_format="tiff")

    assert (wrong.status, wrong.title) == (422, "Input validation failed")
    assert wrong.detail is not None
    assert "output_format" in wrong.detail
    assert refusal(prompt="a kite [[simulate:bad_key]]").status == 401
    assert refusal(prompt="a kite [[simulate:rate_limit]]").status == 429
    assert not any(row["charged"] for row in simulator.ledger(event="paid_call"))


def test_a_poll_that_is_limited_is_tried_again(client: replicate.Client) -> None:
    prompt = "a kite [[simulate:rate_limit on=poll times=2]]"
    prediction = client.models.predictions.create(SCHNELL, input={"prompt": prompt})

    assert client.predictions.get(prediction.id).id == prediction.id


def test_a_prediction_nobody_made_is_a_native_404(client: replicate.Client) -> None:
    with pytest.raises(ReplicateError) as unknown:
        client.predictions.get("nobody")

    assert (unknown.value.status, unknown.value.title) == (404, "Prediction not found")
