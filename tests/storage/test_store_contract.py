"""What every store must do, run over each of them."""

import hashlib
import io
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from stores import LINK_BASE, LINK_KEY, STORES, put, read

from storage import ContentMismatch, InvalidKey, LinkRefused, Store, links

MIB = 1024 * 1024


class Interrupted(io.RawIOBase):
    """A file that fails after `good` bytes."""

    def __init__(self, good: int) -> None:
        self.good = good

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.good <= 0:
            raise RuntimeError("the cable was pulled")
        given = min(size, self.good)
        self.good -= given
        return b"x" * given


def test_what_was_put_is_read_back(store: Store) -> None:
    put(store, "tenant/job_1/0.png", b"picture")
    assert read(store, "tenant/job_1/0.png") == b"picture"


def test_an_empty_object_can_be_put(store: Store) -> None:
    put(store, "empty.txt", b"")
    assert read(store, "empty.txt") == b""


def test_stat_tells_size_and_type(store: Store) -> None:
    put(store, "a/b.mp4", b"123", "video/mp4")
    found = store.stat("a/b.mp4")
    assert found is not None
    assert (found.size_bytes, found.media_type) == (3, "video/mp4")
    assert found.sha256 in (None, hashlib.sha256(b"123").hexdigest())


def test_stat_of_an_absent_object_is_none(store: Store) -> None:
    assert store.stat("not/there.png") is None


def test_opening_an_absent_object_raises_file_not_found_with_its_key(store: Store) -> None:
    with pytest.raises(FileNotFoundError, match=r"^not/there\.png$"), store.open("not/there.png"):
        pass


def test_putting_the_same_twice_is_success(store: Store) -> None:
    for _ in range(2):
        put(store, "twice.png", b"the same")
    assert read(store, "twice.png") == b"the same"


def test_putting_other_bytes_replaces_the_object(store: Store) -> None:
    put(store, "changed.png", b"before")
    put(store, "changed.png", b"after!")
    assert read(store, "changed.png") == b"after!"


def test_a_file_is_read_from_where_it_stands(store: Store) -> None:
    file = io.BytesIO(b"header|content")
    file.seek(7)
    store.put("a.txt", file, size_bytes=7, media_type="text/plain", sha256=hashlib.sha256(b"content").hexdigest())
    assert read(store, "a.txt") == b"content"


def test_eight_parallel_puts_of_one_key_all_succeed(store: Store) -> None:
    data = b"p" * 100_000
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: put(store, "same/key.png", data), range(8)))
    assert read(store, "same/key.png") == data


def test_eight_parallel_puts_of_different_bytes_leave_one_of_them_whole(store: Store) -> None:
    versions = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda data: put(store, "raced.png", data), versions))
    assert read(store, "raced.png") in versions


def test_a_file_of_many_parts_comes_back_whole(store: Store) -> None:
    data = b"".join(number.to_bytes(4, "big") * 256 for number in range(17 * 1024))
    put(store, "large.mp4", data, "video/mp4")
    assert len(data) == 17 * MIB
    assert hashlib.sha256(read(store, "large.mp4")).digest() == hashlib.sha256(data).digest()


def test_a_large_object_can_be_replaced(store: Store) -> None:
    put(store, "large.mp4", b"a" * (9 * MIB))
    put(store, "large.mp4", b"b" * (9 * MIB))
    assert read(store, "large.mp4") == b"b" * (9 * MIB)


@pytest.mark.parametrize("size_bytes", [10, 20 * MIB])
def test_an_interrupted_put_leaves_nothing_visible(store: Store, size_bytes: int) -> None:
    with pytest.raises(RuntimeError, match="cable"):
        store.put("gone.mp4", Interrupted(size_bytes - 9), size_bytes=size_bytes, media_type="video/mp4", sha256="0" * 64)
    assert store.stat("gone.mp4") is None


@pytest.mark.parametrize("length", [100, 9 * MIB])
@pytest.mark.parametrize("fault", ["shorter", "longer", "other"])
def test_bytes_other_than_promised_are_refused_and_leave_nothing(store: Store, length: int, fault: str) -> None:
    promised = b"a" * length
    given = {"shorter": promised[:-1], "longer": promised + b"a", "other": b"b" + promised[1:]}[fault]
    sha256 = hashlib.sha256(promised).hexdigest()
    with pytest.raises(ContentMismatch):
        store.put("wrong.png", io.BytesIO(given), size_bytes=length, media_type="image/png", sha256=sha256)
    assert store.stat("wrong.png") is None


def test_delete_removes_the_object(store: Store) -> None:
    put(store, "a/b/c.png", b"1")
    store.delete("a/b/c.png")
    assert store.stat("a/b/c.png") is None


