"""Looking after work: `watch`, `jobs`, `deliveries`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from api_stub.cli.progress import bar, follow, share_of, share_of_batch, words_of, words_of_batch
from api_stub.cli.server import KeyOption, UrlOption, connect
from api_stub.cli.shell import (
    DONE,
    FAILED,
    JsonFlag,
    ago,
    bytes_text,
    complain,
    console,
    known_failure,
    misuse,
    note,
    print_facts,
    print_json,
    print_table,
    seconds_between,
)
from api_stub.client import BATCH_FINAL, FINAL, Client, ClientError, Json

#: States of jobs that are under way, the ones nearest to their end first.
_UNDER_WAY = ("collecting", "running", "submitting", "unknown", "queued")
_WATCHED = 20
_COLUMNS = ("JOB", "OPERATION", "STATUS", "CREATED", "TOOK", "FILES", "CUSTOM ID")

MostOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most, newest first.")]


def register(app: typer.Typer) -> None:
    app.command("watch")(watch)
    jobs = family(app, "jobs", "List, show, cancel and retry jobs.")
    jobs.command("list")(list_jobs)
    jobs.command("show")(show_job)
    jobs.command("cancel")(cancel_jobs)
    jobs.command("retry")(retry_job)
    deliveries = family(app, "deliveries", "The webhook log, and sending one again.")
    deliveries.command("list")(list_deliveries)
    deliveries.command("resend")(resend)


def family(app: typer.Typer, name: str, text: str) -> typer.Typer:
    family = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(family, name=name)
    return family


def watch(
    what: Annotated[str | None, typer.Argument(metavar="JOB|BATCH", help="Its id; without one the newest running jobs.")] = None,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Show a job or a batch live until it is over, or the newest running jobs until Ctrl-C.

    Example: mediamill watch job_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    if what is not None and not what.startswith(("job_", "batch_")):
        misuse(f"{what} is no id of a job (job_…) or a batch (batch_…)")
    with connect(url, key) as client:
        if what is None:
            return _watch_newest(client, as_json=as_json)
        if what.startswith("batch_"):
            batch = _watch(lambda: client.batch(what), BATCH_FINAL, share_of_batch, words_of_batch, what, as_json=as_json)
            return DONE if batch["counts"]["succeeded"] == batch["counts"]["total"] else FAILED
        job = _watch(lambda: client.job(what), FINAL, share_of, words_of, what, as_json=as_json)
        if job.get("error") and not as_json:
            note(f"{job['error'].get('message')} ({job['error'].get('code')})")
        return DONE if job["status"] == "succeeded" else FAILED


def _watch(
    look: Callable[[], Json],
    over: frozenset[str],
    share: Callable[[Json], float],
    words: Callable[[Json], str],
    title: str,
    *,
    as_json: bool,
) -> Json:
    seen: Json = {}
    with bar(title, quiet=as_json) as show:
        for current in follow(look, over, timeout_s=None):
            if as_json and words(current) != (words(seen) if seen else None):
                _json_line(current)
            show(share(current), words(current))
            seen = current
    return seen


def _watch_newest(client: Client, *, as_json: bool) -> int:
    if as_json or not sys.stdout.isatty():
        jobs = _under_way(client)
        if as_json:
            print_json(jobs)
        else:
            print_jobs(jobs, empty="no job is under way")
        return DONE
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    with Live(console=console(), refresh_per_second=4, transient=True) as live:
        try:
            while True:
                jobs = _under_way(client)
                table = Table(*("JOB", "OPERATION", "", "STATUS", "CREATED"), box=None, pad_edge=False, padding=(0, 2, 0, 0))
                for job in jobs:
                    filled = round(20 * share_of(job))
                    drawn = Text("━" * filled, "green") + Text("━" * (20 - filled), "dim")
                    table.add_row(job["id"], job["operation"], drawn, words_of(job), ago(job["created_at"]))
                live.update(table if jobs else Text("no job is under way; Ctrl-C ends this", "dim"))
                time.sleep(1.0)
        except KeyboardInterrupt:
            return DONE


def _under_way(client: Client) -> list[Json]:
    found = [job for status in _UNDER_WAY for job in client.jobs(most=_WATCHED, status=status)]
    return sorted(found, key=lambda job: str(job["created_at"]), reverse=True)[:_WATCHED]


def _json_line(value: Json) -> None:
    import json

    typer.echo(json.dumps(value, ensure_ascii=False))


# Jobs -----------------------------------------------------------------------------------------------------------------


def list_jobs(
    status: Annotated[str | None, typer.Option(help="queued, submitting, running, collecting, unknown, succeeded, …")] = None,
    operation: Annotated[str | None, typer.Option(help="Such as kling.text_to_video.")] = None,
    modality: Annotated[str | None, typer.Option(help="image, video, music, audio, text or model3d.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only this batch's.")] = None,
    limit: MostOption = 20,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """The newest jobs.

    Example: mediamill jobs list --status failed --modality video
    """
    with connect(url, key) as client:
        jobs = client.jobs(most=limit, status=status, operation=operation, modality=modality, batch_id=batch)
    if as_json:
        print_json(jobs)
    else:
        print_jobs(jobs, empty="no job is like that")
    return DONE


def print_jobs(jobs: Iterable[Json], *, empty: str) -> None:
    print_table(
        _COLUMNS,
        (
            (
                job["id"],
                job["operation"],
                words_of(job),
                ago(job["created_at"]),
                _seconds(job),
                len(job.get("artifacts") or ()) or None,
                job.get("custom_id"),
            )
            for job in jobs
        ),
        empty=empty,
    )


def _seconds(job: Json) -> str | None:
    seconds = seconds_between(job["created_at"], job["finished_at"])
    return None if seconds is None else f"{seconds:.1f} s"


def show_job(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """One job: its state, its outputs with links, its history.

    Example: mediamill jobs show job_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    with connect(url, key) as client:
        job = client.job(job_id)
        events = client.job_events(job_id)
    if as_json:
        print_json(job | {"history": events})
        return DONE
    upstream = job.get("upstream") or {}
    error = job.get("error") or {}
    served = job.get("served_by") or {}
    print_facts(
        [
            ("job", job["id"]),
            ("operation", job["operation"]),
            ("served by", served.get("operation")),
            ("status", words_of(job)),
            *_standing(job.get("queue") or {}),
            *_cost(job.get("cost") or {}),
            ("custom id", job.get("custom_id")),
            ("batch", job.get("batch_id")),
            ("created", job["created_at"]),
            ("finished", job.get("finished_at")),
            ("took", _seconds(job)),
            ("upstream task", upstream.get("task_id")),
            ("upstream status", upstream.get("status")),
            ("error", f"{error.get('message')} ({error.get('code')})" if error else None),
            ("may be charged", "yes" if error.get("may_have_been_charged") else None),
            ("retry of", job.get("retry_of")),
        ]
    )
    if job.get("artifacts"):
        typer.echo()
        rows = ((one["index"], one["media_type"], bytes_text(one["bytes"]), one["url"]) for one in job["artifacts"])
        print_table(("FILE", "TYPE", "SIZE", "LINK"), rows, empty="")
    if events:
        typer.echo()
        moves = [
            (one.get("at"), one.get("move"), f"{one.get('from')} → {one.get('to')}", one.get("actor"), one.get("reason"))
            for one in events
        ]
        print_table(("AT", "MOVE", "STATE", "BY", "REASON"), moves, empty="")
    return DONE


