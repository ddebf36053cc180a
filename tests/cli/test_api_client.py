"""The client of our API: errors as sentences, repeats that cannot do harm, downloads that arrive whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from api_stub import client as client_module
from api_stub.cli import files
from api_stub.client import Client, Damaged, Lost, Refused, Unreachable, Unsendable

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_AGAIN_S", (0.0, 0.0))


@pytest.fixture
def client_of() -> Iterator[Callable[[Handler], Client]]:
    made: list[Client] = []

    def make(handler: Handler) -> Client:
        made.append(Client("http://127.0.0.1:8080", "key-of-ours", transport=httpx2.MockTransport(handler)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_a_problem_document_becomes_a_sentence_and_its_list(client_of: Callable[[Handler], Client]) -> None:
    problem = {
        "status": 422,
        "code": "invalid_request",
        "detail": "input.n: must be at most 10 (and 1 more)",
        "errors": [{"loc": "input.n", "code": "out_of_range", "msg": "must be at most 10"}],
    }
    with pytest.raises(Refused) as refused:
        client_of(lambda request: httpx2.Response(422, json=problem)).submit({})
    assert str(refused.value) == "input.n: must be at most 10 (and 1 more) (HTTP 422, invalid_request)"
    assert refused.value.problems == ["input.n: must be at most 10"]


def test_what_is_wrong_with_many_lines_of_a_batch_is_said_once_with_their_numbers(client_of: Callable[[Handler], Client]) -> None:
    wrong = [{"line": line, "loc": "input.n", "msg": "must be at most 10"} for line in (1, 2, 3, 7, 9, 10)]
    problem = {"detail": "7 lines are wrong", "errors": [*wrong, {"line": 4, "loc": "input.prompt", "msg": "is required"}]}
    with pytest.raises(Refused) as refused:
        client_of(lambda request: httpx2.Response(422, json=problem)).submit({})
    assert refused.value.problems == ["lines 1-3, 7, 9-10: input.n: must be at most 10", "line 4: input.prompt: is required"]


def test_an_answer_that_is_no_problem_document_is_still_a_sentence(client_of: Callable[[Handler], Client]) -> None:
    with pytest.raises(Refused, match=r"Bad Gateway \(HTTP 502\)"):
        client_of(lambda request: httpx2.Response(502, text="<html>")).job("job_1")


def test_a_submit_is_repeated_with_the_same_idempotency_key(client_of: Callable[[Handler], Client]) -> None:
    keys: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json={"id": "job_0"})
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx2.ReadError("gone", request=request)
        return httpx2.Response(202, json={"id": "job_1"})

    client = client_of(answer)
    client.job("job_0")  # it answered once, so it is worth another try
    assert client.submit({"operation": "x", "input": {}})["id"] == "job_1"
    assert len(keys) == 2
    assert keys[0] == keys[1] != ""


def test_a_cancel_is_never_repeated(client_of: Callable[[Handler], Client]) -> None:
    calls = 0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal calls
        if request.method == "GET":
            return httpx2.Response(200, json={})
        calls += 1
        raise httpx2.ReadError("gone", request=request)

    client = client_of(answer)
    client.job("job_0")
    with pytest.raises(Lost):
        client.cancel_job("job_1")
    assert calls == 1


def test_nothing_there_says_how_to_start_it(client_of: Callable[[Handler], Client]) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(Unreachable, match=r"nothing answers at http://127[.]0[.]0[.]1:8080: start it with `mediamill serve`"):
        client_of(answer).job("job_1")


@pytest.mark.parametrize("key", ["geheim123\r", "geheim123\n", " geheim123", "geheim123 ", "geheim\t123", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(client_of: Callable[[Handler], Client], key: str) -> None:
    client = client_of(lambda request: httpx2.Response(202, json={"id": str(request.url)}))
    calls: list[Callable[[], object]] = [
        lambda: Client("http://127.0.0.1:8080", key),
        lambda: client.submit({}, idempotency_key=key),
        lambda: client.submit_lines([], idempotency_key=key),
        lambda: client.retry_failed("batch_1", include=None, idempotency_key=key),
    ]
    for call in calls:
        with pytest.raises(Unsendable, match="key may have only printable ASCII characters") as refused:
            call()
        assert key.strip() not in str(refused.value)
    assert client.submit({}, idempotency_key="the 1st of May!")["id"].endswith("/v1/jobs")


def test_a_list_is_read_page_by_page_up_to_the_limit(client_of: Callable[[Handler], Client]) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        first, limit = int(request.url.params.get("cursor", "0")), int(request.url.params["limit"])
        return httpx2.Response(
            200, json={"data": [{"id": n} for n in range(first, first + limit)], "next_cursor": str(first + limit)}
        )

    assert [job["id"] for job in client_of(answer).jobs(most=150, status=None)] == list(range(150))


def test_a_key_is_not_sent_along_a_redirect_to_another_host(client_of: Callable[[Handler], Client], tmp_path: Path) -> None:
    seen: dict[str, str | None] = {}

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen[request.url.host] = request.headers.get("authorization")
        if request.url.host == "127.0.0.1":
            return httpx2.Response(302, headers={"Location": "https://bucket.example/object"})
        return httpx2.Response(200, content=b"bytes")

    artifact = {"index": 0, "sha256": hashlib.sha256(b"bytes").hexdigest()}
    client_of(answer).download("job_1", artifact, tmp_path / "file.bin")
    assert seen == {"127.0.0.1": "Bearer key-of-ours", "bucket.example": None}
    assert (tmp_path / "file.bin").read_bytes() == b"bytes"


def test_a_download_that_is_not_what_was_promised_leaves_nothing(client_of: Callable[[Handler], Client], tmp_path: Path) -> None:
    artifact = {"index": 0, "sha256": hashlib.sha256(b"bytes").hexdigest()}
    with pytest.raises(Damaged):
        client_of(lambda request: httpx2.Response(200, content=b"byt")).download("job_1", artifact, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_fetched_again_and_another_one_is_not_overwritten(
    client_of: Callable[[Handler], Client], tmp_path: Path
) -> None:
    fetched = 0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal fetched
        fetched += 1
        return httpx2.Response(200, content=b"bytes")

    artifact = {"index": 0, "sha256": hashlib.sha256(b"bytes").hexdigest(), "bytes": 5, "media_type": "video/mp4"}
    job = {"id": "job_0123456789abcdef", "operation": "kling.text_to_video", "artifacts": [artifact]}
    client = client_of(answer)
    name = files.stem_of(job)
    (tmp_path / f"{name}.mp4").write_bytes(b"somebody else's")
    (numbered,) = files.save(client, job, name, tmp_path)
    assert numbered.name == "kling.text_to_video-89abcdef (2).mp4"
    assert files.save(client, job, name, tmp_path) == [numbered]
    assert fetched == 1
    assert (tmp_path / f"{name}.mp4").read_bytes() == b"somebody else's"


def test_file_names_say_what_is_in_them_and_never_leave_the_folder() -> None:
    job = {
        "id": "job_1",
        "operation": "suno.music",
        "custom_id": "../../etc/passwd",
        "artifacts": [{"media_type": "audio/mpeg"}, {"media_type": "text/plain; charset=utf-8"}, {"media_type": "x/y"}],
    }
    names = [name for _, name in files.names_of(job, files.stem_in_batch(job, 3, 24))]
    assert names == ["03-.._.._etc_passwd-1.mp3", "03-.._.._etc_passwd-2.txt", "03-.._.._etc_passwd-3.bin"]


@pytest.mark.parametrize(
    "custom_id",
    ["x" * 150, "梦" * 100, "🎬" * 200, "\u0958" * 200, "scene 1." + "y" * 150],
    ids=["ascii", "three bytes each", "four bytes each", "longer when normalized", "dots"],
)
def test_every_output_has_a_file_of_its_own_however_long_the_job_s_name(
    client_of: Callable[[Handler], Client], tmp_path: Path, custom_id: str
) -> None:
    made = [f"output {number}".encode() for number in range(12)]
    artifacts = [
        {"index": number, "sha256": hashlib.sha256(one).hexdigest(), "bytes": len(one), "media_type": "model/gltf+json"}
        for number, one in enumerate(made)
    ]
    job = {"id": "job_1", "operation": "suno.music", "custom_id": custom_id, "artifacts": artifacts}
    client = client_of(lambda request: httpx2.Response(200, content=made[int(request.url.path.rpartition("/")[2])]))
    saved = files.save(client, job, files.stem_in_batch(job, 3, 24), tmp_path)
    assert [path.read_bytes() for path in saved] == made
    assert [path.name[-8:] for path in saved[9:]] == ["-10.gltf", "-11.gltf", "-12.gltf"]
    assert all(path.name.startswith("03-") for path in saved)
    assert len(list(tmp_path.iterdir())) == 12


def test_names_that_are_short_enough_stay_as_they_are() -> None:
    job = {"operation": "suno.music", "custom_id": "Szene 1. Grüße.", "artifacts": [{"media_type": "audio/mpeg"}]}
    ((_, name),) = files.names_of(job, files.stem_in_batch(job, 3, 24))
    assert name == "03-Szene 1. Grüße..mp3"
    ((_, name),) = files.names_of(job, "x" * 150)
    assert name == "x" * 116 + ".mp3"


def test_a_folder_that_cannot_be_made_is_said_as_a_sentence(client_of: Callable[[Handler], Client], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    job = {"id": "job_1", "operation": "suno.music", "artifacts": []}
    client = client_of(lambda request: httpx2.Response(200))
    with pytest.raises(files.Unsaved, match=r"cannot write .*/taken: File exists"):
        files.save(client, job, "x", tmp_path / "taken")
