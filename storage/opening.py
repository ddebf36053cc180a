"""From the one setting that says where outputs are kept, to a Store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.base import Store
from storage.errors import StorageRefused
from storage.folder import FolderStore
from storage.links import MIN_LINK_KEY_BYTES


def open_store(url: str, *, link_base: str, link_key: bytes) -> Store:
    """The store at `url`. Touches neither network nor disk: call `check` to prove that it works.

    * s3://bucket/prefix?options     see s3_place.OPTIONS; links are S3's own
    * file:///absolute/folder        links are `{link_base}/v1/media/…`, signed with `link_key` (16 bytes or more)
    * file:folder, file://./folder   the same, relative to the working directory at this moment

    Raises StorageRefused if `url` is none of them.
    """
    scheme = urlsplit(url).scheme
    if scheme == "s3":
        # Imported here, as boto3 costs some 30 MB and 200 ms that a folder's user need not pay.
        from storage.s3 import S3Store

        return S3Store(url)
    if scheme != "file":
        raise StorageRefused("the storage URL must begin with s3:// or file:")
    if len(link_key) < MIN_LINK_KEY_BYTES:
        raise StorageRefused(f"links of a folder need a secret of at least {MIN_LINK_KEY_BYTES} bytes")
    return FolderStore(_folder(url), link_base=link_base, link_key=link_key)


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise StorageRefused("a file: URL has no options: write %3F for a ? and %23 for a # in the path")
    if parts.netloc not in ("", ".", "localhost"):
        raise StorageRefused("a file: URL is file:///absolute/folder or file:relative/folder; it cannot name a host")
    path = unquote("." + parts.path if parts.netloc == "." else parts.path)
    if not path or "\0" in path:
        raise StorageRefused("the file: URL names no folder")
    return Path(path).absolute()
