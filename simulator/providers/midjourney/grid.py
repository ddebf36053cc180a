"""Four pictures in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from simulator.media import picture


@dataclass(frozen=True, slots=True)
class Grid:
    """Two by two, left to right and top to bottom; each tile is the `Picture` of its variation."""

    text: str
    #: Of one tile.
    width: int
    height: int
    #: Variation of the first tile; the others follow.
    first: int = 0

    suffix = "png"
    media_type = "image/png"

    def make(self, path: Path) -> None:
        whole = Image.new("RGB", (2 * self.width, 2 * self.height))
        for slot in range(4):
            tile = picture.draw(self.text, self.width, self.height, variation=self.first + slot)
            whole.paste(tile, (slot % 2 * self.width, slot // 2 * self.height))
        picture.save(whole, path, "png")
