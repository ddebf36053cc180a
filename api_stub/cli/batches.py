"""`batches`: what becomes of jobs that were submitted together, what they made, and asking again for what failed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Annotated

import typer

from api_stub.cli import files
from api_stub.cli.progress import OutOfTime, bar, follow, share_of_batch, words_of, words_of_batch
from api_stub.cli.server import KeyOption, UrlOption, connect
from api_stub.cli.shell import DONE, FAILED, JsonFlag, ago, bytes_text, fail, misuse, note, print_facts, print_json, print_table
from api_stub.cli.tracking import MostOption, family, print_jobs
from api_stub.client import BATCH_FINAL, Client, Damaged, Json, Lost, Refused, in_words

#: Jobs of a batch that are shown one by one.
_SHOWN = 50

BatchId = Annotated[str, typer.Argument(metavar="ID")]


def register(app: typer.Typer) -> None:
    batches = family(app, "batches", "List, show, cancel and retry batches; fetch what they made.")
    batches.command("list")(list_batches)
    batches.command("show")(show_batch)
    batches.command("cancel")(cancel_batch)
    batches.command("results")(results)
    batches.command("retry-failed")(retry_failed)
    batches.command("download")(download)


def list_batches(limit: MostOption = 20, as_json: JsonFlag = False, url: UrlOption = None, key: KeyOption = None) -> int:
    """The newest batches.

    Example: mediamill batches list --limit 5
    """
    with connect(url, key) as client:
        batches = client.batches(most=limit)
    if as_json:
        print_json(batches)
    else:
        rows = ((one["id"], one["status"], ago(one["created_at"]), words_of_batch(one)) for one in batches)
        print_table(("BATCH", "STATUS", "CREATED", "JOBS"), rows, empty="there is no batch yet")
    return DONE


def show_batch(batch_id: BatchId, as_json: JsonFlag = False, url: UrlOption = None, key: KeyOption = None) -> int:
    """One batch and its jobs.

    Example: mediamill batches show batch_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    with connect(url, key) as client:
        batch = client.batch(batch_id)
        jobs = list(islice(client.results(batch_id), None if as_json else _SHOWN))
    if as_json:
        print_json(batch | {"jobs": jobs})
        return DONE
    print_facts(
        [
            ("batch", batch["id"]),
            ("status", batch["status"]),
            ("created", batch["created_at"]),
            ("finished", batch["finished_at"]),
            ("retry of", batch.get("retry_of")),
            ("jobs", words_of_batch(batch)),
        ]
    )
    typer.echo()
    print_jobs(jobs, empty="the batch has no jobs")
    if (more := batch["counts"]["total"] - len(jobs)) > 0:
        note(f"and {more} more: `mediamill batches results {batch_id}`")
    if batch["counts"]["failed"] and batch["status"] in BATCH_FINAL:
        note(f"`mediamill batches retry-failed {batch_id}` asks again for what failed")
    return DONE


