"""Every operation's own example, all as one batch with its chains, on real parts: to the end, and into storage as real media."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import struct
import wave
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import av
import httpx2
import pytest
from fleet import KEY, Api, fleet_of
from PIL import Image
from servers import Postgres, Simulator

#: What the program promises to offer. There may be more.
PROMISED = """
openai       image_generation image_edit gpt4o_image speech transcription translation realtime chat responses embeddings
midjourney   imagine action modal blend describe edit video
replicate    prediction
seedream     image_generation
seededit     image_edit
bria         image_generation vector_generation image_edit
gemini       image generate_content
hunyuan3d    generation
sora         create_video remix_video self_developed_video
veo          video chat
kling        text_to_video image_to_video multi_image_to_video video_extension video_effects avatar
kling        lip_sync identify_face advanced_lip_sync
kling        text_to_audio video_to_audio tts
kling        image_generation multi_image_to_image image_expansion image_recognize virtual_try_on
kling        edit_init_selection edit_add_selection edit_delete_selection edit_clear_selection edit_preview_selection edit_video
runway       image_to_video video_to_video text_to_image video_upscale character_performance
runway       reverse_text_to_video reverse_image_to_video reverse_video_style reverse_act_one
seedance     video
minimax      video
suno         lyrics music upload_clip concat stems_full stems_single persona style_tags mp4_video wav timing midi
anthropic    messages
"""

#: The kind of media that an operation of this modality leaves in storage.
KIND_OF = {"image": "image", "video": "video", "music": "audio", "audio": "audio", "text": "text", "model3d": "model3d"}

#: Operations whose result is no file.
NO_FILE = {
    "midjourney.action": "the example opens a form, for midjourney.modal",
    "suno.upload_clip": "the clip is the result; its sound is what was sent",
}

#: Operations whose answer holds media that are no file at the provider.
DRAWN_IN_THE_ANSWER = {"kling.edit_add_selection", "kling.edit_delete_selection"}


@pytest.fixture(scope="module")
def api(
    postgres: Postgres,
    redis_url: str,
    s3_endpoint: str,
    simulator_process: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Api]:
    simulator_process.reset()
    # A line for every object would drown what failed.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    environment = {
        "MEDIAMILL_DATA": str(tmp_path_factory.mktemp("data")),
        "MEDIAMILL_DATABASE_URL": postgres.url(postgres.create()),
        "MEDIAMILL_BROKER_URL": redis_url,
        "MEDIAMILL_STORAGE_URL": f"s3://examples/media?endpoint_url={s3_endpoint}&region=us-east-1&create=true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "MEDIAMILL_UPSTREAM_URL": simulator_process.url,
        "COMETAPI_KEY": "sk-acceptance",
        "MEDIAMILL_BOOTSTRAP_KEY": KEY,
        "MEDIAMILL_TICK_S": "0.25",
    }
    with fleet_of(environment, tmp_path_factory.mktemp("roles")) as fleet:
        fleet.start_all()
        yield Api(fleet.url)


@pytest.fixture(scope="module")
def offered(api: Api) -> dict[str, dict[str, Any]]:
    return {operation["name"]: operation for operation in api.get("/v1/operations")["data"]}


@pytest.fixture(scope="module")
def jobs(api: Api, offered: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The finished jobs of the batch, by operation. `custom_id` is the operation's name: that is how examples name each other."""
    lines = [json.dumps({"custom_id": name, "operation": name, "input": one["example"]}) for name, one in offered.items()]
    batch = api.submit_batch(lines)
    api.wait_for_batch(batch["id"], within_s=150)
    return {job["operation"]: job for job in api.results(batch["id"])}


def test_all_that_was_promised_is_offered(offered: dict[str, dict[str, Any]]) -> None:
    promised = [f"{provider}.{name}" for provider, *names in map(str.split, PROMISED.split("\n")[1:-1]) for name in names]
    assert len(promised) == 78
    assert set(promised) <= set(offered)


def test_every_example_comes_to_a_good_end(jobs: dict[str, dict[str, Any]], offered: dict[str, dict[str, Any]]) -> None:
    assert set(jobs) == set(offered)
    bad = [[job["operation"], job["status"], _said(job)] for job in jobs.values() if job["status"] != "succeeded"]
    _fail_with(["operation", "status", "error"], bad)


