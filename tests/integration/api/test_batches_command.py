"""`mediamill batches …` against a running API: what it prints, what it saves, and its exit codes."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from callers import SPEECH, VIDEO, Caller, Json, put
from terminal import Command

from workers import finish


@pytest.fixture
def mediamill(command: Command) -> Command:
    """`mediamill batches …` (or `submit …`)."""
    return lambda *words: command(*words) if words[0] == "submit" else command("batches", *words)


def submit(caller: Caller, *names: str) -> tuple[str, dict[str, str]]:
    """A batch, and its jobs' ids by custom_id."""
    batch: str = caller.http.post("/v1/batches", json={"jobs": [SPEECH | {"custom_id": name} for name in names]}).json()["id"]
    lines = caller.http.get(f"/v1/batches/{batch}/results").text.splitlines()
    return batch, {job["custom_id"]: job["id"] for job in map(json.loads, lines)}


def end(caller: Caller, batch: str, job_id: str, *, well: bool) -> bytes:
    made = b""
    if well:
        made = caller.succeed(job_id)
    else:
        caller.fail(job_id)
    finish.close_batch(caller.context, batch)
    return made


def shown(caller: Caller, batch: str) -> Json:
    found: Json = caller.http.get(f"/v1/batches/{batch}").json()
    return found


def test_a_batch_is_shown_with_what_to_do_next(caller: Caller, mediamill: Command) -> None:
    batch, jobs = submit(caller, "good", "bad")
    end(caller, batch, jobs["good"], well=True)
    end(caller, batch, jobs["bad"], well=False)
    said = mediamill("show", batch)
    assert said.code == 0
    assert "1 succeeded, 1 failed" in said.out and "good" in said.out
    assert f"mediamill batches retry-failed {batch}" in said.err
    assert [job["custom_id"] for job in json.loads(mediamill("show", batch, "--json").out)["jobs"]] == ["good", "bad"]


