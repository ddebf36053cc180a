"""What all handlers share."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from simulator.answers import Answers
from simulator.config import Kind, SimulatorConfig
from simulator.faults import Rules
from simulator.files import FileStore
from simulator.keys import Keys
from simulator.ledger import Ledger
from simulator.limits import Limits
from simulator.listing import ModelCard
from simulator.load import Load
from simulator.media.studio import Studio
from simulator.tasks import TaskBook
from simulator.till import Till


class World:
    """One simulator's state. `close` ends it; a temporary data directory goes with it."""

    #: Latencies differ by up to this share, each task always by the same amount.
    JITTER = 0.2

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self._own_data = config.data is None
        self.data = config.data or Path(tempfile.mkdtemp(prefix="simulator-"))
        self.latency_s: dict[Kind, float] = dict(config.latency_s)
        self.keys = Keys(config.keys)
        self.ledger = Ledger(config.ledger or self.data / "ledger.jsonl")
        self.studio = Studio(self.data / "renderings", config.renderers)
        self.files = FileStore(self.data / "files")
        self.tasks = TaskBook()
        #: What earlier calls left for later ones, such as sessions, by kind (``kling.session``) and id.
        self.kept: dict[tuple[str, str], Any] = {}
        self.rules = Rules(self.now)
        self.till = Till(config.balance_usd, self.now)
        self.load = Load(self.now)
        self.limits = Limits()
        self.answers = Answers(self.now)
        self.models: list[ModelCard] = []
        self._closing = asyncio.Event()

    def now(self) -> float:
        return time.time()

    def seconds_for(self, kind: Kind, seed: str) -> float:
        """How long this piece of work takes: the kind's latency, give or take the jitter, fixed by `seed`."""
        point = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) / 0xFFFFFFFF
        return self.latency_s[kind] * (1 + self.JITTER * (2 * point - 1))

    async def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the simulator lives."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def stop_waiting(self) -> None:
        """Ends every pause, so that a shutdown does not wait for hanging requests."""
        self._closing.set()

    async def reset(self, keep: frozenset[str] = frozenset()) -> None:
        """Back to the start, as after a start: everything, or all but ``ledger`` and ``files`` where those are kept."""
        self.latency_s = dict(self.config.latency_s)
        self.rules.clear()
        await self.tasks.clear()
        self.kept.clear()
        self.till = Till(self.config.balance_usd, self.now)
        self.load.clear()
        self.limits.set(())
        self.answers.reset()
        self.keys.moods.clear()
        if "ledger" not in keep:
            await self.ledger.clear()
        if "files" not in keep:
            await asyncio.to_thread(self.files.clear)

    async def close(self) -> None:
        self.stop_waiting()
        await self.tasks.clear()
        await self.ledger.close()
        await asyncio.to_thread(self.studio.close)
        if self._own_data:
            await asyncio.to_thread(shutil.rmtree, self.data, ignore_errors=True)
