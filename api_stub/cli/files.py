"""Outputs of jobs as files with names that people recognise."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from api_stub.cli.shell import misuse
from api_stub.client import Client, ClientError, Json
from storage.names import TYPES, safe_filename, short_filename

_AT_ONCE = 4
#: A file on disk may have a name of 255 bytes; numbers, extension and `.part` need their share.
_STEM_BYTES = 160
_EXTENSIONS = {media_type: extension for extension, media_type in reversed(TYPES.items())}


class Unsaved(ClientError):
    """An output cannot be written here."""


def check_folder(out: Path) -> None:
    """Find fault with a folder for files, which need not be there yet, before anything is paid that belongs into it."""
    for path in (out, *out.parents):
        try:
            path.lstat()
        except FileNotFoundError:
            continue
        except OSError as reason:
            misuse(f"cannot write into {out}: {reason.strerror}")
        if not path.is_dir():
            misuse(f"cannot write into {out}: {path} is no folder")
        if not os.access(path, os.W_OK | os.X_OK):
            misuse(f"cannot write into {out}: {path} may not be changed")
        return


def stem_of(job: Json) -> str:
    """`kling.text_to_video-7d9e01aa`: what it is, and enough of the id to find the job again."""
    return f"{job['operation']}-{str(job['id'])[-8:]}"


def stem_in_batch(job: Json, line: int, of: int) -> str:
    """`03-cover`: the line in the batch, and the submitter's own name for it or the operation."""
    return f"{line:0{max(2, len(str(of)))}d}-{job.get('custom_id') or job['operation']}"


def names_of(job: Json, stem: str) -> list[tuple[Json, str]]:
    """Each artifact of the job with its file name: `stem.mp4`, or `stem-1.mp3`, `stem-2.mp3` when there are several."""
    artifacts: list[Json] = job.get("artifacts") or []
    names = []
    for place, artifact in enumerate(artifacts, start=1):
        extension = _EXTENSIONS.get(artifact["media_type"]) or _EXTENSIONS.get(artifact["media_type"].partition(";")[0], "bin")
        number = f"-{place}" if len(artifacts) > 1 else ""
        # The stem is cut by itself: the number, which keeps the names apart, must stay.
        safe = safe_filename(f"{stem}.{extension}").removesuffix(f".{extension}")
        names.append((artifact, f"{short_filename(safe, _STEM_BYTES)}{number}.{extension}"))
    return names


def save(
    client: Client, job: Json, stem: str, out: Path, moved: Callable[[int], None] = lambda _: None, *, overwrite: bool = False
) -> list[Path]:
    """Download every output of the job into `out`. A file that is there already, byte for byte, is left alone;
    another one of that name too, unless `overwrite`: the new one gets a number. Raises Unsaved and what `download` does.
    """

    def one(named: tuple[Json, str]) -> Path:
        artifact, name = named
        for path in _candidates(out / name):
            if path.exists():
                if _digest(path) == artifact["sha256"]:
                    moved(artifact["bytes"])
                    return path
                if not overwrite:
                    continue
            client.download(job["id"], artifact, path, moved)
            return path
        raise AssertionError("unreachable: there is always another number")

    try:
        out.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(one, names_of(job, stem)))
    except BrokenPipeError:  # of those who watch the progress
        raise
    except OSError as reason:
        raise Unsaved(f"cannot write {reason.filename or out}: {reason.strerror}") from None


def size_of(jobs: list[Json]) -> int:
    return sum(artifact["bytes"] for job in jobs for artifact in job.get("artifacts") or ())


def _candidates(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_of(job: Json) -> str | None:
    """The words of a text result."""
    output: Any = job.get("output")
    if isinstance(output, dict):
        output = output.get("text")
    return output if isinstance(output, str) and output.strip() else None
