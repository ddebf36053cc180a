"""What a task makes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from simulator.calls import Output
from simulator.media.orders import Clip, Order, Picture
from simulator.providers.midjourney.grid import Grid

#: Side of a square tile.
TILE = 512

TILES = 4

_RATIO = re.compile(r"--(?:ar|aspect)\s+(\d{1,3}):(\d{1,3})(?!\d)")
_VERSION = re.compile(r"--v(?:ersion)?\s+(\d{1,2})")
_USUAL_VERSION = 7


class Form(StrEnum):
    GRID = "grid"
    SINGLE = "single"
    VIDEOS = "videos"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work. `width` and `height` are those of one tile."""

    action: str
    form: Form
    prompt: str
    width: int = TILE
    height: int = TILE
    #: Which drawing of the prompt, for a grid the first of four.
    variation: int = 0
    #: A single that was enlarged already.
    is_enlarged: bool = False
    #: Of videos.
    seconds: float = 5.0
    count: int = TILES
    #: What is drawn when the prompt says nothing, such as what was blended.
    subject: str = ""
    #: The finished text of a describe.
    text: str = ""
    #: Part of the custom ids of its buttons; empty until the work begins.
    job_id: str = ""

    @property
    def drawn(self) -> str:
        return f"{self.prompt}\n{self.subject}".strip()

    @property
    def version(self) -> int:
        found = _VERSION.search(self.prompt)
        return int(found[1]) if found else _USUAL_VERSION

    def outputs(self, task_id: str, *, tiles: bool) -> list[Output]:
        """The grid, the single or the videos; with `tiles` the four pictures of a grid, too."""
        orders: dict[str, Order] = {}
        match self.form:
            case Form.GRID:
                orders[task_id] = Grid(self.drawn, self.width, self.height, self.variation)
            case Form.SINGLE:
                orders[task_id] = self.tile(0)
            case Form.VIDEOS:
                for number in range(self.count):
                    label = f"{self.variation + number + 1}"
                    clip = Clip(self.drawn, self.seconds, self.width, self.height, label=label, fps=4)
                    orders[f"{task_id}_0_{number}"] = clip
        if tiles and self.form is Form.GRID:
            orders |= {f"{task_id}_0_{slot}": self.tile(slot) for slot in range(TILES)}
        return [Output(order, f"mj-{name}") for name, order in orders.items()]

    def tile(self, slot: int) -> Picture:
        return Picture(self.drawn, self.width, self.height, variation=self.variation + slot)


def tile_size(prompt: str) -> tuple[int, int]:
    """Sides in the ratio of `--ar`, of about the same area whatever the ratio; a square for one out of reach."""
    found = _RATIO.search(prompt)
    across, down = (int(found[1]), int(found[2])) if found else (1, 1)
    if not across or not down or not 1 / 4 <= across / down <= 4:
        across, down = 1, 1
    root = math.sqrt(across / down)
    return round(TILE * root / 8) * 8, round(TILE / root / 8) * 8
