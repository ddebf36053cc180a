"""When each word is sung (section 13): answered at once and bare."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from starlette.responses import Response

from simulator.calls import Call
from simulator.dialects import json_response
from simulator.providers.suno.songs import Song, complete_song
from simulator.providers.suno.wire import direct_operation
from simulator.site import Site

TIMING = direct_operation("timing", "0.005")

#: A word with the space after it, and with the section headings before it.
_WORD = re.compile(r"(?:\[[^\]\n]*\]\s*)*[^\s\[]\S*\s*")

_POINTS = 64


def register(site: Site) -> None:
    site.sell("/suno/act/timing/{id}", TIMING, align, method="GET")


async def align(call: Call) -> Response:
    _, song = complete_song(call, call.exchange.params["id"])
    await call.accept()
    await call.deliver([])
    is_empty = call.fault("no_outputs") is not None
    return json_response(
        {
            "aligned_words": [] if is_empty else words_of(song),
            "waveform_data": [] if is_empty else waveform_of(song),
            "hoot_cer": 0.05,
            "is_streamed": False,
        }
    )


def words_of(song: Song) -> list[dict[str, Any]]:
    """Spread evenly over the clip; none for an instrumental."""
    words = _WORD.findall(song.lyrics)
    each = song.sound.seconds / max(1, len(words))
    return [
        {
            "word": word,
            "success": True,
            "start_s": round(number * each, 3),
            "end_s": round((number + 1) * each, 3),
            "p_align": 0.97,
        }
        for number, word in enumerate(words)
    ]


def waveform_of(song: Song) -> list[float]:
    """Loudness over time, 0 to 1."""
    dice = hashlib.sha256(song.id.encode()).digest()
    return [round(0.2 + dice[point % len(dice)] / 400, 3) for point in range(_POINTS)]
