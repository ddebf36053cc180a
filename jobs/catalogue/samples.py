"""Small real media for the examples, where a provider needs bytes and no other example makes them. Made once, at import."""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
import zlib


def picture(width: int = 512, height: int = 512) -> str:
    """A PNG with a sunset in stripes, as a data: URI of about three kilobytes."""
    colours = (bytes((255 - 120 * y // height, 60 + 90 * y // height, 80 + 120 * y // height)) for y in range(height))
    return _data_uri("image/png", _png(width, height, 2, b"".join(b"\0" + colour * width for colour in colours)))


def mask(width: int = 512, height: int = 512) -> str:
    """A PNG of the same kind, black with a white square in the middle: what is white is to be changed."""

    def row(y: int) -> bytes:
        middle = height // 4 <= y < 3 * height // 4
        return b"\0" + (b"\0" * (width // 4) + (b"\xff" if middle else b"\0") * (width // 2)).ljust(width, b"\0")

    return _data_uri("image/png", _png(width, height, 0, b"".join(row(y) for y in range(height))))


def tone(seconds: float = 2.5, rate_hz: int = 8000) -> str:
    """A WAV with a soft tone, 8 bit, as a data: URI; 11 kB a second at 8 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(1)
        wav.setframerate(rate_hz)
        wav.writeframes(bytes(128 + round(60 * math.sin(2 * math.pi * 330 * n / rate_hz)) for n in range(int(seconds * rate_hz))))
    return _data_uri("audio/wav", buffer.getvalue())


def _png(width: int, height: int, color_type: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
