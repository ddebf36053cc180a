"""A ZIP archive as a stream of bytes: nothing seeks, nothing waits on disk, and only the directory at its end is kept in memory
(some 600 bytes a file). Past 4 GiB and 65,535 files it is ZIP64 where it must be, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

#: Bytes that are gathered before they are handed on: a hundred small files are not a hundred small packets.
_BLOCK_BYTES = 128 * 1024
_MODE = 0o100644 << 16
#: The first moment a ZIP can name.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class ZipStream:
    """Entries in the order they are asked for; then `end`, whose bytes make the rest an archive."""

    def __init__(self) -> None:
        self._out = _Outbox()
        # Without a way to seek, the sizes follow the bytes; readers go by the directory, which has them too.
        self._zip = ZipFile(self._out, "w")

    def entry(
        self, name: str, chunks: Iterable[bytes], *, size_bytes: int, at: datetime | None = None, pack: bool = False
    ) -> Generator[bytes]:
        """One file. `size_bytes` is how large it may become, `pack` deflates it (media is packed already).

        If `chunks` raises, the file is left out of the archive's directory, where nobody will find what there is of it, and
        the error passes through. The next entry may follow.
        """
        info = ZipInfo(name, at.astimezone(UTC).timetuple()[:6] if at else _EPOCH)
        info.compress_type = ZIP_DEFLATED if pack else ZIP_STORED
        info.external_attr = _MODE
        info.file_size = size_bytes
        left = iter(chunks)
        # Before the header goes out: what cannot be had at all leaves no trace.
        chunk = next(left, None)
        whole = False
        try:
            with self._zip.open(info, "w") as file:
                while chunk is not None:
                    file.write(chunk)
                    yield from self._out.taken(_BLOCK_BYTES)
                    chunk = next(left, None)
                whole = True
        finally:
            if not whole:
                self._zip.filelist.remove(info)
                del self._zip.NameToInfo[info.filename]
        yield from self._out.taken(_BLOCK_BYTES)

    def end(self) -> Generator[bytes]:
        self._zip.close()
        yield from self._out.taken(0)


class _Outbox:
    """What ZipFile takes for a file: bytes go in, and are taken out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing is kept from anybody."""

    def close(self) -> None:
        """What it holds can still be taken."""

    def taken(self, at_least: int) -> Generator[bytes]:
        """All there is, if that is enough."""
        if len(self._held) > at_least:
            taken, self._held = bytes(self._held), bytearray()
            yield taken
