"""A store in a folder: for one machine, development and tests. The API serves its links (see `links`).

An object is one plain file at `root/key`, with nothing beside it: its type is told by the key's extension, and its sha256 is
not kept but computed again in the one place that needs it. New files are written to `root/.incoming`, synced and renamed.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from storage import links
from storage.base import Stat, check_key, check_link_life
from storage.disk import mended_disk_errors
from storage.errors import ContentMismatch, StorageUnavailable
from storage.names import media_type_of

_CHUNK_BYTES = 1024 * 1024
_PUBLISH_TRIES = 100
_LEFTOVER_S = 86_400  # no put lasts a day: an older file in .incoming belongs to a killed process


class FolderStore:
    """The Store over `root`, an absolute path; made on first use. Links are signed with `link_key`."""

    def __init__(self, root: Path, *, link_base: str, link_key: bytes) -> None:
        self.root = root
        self._incoming = root / ".incoming"
        self._link_base = link_base
        self._link_key = link_key

    def put(self, key: str, file: BinaryIO, *, size_bytes: int, media_type: str, sha256: str) -> None:
        """See Store.put. Durable on return: file and folder are synced. `media_type` is told by the key when read."""
        path = self._path(key)
        with mended_disk_errors(self.root):
            if _holds(path, size_bytes, sha256):
                return
            self._incoming.mkdir(parents=True, exist_ok=True)
            temporary = self._incoming / secrets.token_hex(16)
            try:
                _copy(file, temporary, size_bytes, sha256)
                self._publish(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See Store.open. The stream is a real file: it seeks, and has a `fileno`."""
        path = self._path(key)
        with mended_disk_errors(self.root):
            try:
                file = path.open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                file = None
        if file is None:
            raise FileNotFoundError(key)
        with file:
            yield file

    def url(self, key: str, *, expires_in_s: int, filename: str | None = None, attachment: bool = True) -> str:
        """See Store.url. The API behind `link_base` answers it, by `links.verify`."""
        expires_at = int(time.time()) + check_link_life(expires_in_s)
        return links.sign(
            self._link_base,
            key,
            link_key=self._link_key,
            expires_at=expires_at,
            filename=filename,
            attachment=attachment,
        )

    def verify(self, key: str, query: Mapping[str, str]) -> links.Grant:
        """What a link of `url` allows, by its path's key and its query. Raises LinkRefused."""
        return links.verify(key, query, link_key=self._link_key, now=time.time())

    def delete(self, key: str) -> None:
        """See Store.delete. Folders that become empty go too, else a million jobs leave a million of them."""
        path = self._path(key)
        with mended_disk_errors(self.root):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            with suppress(OSError):  # not empty, or already gone
                for folder in path.parents:
                    if folder == self.root:
                        break
                    folder.rmdir()

    def stat(self, key: str) -> Stat | None:
        """See Store.stat. `sha256` is None: knowing it would mean reading the file."""
        path = self._path(key)
        with mended_disk_errors(self.root):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return Stat(found.st_size, media_type_of(key), None) if path.is_file() else None

    def check(self) -> None:
        """See Store.check. Also removes what killed processes left in `.incoming`."""
        probe = secrets.token_bytes(32)
        with mended_disk_errors(self.root):
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._sweep()
            path = self._incoming / f"check-{secrets.token_hex(8)}"
            try:
                path.write_bytes(probe)
                read_back = path.read_bytes()
            finally:
                path.unlink(missing_ok=True)
        if read_back != probe:
            raise StorageUnavailable(f"the folder {self.root} gives back other bytes than were written: check the disk")

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _publish(self, temporary: Path, path: Path) -> None:
        for attempt in range(_PUBLISH_TRIES):
            made = [folder for folder in path.parents if not folder.exists()]
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(path)
                break
            except (FileNotFoundError, FileExistsError):  # a delete removed the folder between two of these lines
                if attempt == _PUBLISH_TRIES - 1:
                    raise
        # A rename survives a power cut only once the folder that holds the new name is synced.
        for folder in {path.parent, *(folder.parent for folder in made)}:
            _sync_folder(folder)

    def _sweep(self) -> None:
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > _LEFTOVER_S:
                    path.unlink()


def _copy(source: BinaryIO, target: Path, size_bytes: int, sha256: str) -> None:
    digest, copied = hashlib.sha256(), 0
    with target.open("xb") as out:
        while chunk := source.read(_CHUNK_BYTES):
            copied += len(chunk)
            if copied > size_bytes:
                break
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if copied != size_bytes or digest.hexdigest() != sha256:
        raise ContentMismatch("the file is not the one whose size_bytes and sha256 were given; nothing was stored")


def _holds(path: Path, size_bytes: int, sha256: str) -> bool:
    try:
        if path.stat().st_size != size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # deleted meanwhile, or a network file system that does not sync folders
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
