"""The boxes of MP4, QuickTime and AVIF files (ISO/IEC 14496-12): name, start, end."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from storage.deadline import Deadline
from storage.errors import MediaBroken


@dataclass(frozen=True, slots=True)
class Box:
    """One box; its content stands from `start` to `end`, header not counted."""

    name: str
    start: int
    end: int


def boxes(data: mmap.mmap, deadline: Deadline) -> Iterator[Box]:
    """The boxes at the top of the file, in order. Raises MediaBroken (output_truncated) for one that the file cuts off.

    Bytes after the last box that cannot be one are ignored, as players do: some writers pad.
    """
    position = 0
    while position + 8 <= len(data):
        deadline.check()
        length, name = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        start = position + 8
        if length == 1:
            length = int.from_bytes(data[start : start + 8])
            start += 8
        elif length == 0:  # to the end of the file
            length = len(data) - position
        if not name.isascii() or not name.decode("ascii").isprintable() or length < start - position:
            return
        if position + length > len(data):
            raise MediaBroken("output_truncated", "the file ends inside its media data")
        position += length
        yield Box(name.decode("ascii"), start, position)