def test_deleting_an_absent_object_is_fine(store: Store) -> None:
    store.delete("a/b/c.png")


def test_an_object_can_be_put_again_after_its_delete(store: Store) -> None:
    put(store, "a/b/c.png", b"1")
    store.delete("a/b/c.png")
    put(store, "a/b/c.png", b"2")
    assert read(store, "a/b/c.png") == b"2"


def test_check_passes_and_leaves_nothing(store: Store) -> None:
    store.check()
    store.check()


BAD_KEYS = ["", "/", "/etc/passwd", "../x", "a/../b", "a/..", "./a", "a//b", "a/", ".hidden", "a/.incoming/b", "a\\b"]
BAD_KEYS += ["a b", "ä.png", "a\nb", "a\0b", "a?b", "a%2e%2e/b", "-rf", "x" * 801, "y" * 201]


def test_a_key_outside_the_alphabet_is_refused_by_every_verb(store: Store) -> None:
    for key in BAD_KEYS:
        with pytest.raises(InvalidKey):
            put(store, key, b"1")
        with pytest.raises(InvalidKey), store.open(key):
            pass
        for verb in (store.delete, store.stat, lambda key: store.url(key, expires_in_s=60)):
            with pytest.raises(InvalidKey):
                verb(key)


def follow(store: Store, url: str) -> tuple[bytes, str]:
    """Body and Content-Disposition that the holder of `url` gets: over HTTP, or as the API would serve it."""
    if not url.startswith(LINK_BASE):
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read(), answer.headers["Content-Disposition"]
    parts = urlsplit(url)
    key = unquote(parts.path.removeprefix("/v1/media/"))
    grant = links.verify(key, dict(parse_qsl(parts.query)), link_key=LINK_KEY, now=time.time())
    return read(store, grant.key), f"{'attachment' if grant.attachment else 'inline'}; {grant.filename}"


def test_a_link_gives_the_object_as_an_attachment(store: Store) -> None:
    put(store, "t/cat.png", b"picture")
    body, disposition = follow(store, store.url("t/cat.png", expires_in_s=60))
    assert body == b"picture"
    assert disposition.startswith("attachment")
    assert "cat.png" in disposition


def test_a_link_may_show_the_object_in_the_browser(store: Store) -> None:
    put(store, "t/cat.png", b"picture")
    _, disposition = follow(store, store.url("t/cat.png", expires_in_s=60, attachment=False))
    assert disposition.startswith("inline")


def test_a_links_filename_cannot_break_the_header(store: Store) -> None:
    put(store, "t/cat.png", b"picture")
    url = store.url("t/cat.png", expires_in_s=60, filename='../../a"\r\nX-Evil: 1;.png')
    _, disposition = follow(store, url)
    assert "\r" not in disposition and "\n" not in disposition and "/" not in disposition
    assert disposition.startswith("attachment")


def test_a_link_names_when_it_expires(store: Store) -> None:
    query = parse_qs(urlsplit(store.url("t/cat.png", expires_in_s=900)).query)
    if "X-Amz-Expires" in query:
        assert query["X-Amz-Expires"] == ["900"]
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    else:
        assert int(query["expires"][0]) == pytest.approx(time.time() + 900, abs=5)


@pytest.mark.parametrize("expires_in_s", [0, -1, 604_801])
def test_a_link_may_not_live_shorter_than_a_second_or_longer_than_a_week(store: Store, expires_in_s: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        store.url("t/cat.png", expires_in_s=expires_in_s)


@pytest.mark.parametrize("store", [name for name in STORES if name != "s3"], indirect=True)  # moto believes every link
def test_an_expired_or_changed_link_is_refused(store: Store) -> None:
    put(store, "t/cat.png", b"picture")
    put(store, "t/dog.png", b"other")
    url = store.url("t/cat.png", expires_in_s=1)
    assert refused(store, url.replace("t/cat.png", "t/dog.png", 1))
    assert refused(store, url.replace("xpires=", "xpires=9", 1))
    time.sleep(1.1 if url.startswith(LINK_BASE) else 2.1)  # S3 counts in whole seconds
    assert refused(store, url)


def refused(store: Store, url: str) -> bool:
    try:
        follow(store, url)
    except LinkRefused:
        return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 403
    return False


def test_a_link_to_an_absent_object_can_be_made(store: Store) -> None:
    url = store.url("not/there.png", expires_in_s=60)
    with pytest.raises((FileNotFoundError, urllib.error.HTTPError)) as caught:
        follow(store, url)
    if isinstance(caught.value, urllib.error.HTTPError):
        caught.value.close()
