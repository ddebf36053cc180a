"""Where outputs are kept: four verbs over S3 or a folder, and the facts and previews of media files.

`open_store(url)` gives a Store (see base). `media.inspect` says what a downloaded file is, or refuses it;
`preview.make_preview` makes its thumbnail; `spool.Spool` holds it meanwhile. Imports none of our other packages.
"""

from storage.base import MAX_LINK_S, Stat, Store, check_key
from storage.errors import (
    ContentMismatch,
    InvalidKey,
    LinkRefused,
    MediaBroken,
    MediaRefused,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    TooLarge,
)
from storage.opening import open_store

__all__ = [
    "MAX_LINK_S",
    "ContentMismatch",
    "InvalidKey",
    "LinkRefused",
    "MediaBroken",
    "MediaRefused",
    "Stat",
    "StorageError",
    "StorageRefused",
    "StorageUnavailable",
    "Store",
    "TooLarge",
    "check_key",
    "open_store",
]
