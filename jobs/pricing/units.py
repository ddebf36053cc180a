"""What prices are per, and what can be counted."""

from __future__ import annotations

from enum import StrEnum

#: No call takes more of anything. A larger number counts nothing: it is a slip, or was never meant as a count.
MOST = 1_000_000_000


class Unit(StrEnum):
    """A price's unit. Prices of tokens and characters are per million of them, as every list quotes them."""

    REQUEST = "request"
    IMAGE = "image"
    SECOND_OF_VIDEO = "second_of_video"
    MINUTE_OF_AUDIO = "minute_of_audio"
    CHARACTERS = "million_characters"
    #: Text; for most models also pictures, which are counted as tokens of the same price.
    INPUT = "million_input_tokens"
    CACHED_INPUT = "million_cached_input_tokens"
    CACHE_WRITE = "million_cache_write_tokens"
    #: Kept for an hour instead of five minutes.
    CACHE_WRITE_1H = "million_cache_write_1h_tokens"
    AUDIO_INPUT = "million_audio_input_tokens"
    IMAGE_INPUT = "million_image_input_tokens"
    OUTPUT = "million_output_tokens"
    AUDIO_OUTPUT = "million_audio_output_tokens"
    IMAGE_OUTPUT = "million_image_output_tokens"

    @property
    def size(self) -> int:
        """How many of what is counted (images, seconds of sound, tokens, …) one unit holds."""
        return 1_000_000 if self.startswith("million_") else 60 if self is Unit.MINUTE_OF_AUDIO else 1


#: All that goes in as tokens, whatever it costs.
INPUTS = frozenset(
    {Unit.INPUT, Unit.CACHED_INPUT, Unit.CACHE_WRITE, Unit.CACHE_WRITE_1H, Unit.AUDIO_INPUT, Unit.IMAGE_INPUT},
)
OUTPUTS = frozenset({Unit.OUTPUT, Unit.AUDIO_OUTPUT, Unit.IMAGE_OUTPUT})
TOKENS = INPUTS | OUTPUTS
