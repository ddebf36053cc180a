"""What tests of the stores share besides fixtures: which stores there are, how links are signed, and how to put and read."""

import hashlib
import io
import os

from storage import Store

LINK_BASE = "https://mill.example"
LINK_KEY = b"0123456789abcdef0123456789abcdef"
STORES = ["folder", "s3", *(["real-s3"] if "MEDIAMILL_TEST_S3_URL" in os.environ else [])]


def put(store: Store, key: str, data: bytes, media_type: str = "image/png") -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    store.put(key, io.BytesIO(data), size_bytes=len(data), media_type=media_type, sha256=sha256)


def read(store: Store, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()
