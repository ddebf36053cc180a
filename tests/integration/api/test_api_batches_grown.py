"""What becomes of a batch: results while it runs, an end told once, what failed asked for again, all files as one archive."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
import pytest
import servers
from callers import SPEECH, VIDEO, Caller, Json, Serve, Served, picture, problem, put
from sqlalchemy import delete, insert, select, update
from sqlmodel import col

from api_stub import batch_bundle, batch_results
from jobs.db import now
from jobs.ids import new_id
from jobs.models import Artifact, Batch, Job
from storage import StorageUnavailable, Store
from workers import finish
from workers.context import Context

NDJSON = {"content-type": "application/x-ndjson"}


def chat(*needs: str, **fields: Any) -> Json:
    """A job that needs the texts of others."""
    said = [{"role": "user", "content": {"job": name, "get": "output.text"}} for name in needs]
    given = {"model": "gpt-4o-mini", "messages": said or [{"role": "user", "content": "Name a boat."}]}
    return {"operation": "openai.chat", "input": given, **fields}


def needed(job: Json) -> list[str]:
    return [message["content"]["job"] for message in job["input"]["messages"]]


def submit(caller: Caller, *documents: Json, **envelope: Any) -> str:
    answer = caller.http.post("/v1/batches", json={"jobs": list(documents), **envelope})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def results(caller: Caller, batch_id: str, query: str = "") -> list[Json]:
    answer = caller.http.get(f"/v1/batches/{batch_id}/results{query}")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def by_name(caller: Caller, batch_id: str) -> dict[str, Json]:
    return {job["custom_id"]: job for job in results(caller, batch_id)}


def named(*names: str) -> list[Json]:
    return [SPEECH | {"custom_id": name} for name in names]


def shown(caller: Caller, batch_id: str) -> Json:
    found: Json = caller.http.get(f"/v1/batches/{batch_id}").json()
    return found


def over(caller: Caller, batch_id: str) -> Json:
    return servers.eventually(lambda: shown(caller, batch_id), lambda batch: batch["finished_at"] is not None, "the batch over")


def fail(caller: Caller, job_id: str) -> None:
    """The job fails, and what follows is done as a worker does it."""
    caller.fail(job_id)
    finish.settle(caller.context, [job_id])
    finish.close_batch(caller.context, caller.job(job_id)["batch_id"])


def succeed(caller: Caller, job_id: str, output: bytes | None = None) -> bytes:
    made = caller.succeed(job_id, output)
    finish.settle(caller.context, [job_id])
    finish.close_batch(caller.context, caller.job(job_id)["batch_id"])
    return made


def expire(caller: Caller, job_id: str) -> None:
    caller.move(job_id, "expire")
    finish.settle(caller.context, [job_id])
    finish.close_batch(caller.context, caller.job(job_id)["batch_id"])


# Results ------------------------------------------------------------------------------------------------------------------


def test_results_of_a_running_batch_say_of_each_job_whether_it_is_final(caller: Caller) -> None:
    batch = submit(caller, *named("a", "b", "c", "d"))
    jobs = by_name(caller, batch)
    caller.succeed(jobs["b"]["id"])
    caller.fail(jobs["c"]["id"])
    caller.send(jobs["d"]["id"])

    found = results(caller, batch)

    assert [(one["line"], one["custom_id"], one["status"], one["final"]) for one in found] == [
        (1, "a", "queued", False),
        (2, "b", "succeeded", True),
        (3, "c", "failed", True),
        (4, "d", "submitting", False),
    ]
    # Besides, a line is the job as it is shown everywhere.
    shown_alone = {name: value for name, value in found[2].items() if name not in ("line", "final")} | {"queue": None}
    assert shown_alone == caller.job(jobs["c"]["id"])


def test_results_may_be_narrowed_to_states(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_results, "A_PAGE", 2)
    monkeypatch.setattr(batch_results, "_IDS", 3)
    batch = submit(caller, *named(*"abcdefgh"))
    jobs = by_name(caller, batch)
    for name in "bcg":
        caller.succeed(jobs[name]["id"])
    for name in "af":
        caller.fail(jobs[name]["id"])

    def names(status: str) -> str:
        return "".join(one["custom_id"] for one in results(caller, batch, f"?status={status}"))

    assert names("succeeded") == "bcg"
    assert names("failed,succeeded") == "abcfg"
    assert names("final") == "abcfg"
    assert names("queued, running") == "deh"
    assert names("expired") == ""


@pytest.mark.parametrize("status", ["done", "", "failed,", "failed;queued", "FAILED"])
def test_a_state_that_is_none_is_refused(caller: Caller, status: str) -> None:
    batch = submit(caller, SPEECH)
    found = problem(caller.http.get(f"/v1/batches/{batch}/results", params={"status": status}), 422, "not_one_of")
    assert found["errors"][0]["loc"] == "query.status"
    assert "succeeded" in found["detail"] and "final" in found["detail"]


def test_text_that_has_no_utf_8_is_still_json() -> None:
    assert json.loads(batch_results.json_line({"text": "half \ud83d of a pair, \u6e2f"})) == {
        "text": "half \ud83d of a pair, \u6e2f"
    }


def _many(caller: Caller, count: int, *, padding: int) -> str:
    """A batch of so many jobs that have failed, each with an input of `padding` characters."""
    batch_id = new_id("batch")
    with caller.context.database.transaction() as session:
        session.execute(insert(Batch).values(id=batch_id, tenant_id=caller.tenant_id, total=count, meta={}, finished_at=now()))
        moment = session.execute(select(now())).scalar_one()
        common = {
            "tenant_id": caller.tenant_id,
            "operation": "openai.speech",
            "modality": "audio",
            "provider": "openai",
            "input": {"input": "x" * padding},
            "meta": {},
            "batch_id": batch_id,
            "status": "failed",
            "error": {"code": "x"},
            "finished_at": moment,
        }
        for start in range(1, count + 1, 1000):
            numbers = range(start, min(start + 1000, count + 1))
            session.execute(insert(Job), [common | {"id": new_id("job"), "line": line} for line in numbers])
    return batch_id


def test_results_and_manifest_of_a_large_batch_never_are_in_memory_whole(served: Served, caller: Caller) -> None:
    batch_id = _many(caller, 4000, padding=10_000)
    with caller.context.database.read() as session:
        batch = session.get_one(Batch, batch_id)
    face = _face(served)
    tracemalloc.start()
    try:
        lines = sum(piece.count(b"\n") for piece in batch_results.stream(face, caller.tenant_id, batch_id, None))
        size = sum(len(piece) for piece in batch_bundle.stream(face, batch))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert lines == 4000 and size > 0
    assert peak < 15_000_000, "40 MB passed through"


def _face(served: Served) -> Any:
    from api_stub.face import open_face

    face = open_face(served.context)
    face.close()  # its threads are not needed here
    return face


# Canceling ----------------------------------------------------------------------------------------------------------------


def test_canceling_a_batch_ends_its_chains_and_what_waits_for_them_elsewhere(caller: Caller) -> None:
    batch = submit(caller, *named("done", "under-way", "first"), chat("first", custom_id="second"), chat("done", custom_id="ready"))
    jobs = {name: job["id"] for name, job in by_name(caller, batch).items()}
    made = succeed(caller, jobs["done"])
    caller.accept(jobs["under-way"], "task-1")
    elsewhere = submit(caller, chat(jobs["second"], custom_id="third"), SPEECH | {"custom_id": "unconcerned"})
    alone = caller.submit(chat(jobs["under-way"]))["id"]

    answer = caller.http.post(f"/v1/batches/{batch}/cancel?include=running")

    assert answer.status_code == 202
    ended = over(caller, batch)
    assert (ended["status"], ended["counts"]["succeeded"], ended["counts"]["canceled"]) == ("canceled", 1, 4)
    found = by_name(caller, batch)
    assert {name: job["status"] for name, job in found.items()} == {
        "done": "succeeded",
        **dict.fromkeys(("under-way", "first", "second", "ready"), "canceled"),
    }
    assert found["done"]["artifacts"][0]["bytes"] == len(made), "what was had before stays"
    assert found["second"]["attempts"] == found["first"]["attempts"] == 0
    third = servers.eventually(
        lambda: by_name(caller, elsewhere)["third"], lambda job: job["finished_at"] is not None, "the end of what waited"
    )
    assert (third["status"], third["error"]["code"], third["attempts"]) == ("failed", "dependency_failed", 0)
    assert "canceled" in third["error"]["message"]
    servers.eventually(lambda: caller.job(alone)["status"] == "failed", what="the end of the single one that waited")
    assert shown(caller, elsewhere)["counts"]["queued"] == 1


def test_a_job_that_ends_while_its_batch_is_canceled_ends_once(caller: Caller) -> None:
    """Whoever comes first decides, job by job; in the end everything is told of once."""
    batch = submit(caller, *named(*map(str, range(30))))
    jobs = [job["id"] for job in results(caller, batch)]
    for job_id in jobs[:15]:
        caller.accept(job_id, f"task-of-{job_id}")
    start = threading.Barrier(3)

    def cancel() -> None:
        start.wait(10)
        assert caller.http.post(f"/v1/batches/{batch}/cancel").status_code == 202

    def end(some: list[str]) -> None:
        start.wait(10)
        for job_id in some:
            with caller.context.database.transaction() as session:
                moved = caller.context.life.move(session, job_id, "fail", actor="test", error={"code": "x", "message": "x"})
            finish.told(caller.context, moved)

    with ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(cancel), pool.submit(end, jobs[:8]), pool.submit(end, jobs[8:15])]:
            one.result(60)

    ended = over(caller, batch)
    assert ended["counts"]["failed"] + ended["counts"]["canceled"] == 30
    _told_once(caller, batch)


def _told_once(caller: Caller, batch_id: str) -> Json:
    """The one `batch.completed`; its counts are those of the rows."""
    told = [
        one for one in caller.http.get("/v1/events?types=batch.completed&limit=200").json()["data"] if one["data"]["id"] == batch_id
    ]
    assert len(told) == 1
    data: Json = told[0]["data"]
    assert data == shown(caller, batch_id)
    counts = data["counts"]
    assert counts["queued"] == counts["running"] == 0
    assert sum(counts.values()) == 2 * counts["total"]
    by_status = [job["status"] for job in results(caller, batch_id)]
    assert {status: by_status.count(status) for status in set(by_status)} == {
        status: count for status, count in counts.items() if count and status != "total"
    }
    return data


def test_a_batch_whose_last_jobs_end_at_one_moment_is_completed_once(caller: Caller) -> None:
    for _ in range(5):
        batch = submit(caller, *named(*map(str, range(11))), chat("0", custom_id="waits"))
        jobs = [job["id"] for job in results(caller, batch)][:11]
        for job_id in jobs[1:]:
            caller.answer(job_id)
        start = threading.Barrier(len(jobs))

        def end(number: int, jobs: list[str] = jobs, start: threading.Barrier = start) -> None:
            move, changes = ("finish", {}) if number % 3 else ("fail", {"error": {"code": "x", "message": "x"}})
            start.wait(10)
            with caller.context.database.transaction() as session:
                moved = caller.context.life.move(session, jobs[number], move, actor="test", **changes)
            assert moved is not None
            finish.told(caller.context, moved)

        with ThreadPoolExecutor(len(jobs)) as pool:
            list(pool.map(end, range(len(jobs))))

        over(caller, batch)
        data = _told_once(caller, batch)
        assert (data["counts"]["succeeded"], data["counts"]["failed"]) == (7, 5)


# What failed, again -------------------------------------------------------------------------------------------------------


def retry(caller: Caller, batch_id: str, query: str = "", **headers: str) -> httpx2.Response:
    return caller.http.post(f"/v1/batches/{batch_id}/retry-failed{query}", headers=headers)


def retried(caller: Caller, batch_id: str, query: str = "") -> Json:
    answer = retry(caller, batch_id, query)
    assert answer.status_code == 202, answer.text
    made: Json = answer.json()
    assert answer.headers["location"] == f"/v1/batches/{made['id']}"
    return made


def test_what_failed_is_asked_for_again_as_a_new_batch(caller: Caller, nudged: list[Context]) -> None:
    asked = [
        SPEECH | {"custom_id": "good"},
        VIDEO | {"custom_id": "bad", "metadata": {"k": "v"}, "priority": 7, "events": ["job.failed"], "on_unknown": "fail"},
        SPEECH | {"callback_url": "https://example.com/own", "deadline_s": 3600},
    ]
    batch = submit(caller, *asked, callback_url="https://example.com/batch", metadata={"campaign": "autumn"})
    good, bad, own = (job["id"] for job in results(caller, batch))
    servers.eventually(lambda: len(nudged) == 1, what="the nudge")
    succeed(caller, good)
    fail(caller, bad)
    fail(caller, own)

    made = retried(caller, batch)

    assert (made["retry_of"], made["counts"]["total"], made["status"]) == (batch, 2, "running")
    assert (made["callback_url"], made["metadata"]) == ("https://example.com/batch", {"campaign": "autumn"})
    assert shown(caller, made["id"]) == made
    assert shown(caller, batch)["retry_of"] is None
    again, own_again = results(caller, made["id"])
    kept = ("operation", "input", "metadata", "custom_id", "priority", "events", "on_unknown", "callback_url", "line")
    before = {job["id"]: job for job in results(caller, batch)}
    for new, old in ((again, before[bad]), (own_again, before[own])):
        assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
        assert (new["retry_of"], new["batch_id"], new["status"]) == (old["id"], made["id"], "queued")
        assert new["id"] != old["id"]
    assert again["callback_url"] == "https://example.com/batch", "as the first time"
    assert own_again["callback_url"] == "https://example.com/own"
    assert own_again["deadline_at"] is not None
    assert [job["status"] for job in results(caller, batch)] == ["succeeded", "failed", "failed"], "the old batch is history"
    servers.eventually(lambda: len(nudged) == 2, what="the second nudge")


def test_a_retried_batch_may_be_retried_in_turn(caller: Caller) -> None:
    batch = submit(caller, *named("a", "b"))
    for _ in range(3):
        for job in results(caller, batch):
            fail(caller, job["id"])
        made = retried(caller, batch)
        assert made["retry_of"] == batch
        batch = made["id"]
    assert [(job["custom_id"], job["line"]) for job in results(caller, batch)] == [("a", 1), ("b", 2)]


def test_references_among_what_is_retried_lead_to_the_new_jobs(caller: Caller) -> None:
    batch = submit(
        caller,
        chat("far", "good", custom_id="early"),  # points at lines that come later
        *named("good", "bad"),
        chat("bad", "good", custom_id="far"),
        chat("good", custom_id="fine"),
    )
    jobs = {name: job["id"] for name, job in by_name(caller, batch).items()}
    succeed(caller, jobs["good"])
    fail(caller, jobs["bad"])  # and with it what needs it
    succeed(caller, jobs["fine"])
    over(caller, batch)

    made = by_name(caller, retried(caller, batch)["id"])

    assert list(made) == ["early", "bad", "far"]
    assert needed(made["far"]) == [made["bad"]["id"], jobs["good"]]
    assert needed(made["early"]) == [made["far"]["id"], jobs["good"]]
    assert made["far"]["waits_for"] == [made["bad"]["id"], jobs["good"]]
    assert made["bad"]["waits_for"] == []
    fail(caller, made["bad"]["id"])
    error = caller.job(made["early"]["id"])["error"]
    assert error["code"] == "dependency_failed", "the new chain holds together"


def test_what_expired_or_was_canceled_is_retried_when_asked_for(caller: Caller) -> None:
    batch = submit(caller, *named("failed", "expired", "canceled", "good"))
    jobs = {name: job["id"] for name, job in by_name(caller, batch).items()}
    fail(caller, jobs["failed"])
    expire(caller, jobs["expired"])
    assert caller.http.post(f"/v1/jobs/{jobs['canceled']}/cancel").status_code == 202
    succeed(caller, jobs["good"])
    over(caller, batch)

    def names(query: str) -> list[str]:
        return list(by_name(caller, retried(caller, batch, query)["id"]))

    assert names("") == ["failed"]
    assert names("?include=expired") == ["failed", "expired"]
    assert names("?include=canceled") == ["failed", "canceled"]
    assert names("?include=canceled,expired") == ["failed", "expired", "canceled"]
    problem(retry(caller, batch, "?include=succeeded"), 422, "not_one_of")
    problem(retry(caller, batch, "?include=all"), 422, "not_one_of")


def test_nothing_is_retried_while_a_job_runs_or_where_none_failed(caller: Caller) -> None:
    batch = submit(caller, *named("a", "b", "c"))
    a, b, c = (job["id"] for job in results(caller, batch))
    fail(caller, a)
    succeed(caller, b)

    running = problem(retry(caller, batch), 409, "batch_running")
    assert running["detail"] == "1 job of it has not ended; retry when the batch has, or cancel it"
    caller.accept(c, "task")
    problem(retry(caller, batch), 409, "batch_running")

    good = submit(caller, *named("a"))
    succeed(caller, results(caller, good)[0]["id"])
    assert "no job of the batch is failed" in problem(retry(caller, good), 409, "nothing_to_retry")["detail"]

    stopped = submit(caller, *named("a", "b"))
    caller.http.post(f"/v1/batches/{stopped}/cancel")
    over(caller, stopped)
    assert "2 canceled: ?include=canceled" in problem(retry(caller, stopped), 409, "nothing_to_retry")["detail"]
    assert retried(caller, stopped, "?include=canceled")["counts"]["total"] == 2
    assert len(caller.http.get("/v1/batches").json()["data"]) == 4


def test_a_retry_sent_again_with_its_key_is_the_same_batch(caller: Caller) -> None:
    batch = submit(caller, *named("a", "b"))
    for job in results(caller, batch):
        fail(caller, job["id"])

    first = retry(caller, batch, **{"idempotency-key": "one"})
    again = retry(caller, batch, **{"idempotency-key": "one"})
    other = retry(caller, batch, "?include=expired", **{"idempotency-key": "one"})

    assert (first.status_code, "idempotent-replayed" in first.headers) == (202, False)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    problem(other, 422, "idempotency_key_reused")
    start = threading.Barrier(6)

    def race(_: int) -> str:
        start.wait(10)
        return str(retry(caller, batch, **{"idempotency-key": "race"}).json()["id"])

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(race, range(6)))) == 1
    assert len(caller.http.get("/v1/batches").json()["data"]) == 3


def test_a_line_that_cannot_be_had_any_more_refuses_the_retry_and_is_named(caller: Caller) -> None:
    file = caller.http.post("/v1/files", files={"file": ("a.png", picture())}).json()["id"]
    edit = {"operation": "openai.image_edit", "input": {"model": "gpt-image-1", "image": {"file": file}, "prompt": "x"}}
    batch = submit(caller, SPEECH, edit, SPEECH | {"custom_id": "late"}, chat("late"))
    speech, edited, late, _ = (job["id"] for job in results(caller, batch))
    fail(caller, speech)
    fail(caller, edited)
    expire(caller, late)
    over(caller, batch)
    assert caller.http.delete(f"/v1/files/{file}").status_code in (200, 204)

    lost = problem(retry(caller, batch, "?include=expired"), 422, "batch_invalid")
    assert [(error["line"], error["code"]) for error in lost["errors"]] == [(2, "unknown_file")]

    with caller.context.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == edited).values(input=SPEECH["input"], operation=SPEECH["operation"]))
    alone = problem(retry(caller, batch), 422, "batch_invalid")
    assert [(error["line"], error["code"]) for error in alone["errors"]] == [(4, "dependency_failed")]
    assert "?include=expired" in alone["errors"][0]["msg"]
    assert len(caller.http.get("/v1/batches").json()["data"]) == 1, "nothing was stored"
    assert retried(caller, batch, "?include=expired")["counts"]["total"] == 4


def test_a_strangers_batch_is_not_there(caller: Caller, stranger: Caller) -> None:
    batch = submit(caller, SPEECH)
    problem(retry(stranger, batch), 404, "not_found")
    problem(stranger.http.get(f"/v1/batches/{batch}/bundle"), 404, "not_found")
    assert stranger.http.head(f"/v1/batches/{batch}/bundle").status_code == 404
    problem(caller.http.get("/v1/batches/batch_nope/bundle"), 404, "not_found")
    problem(retry(caller, "..%2f..%2fetc"), 404, "not_found")
    problem(caller.http.get(f"/v1/batches/{batch}/bundle?files=all"), 422, "unknown_parameter")


# The bundle ---------------------------------------------------------------------------------------------------------------


def bundle(caller: Caller, batch_id: str) -> zipfile.ZipFile:
    answer = caller.http.get(f"/v1/batches/{batch_id}/bundle")
    assert answer.status_code == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


def manifest_of(archive: zipfile.ZipFile) -> list[Json]:
    assert archive.namelist()[0] == "manifest.ndjson"
    return [json.loads(line) for line in archive.read("manifest.ndjson").splitlines()]


def errors_of(archive: zipfile.ZipFile) -> list[Json]:
    assert archive.namelist()[-1] == "errors.ndjson"
    return [json.loads(line) for line in archive.read("errors.ndjson").splitlines()]


def test_a_bundle_has_what_the_batch_made_and_a_manifest_of_it(caller: Caller) -> None:
    batch = submit(caller, *named("cover", "../../etc/pässwd\u202e", "bad", "still-going"), SPEECH, chat(custom_id="words"))
    cover, odd, bad, going, nameless, words = (job["id"] for job in results(caller, batch))
    made = [succeed(caller, job_id) for job_id in (cover, odd, nameless)]
    caller.answer(words)
    caller.move(words, "finish", output={"text": "The \u6e2f is calm."})
    fail(caller, bad)

    answer = caller.http.get(f"/v1/batches/{batch}/bundle")
    archive = bundle(caller, batch)

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{batch}.zip"')
    assert (answer.headers["mediamill-files"], answer.headers["mediamill-bytes"]) == ("3", str(sum(map(len, made))))
    lines = manifest_of(archive)
    assert [line.keys() for line in lines] == [
        {"line", "custom_id", "job_id", "operation", "status", "final", "error", "files"} for _ in range(6)
    ]
    assert [(line["line"], line["job_id"], line["status"], line["final"]) for line in lines] == [
        (1, cover, "succeeded", True),
        (2, odd, "succeeded", True),
        (3, bad, "failed", True),
        (4, going, "queued", False),
        (5, nameless, "succeeded", True),
        (6, words, "succeeded", True),
    ]
    assert lines[1]["custom_id"] == "../../etc/pässwd\u202e" and lines[2]["error"]["code"] == "upstream_failed"
    names = ["1-cover-0.png", "2-_.._etc_pässwd_-0.png", f"5-{nameless}-0.png", "6-words-output.json"]
    assert archive.namelist() == ["manifest.ndjson", *names]
    assert [file["name"] for line in lines for file in line["files"]] == names
    for line in lines:
        for file in line["files"]:
            data = archive.read(file["name"])
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (file["sha256"], file["bytes"])
    assert lines[0]["files"][0] | {"sha256": ""} == {
        "name": "1-cover-0.png",
        "index": 0,
        "bytes": len(made[0]),
        "media_type": "image/png",
        "sha256": "",
    }
    assert [archive.read(name) for name in names[:3]] == made
    assert json.loads(archive.read(names[3])) == {"text": "The \u6e2f is calm."}
    ways = {info.filename: info.compress_type for info in archive.infolist()}
    assert (ways["manifest.ndjson"], ways["1-cover-0.png"]) == (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)


def test_a_head_tells_what_a_bundle_would_have(caller: Caller) -> None:
    batch = submit(caller, *named("a"))
    made = caller.succeed(results(caller, batch)[0]["id"])
    head = caller.http.head(f"/v1/batches/{batch}/bundle")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/zip")
    assert (head.headers["mediamill-files"], head.headers["mediamill-bytes"]) == ("1", str(len(made)))
    assert "content-length" not in head.headers


def test_a_bundle_of_a_batch_that_made_nothing_is_its_manifest(caller: Caller) -> None:
    archive = bundle(caller, submit(caller, *named("a", "b")))
    assert archive.namelist() == ["manifest.ndjson"]
    assert [line["files"] for line in manifest_of(archive)] == [[], []]


def test_long_names_still_fit_a_disk_and_stay_apart(caller: Caller, tmp_path: Path) -> None:
    batch = submit(caller, *named("漢" * 200, "漢" * 199 + "字", ".", "con"))
    for job in results(caller, batch):
        succeed(caller, job["id"])
    archive = bundle(caller, batch)
    archive.extractall(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5
    assert all(len(name.encode()) < 255 for name in archive.namelist())


def test_many_pages_make_one_bundle(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_bundle, "A_PAGE", 3)
    monkeypatch.setattr(batch_results, "A_PAGE", 2)
    monkeypatch.setattr(batch_results, "_IDS", 4)
    batch = submit(caller, *named(*map(str, range(10))))
    for number, job in enumerate(results(caller, batch)):
        if number != 4:
            caller.succeed(job["id"])
    archive = bundle(caller, batch)
    assert [line["custom_id"] for line in manifest_of(archive)] == [str(number) for number in range(10)]
    assert archive.namelist()[1:] == [f"{number + 1}-{number}-0.png" for number in range(10) if number != 4]


def test_a_file_that_storage_has_lost_or_changed_is_named_at_the_end(caller: Caller) -> None:
    batch = submit(caller, *named("kept", "lost", "changed", "shorter", "last"))
    jobs = {name: job["id"] for name, job in by_name(caller, batch).items()}
    made = {name: succeed(caller, job_id) for name, job_id in jobs.items()}
    store = caller.context.store
    store.delete(f"jobs/{jobs['lost']}/0.png")
    put(caller.context, f"jobs/{jobs['changed']}/0.png", made["changed"][::-1], "image/png")
    put(caller.context, f"jobs/{jobs['shorter']}/0.png", made["shorter"][:10], "image/png")

    archive = bundle(caller, batch)

    assert archive.namelist() == ["manifest.ndjson", "1-kept-0.png", "5-last-0.png", "errors.ndjson"]
    assert [len(line["files"]) for line in manifest_of(archive)] == [1] * 5
    assert (archive.read("1-kept-0.png"), archive.read("5-last-0.png")) == (made["kept"], made["last"])
    told = errors_of(archive)
    assert [(error["job_id"], error["name"], error["code"]) for error in told] == [
        (jobs["lost"], "2-lost-0.png", "gone"),
        (jobs["changed"], "3-changed-0.png", "damaged"),
        (jobs["shorter"], "4-shorter-0.png", "damaged"),
    ]


class Breaking:
    """A store that does what it is told when an object is opened or read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open_now = 0
        #: Bytes after which reading breaks, for the next reads; None: it does not.
        self.breaks: list[int | None] = []
        self.away = False
        self.before_open: Callable[[str], None] = lambda key: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        self.before_open(key)
        if self.away:
            raise StorageUnavailable("refused")
        after = self.breaks.pop(0) if self.breaks else None
        self.open_now += 1
        try:
            with self._store.open(key) as file:
                yield _Broken(file, after) if after is not None else file  # type: ignore[misc]
        finally:
            self.open_now -= 1


