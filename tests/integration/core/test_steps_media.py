"""Media in: whatever the user has at hand reaches the provider in the form it takes, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import logging
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
import pytest
from mill import Mill
from offers import PNG, WAV, Offer, artifact, b64, data_uri, operation, upload
from recorder import Answer, Recorder, Request

from jobs.catalogue.schema import array, media, text
from jobs.catalogue.spec import Submit
from jobs.queries import files
from jobs.validation import Refused
from storage import StorageUnavailable, open_store
from storage.folder import FolderStore
from workers import logs, submit
from workers.context import Context

FORMS = ("url", "data_uri", "base64", "bytes")
HTML = b"<!DOCTYPE html><html><body>Please log in.</body></html>"


@pytest.fixture
def s3_mill(own_mill: Mill, gateway: Recorder, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Mill:
    """The same, with its media in S3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    url = f"s3://mediamill-test?endpoint_url={s3_endpoint}&create=true"
    store = open_store(url, link_base="", link_key=b"")
    store.check()
    return Mill(replace(own_mill.context, store=store), gateway)


def offered(offer: Offer, *forms: Any, **options: Any) -> None:
    """An operation that takes a picture in these forms."""
    encoding = "multipart" if "bytes" in forms else "json"
    offer(operation({"prompt": text(), "image": media(*forms, **options)}, submit=Submit(path="/v1/make", encoding=encoding)))


def serve(gateway: Recorder, world: Recorder) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    world.serve({"/kite.png": Answer(PNG, headers={"content-type": "image/png"})})


def given_as(source: str, mill: Mill, world: Recorder) -> Any:
    """The picture as a user may have it."""
    match source:
        case "address":
            return f"{world.url}/kite.png?sig=CANARY-SIG"
        case "data_uri":
            return data_uri(PNG)
        case "base64":
            return b64(PNG)
        case "file":
            return upload(mill)
        case _:
            return artifact(mill)


def sent(gateway: Recorder) -> Request:
    (request,) = gateway.to("/v1/make")
    return request


def picture_in(request: Request, form: str, mill: Mill) -> bytes:
    """The bytes that the provider has in hand, having done what this form asks of it."""
    if form == "bytes":
        (part,) = [one for one in request.form if one.name == "image"]
        assert part.media_type == "image/png"
        assert part.filename is not None
        assert part.filename.endswith(".png")
        return part.content
    image = request.json["image"]
    if form == "url":
        return followed(image, mill)
    if form == "data_uri":
        assert image.startswith("data:image/png;base64,")
    return base64.b64decode(image.rpartition(",")[2], validate=True)


def followed(url: str, mill: Mill) -> bytes:
    """What stands behind an address, one of ours in a folder included."""
    if not url.startswith(mill.context.settings.public_url):
        return httpx2.get(url, trust_env=False).raise_for_status().content
    store, parts = mill.context.store, urlsplit(url)
    assert isinstance(store, FolderStore)
    key = unquote(parts.path).removeprefix("/v1/media/")
    assert store.verify(key, dict(parse_qsl(parts.query))).key == key
    with store.open(key) as stream:
        return stream.read()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", ["address", "data_uri", "base64", "file", "artifact"])
def test_a_medium_arrives_in_the_form_the_provider_takes_whatever_form_it_came_in(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, source: str, form: str
) -> None:
    serve(gateway, world)
    offered(offer, form)
    given = {"prompt": "a kite", "image": given_as(source, own_mill, world)}
    if source == "base64" and form != "base64":
        # Anywhere else bare base64 could as well be a text by mistake.
        with pytest.raises(Refused):
            own_mill.accept("test.make", given)
        return

    job = own_mill.submit(own_mill.accept("test.make", given))

    assert (job.status, job.error) == ("collecting", None)
    assert hashlib.sha256(picture_in(sent(gateway), form, own_mill)).digest() == hashlib.sha256(PNG).digest()
    fetched_by_us = source == "address" and form != "url"
    assert len(world.requests) == (1 if source == "address" else 0)
    if fetched_by_us:
        assert "authorization" not in world.requests[0].headers


