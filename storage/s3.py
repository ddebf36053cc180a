"""A store in an S3 bucket: AWS, MinIO, Ceph, Cloudflare R2, Backblaze B2 and others.

Requests an object costs: one PUT up to 8 MiB; above, HEAD, create, one per 8 MiB, complete. A link costs none.

The bucket should have a lifecycle rule that aborts incomplete multipart uploads after a day: it catches what a killed process
leaves. `create=true` sets it.
"""

import io
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import boto3.session
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.base import Stat, check_key, check_link_life
from storage.errors import StorageUnavailable
from storage.names import OCTET_STREAM, content_disposition
from storage.s3_errors import code_of, translated
from storage.s3_place import S3Place
from storage.s3_upload import SHA256, Client, Thing, Uploader

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
#: Tries of one request, the first included. Waits between them are random, up to 1, 2 and 4 seconds.
ATTEMPTS = 4
#: More than a worker process has threads: past it, urllib3 throws connections away instead of keeping them.
MAX_CONNECTIONS = 100

_DEFAULT_REGION = "us-east-1"
_READ_BYTES = 256 * 1024


class S3Store:
    """The Store over one bucket; see S3Place for the URL. Nothing is opened before the first verb."""

    def __init__(self, url: str, *, attempts: int = ATTEMPTS) -> None:
        self.place = S3Place.parse(url)
        self._clients = _Clients(self.place, attempts)

    def put(self, key: str, file: BinaryIO, *, size_bytes: int, media_type: str, sha256: str) -> None:
        """See Store.put. A multipart upload that fails is aborted."""
        thing = Thing(self.place.bucket, self._name(key), size_bytes, media_type, sha256)
        with translated(self.place):
            self._clients.uploader().put(thing, file)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See Store.open. The stream does not seek; reading raises StorageUnavailable if the connection breaks."""
        name = self._name(key)
        with translated(self.place, key):
            body = self._clients.worker().get_object(Bucket=self.place.bucket, Key=name)["Body"]
        try:
            with io.BufferedReader(_Body(body, self.place), _READ_BYTES) as reader:
                yield cast(BinaryIO, reader)
        finally:
            body.close()

    def url(self, key: str, *, expires_in_s: int, filename: str | None = None, attachment: bool = True) -> str:
        """See Store.url. Signed for `public_endpoint_url`. With a role's credentials it ends no later than they do."""
        name = self._name(key)
        disposition = content_disposition(filename or key.rpartition("/")[2], attachment=attachment)
        with translated(self.place):
            return str(
                self._clients.signer().generate_presigned_url(
                    "get_object",
                    Params={"Bucket": self.place.bucket, "Key": name, "ResponseContentDisposition": disposition},
                    ExpiresIn=check_link_life(expires_in_s),
                )
            )

    def delete(self, key: str) -> None:
        """See Store.delete."""
        name = self._name(key)
        try:
            with translated(self.place, key):
                self._clients.worker().delete_object(Bucket=self.place.bucket, Key=name)
        except FileNotFoundError:  # AWS answers 204; Google's S3 interface says 404
            return

    def stat(self, key: str) -> Stat | None:
        """See Store.stat. `sha256` is None for an object that this package did not write."""
        name = self._name(key)
        try:
            with translated(self.place, key):
                head = self._clients.worker().head_object(Bucket=self.place.bucket, Key=name)
        except FileNotFoundError:
            return None
        return Stat(head["ContentLength"], head.get("ContentType", OCTET_STREAM), head.get("Metadata", {}).get(SHA256))

    def check(self) -> None:
        """See Store.check. Tries each request once, to answer fast. Makes the bucket if the URL says `create=true`."""
        with translated(self.place):
            client = self._clients.prober()
            try:
                self._probe(client)
            except ClientError as error:
                if code_of(error) != "NoSuchBucket" or not self.place.create:
                    raise
                self._create_bucket(client)
                self._probe(client)

    def _name(self, key: str) -> str:
        return self.place.prefix + check_key(key)

    def _probe(self, client: Client) -> None:
        where = {"Bucket": self.place.bucket, "Key": f"{self.place.prefix}.mediamill-check-{secrets.token_hex(8)}"}
        probe = secrets.token_bytes(32)
        client.put_object(**where, Body=probe)
        try:
            read_back = client.get_object(**where)["Body"].read()
        finally:
            client.delete_object(**where)
        if read_back != probe:
            raise StorageUnavailable(f"{self.place} gives back other bytes than were written")

    def _create_bucket(self, client: Client) -> None:
        region = client.meta.region_name
        # AWS takes us-east-1 only by leaving it out; other stores' pseudo-regions are left out as well.
        aws = self.place.endpoint_url is None and region != _DEFAULT_REGION
        extra = {"CreateBucketConfiguration": {"LocationConstraint": region}} if aws else {}
        try:
            client.create_bucket(Bucket=self.place.bucket, **extra)
        except ClientError as error:
            if code_of(error) != "BucketAlreadyOwnedByYou":  # another process was first
                raise
        rule = {
            "ID": "mediamill-abort-incomplete-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": self.place.prefix},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
        try:
            client.put_bucket_lifecycle_configuration(Bucket=self.place.bucket, LifecycleConfiguration={"Rules": [rule]})
        except (ClientError, BotoCoreError) as error:  # not every store has lifecycle rules, and ours is a second net
            log.warning("%s takes no lifecycle rule for incomplete uploads: %s", self.place, type(error).__name__)