def test_every_example_leaves_media_that_open_and_are_what_was_made(
    jobs: dict[str, dict[str, Any]], simulator_process: Simulator
) -> None:
    served = {file["sha256"] for file in simulator_process.files()}
    wrong = []
    for name, job in jobs.items():
        kinds = {artifact["kind"] for artifact in job["artifacts"]}
        if KIND_OF[job["modality"]] not in kinds and name not in NO_FILE:
            wrong.append([name, "-", f"is {job['modality']}, and stored {sorted(kinds)}"])
        for artifact in job["artifacts"]:
            trouble = _trouble_with(artifact, served if name not in DRAWN_IN_THE_ANSWER else None)
            if trouble:
                wrong.append([name, f"{artifact['index']} {artifact['media_type']}", trouble])
    _fail_with(["operation", "artifact", "what is wrong"], wrong)


def test_every_modality_is_there(jobs: dict[str, dict[str, Any]]) -> None:
    stored = Counter(job["modality"] for job in jobs.values() if job["artifacts"])
    assert set(stored) == set(KIND_OF), stored


def test_every_example_was_paid_for_once(jobs: dict[str, dict[str, Any]], simulator_process: Simulator) -> None:
    paid = Counter(call["operation"] for call in simulator_process.paid_calls(charged="true"))
    other_than_once = {name: paid[name] for name in {*jobs, *paid} if paid[name] != (name in jobs)}
    _fail_with(["operation", "paid calls"], [[name, str(calls)] for name, calls in sorted(other_than_once.items())])
    assert len(simulator_process.paid_calls()) == len(jobs), "nothing was sent in vain"


def _trouble_with(artifact: dict[str, Any], served: set[str] | None) -> str | None:
    """What is wrong with a stored medium, fetched by the link that anybody may be given. `served`: hashes of what was made."""
    answer = httpx2.get(artifact["url"], timeout=30)
    if answer.status_code != 200:
        return f"its link answers {answer.status_code}"
    body = answer.content
    if (hashlib.sha256(body).hexdigest(), len(body)) != (artifact["sha256"], artifact["bytes"]):
        return "its bytes are not those that were noted"
    try:
        DECODERS[artifact["kind"]](body, artifact["media_type"])
    except Exception as error:  # every decoder has its own
        return f"it does not open: {type(error).__name__}: {error}"
    if artifact["kind"] != "text" and served is not None and not {artifact["sha256"], _samples_hash(body)} & served:
        return "the provider never made that"
    return None


def _samples_hash(body: bytes) -> str | None:
    """Of the bare samples behind a header that was put in front of them here."""
    if not body.startswith(b"RIFF"):
        return None
    with wave.open(io.BytesIO(body)) as sound:
        return hashlib.sha256(sound.readframes(sound.getnframes())).hexdigest()


# Decoders: each raises where the bytes are not what they should be -----------------------------------------------------------


def _decode_image(body: bytes, media_type: str) -> None:
    if media_type.startswith("image/svg"):
        root = ElementTree.fromstring(body)
        assert root.tag.endswith("}svg")
        assert len(root)
        return
    with Image.open(io.BytesIO(body)) as image:
        assert Image.MIME[image.format or ""] == media_type
        image.load()


def _decode_video(body: bytes, _: str) -> None:
    with av.open(io.BytesIO(body), "r") as container:
        frames = sum(1 for frame in container.decode(video=0))
    assert frames > 1


def _decode_audio(body: bytes, _: str) -> None:
    with av.open(io.BytesIO(body), "r") as container:
        assert not container.streams.video
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples > 1000


def _decode_text(body: bytes, media_type: str) -> None:
    said = body.decode()
    assert said.strip()
    if media_type.startswith("application/json"):
        json.loads(said)
    if media_type.startswith("application/x-subrip"):
        assert "-->" in said


def _decode_model(body: bytes, media_type: str) -> None:
    if media_type == "model/gltf-binary":
        magic, version, length = struct.unpack_from("<4sII", body)
        assert (magic, version, length) == (b"glTF", 2, len(body))
        size, kind = struct.unpack_from("<I4s", body, 12)
        assert kind == b"JSON"
        assert json.loads(body[20 : 20 + size])["meshes"]
        return
    if media_type == "application/zip":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None
            (name,) = [name for name in archive.namelist() if name.endswith(".obj")]
            body = archive.read(name)
    lines = Counter(line.partition(" ")[0] for line in body.decode().splitlines())
    assert lines["v"] > 2
    assert lines["f"] > 0


DECODERS: dict[str, Callable[[bytes, str], None]] = {
    "image": _decode_image,
    "video": _decode_video,
    "audio": _decode_audio,
    "text": _decode_text,
    "model3d": _decode_model,
}


def _said(job: dict[str, Any]) -> str:
    error = job["error"] or {}
    return f"{error.get('code')}: {error.get('message')} {error.get('upstream') or ''}"


def _fail_with(head: list[str], rows: list[list[str]]) -> None:
    """Fails if there are any rows, and shows them below each other, columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
    if rows:
        pytest.fail("\n".join(lines), pytrace=False)
