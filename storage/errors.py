"""Errors of the storage edge.

* StorageError                     text is for the operator: names the place, never a key, token or signed URL
  x StorageUnavailable             temporary: refused, timed out, 5xx, SlowDown, disk full. The same call may work later.
  x StorageRefused                 permanent until somebody mends the configuration: no bucket, access denied, bad URL.
  x ContentMismatch                the file is not the `size_bytes` or `sha256` its caller promised. Nothing was stored.
  x TooLarge                       a spool reached its cap. Download again only with a higher cap.
  x InvalidKey (also ValueError)   a key outside the alphabet of `base.check_key`
  x LinkRefused                    reason: "expired" | "tampered"
  x MediaRefused                   code, message: a file that must not become an artifact
    - MediaBroken                  the same, but the bytes are damaged: fetching them again may help

An absent object is the builtin FileNotFoundError. No exception of botocore, urllib3, Pillow or PyAV leaves this package.
"""

from typing import Literal


class StorageError(Exception):
    """Storage failed."""


class StorageUnavailable(StorageError):
    """Storage cannot be used at the moment; try again later."""


class StorageRefused(StorageError):
    """Storage refuses, and will until its configuration is mended."""


class ContentMismatch(StorageError):
    """The file is not what its size or checksum promised."""


class TooLarge(StorageError):
    """More bytes than allowed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"more than {max_bytes:,} bytes")
        self.max_bytes = max_bytes


class InvalidKey(StorageError, ValueError):
    """A key must be segments of letters, digits, '.', '_' and '-', joined by '/', none beginning with '.' or '-'."""


class LinkRefused(StorageError):
    """The link is not one of ours, or its time is over."""

    def __init__(self, reason: Literal["expired", "tampered"]) -> None:
        super().__init__(f"the link is {reason}")
        self.reason = reason


class MediaRefused(StorageError):
    """The file must not become an artifact.

    `code` is stable and goes to the job's error: output_type_refused, output_type_mismatch, image_too_many_pixels,
    video_too_many_pixels, too_many_frames, too_many_files, inspection_timed_out; from MediaBroken: output_empty,
    output_truncated, output_unreadable. `message` is for people and never quotes the file.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class MediaBroken(MediaRefused):
    """The bytes are damaged or incomplete."""
