"""Putting one object into S3 so that it is there whole or not at all, and twice is the same as once.

By hand, because boto3's `upload_fileobj` cannot: s3transfer 0.19 has no IfNoneMatch among its ALLOWED_UPLOAD_ARGS, hashes
nothing, and keeps up to ten parts in memory per call instead of per process.

* Up to PART_BYTES: one PutObject. More: a multipart upload, which becomes visible only by its last request and is aborted on
  any error, so that no part is stored and billed without an object.
* `If-None-Match: *` makes a repetition cheap and safe: 412 means that the key is taken, and the sha256 that we keep in the
  object's metadata tells whether by the same bytes. Other bytes are overwritten (see Store.put).
* Stores that do not know the header (501, some 400) get plain writes from then on. Nothing is lost: a retry writes the same.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from storage.budget import Budget
from storage.parts import check_end, part_sizes, read_exactly
from storage.s3_errors import code_of, status_of, told

log = logging.getLogger(__name__)

PART_BYTES = 8 * 1024 * 1024
PARALLEL_PARTS = 4
#: Parts in memory for all puts of a process: those being sent, and two read ahead.
BUDGET_BYTES = (PARALLEL_PARTS + 2) * PART_BYTES

SHA256 = "sha256"  # the name in the object's metadata; S3 sends it as x-amz-meta-sha256

_CONFLICT_TRIES = 4
_CONFLICT_WAIT_S = 0.2

# boto3's own client class exists only as a stub package, which need not be installed.
Client = Any

#: One write, given the extra arguments that make it conditional: {} or {"IfNoneMatch": "*"}.
Write = Callable[[Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Thing:
    """What is to be stored, and under which full name."""

    bucket: str
    name: str
    size_bytes: int
    media_type: str
    sha256: str

    @property
    def address(self) -> dict[str, str]:
        """The two arguments that every S3 call takes."""
        return {"Bucket": self.bucket, "Key": self.name}

    @property
    def headers(self) -> dict[str, Any]:
        """What is stored with the object."""
        return {"ContentType": self.media_type, "Metadata": {SHA256: self.sha256}}


class Uploader:
    """Puts objects with one client. Safe to share between threads: memory and parallelism are bounded over all of them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._budget = Budget(BUDGET_BYTES)
        self._threads = ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="s3-part")
        self._conditional = True  # False once the store has shown that it does not know If-None-Match

    def put(self, thing: Thing, file: BinaryIO) -> None:
        """See Store.put. Raises ContentMismatch, and botocore's errors for `s3_errors.translated`."""
        if thing.size_bytes <= PART_BYTES:
            self._put_whole(thing, file)
        # Asked first: a repeated put of a large file must not send it all to learn at the end that it was there.
        elif not self._is_there(thing):
            self._put_parts(thing, file)

    def _put_whole(self, thing: Thing, file: BinaryIO) -> None:
        with self._budget.held(thing.size_bytes):
            data = read_exactly(file, thing.size_bytes)
            check_end(file, hashlib.sha256(data).hexdigest(), thing.sha256)

            def write(condition: Mapping[str, str]) -> None:
                told(self._client.put_object(**thing.address, **thing.headers, Body=data, **condition), "ETag")

            self._settle(thing, write)

    def _put_parts(self, thing: Thing, file: BinaryIO) -> None:
        upload_id = told(self._client.create_multipart_upload(**thing.address, **thing.headers), "UploadId")
        completed = False
        try:
            parts = self._send_parts(thing, file, upload_id)

            def write(condition: Mapping[str, str]) -> None:
                nonlocal completed
                self._client.complete_multipart_upload(
                    **thing.address, UploadId=upload_id, MultipartUpload={"Parts": parts}, **condition
                )
                completed = True

            self._settle(thing, write)
        finally:
            if not completed:
                self._abort(thing, upload_id)

    def _send_parts(self, thing: Thing, file: BinaryIO, upload_id: str) -> list[dict[str, Any]]:
        digest = hashlib.sha256()
        sending: deque[Future[dict[str, Any]]] = deque()
        sent: list[dict[str, Any]] = []
        try:
            for number, size in enumerate(part_sizes(thing.size_bytes, PART_BYTES), start=1):
                sending.append(self._send_part(thing, file, upload_id, number, size, digest.update))
                while sending and sending[0].done():  # also ends the loop early when a part has failed
                    sent.append(sending.popleft().result())
            check_end(file, digest.hexdigest(), thing.sha256)
            sent.extend(part.result() for part in sending)
            return sent
        finally:
            # No part may still be on its way when the upload is aborted: S3 would keep it, and bill it.
            for part in sending:
                part.cancel()
            wait(sending)

    def _send_part(
        self, thing: Thing, file: BinaryIO, upload_id: str, number: int, size: int, hash_it: Callable[[bytes], None]
    ) -> Future[dict[str, Any]]:
        self._budget.take(size)
        try:
            data = read_exactly(file, size)
            hash_it(data)
            future = self._threads.submit(self._upload_part, thing, upload_id, number, data)
        except BaseException:
            self._budget.give(size)
            raise
        future.add_done_callback(lambda _: self._budget.give(size))
        return future

    def _upload_part(self, thing: Thing, upload_id: str, number: int, data: bytes) -> dict[str, Any]:
        answer = self._client.upload_part(**thing.address, UploadId=upload_id, PartNumber=number, Body=data)
        return {"PartNumber": number, "ETag": told(answer, "ETag")}

    def _settle(self, thing: Thing, write: Write) -> None:
        """Make the write that makes the object visible, whatever another put of the same key does meanwhile."""
        for attempt in range(_CONFLICT_TRIES):
            condition = {"IfNoneMatch": "*"} if self._conditional else {}
            try:
                write(condition)
                return
            except ClientError as error:
                status, code = status_of(error), code_of(error)
                if condition and status in (400, 501):
                    write({})
                    self._conditional = False  # reached only if the header was what the store minded
                    return
                # NoSuchUpload: our own retry completed it before, and only the answer was lost.
                if status not in (409, 412) and code != "NoSuchUpload":
                    raise
                if self._is_there(thing):
                    return
                if status == 412:
                    write({})
                    return
                if status != 409 or attempt == _CONFLICT_TRIES - 1:
                    raise
                time.sleep(_CONFLICT_WAIT_S * (attempt + 1))

    def _is_there(self, thing: Thing) -> bool:
        try:
            head = self._client.head_object(**thing.address)
        except ClientError as error:
            if status_of(error) == 404:
                return False
            # HEAD may be forbidden where writing is allowed (no s3:GetObject): then write, which is always right.
            if status_of(error) == 403:
                return False
            raise
        return bool(head["ContentLength"] == thing.size_bytes and head.get("Metadata", {}).get(SHA256) == thing.sha256)

    def _abort(self, thing: Thing, upload_id: str) -> None:
        """Best effort: the error that brought us here matters more, and a bucket's lifecycle rule removes the rest."""
        try:
            self._client.abort_multipart_upload(**thing.address, UploadId=upload_id)
        except (ClientError, BotoCoreError) as error:
            if not (isinstance(error, ClientError) and code_of(error) == "NoSuchUpload"):
                log.warning("multipart upload of %s could not be aborted: %s", thing.name, type(error).__name__)
