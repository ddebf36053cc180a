"""Giving work: `run` one operation and keep its files, `submit` a file of jobs, `demo`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from api_stub.cli import files, inputs
from api_stub.cli.batches import print_quote, wait_for
from api_stub.cli.progress import OutOfTime, bar, follow, share_of, words_of, words_of_batch
from api_stub.cli.server import KeyOption, UrlOption, connect
from api_stub.cli.shell import (
    DONE,
    FAILED,
    JsonFlag,
    bytes_text,
    fail,
    misuse,
    note,
    print_facts,
    print_json,
    print_table,
    seconds_between,
)
from api_stub.client import FINAL, Client, ClientError, Json, Lost, Refused


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("submit")(submit)
    app.command("demo")(demo)


def run(
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="Such as kling.text_to_video (see `mediamill operations`).")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="The input: key=text, key=3, a.b=c, key=@file.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most; the job goes on after that.")] = 7200.0,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Run one operation, wait for it and save its files.

    Example: mediamill run kling.text_to_video prompt="A paper boat in the rain" duration=5 --out films
    """
    files.check_folder(out)
    with connect(url, key) as client:
        job = client.submit({"operation": operation, "input": _input(client, operation, words or [])})
        job_id = str(job["id"])
        note(job_id)
        try:
            with bar(operation, quiet=as_json) as show:
                for seen in follow(lambda: client.job(job_id), FINAL, timeout_s=timeout):
                    job = seen
                    show(share_of(job), words_of(job))
        except (OutOfTime, KeyboardInterrupt) as ended:
            said = f"not over after {timeout:g} s" if isinstance(ended, OutOfTime) else "no longer watched"
            fail(
                f"{job_id} is {said} and goes on without us: "
                f"`mediamill watch {job_id}` shows it, `mediamill jobs cancel {job_id}` ends it"
            )
        try:
            saved = files.save(client, job, files.stem_of(job), out) if job["status"] == "succeeded" else []
        except ClientError as error:
            fail(
                f"the files of {job_id} could not be saved: {error}",
                f"nothing is lost: `mediamill jobs show {job_id}` has links to them",
            )
    if as_json:
        print_json(job | {"files": [str(path) for path in saved]})
    else:
        _summary(job, saved)
    return DONE if job["status"] == "succeeded" else FAILED


def _input(client: Client, operation: str, words: list[str]) -> dict[str, Any]:
    try:
        schema = client.operation(operation)["input_schema"]
    except Refused as error:
        if error.status != 404:
            raise
        misuse(_unknown(operation))

    def upload(path: Path) -> dict[str, str]:
        return {"file": client.upload(path)["id"]}

    try:
        return inputs.parse(words, schema, upload)
    except inputs.WrongWord as error:
        misuse(str(error))


def _unknown(operation: str) -> str:
    import difflib

    from jobs import catalogue

    near = difflib.get_close_matches(operation, catalogue.all_operations(), n=1)
    return f"{operation} is no operation" + (f"; did you mean {near[0]}?" if near else "; see `mediamill operations`")


def _summary(job: Json, saved: list[Path]) -> None:
    took = seconds_between(job["created_at"], job["finished_at"])
    print_facts(
        [
            ("job", job["id"]),
            ("status", job["status"]),
            ("took", f"{took:.1f} s" if took is not None else None),
            *(("file", f"{path}  ({facts_of(artifact)})") for path, artifact in zip(saved, job["artifacts"], strict=False)),
        ]
    )
    text = files.text_of(job)
    if text is not None:
        typer.echo(f"\n{text}")
    if job.get("error"):
        print_facts(_error_facts(job["error"]))


def facts_of(artifact: Json) -> str:
    """`video/mp4, 1280×720, 5.0 s, 1.2 MB`."""
    parts: list[str | None] = [artifact["media_type"].partition(";")[0]]
    if artifact.get("width"):
        parts.append(f"{artifact['width']}×{artifact['height']}")
    if artifact.get("duration_s"):
        parts.append(f"{artifact['duration_s']:.1f} s")
    parts.append(bytes_text(artifact["bytes"]))
    return ", ".join(part for part in parts if part)


