"""JSON from strangers: one UTF-8 document, no more than it may be.

Python's parser takes NaN, numbers no other parser reads alike, keys given twice, and text no database stores. None of that gets in.
"""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 32
MAX_FIELDS = 10_000
#: The largest whole number that every JSON parser reads exactly.
MAX_INTEGER = 2**53


class JsonRefused(Exception):
    """What is wrong with the document, as a problem would say it."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def parse(data: bytes) -> Any:
    """The document in `data`. Raises JsonRefused.

    Status 400 if it cannot be read (`malformed_json` with the byte, `json_too_deep`), 422 if it can but must not be used
    (`invalid_number`, `invalid_text`, `duplicate_field`, `too_many_fields`).
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise JsonRefused(400, "malformed_json", f"not UTF-8 at byte {error.start}") from None
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise JsonRefused(400, "malformed_json", f"{error.msg} at byte {offset}") from None
    except RecursionError:
        raise _too_deep() from None
    # Only an escape can smuggle in NUL or half a surrogate pair: raw ones fail above.
    _walk(document, check_text="\\u" in text)
    return document


def _walk(document: Any, *, check_text: bool) -> None:
    level, fields = [document], 0
    for depth in range(1, MAX_DEPTH + 2):
        containers = [value for value in level if type(value) is dict or type(value) is list]
        if not containers:
            break
        if depth > MAX_DEPTH:
            raise _too_deep()
        fields += sum(map(len, containers))
        if fields > MAX_FIELDS:
            raise JsonRefused(422, "too_many_fields", f"the document has more than {MAX_FIELDS:,} fields")
        below: list[Any] = []
        for value in containers:
            if type(value) is dict:
                if check_text:
                    below.extend(value)
                below.extend(value.values())
            else:
                below.extend(value)
        level = below
        if check_text:
            for value in level:
                if type(value) is str:
                    _check_text(value)
    if check_text and type(document) is str:
        _check_text(document)


def _check_text(value: str) -> None:
    try:
        storable = "\0" not in value and bool(value.encode() or True)
    except UnicodeEncodeError:
        storable = False
    if not storable:
        raise JsonRefused(422, "invalid_text", "text may not hold NUL or half of a surrogate pair")


def _too_deep() -> JsonRefused:
    return JsonRefused(400, "json_too_deep", f"the document is nested more than {MAX_DEPTH} levels deep")


def _integer(digits: str) -> int:
    # Length first: turning a million digits into a number takes quadratic time.
    if len(digits) <= 17 and abs(value := int(digits)) <= MAX_INTEGER:
        return value
    raise JsonRefused(422, "invalid_number", "a whole number lies beyond 2^53")


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise JsonRefused(422, "invalid_number", "a number is too large for any parser")
    return value


def _constant(name: str) -> Any:
    raise JsonRefused(422, "invalid_number", f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise JsonRefused(422, "duplicate_field", "an object names a field twice")
    return made


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object)
