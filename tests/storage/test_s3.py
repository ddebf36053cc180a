"""S3 beyond the contract: what it costs, what it survives, and what it says when it cannot."""

import hashlib
import io
import os
import re
import socket
import time
import traceback
import warnings
from collections import Counter
from urllib.parse import urlsplit

import pytest
from faulty_s3 import FaultyS3, Refuse, Request
from stores import LINK_BASE, LINK_KEY, put, read

from storage import StorageRefused, StorageUnavailable, Store, open_store
from storage.s3 import S3Store

MIB = 1024 * 1024
LARGE = b"L" * (9 * MIB)


def s3(bucket: str, endpoint: str, options: str = "") -> Store:
    return open_store(f"s3://{bucket}/p?endpoint_url={endpoint}{options}", link_base=LINK_BASE, link_key=LINK_KEY)


def uploads_left(s3_client, bucket: str) -> list[object]:
    return s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def names(s3_client, bucket: str) -> list[str]:
    return [item["Key"] for item in s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])]


# What is sent


def test_a_small_put_is_one_request(bucket: str, faulty: FaultyS3) -> None:
    put(s3(bucket, faulty.url), "a.png", b"1")
    assert faulty.verbs() == ["put"]
    assert faulty.seen[0].conditional


def test_a_large_put_is_a_multipart_upload_of_8_mib_parts(bucket: str, faulty: FaultyS3) -> None:
    put(s3(bucket, faulty.url), "a.mp4", LARGE)
    assert Counter(faulty.verbs()) == {"head": 1, "create": 1, "part": 2, "complete": 1}
    assert faulty.seen[-1].conditional


def test_a_large_put_of_what_is_there_sends_nothing(bucket: str, faulty: FaultyS3) -> None:
    store = s3(bucket, faulty.url)
    put(store, "a.mp4", LARGE)
    faulty.seen.clear()
    put(store, "a.mp4", LARGE)
    assert faulty.verbs() == ["head"]


def test_a_small_put_of_what_is_there_overwrites_nothing(bucket: str, faulty: FaultyS3) -> None:
    store = s3(bucket, faulty.url)
    put(store, "a.png", b"1")
    faulty.seen.clear()
    put(store, "a.png", b"1")
    assert [(request.verb, request.conditional) for request in faulty.seen] == [("put", True), ("head", False)]


def test_type_and_checksum_are_kept_with_the_object(bucket: str, moto_url: str, s3_client) -> None:
    store = s3(bucket, moto_url)
    for key, data in (("a.png", b"1"), ("a.mp4", LARGE)):
        put(store, key, data, "video/mp4")
        head = s3_client.head_object(Bucket=bucket, Key=f"p/{key}")
        assert head["ContentType"] == "video/mp4"
        assert head["Metadata"] == {"sha256": hashlib.sha256(data).hexdigest()}


def test_links_are_signed_for_the_public_endpoint(bucket: str, moto_url: str) -> None:
    store = s3(bucket, moto_url, "&public_endpoint_url=https://media.example:9443")
    parts = urlsplit(store.url("a.png", expires_in_s=60))
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "media.example:9443", f"/{bucket}/p/a.png")


# What it survives


@pytest.mark.parametrize("refusal", [Refuse(501, "".join(("Not", "Implemented"))), Refuse(400, "InvalidArgument")])
def test_a_store_that_does_not_know_if_none_match_gets_plain_puts_from_then_on(
    bucket: str, faulty: FaultyS3, refusal: Refuse
) -> None:
    faulty.fault = lambda request: refusal if request.conditional else None
    store = s3(bucket, faulty.url)
    put(store, "a.png", b"1")
    # 501 is a 5xx, which botocore itself tries again before we see it.
    assert not faulty.seen[-1].conditional
    faulty.seen.clear()
    put(store, "b.mp4", LARGE)
    assert not any(request.conditional for request in faulty.seen)
    assert read(store, "b.mp4") == LARGE