class _Broken:
    def __init__(self, file: BinaryIO, after: int) -> None:
        self._file = file
        self._left = after

    def read(self, count: int) -> bytes:
        if not self._left:
            raise StorageUnavailable("the connection broke")
        data = self._file.read(min(count, self._left))
        self._left -= len(data)
        return data


@pytest.fixture
def breaking(caller: Caller) -> Iterator[Breaking]:
    store = caller.context.store
    broken = Breaking(store)
    # Frozen for the program; a copy would be another context than that of the running server.
    object.__setattr__(caller.context, "store", broken)
    yield broken
    object.__setattr__(caller.context, "store", store)


def test_a_read_that_breaks_goes_on_where_it_broke(caller: Caller, breaking: Breaking) -> None:
    batch = submit(caller, *named("film"))
    film = bytes(range(256)) * 4096
    succeed(caller, results(caller, batch)[0]["id"], film)
    breaking.breaks = [300_000, 300_001, 0, None]

    assert bundle(caller, batch).read("1-film-0.png") == film
    assert breaking.breaks == [] and breaking.open_now == 0


def test_one_file_that_cannot_be_read_costs_no_other(caller: Caller, breaking: Breaking) -> None:
    batch = submit(caller, *named("a", "b", "c"))
    for job in results(caller, batch):
        succeed(caller, job["id"])
    breaking.breaks = [None, *[20] * batch_bundle._TRIES, None]

    archive = bundle(caller, batch)

    assert archive.namelist() == ["manifest.ndjson", "1-a-0.png", "3-c-0.png", "errors.ndjson"]
    assert [(error["name"], error["code"]) for error in errors_of(archive)] == [("2-b-0.png", "storage_unavailable")]


