"""Taking a batch apart without taking it into memory: where each job's JSON begins and ends, line by line or item by item.

Nothing here trusts what it finds: each piece is parsed strictly by whoever gets it, and so is what is left of a JSON body when
its jobs are cut out.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from api_stub.body import invalid_body
from api_stub.problems import ApiProblem
from api_stub.strict_json import JsonRefused, parse

_BLANK = b" \t\r\n"
#: Blank lines cost little, not nothing.
_LINES_PER_JOB = 4

# A string with all its escapes (the group is empty if it never ends), or a bracket, brace or comma. Possessive, so that a
# string without an end costs one walk and no memory.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[\[\]{},]', re.DOTALL)


#: White space that may stand around an item and is not counted as its own.
_AROUND_BYTES = 4096
#: Enough of a key to tell whether it says "jobs", however it is escaped.
_KEY_BYTES = 32


class Limits(NamedTuple):
    jobs: int
    line_bytes: int
    envelope_bytes: int


class Piece(NamedTuple):
    """One job's JSON: on which line, or as which item, from 1; the earlier job that it asks for again, and whether that one
    might share what an equal one makes.
    """

    line: int
    data: bytes
    retry_of: str | None = None
    shares: bool = False


class Cut(NamedTuple):
    """A JSON body with its jobs cut out: the rest of the document, and where the jobs stand."""

    envelope: Any
    spans: list[tuple[int, int]]


class LineGuard:
    """Watches lines go by while they arrive, so that a body that must be refused is refused at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines = 0
        self._jobs = 0
        self._line_bytes = 0
        self._blank = True

    def __call__(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._grow(part)
            self._lines += 1
            self._line_bytes, self._blank = 0, True
            if self._lines > self._limits.jobs * _LINES_PER_JOB:
                raise too_many_jobs(self._limits)
        self._grow(rest)

    def _grow(self, part: bytes) -> None:
        self._line_bytes += len(part)
        if self._line_bytes > self._limits.line_bytes + 1:  # a carriage return does not count
            raise _too_long(self._lines + 1, self._limits)
        if self._blank and part.strip(_BLANK):
            self._blank = False
            self._jobs += 1
            if self._jobs > self._limits.jobs:
                raise too_many_jobs(self._limits)


def lines(file: BinaryIO, limits: Limits) -> Iterator[Piece]:
    """The lines of an NDJSON body that LineGuard has let pass, blank ones left out."""
    for number, line in enumerate(file, start=1):
        if data := line.strip(_BLANK):
            if len(data) > limits.line_bytes:
                raise _too_long(number, limits)
            yield Piece(number, data)


def items(body: mmap.mmap, cut: Cut, limits: Limits) -> Iterator[Piece]:
    """The items of the `jobs` of a JSON body."""
    for number, (start, end) in enumerate(cut.spans, start=1):
        data = body[start:end].strip(_BLANK)
        if len(data) > limits.line_bytes:
            raise _too_long(number, limits)
        yield Piece(number, data)


def cut_jobs(body: mmap.mmap, limits: Limits) -> Cut:
    """Find the items of `{"jobs": [ … ], … }`, and parse what stands around them."""
    first = re.search(rb"[^ \t\r\n]", body)
    if first is None or first.group() != b"{":
        raise invalid_body("must be a JSON object")
    array, spans = _find_array(body, limits)
    start, end = array or (0, 0)
    if len(body) - (end - start) > limits.envelope_bytes:
        raise _envelope_too_large(limits)
    rest = body[:start] + b"[]" + body[end:] if array else body[:]
    return Cut(parse(rest), spans)


def _find_array(body: mmap.mmap, limits: Limits) -> tuple[tuple[int, int] | None, list[tuple[int, int]]]:
    """Where the array of jobs lies, brackets included, and where its items lie."""
    depth, key_comes, key = 0, False, b""
    array_start, item_start = -1, -1
    spans: list[tuple[int, int]] = []
    found: tuple[int, int] | None = None
    for token in _TOKEN.finditer(body):
        # Told at once, so that a body of nothing but brackets keeps nobody busy.
        if item_start >= 0 and token.end() - item_start > limits.line_bytes + _AROUND_BYTES:
            raise _too_long(len(spans) + 1, limits)
        if item_start < 0 and token.end() - (found[1] - found[0] if found else 0) > limits.envelope_bytes:
            raise _envelope_too_large(limits)
        first = body[token.start() : token.start() + 1]
        if first == b'"':
            if not token.group(1) or token.end() - token.start() < 2:
                raise JsonRefused(400, "malformed_json", f"a string without an end at byte {token.start()}")
            if depth == 1 and key_comes:
                key, key_comes = body[token.start() : min(token.end(), token.start() + _KEY_BYTES)], False
        elif first in b"{[":
            depth += 1
            key_comes = depth == 1
            if depth == 2 and first == b"[" and found is None and _is_jobs(key):
                array_start = item_start = token.start()
                item_start += 1
        elif first == b",":
            key_comes = depth == 1
            if depth == 2 and item_start >= 0:
                spans.append((item_start, token.start()))
                item_start = token.end()
                if len(spans) >= limits.jobs:
                    raise too_many_jobs(limits)
        else:
            if depth == 2 and item_start >= 0:
                if spans or body[item_start : token.start()].strip(_BLANK):
                    spans.append((item_start, token.start()))
                found, item_start = (array_start, token.end()), -1
            depth -= 1
    if item_start >= 0:
        raise JsonRefused(400, "malformed_json", f"the array of jobs has no end at byte {len(body)}")
    return found, spans


def _is_jobs(key: bytes) -> bool:
    try:
        return bool(json.loads(key) == "jobs")
    except ValueError:
        return False


def too_many_jobs(limits: Limits) -> ApiProblem:
    return ApiProblem(
        413,
        "batch_too_large",
        f"a batch may have {limits.jobs:,} jobs; send the rest as another one",
        headers={"Connection": "close"},
    )


def _envelope_too_large(limits: Limits) -> ApiProblem:
    return ApiProblem(413, "body_too_large", f"what stands beside the jobs may have {limits.envelope_bytes:,} bytes")


def _too_long(line: int, limits: Limits) -> ApiProblem:
    msg = f"line {line} has more than {limits.line_bytes:,} bytes; large media is uploaded first (POST /v1/files)"
    errors = [{"line": line, "loc": "body", "code": "line_too_long", "msg": f"may have {limits.line_bytes:,} bytes"}]
    return ApiProblem(413, "line_too_long", msg, errors=errors, headers={"Connection": "close"})
