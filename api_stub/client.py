"""A client of our own API, for the command line and the demo. Plain calls over HTTP, nothing of the server inside.

It calls one address that its user named, with the user's own key: the rules of `workers.egress` are for addresses that
strangers name.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx2

Json = dict[str, Any]

#: States a job does not leave, and those of a batch.
FINAL = frozenset({"succeeded", "failed", "canceled", "expired"})
BATCH_FINAL = frozenset({"completed", "canceled"})

#: Seconds before a call that may be repeated is repeated, once the server has answered at all.
_AGAIN_S = (0.2, 0.5, 1.0, 2.0)
_BLOCK_BYTES = 1 << 16
#: A large batch is checked line by line before it is answered.
_CHECKING = httpx2.Timeout(600.0, connect=5.0)

#: What a header can carry as it is.
_SENDABLE = re.compile(r"[!-~]([ -~]*[!-~])?")


class ClientError(Exception):
    """A call did not do what was asked; the message is a sentence for people."""


class Unreachable(ClientError):
    """Nothing answers at that address."""


class Unsendable(ClientError):
    """A key that no header can carry. The message does not repeat it: it may be a secret."""


class Lost(ClientError):
    """The connection broke after the request was sent: whether it was carried out is not known."""


class Refused(ClientError):
    """The server said no (RFC 9457). `problems` has a line for each thing wrong with the request: in a batch, with its lines."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code") or "")
        # What is wrong in the same way on many lines is said once.
        lines_of: dict[str, list[int]] = {}
        for one in problem.get("errors") or problem.get("problems") or ():
            if isinstance(one, Mapping):
                where = one.get("loc") or one.get("field") or "request"
                lines = lines_of.setdefault(f"{where}: {one.get('msg') or one.get('message') or one.get('code')}", [])
                lines += [one["line"]] if isinstance(one.get("line"), int) else []
        self.problems = [f"{in_words(lines)}: {said}" if lines else said for said, lines in lines_of.items()]
        said = str(problem.get("detail") or problem.get("title") or "no reason given")
        super().__init__(f"{said} (HTTP {status}{f', {self.code}' if self.code else ''})")


def in_words(lines: Iterable[int]) -> str:
    """Numbers of lines for people: `line 7`, `lines 1-12, 19`."""
    runs: list[list[int]] = []
    for line in sorted(set(lines)):
        if runs and line == runs[-1][-1] + 1:
            runs[-1][1:] = [line]
        else:
            runs.append([line])
    shown = ", ".join("-".join(map(str, run)) for run in runs)
    return f"line{'s' if len(runs) > 1 or len(runs[0]) > 1 else ''} {shown}"


class Damaged(ClientError):
    """A download is not what the server said it would be."""


