"""MIDI: the melody the prompt would sound as, note by note. Format 0 of the Standard MIDI File, one track."""

from __future__ import annotations

import hashlib
import struct

from simulator.media.sound import NOTE_S, SCALE

#: At 120 beats a minute a tick is about a millisecond.
_TICKS_PER_BEAT = 480
_MICROSECONDS_PER_BEAT = 500_000

_G3 = 55


def melody(text: str, seconds: float) -> bytes:
    """A whole file, exactly `seconds` long; the last note is cut to fit."""
    tune = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    end = max(1, round(seconds * 1_000_000 / _MICROSECONDS_PER_BEAT * _TICKS_PER_BEAT))
    per_note = round(NOTE_S * 1_000_000 / _MICROSECONDS_PER_BEAT * _TICKS_PER_BEAT)
    track = bytearray(b"\x00\xff\x51\x03" + _MICROSECONDS_PER_BEAT.to_bytes(3))
    for number, start in enumerate(range(0, end, per_note)):
        pitch = _G3 + tune[0] % 12 + SCALE[tune[1 + number % 31] % len(SCALE)]
        track += bytes((0, 0x90, pitch, 96)) + _length(min(per_note, end - start)) + bytes((0x80, pitch, 0))
    track += b"\x00\xff\x2f\x00"
    return struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, _TICKS_PER_BEAT, b"MTrk", len(track)) + bytes(track)


def _length(ticks: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the high bit says that more follow."""
    pieces = [ticks & 0x7F]
    while ticks := ticks >> 7:
        pieces.insert(0, ticks & 0x7F | 0x80)
    return bytes(pieces)
