"""Bad bodies, each with the clear error it must get (reliability notes, table A)."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from callers import SPEECH, Caller, Served, problem

JSON = {"content-type": "application/json"}
INPUT = SPEECH["input"]


@pytest.fixture(scope="module")
def client(small: Served) -> Caller:
    return small.tenant()


def nested(depth: int) -> bytes:
    """A document of so many levels, the outermost object included."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def with_input(**fields: Any) -> bytes:
    return json.dumps({"operation": "openai.speech", "input": INPUT | fields}).encode()


def with_field(name: str, raw: str) -> bytes:
    return f'{{"operation":"openai.speech","input":{{}},"{name}":{raw}}}'.encode()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_body"),
        (b"null", 422, "invalid_body"),
        (b"[]", 422, "invalid_body"),
        (b'"x"', 422, "invalid_body"),
        (b"12", 422, "invalid_body"),
        (b"{", 400, "malformed_json"),
        (b'{"a":1,}', 400, "malformed_json"),
        (b"{} {}", 400, "malformed_json"),
        (b"   ", 400, "malformed_json"),
        (b"{'a':1}", 400, "malformed_json"),
        (b'{"a":"\x01"}', 400, "malformed_json"),
        (b'{"a":"\xff"}', 400, "malformed_json"),
        (b'\xef\xbb\xbf{"a":1}', 400, "malformed_json"),
        ('{"a":1}'.encode("utf-16"), 400, "malformed_json"),
        (nested(33), 400, "json_too_deep"),
        (b"[" * 4000, 400, "json_too_deep"),
        (b'{"a":' * 600 + b"1" + b"}" * 600, 400, "json_too_deep"),
        (with_field("priority", "NaN"), 422, "invalid_number"),
        (with_field("priority", "-Infinity"), 422, "invalid_number"),
        (with_field("priority", "1e999"), 422, "invalid_number"),
        (with_field("priority", str(2**53 + 1)), 422, "invalid_number"),
        (with_field("priority", "1" * 3900), 422, "invalid_number"),
        (b'{"operation":"a","operation":"b"}', 422, "duplicate_field"),
        (with_field("custom_id", '"a\\u0000b"'), 422, "invalid_text"),
        (with_field("custom_id", '"\\ud800"'), 422, "invalid_text"),
        (with_field("metadata", '{"a\\u0000":"b"}'), 422, "invalid_text"),
        (b'{"input":{}}', 422, "missing_field"),
        (with_input(status="succeeded"), 422, "unknown_field"),
        (with_field("tenant_id", '"ten_1"'), 422, "unknown_field"),
        (json.dumps(SPEECH | {"id": "job_1", "fence": 9, "cost": 0, "created_at": "x"}).encode(), 422, "unknown_field"),
        (json.dumps(SPEECH | {"priority": "1"}).encode(), 422, "wrong_type"),
        (json.dumps(SPEECH | {"priority": True}).encode(), 422, "wrong_type"),
        (json.dumps(SPEECH | {"priority": 101}).encode(), 422, "out_of_range"),
        (json.dumps(SPEECH | {"metadata": {str(n): "v" for n in range(17)}}).encode(), 422, "too_many"),
        (json.dumps(SPEECH | {"metadata": {"k": "v" * 513}}).encode(), 422, "too_long"),
        (json.dumps(SPEECH | {"metadata": {"k": {"nested": "v"}}}).encode(), 422, "wrong_type"),
        (json.dumps(SPEECH | {"events": ["job.exploded"]}).encode(), 422, "unknown_event"),
        (json.dumps(SPEECH | {"operation": "../../etc"}).encode(), 422, "unknown_operation"),
        (json.dumps(SPEECH | {"operation": "1' OR 1=1--"}).encode(), 422, "unknown_operation"),
        (with_input(speed="1"), 422, "wrong_type"),
        (json.dumps(SPEECH | {"input": INPUT | {"input": {"file": "file_nope"}}}).encode(), 422, "invalid_request"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_body_gets_a_clear_error_and_makes_nothing(client: Caller, body: bytes, status: int, code: str) -> None:
    found = problem(client.http.post("/v1/jobs", content=body, headers=JSON), status, code)

    assert len(found["detail"]) < 400
    assert client.http.get("/v1/jobs").json()["data"] == []


def test_a_malformed_document_is_told_by_its_byte(client: Caller) -> None:
    found = problem(client.http.post("/v1/jobs", content='{"ä":1,}'.encode(), headers=JSON), 400, "malformed_json")

    assert found["detail"].endswith("at byte 8")


def test_a_document_of_32_levels_is_read(client: Caller) -> None:
    problem(client.http.post("/v1/jobs", content=nested(32), headers=JSON), 422, "invalid_request")


def test_too_many_fields_are_refused(served: Served) -> None:
    client = served.tenant()
    body = json.dumps({"operation": "openai.speech", "input": {str(n): 1 for n in range(10_001)}})
    deep_arrays = json.dumps({"operation": "openai.speech", "input": {"a": [[] for _ in range(10_001)]}})

    for content in (body, deep_arrays):
        problem(client.http.post("/v1/jobs", content=content, headers=JSON), 422, "too_many_fields")


def test_a_large_document_below_the_cap_is_read_whole(served: Served) -> None:
    client = served.tenant()
    body = json.dumps({"operation": "openai.speech", "input": INPUT | {"input": "x" * 1_000_000}})

    problem(client.http.post("/v1/jobs", content=body, headers=JSON), 422, "too_long")


@pytest.mark.parametrize("declared", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"])
def test_other_content_types_are_refused(client: Caller, declared: str | None) -> None:
    headers = {"content-type": declared} if declared else {}
    problem(client.http.post("/v1/jobs", content=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
def test_encoded_bodies_are_refused(client: Caller, encoding: str) -> None:
    answer = client.http.post("/v1/jobs", content=b"{}", headers=JSON | {"content-encoding": encoding})
    problem(answer, 415, "content_encoding_refused")


def test_a_charset_is_no_reason_to_refuse(client: Caller) -> None:
    answer = client.http.post("/v1/jobs", json=SPEECH, headers={"content-type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 202
    client.http.post(f"/v1/jobs/{answer.json()['id']}/cancel")


def talk(url: str, request: bytes) -> bytes:
    """Send these very bytes, and read until the server closes the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_a_body_past_the_cap_is_refused_before_it_is_sent(small: Served, client: Caller) -> None:
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {client.key}\r\n"
        "content-type: application/json\r\ncontent-length: 4097\r\n\r\n"
    )

    answer = talk(small.url, head.encode())

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


def test_a_chunked_body_is_refused_at_the_cap_and_the_connection_closed(small: Served, client: Caller) -> None:
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {client.key}\r\n"
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )

    # More than the cap, and no end: whoever waits for the last chunk waits for ever.
    answer = talk(small.url, head.encode() + b"800\r\n" + b" " * 0x800 + b"\r\n" + b"1000\r\n" + b" " * 0x1000 + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer
    assert b"connection: close" in answer.lower()


def test_callback_addresses_are_checked_before_anything_is_stored(client: Caller) -> None:
    for url, reason in (
        ("http://example.com/hook", "https_required"),
        ("https://127.0.0.1/", "ip_literal_refused"),
        ("https://10.0.0.1/", "address_not_public"),
        ("https://metadata.google.internal/", "host_not_public"),
        ("https://user:pw@example.com/", "userinfo_refused"),
        ("gopher://example.com/", "scheme_refused"),
        ("https://example.com:6379/", "port_refused"),
    ):
        answer = client.http.post("/v1/jobs", json=SPEECH | {"callback_url": url})
        found = problem(answer, 422, "callback_url_refused")
        assert found["errors"][0]["loc"] == "callback_url"
        assert found["errors"][0]["msg"].startswith(f"{reason}: ")


def test_every_problem_of_a_request_is_told_at_once(client: Caller) -> None:
    body = {"operation": "openai.speech", "input": {"model": "tts-1"}, "callback_url": "http://example.com", "events": ["x"]}

    found = problem(client.http.post("/v1/jobs", json=body), 422, "invalid_request")

    assert {"callback_url_refused", "unknown_event", "missing_field"} <= {error["code"] for error in found["errors"]}