@pytest.mark.parametrize(
    ("forms", "source"),
    [(("data_uri", "url"), "address"), (("url", "data_uri"), "data_uri"), (("url", "base64"), "base64")],
    ids=["address", "data_uri", "base64"],
)
def test_what_the_provider_takes_as_it_stands_is_not_touched(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, forms: tuple[str, ...], source: str
) -> None:
    serve(gateway, world)
    offered(offer, *forms)
    image = given_as(source, own_mill, world)
    own_mill.submit(own_mill.accept("test.make", {"image": image}))
    assert sent(gateway).json["image"] == image
    assert world.requests == []


@pytest.mark.parametrize("source", ["file", "artifact", "data_uri"])
def test_a_link_to_a_medium_in_s3_can_be_followed_by_anybody(
    s3_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, source: str
) -> None:
    serve(gateway, world)
    offered(offer, "url")
    s3_mill.submit(s3_mill.accept("test.make", {"image": given_as(source, s3_mill, world)}))
    answer = httpx2.get(sent(gateway).json["image"], trust_env=False)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")


def test_the_form_the_provider_likes_best_is_chosen(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    offered(offer, "base64", "url")
    own_mill.submit(own_mill.accept("test.make", {"image": upload(own_mill)}))
    assert sent(gateway).json["image"] == b64(PNG)


def test_a_multipart_body_has_texts_and_files_as_forms_have_them(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    schema = {"prompt": text(), "n": {"type": "integer"}, "image": array(media("bytes")), "mask": media("bytes")}
    offer(operation(schema, submit=Submit(path="/v1/make", encoding="multipart", parts={"image": "image[]"})))
    given = {
        "prompt": "ein Drachen über dem Meer",
        "n": 2,
        "image": [upload(own_mill), data_uri(WAV, "audio/wav")],
        "mask": upload(own_mill, filename='Skizze "für" mich.jpeg'),
    }
    own_mill.submit(own_mill.accept("test.make", given))
    request = sent(gateway)
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert [tuple(field) for field in request.form] == [
        ("prompt", None, None, "ein Drachen über dem Meer".encode()),
        ("n", None, None, b"2"),
        ("image[]", "a kite.png", "image/png", PNG),
        ("image[]", "input.wav", "audio/wav", WAV),
        # Providers tell the format by the ending; this one was wrong.
        ("mask", "Skizze %22für%22 mich.jpeg.png", "image/png", PNG),
    ]


def test_a_multipart_body_without_files_is_multipart_all_the_same(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    offered(offer, "bytes")
    own_mill.submit(own_mill.accept("test.make", {"prompt": "a kite"}))
    assert sent(gateway).form == [("prompt", None, None, b"a kite")]


@pytest.mark.parametrize("source", ["address", "data_uri", "file", "artifact"])
def test_the_field_that_names_the_media_type_is_filled_in(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, source: str
) -> None:
    serve(gateway, world)
    gateway.serve({"/v1beta/models/gemini-x:generateContent": {"candidates": []}})
    part = {"inlineData": {"data": given_as(source, own_mill, world)}}
    given = {"model": "gemini-x", "contents": [{"role": "user", "parts": [part, {"text": "What is this?"}]}]}
    own_mill.submit(own_mill.accept("gemini.generate_content", given))
    (request,) = gateway.requests
    assert request.json["contents"][0]["parts"][0] == {"inlineData": {"data": b64(PNG), "mimeType": "image/png"}}


def test_a_media_type_that_the_user_names_is_kept(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    inline = {"type": "object", "properties": {"data": media("base64", media_type_field="type"), "type": text()}}
    offer(operation({"inline": inline}))
    own_mill.submit(own_mill.accept("test.make", {"inline": {"data": upload(own_mill), "type": "image/x-kite"}}))
    assert sent(gateway).json["inline"] == {"data": b64(PNG), "type": "image/x-kite"}


@pytest.mark.parametrize(
    ("content", "declared", "arrives_as"),
    [
        (b"%PDF-1.7 ...", "application/pdf", "application/pdf"),  # models read documents
        (b"\0\0\0\x18ftypheic\0\0\0\0heic", "image/heic", "image/heic"),  # not to be told by us
        (PNG, "image/jpeg", "image/png"),  # told by its bytes, whatever was said
        (b"a,b\n1,2\n", "text/csv", "text/csv"),
    ],
    ids=["pdf", "heic", "lie", "csv"],
)
def test_what_a_medium_is_is_told_by_its_bytes_and_else_by_its_giver(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, content: bytes, declared: str, arrives_as: str
) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    world.serve({"/a": Answer(content, headers={"content-type": f"{declared}; charset=utf-8"})})
    inline = {"type": "object", "properties": {"data": media("base64", media_type_field="type"), "type": text()}}
    offer(operation({"inlines": array(inline)}))
    given = {"inlines": [{"data": f"{world.url}/a"}, {"data": data_uri(content, declared)}]}
    assert own_mill.submit(own_mill.accept("test.make", given)).error is None
    assert sent(gateway).json["inlines"] == [{"data": b64(content), "type": arrives_as}] * 2


def test_nothing_of_a_medium_of_the_key_or_of_a_signed_address_is_logged(
    own_mill: Mill,
    gateway: Recorder,
    world: Recorder,
    offer: Offer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in logs._QUIET:  # as every process sets them
        caplog.set_level(logging.WARNING, logger=name)
    caplog.set_level(logging.DEBUG)
    serve(gateway, world)
    offered(offer, "data_uri")
    for source in ("address", "data_uri", "file"):
        job_id = own_mill.accept("test.make", {"prompt": "CANARY-PROMPT", "image": given_as(source, own_mill, world)})
        own_mill.run(job_id)
    said = caplog.text + "".join(capfd.readouterr())
    assert "submitted" in said
    for secret in ("CANARY-PROMPT", "CANARY-SIG", "sk-test", b64(PNG)[:40], b64(PNG)[-40:]):
        assert secret not in said


# What cannot be handed over -----------------------------------------------------------------------------------------------


def test_a_file_that_was_deleted_ends_the_job_and_names_it(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    offered(offer, "data_uri")
    image = upload(own_mill)
    job_id = own_mill.accept("test.make", {"image": image})
    with own_mill.database.transaction() as session:
        files.remove(session, own_mill.tenant_id, image["file"])
    assert_never_sent(own_mill, gateway, job_id, "reference_unresolved", f"input.image names {image['file']}, which was deleted")


def test_bytes_that_are_gone_from_storage_end_the_job(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    offered(offer, "bytes")
    image = upload(own_mill)
    job_id = own_mill.accept("test.make", {"image": image})
    own_mill.context.store.delete(f"files/{image['file']}.png")
    assert_never_sent(own_mill, gateway, job_id, "reference_unresolved", "input.image: its bytes are gone")


def test_an_artifact_that_is_not_there_ends_the_job_and_says_how_many_there_are(
    own_mill: Mill, gateway: Recorder, offer: Offer
) -> None:
    offer(operation({"images": array(media("data_uri"))}))
    image = artifact(own_mill)
    job_id = own_mill.accept("test.make", {"images": [image, image | {"artifact": 7}]})
    said = f"input.images[1] names artifact 7 of {image['job']}: it has 1, counted from 0."
    assert_never_sent(own_mill, gateway, job_id, "reference_unresolved", said)


def test_an_address_that_does_not_answer_is_tried_again_and_then_ends_the_job_without_cost(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer
) -> None:
    offered(offer, "bytes")
    job_id = own_mill.accept("test.make", {"image": "http://127.0.0.1:9/kite.png"})
    for _ in range(9):
        job = own_mill.submit(job_id)
        assert job.status == "queued"
        assert job.due_at is not None
    assert_never_sent(own_mill, gateway, job_id, "input_unreachable", "input.image could not be fetched")
    assert own_mill.job(job_id).error["retryable"]
    assert own_mill.attempts(job_id) == []


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_an_address_that_is_away_for_a_while_is_fetched_when_it_is_back(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, status: int
) -> None:
    serve(gateway, world)
    world.serve({"/kite.png": [Answer(b"later", status), Answer(PNG)]})
    offered(offer, "base64")
    job_id = own_mill.accept("test.make", {"image": f"{world.url}/kite.png"})
    assert own_mill.submit(job_id).status == "queued"
    assert own_mill.submit(job_id).status == "collecting"
    assert sent(gateway).json["image"] == b64(PNG)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 304])
def test_an_address_that_refuses_ends_the_job_at_once(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, status: int
) -> None:
    world.answer = lambda _: Answer(b"", status)
    offered(offer, "base64")
    job_id = own_mill.accept("test.make", {"image": f"{world.url}/kite.png"})
    assert_never_sent(own_mill, gateway, job_id, "input_unreachable", f"input.image: its address answers HTTP {status}.")


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/iam",
        "https://10.0.0.7/a.png",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/latest",
        "https://user:word@cdn.example/a.png",
        "https://cdn.example:22/a.png",
        "http://metadata.google.internal/computeMetadata/v1/",
    ],
)
def test_an_address_that_we_may_not_reach_is_refused_and_no_packet_sent(
    own_mill: Mill, gateway: Recorder, offer: Offer, address: str
) -> None:
    offered(offer, "data_uri")
    job_id = own_mill.accept("test.make", {"image": address})
    assert_never_sent(own_mill, gateway, job_id, "invalid_input", "input.image: the address is refused: ")


def test_a_redirect_to_an_address_that_we_may_not_reach_is_refused(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer
) -> None:
    world.answer = lambda _: Answer(b"", 302, {"location": "http://169.254.169.254/latest/meta-data/"})
    offered(offer, "data_uri")
    job_id = own_mill.accept("test.make", {"image": f"{world.url}/kite.png"})
    assert_never_sent(own_mill, gateway, job_id, "invalid_input", "input.image: the address is refused: ")


def test_a_redirect_to_the_medium_is_followed(own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer) -> None:
    serve(gateway, world)
    world.serve({"/short": Answer(b"", 302, {"location": "/kite.png"}), "/kite.png": Answer(PNG)})
    offered(offer, "data_uri")
    own_mill.submit(own_mill.accept("test.make", {"image": f"{world.url}/short"}))
    assert sent(gateway).json["image"] == data_uri(PNG)


def test_the_gateways_own_host_is_no_shortcut_for_a_users_address(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    """Outputs may lie on a gateway inside the operator's network; a tenant does not get to look around there."""
    gateway.serve({"/internal.png": PNG, "/v1/make": {"text": "done"}})
    offered(offer, "data_uri")
    job_id = own_mill.accept("test.make", {"image": f"{gateway.url}/internal.png"})
    strict = replace(own_mill.context, settings=own_mill.context.settings.model_copy(update={"egress_allow_cidrs": ()}))
    own_mill.hand_over(job_id)
    submit.submit(strict, job_id, 0)
    closed(strict)
    assert_never_sent(own_mill, gateway, job_id, "invalid_input", "input.image: the address is refused: ")


@pytest.mark.parametrize("image", ["file:///etc/passwd", "data:image/png,raw", "javascript:alert(1)", "gopher://x/y"])
def test_what_is_no_address_and_no_medium_is_refused_before_it_is_a_job(own_mill: Mill, offer: Offer, image: str) -> None:
    offered(offer, "data_uri", "url", "base64")
    with pytest.raises(Refused):
        own_mill.accept("test.make", {"image": image})


@pytest.mark.parametrize("form", ["base64", "data_uri", "bytes"])
def test_broken_base64_ends_the_job_before_it_costs_anything(own_mill: Mill, gateway: Recorder, offer: Offer, form: str) -> None:
    offered(offer, form)
    image = "data:image/png;base64," + b64(PNG)[:-3]
    job_id = own_mill.accept("test.make", {"image": image})
    assert_never_sent(own_mill, gateway, job_id, "invalid_input", "input.image is not valid base64.")


def test_bare_base64_that_is_broken_ends_the_job_as_well(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    offered(offer, "base64")
    job_id = own_mill.accept("test.make", {"image": b64(PNG)[:-3]})
    assert_never_sent(own_mill, gateway, job_id, "invalid_input", "input.image is not valid base64.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HTML, "input.image is not usable: the file is HTML"),
        (b"", "input.image is not usable: the file is empty"),
        (PNG[:40], "input.image is not usable: "),
        (b'{"error": "expired"}', "input.image is not usable: it is text, not media"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "input.image is not usable: the file is SVG"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "input.image is not usable: the file is a playlist"),
    ],
    ids=["html", "empty", "truncated", "json", "svg", "playlist"],
)
def test_what_is_no_medium_ends_the_job_before_it_costs_anything(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, content: bytes, said: str
) -> None:
    world.answer = lambda _: Answer(content, headers={"content-type": "image/png"})
    offered(offer, "bytes")
    fetched = own_mill.accept("test.make", {"image": f"{world.url}/kite.png"})
    assert_never_sent(own_mill, gateway, fetched, "invalid_input", said)
    if content:
        inline = own_mill.accept("test.make", {"image": data_uri(content)})
        assert_never_sent(own_mill, gateway, inline, "invalid_input", said)


@pytest.mark.parametrize("source", ["address", "file", "artifact"])
def test_a_medium_too_large_for_a_request_is_refused_with_its_size(
    own_mill: Mill, gateway: Recorder, world: Recorder, offer: Offer, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(gateway, world)
    monkeypatch.setattr("workers.inputs._MOST_INLINE_BYTES", len(PNG) - 1)
    offered(offer, "data_uri")
    job_id = own_mill.accept("test.make", {"image": given_as(source, own_mill, world)})
    assert_never_sent(
        own_mill, gateway, job_id, "invalid_input", f"{len(PNG) - 1} bytes" if source == "address" else f"{len(PNG)} "
    )


def test_a_medium_too_large_for_a_request_goes_as_an_address_where_the_provider_takes_one(
    own_mill: Mill, gateway: Recorder, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    monkeypatch.setattr("workers.inputs._MOST_INLINE_BYTES", len(PNG) - 1)
    offered(offer, "base64", "url")
    own_mill.submit(own_mill.accept("test.make", {"image": upload(own_mill)}))
    assert followed(sent(gateway).json["image"], own_mill) == PNG


def test_a_link_that_the_gateway_could_not_follow_is_not_handed_over(own_mill: Mill, gateway: Recorder, offer: Offer) -> None:
    """A folder's links lead to this machine's loopback address; a gateway elsewhere would fail after it was paid."""
    offered(offer, "url")
    job_id = own_mill.accept("test.make", {"image": upload(own_mill)})
    elsewhere = own_mill.context.settings.model_copy(update={"upstream_url": "https://gateway.example"})
    remote = replace(own_mill.context, settings=elsewhere)
    own_mill.hand_over(job_id)
    submit.submit(remote, job_id, 0)
    closed(remote)
    assert_never_sent(own_mill, gateway, job_id, "input_unreachable", "set MEDIAMILL_PUBLIC_URL")


class _Away:
    """A storage that cannot be used at the moment."""

    def __getattr__(self, verb: str) -> Any:
        def fail(*_: Any, **__: Any) -> Any:
            raise StorageUnavailable("the bucket does not answer")

        return fail if verb != "url" else lambda *_, **__: "https://bucket.example/x"


@pytest.mark.parametrize("form", ["url", "bytes"])
def test_storage_that_is_away_puts_the_job_off(own_mill: Mill, gateway: Recorder, offer: Offer, form: str) -> None:
    gateway.serve({"/v1/make": {"text": "done"}})
    offered(offer, form)
    job_id = own_mill.accept("test.make", {"image": data_uri(PNG) if form == "url" else upload(own_mill)})
    away = replace(own_mill.context, store=_Away())
    own_mill.hand_over(job_id)
    submit.submit(away, job_id, 0)
    closed(away)
    assert (own_mill.job(job_id).status, gateway.requests) == ("queued", [])
    assert own_mill.submit(job_id).status == "collecting"


def assert_never_sent(mill: Mill, gateway: Recorder, job_id: str, code: str, said: str) -> None:
    if mill.job(job_id).status == "queued":
        mill.submit(job_id)
    job = mill.job(job_id)
    assert job.error is not None, job.status
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", code, False)
    assert said in job.error["message"]
    assert gateway.requests == []


def closed(context: Context) -> None:
    """The parts of a context that was made of another one."""
    context.leases.close()
    for name in ("calls", "downloads"):
        if (used := context.__dict__.get(name)) is not None:
            context.loop.run(used.aclose())
    context.loop.close()
