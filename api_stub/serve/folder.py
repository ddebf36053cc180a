"""What `serve` keeps in the data folder: a lock, the secrets nobody configured, and where the API answers.

lock            held as long as a `serve` runs on the folder
secrets.json    made once: the first API key, Flower's password (0600)
client.json     while a `serve` runs: address and key for the commands that talk to it (0600)
logs/           one file a part, of the last start
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class FolderInUse(Exception):
    """Another `mediamill serve` runs on this folder."""


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Make the folder and hold it. Raises FolderInUse. The kernel lets go of it when we end, however we end."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = (data / "lock").open("a+")
    except OSError as reason:
        raise FolderInUse(f"cannot use {data} as data folder: {reason.strerror}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip()
            raise FolderInUse(
                f"another `mediamill serve`{f' (process {owner})' if owner else ''} runs on {data}: "
                "stop it, or choose another folder with --data"
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def own_secrets(data: Path) -> dict[str, str]:
    """`bootstrap_key` and `flower_password`, made at the first call. Needs the lock."""
    # Here, because every client command reads this module, and SQL is half a second of imports.
    from jobs.queries.keys import make_key

    path = data / "secrets.json"
    known = _read(path)
    made = {"bootstrap_key": make_key, "flower_password": _password}
    complete = {name: str(known.get(name) or make()) for name, make in made.items()}
    if complete != known:
        write_private(path, complete)
    return complete


def write_address(data: Path, *, url: str, public_url: str, key: str) -> Path:
    path = data / "client.json"
    write_private(path, {"url": url, "public_url": public_url, "key": key})
    return path


def read_address(data: Path) -> dict[str, str]:
    """What a running `serve` wrote; empty when none runs."""
    return {name: value for name, value in _read(data / "client.json").items() if isinstance(value, str)}


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step; nobody else may read it, not even for a moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(path)


def _password() -> str:
    return secrets.token_urlsafe(12)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
