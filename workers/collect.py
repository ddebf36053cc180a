"""The collect step: every output into storage, checksummed, before the job may be called a success.

Each output is fetched to a spool, looked at, stored under a key that depends only on the job and its place, and its row
committed. A step that dies in between is done again: what is already there is recognised and kept.
"""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import structlog

from jobs import catalogue, policy
from jobs.catalogue import answers, asking, outcomes, results, wire
from jobs.catalogue.spec import Operation
from jobs.db import after
from jobs.errors import JobError, UpstreamDetail
from jobs.models import Attempt, Job
from jobs.queries import artifacts, attempts, schedule
from jobs.queries import jobs as job_queries
from jobs.states import JobState
from storage import MediaRefused, StorageError, StorageUnavailable, TooLarge
from storage.drawing import inspect_drawing
from storage.media import Facts, inspect
from storage.names import media_type_of
from storage.preview import make_preview
from storage.spool import Spool
from workers import dispatch, egress, finish, money, upstream
from workers.context import Context

log = structlog.get_logger()

#: What the address of an output answers when it has died.
_GONE = frozenset({401, 403, 404, 410})
#: Times that fresh addresses are asked for.
_MOST_REPOLLS = 3
#: What does not use up the tries is tried again as slowly as after this many.
_PATIENT = 5
_PREVIEW_TYPE = "image/webp"
_PLAIN_BASE64 = str.maketrans("-_", "+/")
#: Damaged, or somebody's error page: another fetch may bring the real thing. A refused type stays refused.
_MAYBE_BETTER_NEXT_TIME = frozenset({"output_empty", "output_truncated", "output_unreadable", "output_type_mismatch"})


