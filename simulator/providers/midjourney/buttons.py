"""What can be done with a finished picture. Custom ids are made from the picture's own job id and mean nothing elsewhere.

Source: midjourney.md section 2 (trueai-org/midjourney-proxy CustomComponentModel.cs).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from simulator.providers.midjourney.pieces import TILES, Form, Piece


class Modal(Enum):
    """Whether a window opens that asks for more."""

    NEVER = auto()
    #: Only with `enableRemix`.
    REMIX = auto()
    #: Asks for a prompt.
    PROMPT = auto()
    #: Asks for a mask.
    MASK = auto()

    @property
    def is_sure(self) -> bool:
        return self in (Modal.PROMPT, Modal.MASK)


@dataclass(frozen=True, slots=True)
class Button:
    custom_id: str
    label: str
    emoji: str
    #: What it makes of the picture it belongs to.
    makes: Piece
    modal: Modal = Modal.NEVER

    def as_json(self) -> dict[str, Any]:
        return {"customId": self.custom_id, "emoji": self.emoji, "label": self.label, "type": 2, "style": 2}


def buttons_of(piece: Piece) -> list[Button]:
    """None for videos and texts."""
    match piece.form:
        case Form.GRID:
            return _of_grid(piece)
        case Form.SINGLE:
            return _of_single(piece)
        case _:
            return []


def _of_grid(piece: Piece) -> list[Button]:
    job, slots = piece.job_id, range(1, TILES + 1)
    return [
        *(Button(f"MJ::JOB::upsample::{slot}::{job}", f"U{slot}", "", _chosen(piece, slot)) for slot in slots),
        Button(f"MJ::JOB::reroll::0::{job}::SOLO", "", "🔄", _redrawn(piece, "REROLL", 5), Modal.REMIX),
        *(
            Button(f"MJ::JOB::variation::{slot}::{job}", f"V{slot}", "", _redrawn(piece, "VARIATION", slot), Modal.REMIX)
            for slot in slots
        ),
    ]


def _of_single(piece: Piece) -> list[Button]:
    solo = f"1::{piece.job_id}::SOLO"
    half = dataclasses.replace(piece, width=piece.width // 2, height=piece.height // 2)
    return [
        *([] if piece.is_enlarged else _upscales(piece, solo)),
        Button(f"MJ::JOB::low_variation::{solo}", "Vary (Subtle)", "🪄", _redrawn(half, "LOW_VARIATION", 6), Modal.REMIX),
        Button(f"MJ::JOB::high_variation::{solo}", "Vary (Strong)", "🪄", _redrawn(half, "HIGH_VARIATION", 7), Modal.REMIX),
        Button(f"MJ::Inpaint::{solo}", "Vary (Region)", "🖌️", _redrawn(half, "INPAINT", 8), Modal.MASK),
        *(_zooms_and_pans(half, solo) if piece.version < 8 else []),
        Button(f"MJ::JOB::animate_high::{solo}", "Animate (High motion)", "🎞️", _animated(piece)),
        Button(f"MJ::JOB::animate_low::{solo}", "Animate (Low motion)", "🎞️", _animated(piece)),
    ]


def _upscales(piece: Piece, solo: str) -> list[Button]:
    model = "v7" if piece.version >= 7 else "v6r1"
    enlarged = _next(piece, "UPSCALE", Form.SINGLE, scale=2, is_enlarged=True)
    return [
        Button(f"MJ::JOB::upsample_{model}_2x_subtle::{solo}", "Upscale (Subtle)", "", enlarged),
        Button(f"MJ::JOB::upsample_{model}_2x_creative::{solo}", "Upscale (Creative)", "", enlarged),
    ]


def _zooms_and_pans(half: Piece, solo: str) -> list[Button]:
    custom = f"MJ::CustomZoom::{solo.removesuffix('::SOLO')}"
    across, down = (half.width * 3 // 2, half.height), (half.width, half.height * 3 // 2)
    pans = (("left", "⬅️", across), ("right", "➡️", across), ("up", "⬆️", down), ("down", "⬇️", down))
    return [
        Button(f"MJ::Outpaint::50::{solo}", "Zoom Out 2x", "🔍", _redrawn(half, "ZOOM", 9)),
        Button(f"MJ::Outpaint::75::{solo}", "Zoom Out 1.5x", "🔍", _redrawn(half, "ZOOM", 10)),
        Button(custom, "Custom Zoom", "🔍", _redrawn(half, "ZOOM", 11), Modal.PROMPT),
        *(
            Button(f"MJ::JOB::pan_{where}::{solo}", "", emoji, _panned(half, 12 + number, size), Modal.REMIX)
            for number, (where, emoji, size) in enumerate(pans)
        ),
    ]


def _chosen(piece: Piece, slot: int) -> Piece:
    """One tile of the grid, alone and larger."""
    return _next(piece, "UPSCALE", Form.SINGLE, scale=2, variation=piece.variation + slot - 1)


def _redrawn(piece: Piece, action: str, step: int) -> Piece:
    """Four new drawings; `step` keeps those of different buttons apart."""
    return _next(piece, action, Form.GRID, variation=piece.variation + TILES * step)


def _panned(piece: Piece, step: int, size: tuple[int, int]) -> Piece:
    return dataclasses.replace(_redrawn(piece, "PAN", step), width=size[0], height=size[1])


def _animated(piece: Piece) -> Piece:
    return _next(piece, "VIDEO", Form.VIDEOS, width=480, height=480)


def _next(piece: Piece, action: str, form: Form, *, scale: int = 1, **changes: Any) -> Piece:
    """Without a job id: a button is only an offer."""
    plain: dict[str, Any] = {"width": piece.width * scale, "height": piece.height * scale, "is_enlarged": False, "job_id": ""}
    return dataclasses.replace(piece, action=action, form=form, **(plain | changes))