def test_a_large_batch_is_shown_in_part(caller: Caller, mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_stub.cli.batches._SHOWN", 2)
    batch, _ = submit(caller, "one", "two", "three", "four", "five")
    said = mediamill("show", batch)
    assert "two" in said.out and "three" not in said.out
    assert f"and 3 more: `mediamill batches results {batch}`" in said.err


def test_results_as_a_table_as_lines_and_as_a_file(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    batch, jobs = submit(caller, "good", "bad", "going")
    end(caller, batch, jobs["good"], well=True)
    end(caller, batch, jobs["bad"], well=False)

    table = mediamill("results", batch)
    lines = mediamill("results", batch, "--json")
    failed = mediamill("results", batch, "--json", "--status", "failed")
    saved = mediamill("results", batch, "--status", "final", "--out", "sub/results.jsonl")

    assert table.code == lines.code == failed.code == saved.code == 0
    assert "failed: it failed (upstream_failed)" in table.out and "queued" in table.out
    assert [json.loads(line)["final"] for line in lines.out.splitlines()] == [True, True, False]
    assert [json.loads(line)["custom_id"] for line in failed.out.splitlines()] == ["bad"]
    assert [json.loads(line)["id"] for line in (tmp_path / "sub/results.jsonl").read_text().splitlines()] == [
        jobs["good"],
        jobs["bad"],
    ]
    assert "2 jobs" in saved.err, "progress"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["results.jsonl"]
    wrong = mediamill("results", batch, "--status", "done")
    assert wrong.code == 2 and "query.status: takes queued" in wrong.err


def test_what_failed_is_asked_for_again(caller: Caller, mediamill: Command) -> None:
    batch, jobs = submit(caller, "good", "bad")
    running = mediamill("retry-failed", batch)
    assert running.code == 1 and "2 jobs of it have not ended" in running.err
    end(caller, batch, jobs["good"], well=True)
    end(caller, batch, jobs["bad"], well=False)

    first = mediamill("retry-failed", batch, "--json", "--idempotency-key", "once")
    again = mediamill("retry-failed", batch, "--idempotency-key", "once", "--json")

    assert first.code == again.code == 0
    made = json.loads(first.out)
    assert (made["retry_of"], made["counts"]["total"]) == (batch, 1)
    assert json.loads(again.out)["id"] == made["id"]
    assert f"mediamill watch {made['id']}" in first.err
    words = mediamill("show", made["id"])
    assert f"retry of  {batch}" in words.out
    assert mediamill("retry-failed", batch, "--include", "everything").code == 2


def work_on_next(caller: Caller, *, before_the_end: Callable[[], object] = lambda: None) -> threading.Thread:
    """The worker: ends the jobs of the next batch well, as soon as it is there."""

    def work() -> None:
        found: list[Json] = []
        while not found:
            found = caller.http.get("/v1/batches?limit=1").json()["data"]
        lines = caller.http.get(f"/v1/batches/{found[0]['id']}/results").text.splitlines()
        before_the_end()
        for job in map(json.loads, lines):
            caller.succeed(job["id"])
        finish.close_batch(caller.context, found[0]["id"])

    worker = threading.Thread(target=work, daemon=True)  # it may wait in vain
    worker.start()
    return worker


@pytest.mark.parametrize("well", [True, False])
def test_a_retry_is_waited_for_with_progress(caller: Caller, mediamill: Command, well: bool) -> None:
    batch, jobs = submit(caller, "bad")
    end(caller, batch, jobs["bad"], well=False)
    made: list[str] = []

    def work() -> None:
        """The worker: ends the new job as soon as it is there."""
        while not made:
            newest = caller.http.get("/v1/batches?limit=1").json()["data"][0]["id"]
            if newest != batch:
                made.append(newest)
        (job,) = caller.http.get(f"/v1/jobs?batch_id={made[0]}").json()["data"]
        end(caller, made[0], job["id"], well=well)

    worker = threading.Thread(target=work)
    worker.start()
    said = mediamill("retry-failed", batch, "--wait", "--timeout", "30")
    worker.join(30)

    assert said.code == (0 if well else 1)
    assert f"batch     {made[0]}" in said.out
    assert f"1 job: 1 {'succeeded' if well else 'failed'}" in said.err


def test_a_batch_is_downloaded_as_one_checked_archive(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    batch, jobs = submit(caller, "a", "b", "going")
    made = [end(caller, batch, jobs[name], well=True) for name in "ab"]

    said = mediamill("download", batch)

    assert said.code == 0
    assert "the batch is not over" in said.err and "downloading" in said.err
    assert [path.name for path in tmp_path.iterdir()] == [f"{batch}.zip"]
    with zipfile.ZipFile(tmp_path / f"{batch}.zip") as archive:
        assert [archive.read(name) for name in ("1-a-0.png", "2-b-0.png")] == made
    answer = json.loads(mediamill("download", batch, "--out", "sub/all.ZIP", "--json").out)
    assert answer == {"batch": batch, "files": ["sub/all.ZIP"], "missing": []}
    (tmp_path / "taken.zip").mkdir()
    assert mediamill("download", batch, "--out", "taken.zip").code == 2


def test_a_batch_is_downloaded_into_a_folder_where_what_is_there_stays(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    batch, jobs = submit(caller, "a", "b")
    made = [end(caller, batch, jobs[name], well=True) for name in "ab"]

    first = mediamill("download", batch, "--out", "results", "--json")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results").iterdir()}
    again = mediamill("download", batch, "--out", "results")

    assert first.code == again.code == 0
    assert json.loads(first.out)["files"] == ["results/01-a.png", "results/02-b.png"]
    assert [(tmp_path / "results" / name).read_bytes() for name in ("01-a.png", "02-b.png")] == made
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results").iterdir()} == before
    assert "2 files in results" in again.out


def test_what_storage_has_lost_is_said_and_is_a_failure(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    batch, jobs = submit(caller, "kept", "lost")
    kept = end(caller, batch, jobs["kept"], well=True)
    lost = end(caller, batch, jobs["lost"], well=True)
    caller.context.store.delete(f"jobs/{jobs['lost']}/0.png")

    archive = mediamill("download", batch, "--out", "all.zip")
    folder = mediamill("download", batch, "--out", "files", "--json")

    assert (archive.code, folder.code) == (1, 1)
    assert "missing  2-lost-0.png: the file is no longer in storage" in archive.out
    assert [one["name"] for one in json.loads(folder.out)["missing"]] == ["02-lost"]
    assert (tmp_path / "files/01-kept.png").read_bytes() == kept
    put(caller.context, f"jobs/{jobs['lost']}/0.png", lost, "image/png")
    assert mediamill("download", batch, "--out", "files").code == 0
    assert hashlib.sha256((tmp_path / "files/02-lost.png").read_bytes()).digest() == hashlib.sha256(lost).digest()


def test_an_unknown_batch_leaves_nothing(mediamill: Command, tmp_path: Path) -> None:
    for words in (("download", "batch_nope"), ("results", "batch_nope"), ("retry-failed", "batch_nope"), ("show", "batch_nope")):
        said = mediamill(*words)
        assert said.code == 1 and "there is no such batch" in said.err
    assert list(tmp_path.iterdir()) == []


# Cancel, and what it would cost -------------------------------------------------------------------------------------------


def test_cancel_lets_finish_what_runs_and_says_how_to_end_it(caller: Caller, mediamill: Command) -> None:
    batch, jobs = submit(caller, "under-way", "waits")
    caller.send(jobs["under-way"])

    said = mediamill("cancel", batch)

    assert said.code == 0
    assert f"1 job runs and is let finish: `mediamill batches cancel {batch} --running` ends that too" in said.err
    assert shown(caller, batch)["counts"]["running"] == 1
    ended = mediamill("cancel", batch, "--running", "--json")
    assert (ended.code, json.loads(ended.out)["status"]) == (0, "canceled")


def test_a_dry_run_prints_what_a_file_of_jobs_would_cost(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(json.dumps(job) for job in (SPEECH, SPEECH, SPEECH, VIDEO)))

    said = mediamill("submit", str(file), "--dry-run", "--coalesce")

    assert said.code == 0, said
    table = " ".join(said.out.split())
    assert "openai.speech 1 0.00024 USD exact" in table
    assert "kling.text_to_video 1 unknown no price is known" in table
    assert "(line 4)" in table
    assert "shared 2 have what an equal one makes, and cost nothing" in table
    assert "cost 0.00024 USD and 1 of unknown price" in table
    assert json.loads(mediamill("submit", str(file), "--dry-run", "--json").out)["estimated_usd"] == "0.00072"
    file.write_text(json.dumps(VIDEO))
    assert "cost unknown" in " ".join(mediamill("submit", str(file), "--dry-run").out.split())
    assert caller.http.get("/v1/jobs").json()["data"] == []


def test_a_file_is_submitted_with_a_cap_and_sharing(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join([json.dumps(SPEECH)] * 2))

    refused = mediamill("submit", str(file), "--max-cost", "0.00024")
    assert (refused.code, "over_cap" in refused.err) == (2, True)
    batch = json.loads(mediamill("submit", str(file), "--max-cost", "0.00024", "--reuse-within", "60", "--json").out)

    assert batch["max_cost_usd"] == "0.00024"
    jobs = [json.loads(line) for line in caller.http.get(f"/v1/batches/{batch['id']}/results").text.splitlines()]
    assert [job["shared_from"] for job in jobs] == [None, jobs[0]["id"]]


# Submitting a file ------------------------------------------------------------------------------------------------------------


def test_the_only_bad_line_is_told_with_its_reason_and_its_number_in_the_file(mediamill: Command, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    good, bad = json.dumps(SPEECH), json.dumps(SPEECH | {"operation": "openai.speach"})
    file.write_text(f"\n{good}\n\n  \r\n{good}\n{bad}")

    said = mediamill("submit", str(file))

    assert said.code == 2
    first, second = said.err.splitlines()
    assert "nothing was stored: 1 line is wrong, line 6 first" in first
    assert second.startswith("mediamill:   line 6: operation: ")


def test_files_and_the_table_have_the_numbers_of_the_file_s_lines(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n\n".join(json.dumps(SPEECH | {"custom_id": name}) for name in ("a", "b")))
    worker = work_on_next(caller)

    said = mediamill("submit", str(file), "--out", "results")
    worker.join(30)

    assert said.code == 0, said.err
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["01-a.png", "03-b.png"]
    assert [row.split()[:2] for row in said.out.splitlines()[1:3]] == [["1", "a"], ["3", "b"]]
    assert mediamill("download", said.err.split()[0], "--out", "results").code == 0
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["01-a.png", "03-b.png"]


def test_files_that_cannot_be_saved_after_all_are_told_with_where_they_are(
    caller: Caller, mediamill: Command, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps(SPEECH))
    worker = work_on_next(caller, before_the_end=(tmp_path / "results").touch)

    said = mediamill("submit", str(file), "--out", "results")
    worker.join(30)

    assert said.code == 1
    batch = said.err.split()[0]
    assert "could not be saved: cannot write results: File exists" in said.err
    assert f"nothing is lost: `mediamill batches download {batch} --out FOLDER` fetches them" in said.err


def test_what_one_operation_made_and_cannot_be_saved_is_told_with_its_job(caller: Caller, command: Command, tmp_path: Path) -> None:
    def work() -> None:
        found: list[Json] = []
        while not found:
            found = caller.http.get("/v1/jobs").json()["data"]
        (tmp_path / "results").touch()
        caller.succeed(found[0]["id"])

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    said = command("run", "openai.speech", *(f"{name}={value}" for name, value in SPEECH["input"].items()), "--out", "results")
    worker.join(30)

    assert said.code == 1
    job = said.err.split()[0]
    assert f"the files of {job} could not be saved: cannot write results: File exists" in said.err
    assert f"nothing is lost: `mediamill jobs show {job}` has links to them" in said.err


def test_what_is_downloaded_or_written_goes_into_no_file_that_is_there(caller: Caller, mediamill: Command, tmp_path: Path) -> None:
    batch, jobs = submit(caller, "a")
    end(caller, batch, jobs["a"], well=True)
    (tmp_path / "taken").write_text("mine")

    folder = mediamill("download", batch, "--out", "taken")
    results = mediamill("results", batch, "--out", "taken/results.jsonl")

    assert (folder.code, folder.err) == (2, "mediamill: cannot write into taken: taken is no folder\n")
    assert (results.code, "cannot write taken/results.jsonl: " in results.err) == (1, True)
    assert (tmp_path / "taken").read_text() == "mine"


def test_each_job_is_canceled_although_one_cannot_be(caller: Caller, command: Command) -> None:
    ended, first, second = (str(caller.submit()["id"]) for _ in range(3))
    caller.succeed(ended)

    said = command("jobs", "cancel", first, ended, "job_nope", second)

    assert said.code == 1
    assert [caller.job(job)["status"] for job in (first, ended, second)] == ["canceled", "succeeded", "canceled"]
    assert said.out.split() == [first, "canceled", second, "canceled"]
    one, other = said.err.splitlines()
    assert one.startswith(f"mediamill: {ended}: ") and "HTTP 409" in one
    assert other.startswith("mediamill: job_nope: ") and "HTTP 404" in other