class _Clients:
    """boto3's clients for one place, each made when first needed, and again after a fork: sockets do not survive it.

    Making one takes some 80 ms. All are safe to share between threads.
    """

    def __init__(self, place: S3Place, attempts: int) -> None:
        self._place = place
        self._attempts = attempts
        self._lock = threading.RLock()
        self._pid = 0
        self._session: Any = None
        self._made: dict[tuple[str | None, int], Client] = {}
        self._uploader: Uploader | None = None

    def worker(self) -> Client:
        """For the verbs: tries again."""
        return self._client(self._place.endpoint_url, self._attempts)

    def prober(self) -> Client:
        """For check: tries once, to answer fast."""
        return self._client(self._place.endpoint_url, 1)

    def signer(self) -> Client:
        """For links, which name the host that their readers reach."""
        return self._client(self._place.public_endpoint_url or self._place.endpoint_url, self._attempts)

    def uploader(self) -> Uploader:
        """For put: one for the process, which is what bounds its memory."""
        with self._lock:
            client = self.worker()
            if self._uploader is None:
                self._uploader = Uploader(client)
            return self._uploader

    def _client(self, endpoint_url: str | None, attempts: int) -> Client:
        with self._lock:
            if self._pid != os.getpid():
                # A session of our own: boto3's default one is shared, and making clients from one is not thread-safe.
                self._pid, self._session = os.getpid(), boto3.session.Session()
                self._made, self._uploader = {}, None
            which = (endpoint_url, attempts)
            if which not in self._made:
                self._made[which] = self._make(endpoint_url, attempts)
            return self._made[which]

    def _make(self, endpoint_url: str | None, attempts: int) -> Client:
        config = Config(
            signature_version="s3v4",  # else links for us-east-1 are signed with the version 2 that other stores refuse
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=MAX_CONNECTIONS,
            tcp_keepalive=True,
            # boto3 1.36 sends new checksums by default, which MinIO, R2 and B2 of many versions refuse. We keep our own.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": self._place.addressing_style},
        )
        region = self._place.region or self._session.region_name or _DEFAULT_REGION
        client = self._session.client("s3", endpoint_url=endpoint_url, region_name=region, config=config)
        if endpoint_url:
            client.meta.events.register("before-call.s3.HeadBucket", _no_region_lookup)
        return client


def _no_region_lookup(**_: object) -> tuple[object, dict[str, object]]:
    """Answer HeadBucket, which only botocore itself sends, to find a bucket's region, with "not found".

    Where a proxy in front of the store redirects everything (http to https, say), botocore looks the region up, is
    redirected, looks it up, and so on into a RecursionError. Regions are AWS's matter, which has no endpoint_url.
    """
    parsed = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404, "HTTPHeaders": {}}}
    return SimpleNamespace(status_code=404), parsed


class _Body(io.RawIOBase):
    """boto3's response body as a raw stream whose errors are ours."""

    def __init__(self, body: Any, place: S3Place) -> None:
        self._body = body
        self._place = place

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with translated(self._place):
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
