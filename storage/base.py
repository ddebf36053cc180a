"""The four verbs of storage, and the alphabet of keys.

A store keeps immutable objects under keys that we invent; what makes an object *real* is the SQL row that names it, so an
object without a row is rubbish that may be overwritten or deleted at any time.
"""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from storage.errors import InvalidKey

#: The longest life of a signed link, seven days: S3 refuses more, so every store does.
MAX_LINK_S = 604_800

MAX_KEY_CHARS = 800  # S3 allows 1024 bytes; the rest is left to the prefix in the store's URL
MAX_SEGMENT_CHARS = 200  # a file name on disk may have 255

# No segment may begin with a dot: that rules out "." and "..", and keeps the stores' own names (".incoming") unreachable.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class Stat:
    """What the store knows without reading the object. `sha256` (hex) is None where the store keeps none."""

    size_bytes: int
    media_type: str
    sha256: str | None


class Store(Protocol):
    """Objects under keys. Safe to share between threads, and to build before a fork.

    Every verb raises StorageUnavailable (temporary) or StorageRefused (configuration), and InvalidKey for a malformed key.
    """

    def put(self, key: str, file: BinaryIO, *, size_bytes: int, media_type: str, sha256: str) -> None:
        """Store `size_bytes` bytes read from `file`, from where it stands, under `key`. Streams: memory stays bounded.

        Atomic: the object is visible whole or not at all. Idempotent: a key that already holds `sha256` (hex) is success,
        possibly without reading the file; one that holds anything else is overwritten, as no row can point at it yet.
        Raises ContentMismatch, leaving nothing behind, when the bytes are not those promised.
        """
        ...

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object's bytes as a stream, not always seekable. Raises FileNotFoundError on entering."""
        ...

    def url(self, key: str, *, expires_in_s: int, filename: str | None = None, attachment: bool = True) -> str:
        """A signed link to `key`, for anyone who holds it. Costs no request, so the object is not looked for.

        `expires_in_s` is 1 to MAX_LINK_S, else ValueError. `filename` is what a browser saves (default: the key's last
        segment), made safe. `attachment=False` lets a browser show it: only where the link's host serves nothing else.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object; an absent one is fine."""
        ...

    def stat(self, key: str) -> Stat | None:
        """Size and type of the object, None if it is absent."""
        ...

    def check(self) -> None:
        """Prove that the store works: write, read back and delete a small object.

        Raises StorageUnavailable or StorageRefused with a sentence that says what to mend. Called at start and by readiness.
        """
        ...


def check_key(key: str) -> str:
    """`key` itself, if it may name an object. Raises InvalidKey."""
    if len(key) > MAX_KEY_CHARS or not _KEY.fullmatch(key):
        raise InvalidKey(InvalidKey.__doc__)
    if any(len(segment) > MAX_SEGMENT_CHARS for segment in key.split("/")):
        raise InvalidKey(f"a segment of a key has at most {MAX_SEGMENT_CHARS} characters")
    return key


def check_link_life(expires_in_s: int) -> int:
    """`expires_in_s` itself, if a link may live that long. Raises ValueError."""
    if not 1 <= expires_in_s <= MAX_LINK_S:
        raise ValueError(f"expires_in_s is {expires_in_s}: a link lives 1 to {MAX_LINK_S} seconds")
    return expires_in_s
