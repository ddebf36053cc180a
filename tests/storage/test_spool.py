"""Spools: counted, hashed, capped, and gone afterwards."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from storage import StorageRefused, TooLarge
from storage.spool import Spool, sweep


def test_what_was_written_is_counted_hashed_and_read_back(tmp_path: Path) -> None:
    with Spool(tmp_path, max_bytes=100) as spool:
        spool.write(b"hello ")
        spool.write(memoryview(b"world"))
        assert (spool.size_bytes, spool.sha256) == (11, hashlib.sha256(b"hello world").hexdigest())
        assert spool.rewound().read() == b"hello world"
        assert spool.path.read_bytes() == b"hello world"


def test_a_spool_takes_its_cap_and_not_a_byte_more(tmp_path: Path) -> None:
    with Spool(tmp_path, max_bytes=10) as spool:
        spool.write(b"x" * 10)
        with pytest.raises(TooLarge, match="more than 10 bytes") as caught:
            spool.write(b"x")
        assert caught.value.max_bytes == 10
        assert spool.rewound().read() == b"x" * 10


@pytest.mark.parametrize("fails", [False, True])
def test_the_file_is_gone_afterwards(tmp_path: Path, fails: bool) -> None:
    try:
        with Spool(tmp_path, max_bytes=10) as spool:
            spool.write(b"x")
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made(tmp_path: Path) -> None:
    with Spool(tmp_path / "a/b", max_bytes=10) as spool:
        assert spool.path.parent == tmp_path / "a/b"


def test_only_this_user_may_read_a_spool(tmp_path: Path) -> None:
    with Spool(tmp_path, max_bytes=10) as spool:
        assert spool.path.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageRefused, match="a file stands where a folder is needed"), Spool(tmp_path / "file", max_bytes=1):
        pass


def test_a_spool_has_no_file_before_it_is_entered(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="with block"):
        _ = Spool(tmp_path, max_bytes=1).path


def test_sweep_removes_old_spools_and_nothing_else(tmp_path: Path) -> None:
    for name in ("mediamill-spool-old", "mediamill-spool-new", "somebody-elses"):
        (tmp_path / name).write_text("x")
    for name in ("mediamill-spool-old", "somebody-elses"):
        os.utime(tmp_path / name, (0, time.time() - 90_000))
    assert sweep(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mediamill-spool-new", "somebody-elses"]
