"""Bodies with files in them: ``multipart/form-data`` read into the same kind of object as a JSON body.

Text fields are strings, files are `Upload`; a name sent several times becomes a list in the order sent. Names are kept
as they are, also ``image[]``: how lists are spelled is each vendor's own affair, see `listed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

#: Bytes a text field may have: pictures travel in them as base64, which Starlette's own limit of 1 MB would refuse.
LONGEST_TEXT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part. Its text form leaves the content out, so that it can stand in a message."""

    filename: str
    #: As the client declared it; empty when it did not.
    media_type: str
    content: bytes = field(repr=False)


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_form(request: Request) -> dict[str, Any]:
    """The fields of a multipart body. Raises ValueError when it is none."""
    parser = MultiPartParser(request.headers, request.stream(), max_part_size=LONGEST_TEXT)
    try:
        form = await parser.parse()
    except MultiPartException as reason:
        raise ValueError(reason.message) from reason
    body: dict[str, Any] = {}
    for name, sent in form.multi_items():
        value = await _upload(sent) if isinstance(sent, UploadFile) else sent
        if name not in body:
            body[name] = value
        elif isinstance(body[name], list):
            body[name].append(value)
        else:
            body[name] = [body[name], value]
    await form.close()
    return body


async def _upload(sent: UploadFile) -> Upload:
    return Upload(sent.filename or "", sent.content_type or "", await sent.read())


def listed(body: Mapping[str, Any], name: str) -> list[Any]:
    """What was sent as `name` or as ``name[]``, once or several times; empty when neither was."""
    found: list[Any] = []
    for key in (name, f"{name}[]"):
        value = body.get(key)
        if value is not None:
            found += value if isinstance(value, list) else [value]
    return found