def test_a_bad_request_that_is_not_about_the_header_does_not_end_conditional_puts(bucket: str, faulty: FaultyS3) -> None:
    store = s3(bucket, faulty.url)
    faulty.fault = lambda request: Refuse(400, "KeyTooLongError")
    with pytest.raises(StorageRefused, match="KeyTooLongError"):
        put(store, "a.png", b"1")
    faulty.fault = lambda request: None
    faulty.seen.clear()
    put(store, "a.png", b"1")
    assert faulty.seen[0].conditional


class Once:
    """A fault for the first request of one verb."""

    def __init__(self, verb: str, fault: object) -> None:
        self.verb, self.fault, self.done = verb, fault, False

    def __call__(self, request: Request):
        if request.verb != self.verb or self.done:
            return None
        self.done = True
        return self.fault


@pytest.mark.parametrize("fault", ["drop", Refuse(503, "SlowDown")], ids=["lost answer", "server error"])
@pytest.mark.parametrize(("verb", "data"), [("put", b"small"), ("create", LARGE), ("part", LARGE), ("complete", LARGE)])
def test_a_put_survives_one_lost_answer_or_server_error(
    bucket: str, faulty: FaultyS3, s3_client, verb: str, data: bytes, fault: object
) -> None:
    faulty.fault = Once(verb, fault)
    store = s3(bucket, faulty.url)
    put(store, "a.bin", data)
    assert faulty.fault.done
    assert read(store, "a.bin") == data
    if (verb, fault) != ("create", "drop"):  # its upload id was lost with the answer: the lifecycle rule's case
        assert uploads_left(s3_client, bucket) == []


def test_a_conflict_with_another_writer_is_tried_again(bucket: str, faulty: FaultyS3) -> None:
    faulty.fault = Once("put", Refuse(409, "ConditionalRequestConflict"))
    store = s3(bucket, faulty.url)
    put(store, "a.png", b"1")
    assert faulty.verbs()[:3] == ["put", "head", "put"]
    assert read(store, "a.png") == b"1"


@pytest.mark.parametrize("verb", ["part", "complete"])
def test_a_multipart_upload_that_fails_is_aborted_after_its_last_part(bucket: str, faulty: FaultyS3, s3_client, verb: str) -> None:
    faulty.fault = lambda request: Refuse(403, "AccessDenied") if request.verb == verb else None
    with pytest.raises(StorageRefused, match="denies access"):
        put(s3(bucket, faulty.url), "a.mp4", LARGE)
    assert faulty.verbs()[-1] == "abort"
    assert uploads_left(s3_client, bucket) == []
    assert names(s3_client, bucket) == []


def test_a_file_that_breaks_off_aborts_the_multipart_upload(bucket: str, faulty: FaultyS3, s3_client) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 8 * MIB:
                raise KeyboardInterrupt
            return super().read(size)

    with pytest.raises(KeyboardInterrupt):
        s3(bucket, faulty.url).put("a.mp4", Broken(LARGE), size_bytes=len(LARGE), media_type="video/mp4", sha256="0" * 64)
    assert faulty.verbs()[-1] == "abort"
    assert uploads_left(s3_client, bucket) == []


def test_an_abort_that_fails_does_not_hide_the_reason(bucket: str, faulty: FaultyS3) -> None:
    faulty.fault = lambda request: Refuse(403, "AccessDenied") if request.verb in ("part", "abort") else None
    with pytest.raises(StorageRefused, match="denies access"):
        put(s3(bucket, faulty.url), "a.mp4", LARGE)


def test_a_reader_whose_connection_breaks_gets_storage_unavailable(bucket: str, faulty: FaultyS3) -> None:
    store = s3(bucket, faulty.url)
    put(store, "a.bin", b"x" * MIB)
    faulty.fault = lambda request: "cut" if request.verb == "get" else None
    with pytest.raises(StorageUnavailable):
        read(store, "a.bin")


