"""What a simulator is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

Kind = Literal["image", "video", "music", "audio", "text", "model3d"]

KINDS: tuple[Kind, ...] = get_args(Kind)

#: Seconds from acceptance to result, before the jitter. Far shorter than the real thing (a video takes minutes), long
#: enough that a client which does not wait properly is caught.
LATENCY_S: Mapping[Kind, float] = MappingProxyType(
    {"image": 2.0, "video": 6.0, "music": 4.0, "audio": 0.5, "text": 0.5, "model3d": 5.0}
)


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """The defaults give a simulator that accepts any key and leaves nothing behind."""

    #: Keys that are let in; empty lets in every non-empty key.
    keys: frozenset[str] = frozenset()
    latency_s: Mapping[Kind, float] = field(default_factory=lambda: dict(LATENCY_S))
    #: Where renderings and outputs are kept. None is a temporary directory, removed at the end.
    data: Path | None = None
    #: The ledger. None is ``ledger.jsonl`` in the data directory.
    ledger: Path | None = None
    #: Start of every output URL. None takes scheme and host from the request that asks.
    public_url: str | None = None
    #: Threads that draw and encode. Pillow and FFmpeg let go of the interpreter lock while they work.
    renderers: int = 2
    #: What the account was filled up with, in USD. Shown; enforced only when set while running (see `till`).
    balance_usd: Decimal = Decimal(50)
