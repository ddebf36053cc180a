"""The folder store beyond the contract: what lies on the disk, and what it says when it cannot."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stores import LINK_BASE, LINK_KEY, put, read

from storage import StorageRefused, StorageUnavailable
from storage.disk import mended_disk_errors
from storage.folder import FolderStore


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return folder(tmp_path / "media")


def folder(root: Path) -> FolderStore:
    return FolderStore(root, link_base=LINK_BASE, link_key=LINK_KEY)


def files(store: FolderStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def test_an_object_is_one_file_and_nothing_beside_it(store: FolderStore) -> None:
    put(store, "t/job/0.png", b"1")
    assert files(store) == ["t/job/0.png"]


def test_a_put_of_what_is_there_does_not_touch_the_file(store: FolderStore) -> None:
    put(store, "a.png", b"1")
    before = (store.root / "a.png").stat()
    put(store, "a.png", b"1")
    after = (store.root / "a.png").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_reader_of_a_replaced_object_keeps_the_bytes_it_opened(store: FolderStore) -> None:
    put(store, "a.png", b"before")
    with store.open("a.png") as file:
        put(store, "a.png", b"after!")
        assert file.read() == b"before"


def test_a_delete_removes_the_folders_it_empties_and_no_others(store: FolderStore) -> None:
    put(store, "t/one/0.png", b"1")
    put(store, "t/two/0.png", b"1")
    store.delete("t/one/0.png")
    assert sorted(path.name for path in (store.root / "t").iterdir()) == ["two"]
    store.delete("t/two/0.png")
    assert not (store.root / "t").exists()
    assert store.root.is_dir()


def test_puts_and_deletes_in_one_folder_do_not_disturb_each_other(store: FolderStore) -> None:
    def come_and_go(number: int) -> None:
        for _ in range(30):
            put(store, f"t/job/{number}.png", b"1")
            store.delete(f"t/job/{number}.png")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))


def test_a_folder_is_no_object(store: FolderStore) -> None:
    put(store, "t/job/0.png", b"1")
    assert store.stat("t/job") is None
    with pytest.raises(FileNotFoundError), store.open("t/job"):
        pass


def test_check_removes_what_killed_processes_left(store: FolderStore) -> None:
    store.check()
    old, new = store.root / ".incoming/old", store.root / ".incoming/new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (0, time.time() - 90_000))
    store.check()
    assert files(store) == [".incoming/new"]


def test_a_folder_below_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = folder(tmp_path / "file/media")
    for attempt in (store.check, lambda: put(store, "a.png", b"1")):
        with pytest.raises(StorageRefused, match="a file stands where a folder is needed"):
            attempt()


def test_a_folder_that_cannot_be_made_says_so() -> None:
    with pytest.raises(StorageRefused, match="cannot use the folder /proc/media: "):
        folder(Path("/proc/media")).check()


def test_a_full_disk_is_temporary_and_says_so() -> None:
    # Each write to /dev/full fails as on a full disk.
    with pytest.raises(StorageUnavailable, match="the disk is full"), mended_disk_errors(Path("/dev")):
        Path("/dev/full").write_bytes(b"1")


def test_an_object_survives_its_store(store: FolderStore) -> None:
    put(store, "a.png", b"1")
    assert read(folder(store.root), "a.png") == b"1"