def test_a_store_made_before_a_fork_works_after_it(bucket: str, moto_url: str) -> None:
    store = s3(bucket, moto_url)
    put(store, "parent.png", b"1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork beside threads, which is the point
        child = os.fork()
    if not child:
        try:
            put(store, "child.mp4", LARGE)  # parts need threads, and threads do not survive a fork
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert read(store, "child.mp4") == LARGE


# What it says


def test_an_endpoint_that_refuses_is_reported_fast(bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match=rf"bucket '{bucket}' at http://127.0.0.1:{port} cannot be reached"):
        s3(bucket, f"http://127.0.0.1:{port}").check()
    assert time.monotonic() - started < 2


def test_an_endpoint_that_comes_back_is_used_again(bucket: str, moto_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    store = S3Store(f"s3://{bucket}?endpoint_url=http://127.0.0.1:{port}", attempts=1)
    with pytest.raises(StorageUnavailable):
        put(store, "a.png", b"1")
    with FaultyS3(moto_url, port=port):
        put(store, "a.png", b"1")


def test_a_missing_bucket_is_named_with_the_way_out(moto_url: str) -> None:
    with pytest.raises(StorageRefused, match=r"bucket 'absent-bucket' at http.* does not exist: create it, or add create=true"):
        s3("absent-bucket", moto_url).check()


def test_putting_into_a_missing_bucket_is_refused(moto_url: str) -> None:
    for data in (b"small", LARGE):
        with pytest.raises(StorageRefused, match="does not exist"):
            put(s3("absent-bucket", moto_url), "a.png", data)


def test_create_makes_the_bucket_with_a_rule_against_forgotten_uploads(moto_url: str, s3_client) -> None:
    store = s3("made-by-check", moto_url, "&create=true")
    store.check()
    store.check()
    put(store, "a.png", b"1")
    rules = s3_client.get_bucket_lifecycle_configuration(Bucket="made-by-check")["Rules"]
    assert [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules] == [1]


def test_check_leaves_no_probe_behind(bucket: str, moto_url: str, s3_client) -> None:
    s3(bucket, moto_url).check()
    assert names(s3_client, bucket) == []


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (403, "AccessDenied", StorageRefused, "denies access: the credentials need"),
        (403, "InvalidAccessKeyId", StorageRefused, "check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", StorageRefused, "check AWS_SECRET_ACCESS_KEY"),
        (403, "RequestTimeTooSkewed", StorageRefused, "clock"),
        (301, "PermanentRedirect", StorageRefused, "region="),
        (301, "", StorageRefused, "endpoint_url="),
        (302, "", StorageRefused, "endpoint_url="),
        (307, "", StorageRefused, "endpoint_url="),
        (405, "MethodNotAllowed", StorageRefused, "HTTP 405"),
        (400, "ExpiredToken", StorageUnavailable, "expired"),
        (503, "SlowDown", StorageUnavailable, "slow down"),
        (500, "InternalError", StorageUnavailable, "InternalError"),
        (507, "XMinioStorageFull", StorageUnavailable, "full"),
        (502, "", StorageUnavailable, "HTTP 502"),
    ],
)
def test_each_refusal_says_what_to_mend(
    bucket: str, faulty: FaultyS3, status: int, code: str, kind: type[Exception], says: str
) -> None:
    faulty.fault = lambda _: Refuse(status, code)
    with pytest.raises(kind, match=re.escape(says)):
        s3(bucket, faulty.url).check()


@pytest.mark.parametrize("page", [b"<!doctype html><p>Log in", b"<html/>", b""])
@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_a_web_page_in_place_of_s3_is_not_taken_for_success(bucket: str, faulty: FaultyS3, data: bytes, page: bytes) -> None:
    faulty.fault = lambda request: None if request.verb == "head" else Refuse(200, "", page)
    with pytest.raises(StorageUnavailable, match=r"not as S3 does|HTTP 500"):
        put(s3(bucket, faulty.url), "a.png", data)


def test_missing_credentials_are_named(bucket: str, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageRefused, match="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        s3(bucket, moto_url).check()


def test_an_error_shows_no_secret_and_nothing_of_botocore(bucket: str, faulty: FaultyS3) -> None:
    faulty.fault = lambda _: Refuse(403, "InvalidAccessKeyId")
    with pytest.raises(StorageRefused) as caught:
        put(s3(bucket, faulty.url), "a.png", b"1")
    shown = "".join(traceback.format_exception(caught.value))
    assert not re.search(r"AKIA|very-secret|Signature|botocore\.exceptions", shown)


def test_no_request_is_made_before_the_first_verb() -> None:
    s3("some-bucket", "http://192.0.2.1:9")
