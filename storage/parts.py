"""Reading a file as parts, and proving at its end that it was the file promised."""

from collections.abc import Iterator
from typing import BinaryIO

from storage.errors import ContentMismatch

MAX_PARTS = 10_000  # S3's limit for one object


def part_sizes(size_bytes: int, part_bytes: int) -> Iterator[int]:
    """The sizes of the parts of a file, all but the last equal: `part_bytes`, or more where that would exceed MAX_PARTS."""
    part_bytes = max(part_bytes, -(-size_bytes // MAX_PARTS))
    for start in range(0, size_bytes, part_bytes):
        yield min(part_bytes, size_bytes - start)


def read_exactly(file: BinaryIO, size: int) -> bytes:
    """`size` bytes of `file`, however small its reads are. Raises ContentMismatch if it ends before."""
    data = file.read(size)
    if len(data) == size:
        return data  # the usual case, without a second copy
    pieces = [data]
    missing = size - len(data)
    while missing and (piece := file.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    if missing:
        raise ContentMismatch("the file is shorter than the size_bytes given; nothing was stored")
    return b"".join(pieces)


def check_end(file: BinaryIO, digest: str, sha256: str) -> None:
    """Raise ContentMismatch unless `file` is at its end and the bytes read have the promised sha256."""
    if file.read(1):
        raise ContentMismatch("the file is longer than the size_bytes given; nothing was stored")
    if digest != sha256:
        raise ContentMismatch("the file does not have the sha256 given; nothing was stored")