def _error_facts(error: Json) -> list[tuple[str, object]]:
    charged = {True: "possible", False: "no"}.get(error.get("may_have_been_charged"))  # type: ignore[arg-type]
    again = {True: "may help", False: "will not help"}.get(error.get("retryable"))  # type: ignore[arg-type]
    return [("error", f"{error.get('message')} ({error.get('code')})"), ("trying again", again), ("charged", charged)]


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file with one job a line (JSON); - is standard input.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every job is over.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the files; waits.")] = None,
    callback_url: Annotated[str | None, typer.Option(help="Receives the webhooks of jobs that name no other.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Submitting again with the same key makes no second batch.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most; the batch goes on after that.")] = None,
    max_cost: Annotated[str | None, typer.Option(metavar="USD", help="What all jobs together may cost, such as 12.50.")] = None,
    coalesce: Annotated[bool, typer.Option("--coalesce", help="Lines that ask the same run once.")] = False,
    reuse_within: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Use your results that are at most so old; means --coalesce.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and say what it would cost; submit nothing.")] = False,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Submit a file of jobs as one batch.

    Example: mediamill submit examples/batch.jsonl --wait --out results
    """
    if out is not None:
        files.check_folder(out)
    once = idempotency_key or uuid.uuid4().hex
    said: dict[str, Any] = {
        "callback_url": callback_url,
        "max_cost_usd": max_cost,
        "coalesce": coalesce,
        "reuse_within_s": reuse_within,
    }
    with _opened(file) as stream, connect(url, key) as client:
        if dry_run:
            return _quote(client.quote_lines(_lines(stream), **said), as_json=as_json)
        try:
            batch = client.submit_lines(_lines(stream), idempotency_key=once, **said)
        except Lost as error:
            fail(str(error), f"submit it again with --idempotency-key {once}: that makes no second batch")
        if not (wait or out):
            if as_json:
                print_json(batch)
            else:
                print_facts([("batch", batch["id"]), ("jobs", batch["counts"]["total"])])
                note(f"`mediamill watch {batch['id']}` shows how it goes")
            return DONE
        batch = wait_for(client, batch, timeout, quiet=as_json)
        jobs = list(client.results(batch["id"]))
        saved = _save_all(client, jobs, out, quiet=as_json) if out else {}
    if as_json:
        print_json(batch | {"jobs": [job | {"files": [str(path) for path in saved.get(job["id"], [])]} for job in jobs]})
    else:
        _batch_summary(batch, jobs, saved)
    return DONE if batch["counts"]["succeeded"] == batch["counts"]["total"] else FAILED


def _quote(quote: Json, *, as_json: bool) -> int:
    if as_json:
        print_json(quote)
    else:
        print_quote(quote)
    return DONE


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as reason:
        misuse(f"cannot read {file}: {reason.strerror}")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    # Blank lines too: the server leaves them out and counts them, so that its numbers are those of the file.
    for line in stream:
        yield line if line.endswith(b"\n") else line + b"\n"


def _save_all(client: Client, jobs: list[Json], out: Path, *, quiet: bool) -> dict[str, list[Path]]:
    saved: dict[str, list[Path]] = {}
    done, total = 0, files.size_of(jobs)
    with bar("downloading", quiet=quiet) as show:

        def moved(count: int) -> None:
            nonlocal done
            done += count
            show(done / total if total else 1.0, f"{bytes_text(total)}")

        for job in jobs:
            if job["status"] == "succeeded":
                stem = files.stem_in_batch(job, job["line"], len(jobs))
                try:
                    saved[job["id"]] = files.save(client, job, stem, out, moved)
                except ClientError as error:
                    fail(
                        f"the files of {job['id']} could not be saved: {error}",
                        f"nothing is lost: `mediamill batches download {job['batch_id']} --out FOLDER` fetches them",
                    )
    return saved


def _batch_summary(batch: Json, jobs: list[Json], saved: dict[str, list[Path]]) -> None:
    print_table(
        ("LINE", "JOB", "OPERATION", "STATUS", "FILES"),
        (
            (
                job["line"],
                job.get("custom_id") or job["id"],
                job["operation"],
                job["status"] if not job.get("error") else f"{job['status']}: {job['error'].get('message')}",
                ", ".join(str(path) for path in saved.get(job["id"], [])) or len(job.get("artifacts") or ()),
            )
            for job in jobs
        ),
        empty="the batch has no jobs",
    )
    print_facts([("batch", f"{batch['id']} {batch['status']}"), ("total", words_of_batch(batch))])


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo-output"),
    batch: Annotated[Path | None, typer.Option(help="Another file of jobs (default: examples/batch.jsonl).")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder to use and keep (default: a temporary one).")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary data folder: database, media, logs.")] = False,
) -> int:
    """Show everything at once: the whole system, a batch of jobs against the simulator, verified webhooks, real files.

    Needs no key and costs nothing. Example: mediamill demo --out demo-output
    """
    from api_stub import demo as show

    return show.run(out, batch, data, keep=keep)