def cancel_batch(
    batch_id: BatchId,
    running: Annotated[
        bool, typer.Option("--running", help="End what runs as well; the provider may charge it all the same.")
    ] = False,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Cancel what has not started of a batch. What runs is paid for, and may finish.

    Example: mediamill batches cancel batch_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    with connect(url, key) as client:
        batch = client.cancel_batch(batch_id, running=running)
    if as_json:
        print_json(batch)
        return DONE
    print_facts([("batch", batch["id"]), ("status", batch["status"]), ("jobs", words_of_batch(batch))])
    if left := batch.get("left_running"):
        them = "1 job runs and is" if left == 1 else f"{left:,} jobs run and are"
        note(f"{them} let finish: `mediamill batches cancel {batch_id} --running` ends that too")
    return DONE


def print_quote(quote: Json) -> None:
    """What a batch would cost, operation by operation."""
    rows: list[tuple[object, ...]] = [
        (one["operation"], f"{one['jobs']:,}", f"{one['estimated_usd']} USD", one["kind"]) for one in quote["operations"]
    ]
    rows += [
        (one["operation"], f"{one['jobs']:,}", "unknown", f"{one['why']} ({in_words(one['lines'])}{_more(one)})")
        for one in quote["unknown"]["reasons"]
    ]
    print_table(("OPERATION", "JOBS", "COST", "WHICH IS"), rows, empty="no line would run: all of it is there")
    shared = f"{quote['shared']:,} have what an equal one makes, and cost nothing" if quote["shared"] else None
    known, beside = (
        quote["estimated_usd"],
        f" and {quote['unknown']['jobs']:,} of unknown price" if quote["unknown"]["jobs"] else "",
    )
    print_facts(
        [
            ("jobs", f"{quote['jobs']:,}"),
            ("shared", shared),
            ("cost", "unknown" if known is None else f"{known} USD{beside}"),
            ("may cost", f"{quote['max_cost_usd']} USD" if quote["max_cost_usd"] else None),
        ]
    )


def _more(reason: Json) -> str:
    return ", …" if reason["jobs"] > len(reason["lines"]) else ""


def results(
    batch_id: BatchId,
    status: Annotated[str | None, typer.Option(help="Only these: failed, expired, … with commas; final is all that ended.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the jobs, one a line as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One job a line, as JSON.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """The jobs of a batch as they are now, in the order of its lines; also while it runs.

    Example: mediamill batches results batch_0199a7c2f0a87d7c8f0e4f1d2c3b4a59 --status failed
    """
    with connect(url, key) as client:
        if out is not None:
            count = _save_results(client, batch_id, status, out, quiet=as_json)
            if as_json:
                print_json({"file": str(out), "jobs": count})
            else:
                print_facts([("file", out), ("jobs", count)])
        elif as_json:
            for job in client.results(batch_id, status):
                typer.echo(_line(job))
        else:
            print_table(
                ("LINE", "JOB", "OPERATION", "STATUS", "FILES"),
                (
                    (job["line"], job.get("custom_id") or job["id"], job["operation"], _outcome(job), _count(job))
                    for job in client.results(batch_id, status)
                ),
                empty="no job is like that",
            )
    return DONE


def _save_results(client: Client, batch_id: str, status: str | None, out: Path, *, quiet: bool) -> int:
    total = client.batch(batch_id)["counts"]["total"]
    count = 0
    with bar("results", quiet=quiet) as show, _draft(out) as file:
        for count, job in enumerate(client.results(batch_id, status), start=1):
            file.write(_line(job) + "\n")
            if count % 100 == 0:
                show(min(1.0, count / total), f"{count} jobs")
        show(1.0, f"{count} jobs")
    return count


@contextmanager
def _draft(path: Path) -> Iterator[IO[str]]:
    """A file that is there whole, or not at all."""
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            yield file
        draft.replace(path)
    except OSError as reason:
        fail(f"cannot write {path}: {reason.strerror}")
    finally:
        with suppress(OSError):  # where it could not be made; that is told already
            draft.unlink()


def _line(job: Json) -> str:
    return json.dumps(job, ensure_ascii=False, separators=(",", ":"))


def _outcome(job: Json) -> str:
    error = job.get("error") or {}
    return words_of(job) + (f": {error.get('message')} ({error.get('code')})" if error else "")


def _count(job: Json) -> int | None:
    return len(job.get("artifacts") or ()) or None


def retry_failed(
    batch_id: BatchId,
    include: Annotated[str | None, typer.Option(help="Besides what failed: expired, canceled, or both with a comma.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every job is over.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most; the batch goes on after that.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Asking again with the same key makes no second batch.")] = None,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Ask again for what failed in a batch, as a new batch. It is paid again.

    Example: mediamill batches retry-failed batch_0199a7c2f0a87d7c8f0e4f1d2c3b4a59 --include expired --wait
    """
    once = idempotency_key or uuid.uuid4().hex
    with connect(url, key) as client:
        try:
            batch = client.retry_failed(batch_id, include=include, idempotency_key=once)
        except Lost as error:
            fail(str(error), f"ask again with --idempotency-key {once}: that makes no second batch")
        if wait:
            batch = wait_for(client, batch, timeout, quiet=as_json)
    if as_json:
        print_json(batch)
    else:
        print_facts([("batch", batch["id"]), ("retry of", batch["retry_of"]), ("jobs", words_of_batch(batch))])
    if not wait:
        note(f"`mediamill watch {batch['id']}` shows how it goes")
        return DONE
    return DONE if batch["counts"]["succeeded"] == batch["counts"]["total"] else FAILED


def wait_for(client: Client, batch: Json, timeout_s: float | None, *, quiet: bool) -> Json:
    """The batch when it is over, shown live until then. Fails when the time is over; the batch goes on."""
    batch_id = str(batch["id"])
    try:
        note(batch_id)
        with bar("batch", quiet=quiet) as show:
            for seen in follow(lambda: client.batch(batch_id), BATCH_FINAL, timeout_s=timeout_s):
                batch = seen
                show(share_of_batch(batch), words_of_batch(batch))
    except (OutOfTime, KeyboardInterrupt):
        fail(
            f"{batch_id} is not over and goes on without us: "
            f"`mediamill watch {batch_id}` shows it, `mediamill batches cancel {batch_id}` ends it"
        )
    return batch


def download(
    batch_id: BatchId,
    out: Annotated[
        Path | None, typer.Option(help="A folder for the files, or NAME.zip for one archive (default: the batch's id .zip).")
    ] = None,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Everything a batch made so far: as one archive, or file by file into a folder, where what is there already stays.

    Example: mediamill batches download batch_0199a7c2f0a87d7c8f0e4f1d2c3b4a59 --out results
    """
    with connect(url, key) as client:
        batch = client.batch(batch_id)
        path = out or Path(f"{batch['id']}.zip")
        one_file = path.suffix.lower() == ".zip"
        if not one_file:
            files.check_folder(path)
        elif path.is_dir():
            misuse(f"{path} is a folder")
        if batch["status"] not in BATCH_FINAL:
            note("the batch is not over: this is what it has made so far")
        saved, missing = (_archive if one_file else _folder)(client, batch, path, quiet=as_json)
    if as_json:
        print_json({"batch": batch["id"], "files": [str(one) for one in saved], "missing": missing})
    else:
        said = f"{path}  ({bytes_text(path.stat().st_size)})" if one_file else f"{len(saved)} files in {path}"
        lost = [("missing", f"{one['name']}: {one['message']}") for one in missing]
        print_facts([("batch", batch["id"]), ("saved", said), *lost])
    return FAILED if missing else DONE


def _archive(client: Client, batch: Json, path: Path, *, quiet: bool) -> tuple[list[Path], list[Json]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with bar("downloading", quiet=quiet) as show:
            missing = client.bundle(
                batch["id"], path, lambda done, total: show(min(1.0, done / total) if total else 0.0, bytes_text(total) or "")
            )
            show(1.0, bytes_text(path.stat().st_size) or "")
    except OSError as reason:
        fail(f"cannot write {path}: {reason.strerror}")
    return [path], missing


def _folder(client: Client, batch: Json, path: Path, *, quiet: bool) -> tuple[list[Path], list[Json]]:
    # All of them before the first download: the list must not wait, half read, for gigabytes to pass.
    jobs = [
        {name: job[name] for name in ("id", "line", "operation", "custom_id", "artifacts")}
        for job in client.results(batch["id"], "final")
        if job["artifacts"]
    ]
    saved: list[Path] = []
    missing: list[Json] = []
    done, size = 0, files.size_of(jobs)
    with bar("downloading", quiet=quiet) as show:

        def moved(count: int) -> None:
            nonlocal done
            done += count
            show(done / size, bytes_text(size) or "")

        for job in jobs:
            stem = files.stem_in_batch(job, job["line"], batch["counts"]["total"])
            try:
                saved += files.save(client, job, stem, path, moved)
            except (Refused, Damaged) as error:
                missing.append({"job_id": job["id"], "name": stem, "message": str(error)})
    return saved, missing
