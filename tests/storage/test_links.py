"""Signed links: nothing of one can be changed, and its time ends."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from stores import LINK_KEY

from storage import InvalidKey, LinkRefused, links
from storage.names import content_disposition, media_type_of, safe_filename

KEY = "tenant/job_1/0.png"


def signed(**changes: object) -> tuple[str, dict[str, str]]:
    """Key and query of a link, as the API receives them."""
    options = {"link_key": LINK_KEY, "expires_at": 1000, "filename": "cat & dog.png", **changes}
    parts = urlsplit(links.sign("https://mill.example/", KEY, **options))  # type: ignore[arg-type]
    assert (parts.scheme, parts.netloc) == ("https", "mill.example")
    return unquote(parts.path).removeprefix("/v1/media/"), dict(parse_qsl(parts.query))


def test_a_link_grants_what_it_was_signed_for() -> None:
    key, query = signed()
    assert links.verify(key, query, link_key=LINK_KEY, now=999) == links.Grant(KEY, "cat & dog.png", True, 1000)


def test_a_link_for_the_browser_grants_showing() -> None:
    key, query = signed(attachment=False)
    assert not links.verify(key, query, link_key=LINK_KEY, now=999).attachment


def test_the_filename_defaults_to_the_keys_last_segment() -> None:
    assert signed(filename=None)[1]["filename"] == "0.png"


def test_a_link_ends_at_its_second() -> None:
    key, query = signed()
    with pytest.raises(LinkRefused) as caught:
        links.verify(key, query, link_key=LINK_KEY, now=1000)
    assert caught.value.reason == "expired"


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "2000"},
        {"expires": ""},
        {"expires": "1000 "},
        {"filename": "virus.exe"},
        {"inline": "1"},
        {"signature": ""},
        {"signature": "A" * 43},
        {"signature": "ü\ud800"},
    ],
)
def test_a_changed_parameter_is_refused(change: dict[str, str]) -> None:
    key, query = signed()
    with pytest.raises(LinkRefused) as caught:
        links.verify(key, {**query, **change}, link_key=LINK_KEY, now=1)
    assert caught.value.reason == "tampered"


@pytest.mark.parametrize("missing", ["expires", "filename", "signature"])
def test_a_missing_parameter_is_refused(missing: str) -> None:
    key, query = signed()
    del query[missing]
    with pytest.raises(LinkRefused, match="tampered"):
        links.verify(key, query, link_key=LINK_KEY, now=1)


@pytest.mark.parametrize("key", ["tenant/job_1/1.png", "other/job_1/0.png", "tenant/job_1/0.png/", "../etc/passwd", ""])
def test_a_link_is_bound_to_its_key(key: str) -> None:
    with pytest.raises(LinkRefused, match="tampered"):
        links.verify(key, signed()[1], link_key=LINK_KEY, now=1)


def test_a_link_of_another_secret_is_refused() -> None:
    key, query = signed(link_key=b"another secret of ours")
    with pytest.raises(LinkRefused, match="tampered"):
        links.verify(key, query, link_key=LINK_KEY, now=1)


def test_a_malformed_key_is_not_signed() -> None:
    with pytest.raises(InvalidKey):
        links.sign("https://mill.example", "../x", link_key=LINK_KEY, expires_at=1)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("cat.png", "cat.png"),
        ("Grüße 1.png", "Grüße 1.png"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\boot.ini", "C_boot.ini"),
        ('a"b\r\nc.png', "a_b_c.png"),
        ("con.png", "_con.png"),
        (".htaccess", "htaccess"),
        ("", "file"),
        ("...", "file"),
        ("evil\u202egnp.exe", "evil_gnp.exe"),
        ("x" * 300 + ".png", "x" * 116 + ".png"),
    ],
)
def test_a_filename_becomes_harmless(given: str, safe: str) -> None:
    assert safe_filename(given) == safe


def test_a_disposition_is_ascii_and_keeps_the_real_name() -> None:
    assert content_disposition("Grüße.png", attachment=True) == (
        "attachment; filename=\"Gr__e.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.png"
    )


@pytest.mark.parametrize(
    ("key", "media_type"),
    [
        ("a/b.PNG", "image/png"),
        ("a.b/c", "application/octet-stream"),
        ("c", "application/octet-stream"),
        ("x.html", "application/octet-stream"),
    ],
)
def test_a_type_is_told_by_our_own_table_and_never_html(key: str, media_type: str) -> None:
    assert media_type_of(key) == media_type
