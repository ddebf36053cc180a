"""The operating system's errors, as ours: which of them mend themselves, and what to do about the others."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import StorageRefused, StorageUnavailable

_TEMPORARY = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space or raise it",
    errno.EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
    errno.ENFILE: "the machine has too many open files: raise fs.file-max",
    errno.EIO: "the disk reports an input/output error: look at the kernel log",
    errno.ESTALE: "the network file system lost the folder: is it mounted?",
    errno.ENOMEM: "the machine is out of memory",
    errno.ETIMEDOUT: "the network file system does not answer",
}
_PERMANENT = {
    errno.EACCES: "this user may not write there: change its owner or mode",
    errno.EPERM: "this user may not write there: change its owner or mode",
    errno.EROFS: "the file system is read-only: mount it writable",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ENAMETOOLONG: "the path is too long for this file system",
    errno.ENOENT: "the folder does not exist and cannot be made",
    errno.EXDEV: "a subfolder lies on another file system: mount the whole folder on one",
    errno.ELOOP: "a symbolic link points at itself",
}


@contextmanager
def mended_disk_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError from the block into StorageUnavailable or StorageRefused, with what to mend in `folder`.

    An errno outside both tables counts as temporary: waiting costs less than giving a paid output up.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        if number in _PERMANENT:
            raise StorageRefused(f"cannot use the folder {folder}: {_PERMANENT[number]}") from None
        reason = _TEMPORARY.get(number) or f"{error.strerror or type(error).__name__} ({errno.errorcode.get(number, '?')})"
        raise StorageUnavailable(f"cannot use the folder {folder}: {reason}") from None