def _standing(queue: Json) -> list[tuple[str, object]]:
    """Where a waiting job stands."""
    p50, p90 = queue.get("starts_by_p50"), queue.get("starts_by_p90")
    return [
        ("waits for", (queue.get("waiting_for") or {}).get("why")),
        ("place", queue.get("position")),
        ("starts by", f"{p50}, at the latest pace {p90}" if p50 else None),
    ]


def _cost(cost: Json) -> list[tuple[str, object]]:
    quoted, actual = cost.get("estimated_usd"), cost.get("actual_usd")
    return [("quoted", f"{quoted} USD ({cost.get('kind')})" if quoted else None), ("cost", f"{actual} USD" if actual else None)]


def cancel_jobs(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID")],
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Cancel jobs: each that can be. What the provider already does may still be charged.

    Example: mediamill jobs cancel job_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    with connect(url, key) as client:
        jobs = []
        for job_id in job_ids:
            try:
                jobs.append(client.cancel_job(job_id))
            except ClientError as error:
                # One that has ended must not keep the next from being canceled: it would be paid.
                (first, *more), _ = known_failure(error) or ([str(error)], FAILED)
                complain(f"{job_id}: {first}", *more)
    if as_json:
        print_json(jobs)
    else:
        print_facts([(job["id"], job["status"]) for job in jobs])
    return DONE if len(jobs) == len(job_ids) else FAILED


def retry_job(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Run a job's request again, as a new job. It is paid again.

    Example: mediamill jobs retry job_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    with connect(url, key) as client:
        job = client.retry_job(job_id)
    if as_json:
        print_json(job)
    else:
        print_facts([("job", job["id"]), ("retry of", job.get("retry_of")), ("status", job["status"])])
    return DONE


# Deliveries -----------------------------------------------------------------------------------------------------------


def list_deliveries(
    job: Annotated[str | None, typer.Option(help="Only this job's.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: MostOption = 20,
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """The newest webhook messages and how their tries went.

    Example: mediamill deliveries list --status failed
    """
    with connect(url, key) as client:
        deliveries = client.deliveries(most=limit, job_id=job, status=status)
    if as_json:
        print_json(deliveries)
        return DONE
    rows = []
    for one in deliveries:
        last = one["tries"][-1] if one["tries"] else {}
        outcome = last.get("status_code") or last.get("error")
        rows.append((one["id"], one["event_type"], one["status"], len(one["tries"]), outcome, one["url"], ago(one["created_at"])))
    columns = ("DELIVERY", "EVENT", "STATUS", "TRIES", "LAST", "TO", "CREATED")
    print_table(columns, rows, empty="no webhook was sent yet")
    return DONE


def resend(
    delivery_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: JsonFlag = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Send a webhook again: the same event with the same bytes.

    Example: mediamill deliveries resend del_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    with connect(url, key) as client:
        delivery = client.resend(delivery_id)
    if as_json:
        print_json(delivery)
    else:
        print_facts([("delivery", delivery["id"]), ("status", delivery["status"]), ("to", delivery["url"])])
    return DONE