class Trouble(Exception):
    """One output could not be stored. `again`: trying again may help; `fresh`: with a fresh address it may."""

    def __init__(
        self,
        error: JobError,
        *,
        again: bool = True,
        fresh: bool = False,
        counts: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.fresh = fresh
        self.counts = counts
        self.retry_after_s = retry_after_s


def collect(context: Context, job_id: str, fence: int) -> None:
    """Store the outputs of this job, if the hint is still true."""
    with context.database.transaction() as session:
        claimed = schedule.claim(session, [(job_id, fence)], JobState.COLLECTING, context.owner, context.settings.lease_s)
        attempt = schedule.attempts_of(session, claimed).get(job_id)
        if claimed:
            schedule.touch(session, job_id, claimed[0].fence, crashes=Job.crashes + 1)
    if not claimed:
        return
    job = claimed[0]
    op = catalogue.find(job.operation)
    if op is None or attempt is None:
        finish.fail(context, job, _problem("operation_removed", f"This version does not offer {job.operation}."))
    elif job.crashes >= policy.MOST_CRASHES:
        finish.fail(context, job, finish.crash_loop(job))
    else:
        with context.leases.held(job.id, job.fence):
            try:
                _store_all(context, job, op, attempt)
            except Trouble as trouble:
                _put_off(context, job, op, trouble)
            except Exception as error:
                # Ours to mend; meanwhile the job is tried again like after any other trouble, and ends if it never goes away.
                log.exception("collect_failed", job_id=job.id, operation=op.name)
                problem = _problem("internal_error", f"Storing the outputs failed: {type(error).__name__}.", retryable=True)
                _put_off(context, job, op, Trouble(problem))
    dispatch.nudge_outputs(context, [job.modality])


def _store_all(context: Context, job: Job, op: Operation, attempt: Attempt) -> None:
    outputs, values = _outputs(context, job, op, attempt)
    if len(outputs) > context.settings.max_outputs:
        message = f"The provider names {len(outputs)} outputs; at most {context.settings.max_outputs} are taken."
        raise Trouble(_problem("too_many_outputs", message), again=False)
    with context.database.read() as session:
        stored = {artifact.index for artifact in job_queries.artifacts_of(session, [job.id])[job.id]}
    for index, output in enumerate(outputs):
        if index not in stored and not _store(context, job, op, attempt, index, output):
            return
    with context.database.transaction() as session:
        money.settle(context, session, attempt, op, job, values, job_queries.artifacts_of(session, [job.id])[job.id])
        moved = context.life.move(
            session, job.id, "finish", actor=context.owner, if_fence=job.fence, output=values, error=None, crashes=0
        )
    finish.told(context, moved)
    if moved is not None and attempt.spool_key is not None:
        _drop_spool(context, attempt)


def _outputs(context: Context, job: Job, op: Operation, attempt: Attempt) -> tuple[list[dict[str, Any]], Any]:
    """What is to be stored and the values beside it: as the task named them, or as the spooled answer holds them."""
    if attempt.spool_key is None:
        return attempt.outputs or [], job.output
    asked = asking.Asked(attempt.given or job.input)
    if op.answers_raw:
        return results.raw_outputs(op, asked), None
    try:
        with context.store.open(attempt.spool_key) as stream:
            body = stream.read()
    except FileNotFoundError:
        raise Trouble(_problem("output_expired", "The provider's answer is gone from storage."), again=False) from None
    except StorageError as error:
        raise _storage_trouble(error) from error
    outcome = wire.read_submit(op, 200, {}, body, asked)
    if not isinstance(outcome, outcomes.Answered):
        raise Trouble(_problem("upstream_bad_response", "The spooled answer holds no result."), again=False)
    return outcome.result.outputs, outcome.result.values


def _store(context: Context, job: Job, op: Operation, attempt: Attempt, index: int, output: dict[str, Any]) -> bool:
    """Bring one output into storage. False when the job is no longer ours."""
    settings = context.settings
    with Spool(context.spool_folder, max_bytes=max(settings.max_video_bytes, settings.max_inline_bytes)) as spool:
        _fetch(context, op, attempt, output, spool)
        file = spool.rewound()
        facts = _facts(spool, output)
        key = f"jobs/{job.id}/{index}.{output.get('extension') or facts.extension}"
        preview = make_preview(spool.path, facts)
        preview_key = f"jobs/{job.id}/{index}.preview.webp" if preview else None
        try:
            media_type = media_type_of(key) if output.get("extension") else facts.media_type
            context.store.put(key, file, size_bytes=spool.size_bytes, media_type=media_type, sha256=spool.sha256)
            if preview and preview_key:
                _put_bytes(context, preview_key, preview)
        except StorageError as error:
            raise _storage_trouble(error) from error
        with context.database.transaction() as session:
            held = schedule.touch(session, job.id, job.fence, crashes=0)
            if held:
                artifacts.add(
                    session,
                    job_id=job.id,
                    index=index,
                    kind=facts.kind if output["kind"] == "other" else output["kind"],
                    media_type=media_type,
                    size_bytes=spool.size_bytes,
                    sha256=spool.sha256,
                    key=key,
                    preview_key=preview_key,
                    width=facts.width,
                    height=facts.height,
                    duration_s=facts.duration_s,
                )
    return held


def _fetch(context: Context, op: Operation, attempt: Attempt, output: dict[str, Any], spool: Spool) -> None:
    """The bytes of one output into the spool."""
    if "samples" in output:
        _fetch_samples(context, op, attempt, output, spool)
    elif "url" in output:
        _download(context, output["url"], output["kind"], spool)
    elif "b64" in output:
        _decode(output["b64"], spool)
    elif "text" in output:
        spool.write(output["text"].encode())
    elif "path" in output:
        _follow_up(context, op, attempt, output, spool)
    else:
        _unspool(context, attempt, spool)


def _fetch_samples(context: Context, op: Operation, attempt: Attempt, output: dict[str, Any], spool: Spool) -> None:
    """Bare 16-bit samples, stored with the header that players need."""
    bare = {name: value for name, value in output.items() if name != "samples"}
    with Spool(context.spool_folder, max_bytes=spool.max_bytes) as samples:
        _fetch(context, op, attempt, bare, samples)
        spool.write(_as_wav(samples.rewound().read(), **output["samples"]))


def _follow_up(context: Context, op: Operation, attempt: Attempt, output: dict[str, Any], spool: Spool) -> None:
    """An output that takes one more request to the gateway: for its address, or for the bytes themselves."""
    if output["address"]:
        url = upstream.address_of(context, op, output, attempt.key_name)
        if not isinstance(url, str):
            # Some gateways finish a task a moment before its file can be had. A rate limit passes: what was paid for waits.
            raise Trouble(
                url.error.model_copy(update={"retryable": True, "may_have_been_charged": True}),
                counts=url.error.code != "rate_limited",
                retry_after_s=getattr(url, "retry_after_s", None),
            )
        _download(context, url, output["kind"], spool)
        return
    cap_bytes = _cap(context, output["kind"])
    total_s = max(context.settings.download_min_s, cap_bytes / 1_000_000)
    with _egress_troubles(cap_bytes):
        got = upstream.content_of(context, op, output, spool.write, key_name=attempt.key_name, total_s=total_s, cap_bytes=cap_bytes)
    if 300 <= got.status < 400 and (location := got.headers.get("location")):
        _download(context, urljoin(got.final_url, location), output["kind"], spool)
    elif not 200 <= got.status < 300:
        raise _refused(got)


def _download(context: Context, url: str, kind: str, spool: Spool) -> None:
    cap_bytes = _cap(context, kind)
    total_s = max(context.settings.download_min_s, cap_bytes / 1_000_000)
    with _egress_troubles(cap_bytes):
        got = context.loop.run(
            egress.stream_to(
                context.downloads.take(),
                "GET",
                url,
                spool.write,
                total_s=total_s,
                cap_bytes=cap_bytes,
                min_rate=egress.MinRate(),
            )
        )
    if not 200 <= got.status < 300:
        raise _refused(got)


@contextmanager
def _egress_troubles(cap_bytes: int) -> Iterator[None]:
    """What can go wrong while bytes arrive, as the trouble it is for the job."""
    try:
        yield
    except egress.UrlRefused as error:
        refusal = JobError(
            code="output_url_refused", message=f"The address of an output is refused: {error}", may_have_been_charged=True
        )
        raise Trouble(refusal, again=False) from error
    except egress.TooLarge as error:
        problem = JobError(
            code="output_too_large", message=f"An output is larger than {cap_bytes} bytes.", may_have_been_charged=True
        )
        raise Trouble(problem, again=False) from error
    except egress.EgressError as error:
        code = "output_truncated" if isinstance(error, egress.Truncated) else "output_unreachable"
        problem = JobError(
            code=code, message=f"An output could not be fetched: {error}", retryable=True, may_have_been_charged=True
        )
        raise Trouble(problem) from error
    except StorageError as error:
        raise _storage_trouble(error) from error


def _refused(got: egress.Streamed) -> Trouble:
    gone = got.status in _GONE
    code = "output_expired" if gone else "output_unreachable"
    problem = _problem(code, f"The address of an output answers HTTP {got.status}.", retryable=True)
    said = answers.tidy(got.excerpt[:200].decode("utf-8", "replace"))
    problem.upstream = UpstreamDetail(status=got.status, message=said)
    return Trouble(problem, fresh=gone, retry_after_s=answers.retry_after_s(got.headers))


def _decode(encoded: str, spool: Spool) -> None:
    payload = encoded.partition("base64,")[2] if encoded.startswith("data:") else encoded
    # Wrapped in lines, in the alphabet of addresses, without its padding: it was paid for, and there is no other copy.
    payload = "".join(payload.split()).translate(_PLAIN_BASE64)
    payload += "=" * (-len(payload) % 4)
    try:
        for start in range(0, len(payload), 1 << 20):  # a multiple of four: each piece decodes by itself
            spool.write(base64.b64decode(payload[start : start + (1 << 20)], validate=True))
    except ValueError:
        raise Trouble(_problem("output_unreadable", "An inline output is not valid base64."), again=False) from None


def _unspool(context: Context, attempt: Attempt, spool: Spool) -> None:
    """The answer's own bytes are the output."""
    try:
        with context.store.open(attempt.spool_key or "missing") as stream:
            while chunk := stream.read(1 << 20):
                spool.write(chunk)
    except FileNotFoundError:
        raise Trouble(_problem("output_expired", "The provider's answer is gone from storage."), again=False) from None
    except StorageError as error:
        raise _storage_trouble(error) from error


def _as_wav(samples: bytes, rate_hz: int, channels: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        # Half a sample at the end is of no use, and no player takes it.
        wav.writeframes(samples[: len(samples) // (2 * channels) * (2 * channels)])
    return buffer.getvalue()


def _facts(spool: Spool, output: dict[str, Any]) -> Facts:
    if "text" in output:
        # A model may answer with a whole HTML page: what came as text is stored as text, whatever it looks like.
        return Facts(kind="text", media_type=media_type_of("x.txt"), extension="txt", size_bytes=spool.size_bytes)
    expect = None if output["kind"] == "other" else output["kind"]
    try:
        if output.get("extension") == "svg":
            return inspect_drawing(spool.path)
        return inspect(spool.path, expect)
    except MediaRefused as error:
        problem = _problem(error.code, f"An output is not usable: {error.message}")
        raise Trouble(problem, again=("url" in output or "path" in output) and error.code in _MAYBE_BETTER_NEXT_TIME) from error


def _cap(context: Context, kind: str) -> int:
    settings = context.settings
    caps = {"image": settings.max_image_bytes, "audio": settings.max_audio_bytes, "text": settings.max_inline_bytes}
    return caps.get(kind, settings.max_video_bytes)


def _put_bytes(context: Context, key: str, content: bytes) -> None:
    with Spool(context.spool_folder, max_bytes=len(content)) as spool:
        spool.write(content)
        file = spool.rewound()
        context.store.put(key, file, size_bytes=spool.size_bytes, media_type=_PREVIEW_TYPE, sha256=spool.sha256)


def _storage_trouble(error: StorageError) -> Trouble:
    if isinstance(error, TooLarge):
        return Trouble(_problem("output_too_large", f"An output is too large: {error}"), again=False)
    # Storage that is away comes back; what was paid for waits for it as long as it takes.
    return Trouble(
        _problem("storage_unavailable", f"Storage: {error}", retryable=True), counts=not isinstance(error, StorageUnavailable)
    )


def _problem(code: str, message: str, *, retryable: bool = False) -> JobError:
    # Whoever has outputs to fetch has been charged for them.
    return JobError(code=code, message=message, retryable=retryable, may_have_been_charged=True)


def _put_off(context: Context, job: Job, op: Operation, trouble: Trouble) -> None:
    """Try again later, ask for fresh addresses, or give up."""
    tries = job.collect_tries + 1
    log.info("not_collected", job_id=job.id, operation=op.name, code=trouble.error.code, tries=tries)
    if not trouble.again or (trouble.counts and tries > policy.MOST_COLLECT_TRIES):
        finish.fail(context, job, trouble.error)
        return
    # Each try fetches everything again: what does not count must not run at full speed either.
    paced = job.collect_tries if trouble.counts else max(job.collect_tries, _PATIENT)
    wait = after(policy.backoff_s(paced, trouble.retry_after_s, cap_s=60))
    if trouble.fresh and not op.synchronous and tries <= _MOST_REPOLLS:
        with context.database.transaction() as session:
            moved = context.life.move(
                session,
                job.id,
                "repoll",
                actor=context.owner,
                if_fence=job.fence,
                reason=trouble.error.message,
                due_at=wait,
                released_at=None,
                collect_tries=tries,
                crashes=0,
            )
        finish.told(context, moved)
        return
    with context.database.transaction() as session:
        schedule.touch(
            session,
            job.id,
            job.fence,
            due_at=wait,
            lease_owner=None,
            released_at=None,
            collect_tries=tries if trouble.counts else job.collect_tries,
            crashes=0,
        )


def _drop_spool(context: Context, attempt: Attempt) -> None:
    """The outputs are out of it. Failing to tidy up is no reason to fail a job."""
    try:
        context.store.delete(attempt.spool_key or "")
        with context.database.transaction() as session:
            attempts.forget_spool(session, attempt.id)
    except StorageError as error:
        log.warning("spool_not_deleted", key=attempt.spool_key, error=str(error))
