"""Makes what is ordered, in threads, and keeps it on disk: equal orders are made once."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from simulator.media.orders import Order


@dataclass(frozen=True, slots=True)
class Rendering:
    path: Path
    media_type: str
    sha256: str
    size_bytes: int


class Studio:
    #: Renderings remembered without a look at the disk. The files themselves stay.
    REMEMBERED = 10_000

    def __init__(self, directory: Path, renderers: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._threads = ThreadPoolExecutor(max(1, renderers), thread_name_prefix="render")
        self._known: OrderedDict[str, asyncio.Future[Rendering]] = OrderedDict()

    async def make(self, order: Order) -> Rendering:
        """The finished file. Whoever orders the same while it is in the making waits for the same rendering."""
        name = hashlib.sha256(repr(order).encode("utf-8", "surrogatepass")).hexdigest()
        making = self._known.get(name)
        if making is None or (making.done() and (making.cancelled() or making.exception() is not None)):
            loop = asyncio.get_running_loop()
            making = self._known[name] = loop.run_in_executor(self._threads, self._make, order, name)
            if len(self._known) > self.REMEMBERED:
                self._known.popitem(last=False)
        # One impatient customer must not cancel the order of the others.
        return await asyncio.shield(making)

    def _make(self, order: Order, name: str) -> Rendering:
        path = self._directory / f"{name}.{order.suffix}"
        if not path.exists():
            # Written beside and moved into place: a killed process leaves no half file under the final name.
            unfinished = path.with_name(f"unfinished-{path.name}")
            order.make(unfinished)
            unfinished.replace(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Rendering(path, order.media_type, sha256, path.stat().st_size)

    def close(self) -> None:
        """Waits for what is being encoded, at most about a second each; drops what has not begun."""
        self._threads.shutdown(cancel_futures=True)
