"""Outputs and input files."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import httpx2
import pytest
from callers import Caller, Served, picture, problem

from workers.context import Context


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_an_output_is_reached_by_a_fresh_link_without_a_key(caller: Caller) -> None:
    job = caller.submit()["id"]
    output = caller.succeed(job, preview=b"RIFF-preview")

    shown = caller.job(job)["artifacts"][0]
    answer = caller.http.get(f"/v1/jobs/{job}/artifacts/0")

    assert answer.status_code == 302
    media = httpx2.get(answer.headers["location"], trust_env=False)
    assert (media.status_code, media.content) == (200, output)
    assert media.headers["content-type"] == "image/png"
    assert media.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in media.headers["content-security-policy"]
    assert media.headers["content-disposition"].startswith(f'attachment; filename="{job}-0.png"')
    assert httpx2.get(shown["url"], trust_env=False).content == output
    assert shown["sha256"] == hashlib.sha256(output).hexdigest()
    preview = caller.http.get(f"/v1/jobs/{job}/artifacts/0/preview")
    assert httpx2.get(preview.headers["location"], trust_env=False).content == b"RIFF-preview"


@pytest.mark.parametrize("index", ["1", "-1", "00x", "²", "99999999999999999999"])
def test_an_output_that_is_not_there_is_not_found(caller: Caller, index: str) -> None:
    job = caller.submit()["id"]
    caller.succeed(job)

    problem(caller.http.get(f"/v1/jobs/{job}/artifacts/{index}"), 404, "not_found")
    problem(caller.http.get(f"/v1/jobs/{job}/artifacts/{index}/preview"), 404, "not_found")


def test_an_output_without_a_preview_says_so(caller: Caller) -> None:
    job = caller.submit()["id"]
    caller.succeed(job)
    problem(caller.http.get(f"/v1/jobs/{job}/artifacts/0/preview"), 404, "not_found")


def test_a_player_may_ask_for_a_part(caller: Caller) -> None:
    job = caller.submit()["id"]
    output = caller.succeed(job, picture((64, 64)))
    url = caller.job(job)["artifacts"][0]["url"]

    part = httpx2.get(url, headers={"range": "bytes=10-19"}, trust_env=False)
    tail = httpx2.get(url, headers={"range": "bytes=-5"}, trust_env=False)
    beyond = httpx2.get(url, headers={"range": f"bytes={len(output)}-"}, trust_env=False)
    head = httpx2.head(url, trust_env=False)

    assert (part.status_code, part.content) == (206, output[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(output)}"
    assert (tail.status_code, tail.content) == (206, output[-5:])
    assert beyond.status_code == 416
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(output)))
    assert head.headers["accept-ranges"] == "bytes"


def test_a_link_that_was_changed_or_is_over_is_refused(caller: Caller) -> None:
    job, other = (caller.submit()["id"] for _ in range(2))
    caller.succeed(job)
    caller.succeed(other)
    url = path_of(caller.job(job)["artifacts"][0]["url"])
    over = path_of(caller.context.store.url(f"jobs/{job}/0.png", expires_in_s=1)).replace("expires=", "expires=1")

    for changed in (
        url.replace(job, other, 1),
        url.replace("attachment", "inline") + "&inline=1",
        url.replace("filename=", "filename=x"),
        url.partition("?")[0],
        f"/v1/media/%2e%2e%2fmediamill.db?{url.partition('?')[2]}",
        over,
    ):
        problem(caller.http.get(changed), 403, "link_tampered")


def test_an_old_link_is_told_from_a_forged_one(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    job = caller.submit()["id"]
    caller.succeed(job)
    url = path_of(caller.context.store.url(f"jobs/{job}/0.png", expires_in_s=1))
    monkeypatch.setattr("api_stub.routes.media.time.time", lambda: 4e9)

    problem(caller.http.get(url), 403, "link_expired")


def test_a_file_that_left_storage_is_not_found(caller: Caller) -> None:
    url = path_of(caller.context.store.url("jobs/gone.png", expires_in_s=60))
    problem(caller.http.get(url), 404, "not_found")


# Files ------------------------------------------------------------------------------------------------------------------------


def test_a_file_is_uploaded_used_and_deleted(caller: Caller, served: Served) -> None:
    image = picture()

    answer = caller.http.post("/v1/files", files={"file": ("../../My Picture?.jpg", image, "text/plain")})

    file = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/files/{file['id']}")
    # What the bytes say, whatever the form said.
    assert (file["object"], file["kind"], file["media_type"], file["bytes"]) == ("file", "image", "image/png", len(image))
    assert file["sha256"] == hashlib.sha256(image).hexdigest()
    assert "/" not in file["filename"]
    again = caller.http.get(f"/v1/files/{file['id']}").json()
    assert httpx2.get(again["url"], trust_env=False).content == image

    assert caller.http.delete(f"/v1/files/{file['id']}").status_code == 204
    problem(caller.http.get(f"/v1/files/{file['id']}"), 404, "not_found")
    problem(caller.http.delete(f"/v1/files/{file['id']}"), 404, "not_found")
    assert _stored(served.context, file["id"]) == []


def _stored(context: Context, file_id: str) -> list[str]:
    return [path.name for path in (context.settings.data / "media").rglob(f"{file_id}*")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<!doctype html><html><script>alert(1)</script></html>", "output_type_refused"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "output_type_refused"),
        (b"%PDF-1.7", "output_type_refused"),
        (b"\x7fELF\x02\x01\x01", "output_type_refused"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\nhttp://127.0.0.1/\n", "output_type_refused"),
        (b"", "output_empty"),
        (picture()[:40], "output_truncated"),
    ],
)
def test_what_is_no_media_is_refused(caller: Caller, content: bytes, code: str) -> None:
    found = caller.http.post("/v1/files", files={"file": ("a.png", content, "image/png")})
    assert found.status_code == 422, found.text
    assert found.json()["code"] in (code, "output_unreadable")
    assert list(caller.context.spool_folder.glob("*")) == []


def test_an_upload_past_the_cap_is_refused(small: Served) -> None:
    caller = small.tenant()
    answer = caller.http.post("/v1/files", files={"file": ("a.png", b"x" * 10_001)})
    problem(answer, 413, "body_too_large")
    answer = caller.http.post("/v1/files", files={"file": ("a.png", b"x" * 200_000)})
    problem(answer, 413, "body_too_large")


def test_a_form_that_is_none_is_refused(caller: Caller) -> None:
    problem(caller.http.post("/v1/files", content=b"x", headers={"content-type": "image/png"}), 415, "unsupported_media_type")
    problem(caller.http.post("/v1/files", content=b"x", headers={"content-type": "multipart/form-data"}), 400, "malformed_form")
    broken = {"content-type": "multipart/form-data; boundary=b"}
    problem(caller.http.post("/v1/files", content=b"--b\r\nnonsense", headers=broken), 422, "missing_field")
    problem(caller.http.post("/v1/files", files={"upload": ("a.png", picture())}), 422, "missing_field")
    problem(caller.http.post("/v1/files", data={"file": "text"}, files={"x": ("a.png", picture())}), 422, "missing_field")


@pytest.mark.parametrize("charset", ["punycode", "undefined", "idna"])
def test_a_form_in_a_charset_that_is_none_for_text_is_refused(caller: Caller, charset: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary=b; charset={charset}"}
    form = b'--b\r\ncontent-disposition: form-data; name="file"; filename="xn--a.png"\r\n\r\n' + picture() + b"\r\n--b--\r\n"
    problem(caller.http.post("/v1/files", content=form, headers=headers), 400, "malformed_form")
