"""Storage URLs: what they may say, and how a wrong one is answered."""

import re
from pathlib import Path

import pytest
from stores import LINK_BASE, LINK_KEY

from storage import StorageRefused, open_store
from storage.folder import FolderStore
from storage.s3 import S3Store
from storage.s3_place import S3Place


def test_every_option_is_read() -> None:
    url = "s3://my.bucket/a/b/?endpoint_url=http://s3:9000/&public_endpoint_url=https://s3.example&region=eu-1&create=true"
    assert S3Place.parse(url + "&addressing_style=virtual") == S3Place(
        bucket="my.bucket",
        prefix="a/b/",
        endpoint_url="http://s3:9000",
        public_endpoint_url="https://s3.example",
        region="eu-1",
        addressing_style="virtual",
        create=True,
    )


@pytest.mark.parametrize(("url", "style"), [("s3://bucket", "auto"), ("s3://bucket?endpoint_url=http://s3:9000", "path")])
def test_other_stores_than_aws_are_addressed_by_path(url: str, style: str) -> None:
    assert S3Place.parse(url).addressing_style == style


def test_an_unknown_option_is_named_with_those_allowed() -> None:
    with pytest.raises(StorageRefused) as caught:
        S3Place.parse("s3://bucket?endpoint=http://s3:9000")
    assert str(caught.value) == (
        "an s3:// URL has no option 'endpoint'; allowed are endpoint_url, public_endpoint_url, region, addressing_style, create"
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://AKIAKEY:hunter2@bucket", "holds no credentials"),
        ("s3://bucket?endpoint_url=http://AKIAKEY:hunter2@s3:9000", "option endpoint_url"),
        ("s3://bucket?endpoint_url=s3:9000", "option endpoint_url"),
        ("s3://bucket?endpoint_url=http://s3:port", "option endpoint_url"),
        ("s3://bucket?public_endpoint_url=//s3", "option public_endpoint_url"),
        ("s3://bucket?addressing_style=dns", "auto, path or virtual"),
        ("s3://bucket?create=yes", "option create"),
        ("s3://bucket?region=eu/1", "option region"),
        ("s3://bucket?region=a&region=b", "twice"),
        ("s3://bucket:9000/x", "goes into endpoint_url"),
        ("s3:///x", "s3://bucket/prefix"),
        ("s3://bucket#x", "#fragment"),
        ("s3://bucket/a/../b", "prefix"),
        ("file://host/data", "cannot name a host"),
        ("file:", "names no folder"),
        ("file:///data?create=true", "no options"),
        ("gs://bucket", "must begin with s3:// or file:"),
        ("/data/media", "must begin with s3:// or file:"),
    ],
)
def test_a_wrong_url_says_what_is_wrong_and_shows_no_secret(url: str, says: str) -> None:
    with pytest.raises(StorageRefused, match=re.escape(says)) as caught:
        open_store(url, link_base=LINK_BASE, link_key=LINK_KEY)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("file:///data/media", "/data/media"),
        ("file:/data/media", "/data/media"),
        ("file://localhost/data/media", "/data/media"),
        ("file:///data/with%20space", "/data/with space"),
        ("file:media", "{here}/media"),
        ("file:./var/media", "{here}/var/media"),
        ("file://./media", "{here}/media"),
    ],
)
def test_a_folder_is_absolute_or_relative_to_the_working_directory(
    url: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(url, link_base=LINK_BASE, link_key=LINK_KEY)
    assert isinstance(store, FolderStore)
    assert store.root == Path(root.format(here=tmp_path))


def test_a_folder_needs_a_secret_for_its_links_and_s3_none() -> None:
    with pytest.raises(StorageRefused, match="at least 16 bytes"):
        open_store("file:media", link_base=LINK_BASE, link_key=b"short")
    assert isinstance(open_store("s3://bucket", link_base=LINK_BASE, link_key=b""), S3Store)
