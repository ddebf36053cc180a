"""Every call that would have cost money, one JSON line each, on disk before the answer leaves.

    {"n": 1, "event": "paid_call", "at": "2026-01-01T00:00:00.000Z", "operation": "kling.text_to_video", "path": "...",
     "model": "...", "key": "1a2b3c4d5e6f", "units": 1, "task_id": "...", "external_id": null, "prompt_sha256": "...",
     "outcome": "accepted", "charged": true, "usd": "0.28", "fault": null, "request_id": "...", "files": null}
    {"n": 2, "event": "finished", "at": "...", "call": 1, "operation": "...", "task_id": "...", "outcome": "succeeded",
     "refunded": false, "refunded_usd": "0", "files": [{"name": "...", "url": "/files/...", "sha256": "...", "bytes": 1}]}

Every call to a paid route is a ``paid_call`` line, also a refused one; what costs is the lines with ``charged`` true.
Amounts are decimal text in USD: the sum of ``usd`` less the sum of ``refunded_usd`` is what was spent, to the cent.
`outcome` of a call: ``accepted``, ``refused``, ``rate_limited``, ``failed``. Files are known when the work is done, so
they stand in the ``finished`` line, which `call` ties to its ``paid_call``. Polls and downloads are not here.
A third event, ``callback``, says that a provider told a callback URL about its task; a fourth, ``file_retrieved``, that
a link was bought to a file already paid for, and for how many ``usd``.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Ledger:
    """Appends are grouped: lines that wait for the disk together share one fsync."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._n = _mend(path)
        path.touch()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._disk = asyncio.Lock()

    async def append(self, event: str, **fields: Any) -> int:
        """Write one line and return its number once it is safe on disk. Raises OSError when the disk refuses."""
        self._n += 1
        n = self._n
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"n": n, "event": event, "at": at, **fields}, ensure_ascii=False) + "\n"
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((line.encode(), written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._drain())
        await written
        return n

    async def entries(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines whose fields equal `wanted`; booleans are written ``true`` and ``false``."""
        async with self._disk:
            text = await asyncio.to_thread(self.path.read_text, "utf-8")
        # To read a line takes long, to see that a word is not in it does not. What is null may also not be there at all.
        words = [json.dumps(value, ensure_ascii=False)[1:-1] for value in wanted.values() if value != "null"]
        rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines() if all(word in line for word in words)]
        return [row for row in rows if all(_as_text(row.get(key)) == value for key, value in wanted.items())]

    async def clear(self) -> None:
        async with self._disk:
            await asyncio.to_thread(self.path.write_bytes, b"")
            self._n = 0

    async def close(self) -> None:
        """Waits for the lines on their way."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: OSError | None = None
            async with self._disk:
                try:
                    await asyncio.to_thread(self._write, b"".join(line for line, _ in batch))
                except OSError as reason:
                    error = reason
            for _, written in batch:
                if written.done():  # its request was canceled while it waited
                    continue
                if error is None:
                    written.set_result(None)
                else:
                    written.set_exception(error)

    def _write(self, lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mend(path: Path) -> int:
    """Lines already there. A last line torn by a crash is removed: it was never acknowledged."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
    return whole.count(b"\n")
