"""`mediamill demo`: the whole system on this machine for the length of one batch, with everything checked that can be.

A temporary data folder, free ports, the simulator as gateway. A receiver of its own verifies each webhook with the
`standardwebhooks` package, every file is opened before it counts, and the exit code is 0 only if nothing was missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from api_stub.cli import files
from api_stub.cli.progress import OutOfTime, bar, follow, share_of_batch, words_of_batch
from api_stub.cli.shell import DONE, FAILED, bytes_text, misuse, note, print_table, seconds_between
from api_stub.client import BATCH_FINAL, Client, ClientError, Json
from api_stub.serve import run as system
from api_stub.serve.plan import Plan, Wish
from jobs.queries.keys import new_webhook_secret

_CHECKOUT = Path(__file__).parent.parent / "examples" / "batch.jsonl"
_INSTALLED = Path(__file__).parent / "examples" / "batch.jsonl"
BATCH = _CHECKOUT if _CHECKOUT.exists() else _INSTALLED

#: Seconds the simulator takes for each kind of work: short, and still long enough to be polled.
_LATENCIES_S = {"image": 0.8, "video": 2.5, "music": 2.0, "audio": 0.3, "text": 0.3}
_BATCH_S = 180.0
#: From the end of the batch to the last webhook.
_WEBHOOKS_S = 20.0
_FINAL_EVENTS = frozenset({"job.succeeded", "job.failed", "job.canceled", "job.expired"})


def run(out: Path, batch: Path | None, data: Path | None, *, keep: bool) -> int:
    """Show everything. Returns the exit code."""
    lines = _lines(batch or BATCH)
    with _data_folder(data, keep=keep) as folder, Receiver() as receiver:
        stage = _Stage(out.absolute(), lines, receiver)
        options = [word for kind, seconds in _LATENCIES_S.items() for word in (f"--latency-{kind}", str(seconds))]
        wish = Wish(
            port=0,
            data=folder,
            flower=False,
            isolated=True,
            simulator_options=tuple(options),
            overrides={
                "database_url": f"sqlite:///{folder / 'mediamill.db'}",
                "storage_url": f"file://{folder / 'media'}",
                "broker_url": "",
                "webhook_secret": SecretStr(receiver.secret),
            },
        )
        note("starting API, workers, beat, broker and simulator …")
        # Elsewhere, so that a .env of the user's own installation is not read.
        code = system.serve(wish, stage.play, note, cwd=folder)
        # A signal ends `serve` well; here it means that nothing was shown.
        return code or stage.outcome


def _lines(batch: Path) -> list[bytes]:
    try:
        lines = [line.strip() + b"\n" for line in batch.read_bytes().splitlines() if line.strip()]
    except OSError as reason:
        misuse(f"cannot read {batch}: {reason.strerror}; name a file of jobs with --batch")
    if not lines:
        misuse(f"{batch} holds no job")
    return lines


@contextmanager
def _data_folder(data: Path | None, *, keep: bool) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="mediamill-demo-"))
    try:
        yield folder
    finally:
        if keep:
            note(f"database, media and logs are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class Receiver:
    """A webhook receiver as a user would write it: verify first, then believe."""

    def __init__(self) -> None:
        self.secret = new_webhook_secret()
        #: Verified messages by `webhook-id`: a message that comes twice counts once.
        self.verified: dict[str, Json] = {}
        self.refused = 0
        self._changed = threading.Condition()
        verifier = Webhook(self.secret)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    message = verifier.verify(body, dict(self.headers.items()))
                except WebhookVerificationError:
                    receiver._refuse()
                    self.send_response(401)
                else:
                    receiver._accept(self.headers["webhook-id"], message)
                    self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the base class'
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="webhook receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def final_jobs(self) -> set[str]:
        """Ids of the jobs whose last message came."""
        with self._changed:
            return {one["data"]["id"] for one in self.verified.values() if one["type"] in _FINAL_EVENTS}

    def wait_for(self, jobs: set[str], batch_id: str, timeout_s: float) -> bool:
        """True once each of these jobs and the batch have said that they are over."""

        def all_there() -> bool:
            messages = self.verified.values()
            told = {one["data"]["id"] for one in messages if one["type"] in _FINAL_EVENTS | {"batch.completed"}}
            return jobs | {batch_id} <= told

        with self._changed:
            return self._changed.wait_for(all_there, timeout_s)

    def _accept(self, message_id: str, message: Json) -> None:
        with self._changed:
            self.verified[message_id] = message
            self._changed.notify_all()

    def _refuse(self) -> None:
        with self._changed:
            self.refused += 1


@dataclass
class _Saved:
    """What became of one job."""

    job: Json
    line: int
    shown: list[str] = field(default_factory=list)
    problem: str | None = None


@dataclass
class _Stage:
    out: Path
    lines: list[bytes]
    receiver: Receiver
    outcome: int = FAILED

    async def play(self, plan: Plan, stop: asyncio.Event) -> int:
        """The body of the system: runs once everything is ready."""
        halted = threading.Event()
        acting = asyncio.create_task(asyncio.to_thread(self._act, plan, halted))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({acting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            halted.set()
            self.outcome = await acting
        except _Halted:
            note("stopped")
        finally:
            halted.set()
            stopped.cancel()
        return self.outcome

    def _act(self, plan: Plan, halted: threading.Event) -> int:
        started = time.monotonic()
        # A folder that is used again has a gateway with a past.
        paid_before = _paid_calls(plan)
        key = plan.settings.bootstrap_key
        with Client(plan.url, key.get_secret_value() if key else None) as client:
            note(f"ready at {plan.url}; submitting {len(self.lines)} jobs as one batch")
            try:
                batch = self._submit(client, halted)
                jobs = list(client.results(batch["id"]))
                with bar("downloading") as show:
                    saved = [self._save(client, job, line, show, halted) for line, job in enumerate(jobs, start=1)]
            except ClientError as error:
                note(f"the demo failed: {error}")
                return FAILED
        wanted = {job["id"] for job in jobs}
        self.receiver.wait_for(wanted, batch["id"], 0.0 if halted.is_set() else _WEBHOOKS_S)
        self._print(saved)
        charged = _paid_calls(plan) - paid_before
        return self._verdict(charged, saved, wanted - self.receiver.final_jobs(), time.monotonic() - started)

    def _submit(self, client: Client, halted: threading.Event) -> Json:
        batch = client.submit_lines(self.lines, idempotency_key=uuid.uuid4().hex, callback_url=self.receiver.url)
        batch_id = str(batch["id"])
        note(batch_id)
        with bar("batch") as show, contextlib.suppress(OutOfTime):  # the table will tell
            for seen in follow(lambda: client.batch(batch_id), BATCH_FINAL, timeout_s=_BATCH_S, pause=_pause(halted)):
                batch = seen
                verified = len(self.receiver.verified)
                show(share_of_batch(seen), f"{words_of_batch(seen)}; {verified} webhooks verified")
        return batch

    def _save(self, client: Client, job: Json, line: int, show: Any, halted: threading.Event) -> _Saved:
        if halted.is_set():
            raise _Halted
        saved = _Saved(job, line)
        if job["status"] != "succeeded":
            error = job.get("error") or {}
            saved.problem = f"{error.get('message', 'did not succeed')} ({error.get('code', job['status'])})"
            return saved
        stem = f"{line:02d}-{job['operation']}"
        paths = files.save(client, job, stem, self.out, overwrite=True)
        for path, artifact in zip(paths, job["artifacts"], strict=True):
            facts, problem = _opened(path, artifact)
            saved.shown.append(f"{path.name}  ({facts})")
            saved.problem = saved.problem or problem
        if not paths:
            saved.problem = "it left no file"
        show(line / len(self.lines), f"the files of {len(self.lines)} jobs")
        return saved

    def _print(self, saved: list[_Saved]) -> None:
        rows = []
        for one in saved:
            seconds = seconds_between(one.job["created_at"], one.job["finished_at"])
            shown = "\n".join([*one.shown, *([f"✗ {one.problem}"] if one.problem else [])])
            took = None if seconds is None else f"{seconds:.1f}"
            rows.append((one.line, one.job.get("custom_id") or one.job["id"], one.job["operation"], one.job["status"], took, shown))
        print_table(("", "JOB", "OPERATION", "STATUS", "SECONDS", "FILE"), rows, empty="no job")

    def _verdict(self, charged: int, saved: list[_Saved], untold: set[str], took_s: float) -> int:
        succeeded = sum(one.job["status"] == "succeeded" and one.problem is None for one in saved)
        told = len(saved) - len(untold)
        size = bytes_text(files.size_of([one.job for one in saved]))
        refused = f" ({self.receiver.refused} refused)" if self.receiver.refused else ""
        typer.echo(
            f"\n{succeeded} of {len(saved)} jobs succeeded · {told} of {len(saved)} final webhooks verified{refused} · "
            f"{charged} paid calls for {len(saved)} jobs · {sum(len(one.shown) for one in saved)} files, {size} · {took_s:.1f} s"
        )
        typer.echo(f"files: {self.out}")
        good = succeeded == len(saved) and not untold and not self.receiver.refused
        if charged > len(saved):
            note("more paid calls than jobs: something was paid twice")
            good = False
        sys.stdout.flush()
        return DONE if good else FAILED


class _Halted(Exception):
    """Somebody pressed Ctrl-C."""


def _pause(halted: threading.Event) -> Any:
    def pause(seconds: float) -> None:
        if halted.wait(seconds):
            raise _Halted

    return pause


def _opened(path: Path, artifact: Mapping[str, Any]) -> tuple[str, str | None]:
    """What a reader of the file finds in it, and what is wrong with it if anything."""
    from storage import MediaBroken, MediaRefused
    from storage.media import inspect

    expected = artifact["kind"] if artifact["kind"] != "other" else None
    try:
        facts = inspect(path, expected)
    except (MediaBroken, MediaRefused) as error:
        return "cannot be opened", f"{path.name}: {error}"
    shown = [facts.media_type.partition(";")[0]]
    if facts.width:
        shown.append(f"{facts.width}×{facts.height}")
    if facts.duration_s:
        shown.append(f"{facts.duration_s:.1f} s")
    return ", ".join([*shown, bytes_text(facts.size_bytes) or ""]), None


def _paid_calls(plan: Plan) -> int:
    """By the gateway's own book: calls that cost money."""
    if plan.simulator_url is None:
        return 0
    with Client(plan.simulator_url) as gateway:
        return len(gateway.list_at("/_simulator/ledger", event="paid_call", charged="true"))