def test_a_bundle_breaks_off_when_storage_is_away(caller: Caller, breaking: Breaking) -> None:
    """An archive without an end is told from a whole one by every reader; one of errors alone would pass for a result."""
    batch = submit(caller, *named(*"abcdef"))
    for job in results(caller, batch):
        succeed(caller, job["id"])
    breaking.away = True

    with pytest.raises(httpx2.RemoteProtocolError):
        caller.http.get(f"/v1/batches/{batch}/bundle")
    breaking.away = False
    assert len(bundle(caller, batch).namelist()) == 7


def test_what_ends_or_goes_while_a_bundle_is_made_does_not_break_it(caller: Caller, breaking: Breaking) -> None:
    batch = submit(caller, *named("a", "b", "c"))
    a, b, c = (job["id"] for job in results(caller, batch))
    caller.succeed(a)
    caller.succeed(b)
    began: list[str] = []

    def meanwhile(key: str) -> None:
        if not began:
            began.append(key)
            caller.succeed(c)
            with caller.context.database.transaction() as session:
                session.execute(delete(Artifact).where(col(Artifact.job_id) == b))

    breaking.before_open = meanwhile
    answer = caller.http.get(f"/v1/batches/{batch}/bundle")

    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert [line["status"] for line in manifest_of(archive)] == ["succeeded", "succeeded", "queued"]
    # The rows of a page are read together: b's file is there although its row went meanwhile.
    assert archive.namelist() == ["manifest.ndjson", "1-a-0.png", "2-b-0.png"]
    breaking.before_open = lambda key: None
    assert bundle(caller, batch).namelist() == ["manifest.ndjson", "1-a-0.png", "3-c-0.png"]


