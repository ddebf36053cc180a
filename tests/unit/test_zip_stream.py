"""Archives made without seeking: read back by Python's own reader, small and past the limits of the old format."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from api_stub.zip_stream import ZipStream


def made(*entries: tuple[str, Iterable[bytes], int], pack: bool = False) -> zipfile.ZipFile:
    stream = ZipStream()
    pieces = [piece for name, chunks, size in entries for piece in stream.entry(name, chunks, size_bytes=size, pack=pack)]
    return zipfile.ZipFile(io.BytesIO(b"".join([*pieces, *stream.end()])))


@pytest.mark.parametrize("pack", [False, True])
def test_what_goes_in_comes_out(pack: bool) -> None:
    large = bytes(range(256)) * 2000
    archive = made(("a/ü.png", [large[:1000], large[1000:]], len(large)), ("empty", [], 0), ("漢.txt", [b"x"], 1), pack=pack)
    assert archive.testzip() is None
    assert archive.namelist() == ["a/ü.png", "empty", "漢.txt"]
    assert (archive.read("a/ü.png"), archive.read("empty"), archive.read("漢.txt")) == (large, b"", b"x")
    assert (archive.getinfo("a/ü.png").compress_size < len(large)) == pack
    assert archive.getinfo("empty").external_attr >> 16 == 0o100644


def test_a_file_has_its_moment_in_utc() -> None:
    stream = ZipStream()
    moment = datetime(2026, 11, 22, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    pieces = [*stream.entry("a", [], size_bytes=0, at=moment), *stream.entry("b", [], size_bytes=0), *stream.end()]
    first, second = zipfile.ZipFile(io.BytesIO(b"".join(pieces))).infolist()
    assert first.date_time == (2026, 11, 21, 22, 30, 0)
    assert second.date_time == (1980, 1, 1, 0, 0, 0)
    assert moment.astimezone(UTC).day == 21


def test_small_files_share_a_piece_and_a_large_one_comes_in_many() -> None:
    stream = ZipStream()
    small = [list(stream.entry(str(number), [b"x" * 100], size_bytes=100)) for number in range(100)]
    assert small == [[]] * 100
    pieces = list(stream.entry("large", itertools.repeat(b"y" * 100_000, 50), size_bytes=5_000_000))
    assert max(map(len, pieces)) < 350_000
    assert zipfile.ZipFile(io.BytesIO(b"".join([*pieces, *stream.end()]))).testzip() is None


def breaking(after: int, error: Exception) -> Iterator[bytes]:
    for _ in range(after):
        yield b"half of it " * 20_000
    raise error


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_file_that_breaks_is_left_out_and_the_others_are_whole(after: int) -> None:
    stream = ZipStream()
    pieces = list(stream.entry("before", [b"1"], size_bytes=1))
    with pytest.raises(LookupError):
        for piece in stream.entry("broken", breaking(after, LookupError()), size_bytes=10_000_000):
            pieces.append(piece)  # noqa: PERF402 - what came before the error counts
    pieces += [*stream.entry("after", [b"2"], size_bytes=1), *stream.end()]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == {"before": b"1", "after": b"2"}


def test_a_stream_that_is_given_up_leaves_nothing_to_complain_of() -> None:
    stream = ZipStream()
    pieces = stream.entry("large", itertools.repeat(b"y" * 200_000), size_bytes=1 << 40)
    next(pieces)
    pieces.close()
    del stream, pieces  # warnings are errors: an open entry would speak up here


def test_more_files_than_the_old_format_counts() -> None:
    archive = made(*((str(number), [b"x"], 1) for number in range(66_000)))
    assert len(archive.infolist()) == 66_000
    assert archive.read("65999") == b"x"


def test_sizes_and_places_past_the_old_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four gigabytes are a limit of 1000 bytes here; a reader must still find each field where the format says."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    archive = made(("first", [b"a" * 5000], 5000), ("small", [b"b"], 1), ("last", [b"c" * 2000], 2000))
    assert archive.testzip() is None
    assert [len(archive.read(name)) for name in archive.namelist()] == [5000, 1, 2000]
    assert {info.filename: info.extract_version for info in archive.infolist()} == {"first": 45, "small": 45, "last": 45}


def test_what_is_small_needs_no_new_reader() -> None:
    assert made(("a", [b"x"], 1)).infolist()[0].extract_version == 20
