"""A temporary file for bytes that arrive: hashed and counted while written, capped, gone at exit."""

import hashlib
import os
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from storage.disk import mended_disk_errors
from storage.errors import TooLarge

_PREFIX = "mediamill-spool-"


class Spool:
    """`with Spool(folder, max_bytes=…) as spool:` then `write`, read the facts, and hand `rewound()` to `Store.put`.

    Not for several threads. Entering and writing raise StorageUnavailable when the disk is full and StorageRefused when the
    folder cannot be written. A killed process leaves its file behind: see `sweep`.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._path: Path | None = None
        self._file: BinaryIO

    def __enter__(self) -> Self:
        with mended_disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=self.folder)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "w+b")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self._file.close()
        except OSError:  # the last flush on a full disk; the bytes are unwanted anyway
            pass
        finally:
            self.path.unlink(missing_ok=True)

    @property
    def path(self) -> Path:
        """The file, as long as the spool is open. Call `rewound` first, else the last bytes may not be in it."""
        if self._path is None:
            raise RuntimeError("a spool has a file only inside its with block")
        return self._path

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append `chunk`. Raises TooLarge, writing nothing of it, if the file would pass `max_bytes`."""
        if self.size_bytes + len(chunk) > self.max_bytes:
            raise TooLarge(self.max_bytes)
        with mended_disk_errors(self.folder):
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size_bytes += len(chunk)

    def rewound(self) -> BinaryIO:
        """The file at its first byte, flushed, so that `path` holds everything too. Write no more after this."""
        with mended_disk_errors(self.folder):
            self._file.flush()
        self._file.seek(0)
        return self._file


def sweep(folder: Path, *, older_than_s: float = 86_400) -> int:
    """Remove the spools that killed processes left in `folder`; returns how many. Run it at start."""
    removed = 0
    for path in folder.glob(f"{_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()
                removed += 1
        except FileNotFoundError:  # another process sweeps as well
            continue
    return removed
