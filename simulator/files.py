"""Outputs, served at ``/files/{name}`` on the simulator's own host, without a key.

A published file is a hard link to its rendering: a hundred jobs with one prompt take the room of one. Names and files
stay over a restart; what was ordered to go wrong with them, and signatures, do not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.faults import Fault
from simulator.media.orders import MEDIA_TYPES
from simulator.media.studio import Rendering


@dataclass(slots=True)
class PublishedFile:
    name: str
    path: Path
    media_type: str
    sha256: str
    size_bytes: int
    #: Query the link carries; a request with any other gets AccessDenied, as from signed object storage.
    query: str = ""
    faults: list[Fault] = field(default_factory=list)
    #: How often it was asked for.
    gets: int = 0

    @property
    def url_path(self) -> str:
        return f"/files/{self.name}{'?' if self.query else ''}{self.query}"

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "url": self.url_path, "sha256": self.sha256, "bytes": self.size_bytes}


class FileStore:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._files = {path.name: _found(path) for path in sorted(directory.iterdir())}

    def publish(self, name: str, rendering: Rendering, query: str = "", faults: Sequence[Fault] = ()) -> PublishedFile:
        path = self._directory / name
        path.unlink(missing_ok=True)
        os.link(rendering.path, path)
        file = PublishedFile(name, path, rendering.media_type, rendering.sha256, rendering.size_bytes, query, list(faults))
        self._files[name] = file
        return file

    def get(self, name: str) -> PublishedFile | None:
        return self._files.get(name)

    def as_json(self) -> list[dict[str, Any]]:
        return [file.as_json() for file in self._files.values()]

    def clear(self) -> None:
        for file in self._files.values():
            file.path.unlink(missing_ok=True)
        self._files.clear()


def _found(path: Path) -> PublishedFile:
    """A file of an earlier run."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    media_type = MEDIA_TYPES.get(path.suffix[1:], "application/octet-stream")
    return PublishedFile(path.name, path, media_type, sha256, path.stat().st_size)