class Client:
    """One server, one key. Safe to share between threads.

    `timeout_s` is for one answer. Reading calls, and submits that carry an idempotency key, are repeated a few times when a
    server that answered before stops answering: it may be starting again. Raises Unsendable for a key that cannot be sent.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout_s: float = 30.0, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        host = urlsplit(self.url).hostname or ""
        self._http = httpx2.Client(
            base_url=self.url,
            headers={"User-Agent": "mediamill-cli"} | ({"Authorization": f"Bearer {_sendable(key, 'API key')}"} if key else {}),
            timeout=httpx2.Timeout(timeout_s, connect=5.0),
            # A proxy never leads to this machine.
            trust_env=not (host == "localhost" or host == "::1" or host.startswith("127.")),
            transport=transport,
        )
        self._answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # Jobs -------------------------------------------------------------------------------------------------------------

    def submit(self, job: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        # Made here if nobody gave one: a submit that is repeated must never become two jobs.
        headers = _once(idempotency_key or uuid.uuid4().hex)
        return self._json("POST", "/v1/jobs", json=job, headers=headers, repeat=True)

    def job(self, job_id: str) -> Json:
        return self._json("GET", f"/v1/jobs/{_segment(job_id)}")

    def jobs(self, *, most: int, **filters: str | None) -> list[Json]:
        return self._pages("/v1/jobs", most, filters)

    def job_events(self, job_id: str) -> list[Json]:
        answer = self._json("GET", f"/v1/jobs/{_segment(job_id)}/events")
        return list(answer.get("data") or ())

    def cancel_job(self, job_id: str) -> Json:
        return self._json("POST", f"/v1/jobs/{_segment(job_id)}/cancel")

    def retry_job(self, job_id: str) -> Json:
        return self._json("POST", f"/v1/jobs/{_segment(job_id)}/retry")

    # Batches ----------------------------------------------------------------------------------------------------------

    def submit_lines(
        self,
        lines: Iterable[bytes],
        *,
        idempotency_key: str,
        callback_url: str | None = None,
        max_cost_usd: str | None = None,
        coalesce: bool = False,
        reuse_within_s: float | None = None,
    ) -> Json:
        """Stream a batch as NDJSON, one job a line. Not repeated here: the lines are gone once they are sent."""
        params = _said_of_lines(callback_url, max_cost_usd, coalesce, reuse_within_s)
        headers = _once(idempotency_key) | {"Content-Type": "application/x-ndjson"}
        return self._json("POST", "/v1/batches", content=lines, headers=headers, params=params, timeout=_CHECKING)

    def quote_lines(
        self,
        lines: Iterable[bytes],
        *,
        callback_url: str | None = None,
        max_cost_usd: str | None = None,
        coalesce: bool = False,
        reuse_within_s: float | None = None,
    ) -> Json:
        """What such a batch would cost; nothing is submitted."""
        params = _said_of_lines(callback_url, max_cost_usd, coalesce, reuse_within_s) | {"dry_run": "true"}
        headers = {"Content-Type": "application/x-ndjson"}
        return self._json("POST", "/v1/batches", content=lines, headers=headers, params=params, timeout=_CHECKING)

    def batch(self, batch_id: str) -> Json:
        return self._json("GET", f"/v1/batches/{_segment(batch_id)}")

    def batches(self, *, most: int) -> list[Json]:
        return self._pages("/v1/batches", most, {})

    def cancel_batch(self, batch_id: str, *, running: bool = False) -> Json:
        """End what of it has not started; with `running` what runs as well."""
        params = {"include": "running"} if running else {}
        return self._json("POST", f"/v1/batches/{_segment(batch_id)}/cancel", params=params)

    def retry_failed(self, batch_id: str, *, include: str | None, idempotency_key: str) -> Json:
        headers = _once(idempotency_key)
        params = {"include": include} if include else {}
        path = f"/v1/batches/{_segment(batch_id)}/retry-failed"
        return self._json("POST", path, headers=headers, params=params, timeout=_CHECKING, repeat=True)

    def results(self, batch_id: str, status: str | None = None) -> Iterator[Json]:
        """The batch's jobs, in the order of its lines: all, or those in these states."""
        params = {"status": status} if status else {}
        with self._streamed(f"/v1/batches/{_segment(batch_id)}/results", params) as answer:
            for line in answer.iter_lines():
                if line.strip():
                    yield json.loads(line)

    def bundle(self, batch_id: str, path: Path, moved: Callable[[int, int], None] = lambda done, total: None) -> list[Json]:
        """Save everything the batch made as a ZIP archive under `path`: it appears there whole and checked, or not at all.

        `moved` is told the bytes so far and about how many there will be. Returns what storage could not give.
        """
        draft = path.with_name(f".{path.name}.part")
        done = 0
        try:
            with self._streamed(f"/v1/batches/{_segment(batch_id)}/bundle") as answer, draft.open("wb") as file:
                total = int(answer.headers.get("mediamill-bytes", 0))
                for block in answer.iter_bytes(_BLOCK_BYTES):
                    file.write(block)
                    done += len(block)
                    moved(done, total)
            missing = _checked_bundle(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return missing

    # The rest ---------------------------------------------------------------------------------------------------------

    def operation(self, name: str) -> Json:
        return self._json("GET", f"/v1/operations/{_segment(name)}")

    def upload(self, path: Path) -> Json:
        with path.open("rb") as file:
            return self._json("POST", "/v1/files", files={"file": (path.name, file)}, timeout=httpx2.Timeout(600.0, connect=5.0))

    def deliveries(self, *, most: int, **filters: str | None) -> list[Json]:
        return self._pages("/v1/deliveries", most, filters)

    def resend(self, delivery_id: str) -> Json:
        return self._json("POST", f"/v1/deliveries/{_segment(delivery_id)}/resend")

    def usage(self, **asked: str | None) -> Json:
        """All groups, however many pages they come in."""
        params = {name: value for name, value in asked.items() if value is not None}
        found = self._json("GET", "/v1/usage", params=params)
        while found["next_cursor"]:
            page = self._json("GET", "/v1/usage", params=params | {"cursor": found["next_cursor"]})
            found |= {"data": found["data"] + page["data"], "next_cursor": page["next_cursor"]}
        return found

    def list_at(self, path: str, **params: str) -> list[Json]:
        """A list from any address of the server."""
        answer = self._send("GET", path, params=params)
        self._check(answer)
        return list(answer.json())

    def not_ready(self) -> Json | None:
        """What /readyz complains of; None when it is content."""
        answer = self._send("GET", "/readyz")
        if answer.status_code == 200:
            return None
        try:
            said = answer.json()
        except ValueError:
            said = None
        return said if isinstance(said, dict) else {"status": answer.status_code}

    def download(self, job_id: str, artifact: Mapping[str, Any], path: Path, moved: Callable[[int], None] = lambda _: None) -> None:
        """Save one output under `path`: it appears there whole and with the checksum the server keeps, or not at all."""
        draft = path.with_name(f".{path.name}.part")
        digest = hashlib.sha256()
        try:
            with self._streamed(f"/v1/jobs/{_segment(job_id)}/artifacts/{artifact['index']}") as answer, draft.open("wb") as file:
                for block in answer.iter_bytes(_BLOCK_BYTES):
                    digest.update(block)
                    file.write(block)
                    moved(len(block))
            if digest.hexdigest() != artifact["sha256"]:
                raise Damaged(f"artifact {artifact['index']} of {job_id} did not arrive whole")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    # How ----------------------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, *, repeat: bool | None = None, **options: Any) -> Json:
        answer = self._send(method, path, repeat=repeat, **options)
        self._check(answer)
        said = answer.json()
        if not isinstance(said, dict):
            raise ClientError(f"{self.url} answers, but not as mediamill does")
        return said

    def _pages(self, path: str, most: int, filters: Mapping[str, str | None]) -> list[Json]:
        found: list[Json] = []
        cursor: str | None = None
        while len(found) < most:
            asked = {**filters, "limit": str(min(100, most - len(found))), "cursor": cursor}
            page = self._json("GET", path, params={name: value for name, value in asked.items() if value is not None})
            found += page.get("data") or ()
            cursor = page.get("next_cursor")
            if not cursor:
                break
        return found

    def _send(self, method: str, path: str, *, repeat: bool | None = None, **options: Any) -> httpx2.Response:
        may_repeat = method == "GET" if repeat is None else repeat
        for wait_s in (*_AGAIN_S, None):
            try:
                answer = self._http.request(method, path, **options)
            except httpx2.TransportError as error:
                if wait_s is None or not (may_repeat and self._answered):
                    raise self._explained(error) from None
                time.sleep(wait_s)
            else:
                self._answered = True
                return answer
        raise AssertionError("unreachable: the last round returns or raises")

    def _streamed(self, path: str, params: Mapping[str, str] | None = None) -> _Stream:
        return _Stream(self, self._http.build_request("GET", path, params=params))

    def _explained(self, error: httpx2.TransportError) -> ClientError:
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            return Unreachable(
                f"nothing answers at {self.url}: start it with `mediamill serve`, or point MEDIAMILL_PUBLIC_URL at it"
            )
        if isinstance(error, httpx2.TimeoutException):
            return Lost(f"{self.url} did not answer in time")
        return Lost(f"the connection to {self.url} broke: {error or type(error).__name__}")

    @staticmethod
    def _check(answer: httpx2.Response) -> None:
        if answer.is_success:
            return
        try:
            problem = answer.json()
        except ValueError:
            problem = None
        raise Refused(answer.status_code, problem if isinstance(problem, dict) else {"title": answer.reason_phrase})


class _Stream:
    """An answer read piece by piece, redirects followed. The key goes to its own server only: httpx2 sees to that."""

    def __init__(self, client: Client, request: httpx2.Request) -> None:
        self._client = client
        self._request = request
        self._answer: httpx2.Response | None = None

    def __enter__(self) -> httpx2.Response:
        try:
            answer = self._client._http.send(self._request, stream=True, follow_redirects=True)
        except httpx2.TransportError as error:
            raise self._client._explained(error) from None
        self._answer = answer
        if not answer.is_success:
            answer.read()
            answer.close()
            self._client._check(answer)
        return answer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._answer is not None:
            self._answer.close()
        if isinstance(error, httpx2.TransportError):
            raise self._client._explained(error) from None


def _once(idempotency_key: str) -> dict[str, str]:
    return {"Idempotency-Key": _sendable(idempotency_key, "idempotency key")}


def _sendable(key: str, what: str) -> str:
    # Checked here, because an HTTP library's complaint about a header shows all of it.
    if not _SENDABLE.fullmatch(key):
        raise Unsendable(f"the {what} may have only printable ASCII characters, and no space at its ends")
    return key


def _said_of_lines(
    callback_url: str | None, max_cost_usd: str | None, coalesce: bool, reuse_within_s: float | None
) -> dict[str, str]:
    """What is said of a batch of lines as a whole: in the URL, because lines have no place for it."""
    said = {
        "callback_url": callback_url,
        "max_cost_usd": max_cost_usd,
        "coalesce": "true" if coalesce else None,
        "reuse_within_s": None if reuse_within_s is None else str(reuse_within_s),
    }
    return {name: value for name, value in said.items() if value is not None}


def _checked_bundle(path: Path) -> list[Json]:
    """What the archive says is missing in it. Raises Damaged where something else is missing, or is not what was promised."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            missing = _lines_of(archive, "errors.ndjson") if "errors.ndjson" in names else []
            excused = {one["name"] for one in missing}
            with archive.open("manifest.ndjson") as manifest:
                for line in manifest:
                    for promised in json.loads(line)["files"]:
                        if promised["name"] not in excused and _digest(archive, promised["name"]) != promised["sha256"]:
                            raise Damaged(f"{promised['name']} did not arrive whole")
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise Damaged(f"the archive did not arrive whole: {error}") from None
    return missing


def _lines_of(archive: zipfile.ZipFile, name: str) -> list[Json]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _segment(text: str) -> str:
    return quote(text, safe="")