def test_a_client_that_leaves_lets_go_of_everything(caller: Caller, breaking: Breaking, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = submit(caller, *named(*"abcdef"))
    for job in results(caller, batch):
        succeed(caller, job["id"], bytes(4_000_000))
    ended = threading.Event()
    whole = batch_bundle.stream

    def watched(*args: Any) -> Iterator[bytes]:
        try:
            yield from whole(*args)
        finally:
            ended.set()

    monkeypatch.setattr(batch_bundle, "stream", watched)
    with caller.http.stream("GET", f"/v1/batches/{batch}/bundle") as answer:
        next(answer.iter_raw())
        servers.eventually(lambda: breaking.open_now == 1, what="an output being read")
        assert not ended.is_set()

    assert ended.wait(10)
    assert breaking.open_now == 0
    assert caller.http.get("/healthz").status_code == 200


def test_slow_clients_leave_the_threads_to_others(caller: Caller) -> None:
    """Twenty that have begun to read and do not go on; the API answers as before, and a bundle too."""
    batch = submit(caller, *named("a"))
    succeed(caller, results(caller, batch)[0]["id"], bytes(8_000_000))
    streams = []
    with httpx2.Client(
        base_url=caller.served.url, headers=caller.http.headers, timeout=30, trust_env=False, limits=httpx2.Limits()
    ) as slow:
        for _ in range(20):
            request = slow.build_request("GET", f"/v1/batches/{batch}/bundle")
            streams.append(slow.send(request, stream=True))
        assert shown(caller, batch)["status"] == "completed"
        assert len(bundle(caller, batch).namelist()) == 2
        for one in streams:
            one.close()


def test_a_bundle_over_s3_is_the_same(
    serve: Serve, new_database: Callable[[str], str], s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    url = f"s3://bundles/prefix?endpoint_url={s3_endpoint}&create=true"
    served = serve(new_database("sqlite"), storage_url=url)
    served.context.store.check()
    caller = served.tenant()
    batch = submit(caller, *named("small", "gone", "large"))
    jobs = {name: job["id"] for name, job in by_name(caller, batch).items()}
    film = bytes(range(256)) * 50_000
    made = [succeed(caller, jobs["small"]), succeed(caller, jobs["gone"]), succeed(caller, jobs["large"], film)]
    served.context.store.delete(f"jobs/{jobs['gone']}/0.png")

    archive = bundle(caller, batch)

    assert archive.namelist() == ["manifest.ndjson", "1-small-0.png", "3-large-0.png", "errors.ndjson"]
    assert (archive.read("1-small-0.png"), archive.read("3-large-0.png")) == (made[0], film)
    assert errors_of(archive)[0]["code"] == "gone"


def test_the_new_routes_are_described(served: Served) -> None:
    paths = httpx2.get(f"{served.url}/openapi.json", trust_env=False).json()["paths"]
    described = paths["/v1/batches/{batch_id}/bundle"]["get"]
    assert "application/zip" in described["responses"]["200"]["content"]
    assert {"Mediamill-Files", "Mediamill-Bytes"} <= described["responses"]["200"]["headers"].keys()
    again = paths["/v1/batches/{batch_id}/retry-failed"]["post"]
    assert {parameter["name"] for parameter in again["parameters"]} >= {"include", "Idempotency-Key"}
    assert again["responses"]["202"]["content"]["application/json"]["example"]["retry_of"].startswith("batch_")
    lines = paths["/v1/batches/{batch_id}/results"]["get"]
    assert "status" in {parameter["name"] for parameter in lines["parameters"]}
    (example,) = lines["responses"]["200"]["content"]["application/x-ndjson"]["example"].splitlines()
    assert json.loads(example)["final"] is True
