"""What text models say here: a few sentences about the prompt, always the same for the same prompt.

A word counts as a token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

_OPENINGS = ("In short:", "Here is one way to see it:", "A brief answer:", "To put it simply:")

_MIDDLES = (
    "the heart of it is {subject}.",
    "everything turns on {subject}.",
    "start from {subject} and the rest follows.",
    "think of {subject} first.",
)

_ENDINGS = (
    "Keep the scene simple, the light soft and the movement slow.",
    "Name one clear detail, then leave room for the imagination.",
    "Begin with the outline, add colour, and stop while it still breathes.",
    "Two sentences are enough; the third should be a picture.",
)


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    #: The limit of tokens came before the end.
    is_cut: bool = False
    #: The stop sequence that came before the end.
    stopped_by: str | None = None


def answer_to(prompt: str, variation: int = 0) -> str:
    """Always the same text for the same prompt and number."""
    dice = hashlib.sha256(f"{prompt}\0{variation}".encode("utf-8", "surrogatepass")).digest()
    words = prompt.split()
    subject = " ".join(words[:12]).rstrip(".,;:!?") or "the question itself"
    opening, middle, ending = (texts[die % len(texts)] for texts, die in zip((_OPENINGS, _MIDDLES, _ENDINGS), dice, strict=False))
    return f"{opening} {middle.format(subject=subject)} {ending}"


def end(text: str, most: int | None, stops: Sequence[str] = ()) -> Said:
    """As much of the text as `most` tokens and the stop sequences let through."""
    found = [(text.index(stop), stop) for stop in stops if stop and stop in text]
    stopped_by = None
    if found:
        at, stopped_by = min(found)
        text = text[:at]
    words = text.split(" ")
    if most is not None and len(words) > most:
        return Said(" ".join(words[:most]), is_cut=True)
    return Said(text, stopped_by=stopped_by)


def tokens(text: str) -> int:
    return len(text.split())
