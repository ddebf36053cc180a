"""Tokens out of the `usage` of an answer: the ways providers word it, as tables.

A provider reports a whole and some of its parts (cached, spoken, drawn); what is left of the whole is plain text. Where a part
with a price of its own is not told apart, the answer is None: too few words is not the same as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jobs.catalogue.spec import compiled
from jobs.pricing.units import MOST, Unit


class Whole(NamedTuple):
    """A reported total (JMESPath), what its rest is (None: there may be no rest), and its parts (JMESPath by unit)."""

    total: str
    rest: Unit | None
    parts: Mapping[Unit, str] = {}


class Dialect(NamedTuple):
    wholes: tuple[Whole, ...]
    #: JMESPath that must be true for the parts to be known when the input carried more than text; None: always known.
    tells_media_apart: str | None = None
    #: JMESPath, true where something is in it that has a price of its own and no unit here.
    beyond: str | None = None

    @property
    def units(self) -> frozenset[Unit]:
        """All that is told apart."""
        return frozenset(unit for whole in self.wholes for unit in (whole.rest, *whole.parts) if unit is not None)


DIALECTS: Mapping[str, Dialect] = {
    "chat": Dialect(
        wholes=(
            Whole(
                "prompt_tokens",
                Unit.INPUT,
                {
                    Unit.CACHED_INPUT: "prompt_tokens_details.cached_tokens",
                    Unit.AUDIO_INPUT: "prompt_tokens_details.audio_tokens",
                },
            ),
            Whole("completion_tokens", Unit.OUTPUT, {Unit.AUDIO_OUTPUT: "completion_tokens_details.audio_tokens"}),
        ),
        tells_media_apart="prompt_tokens_details",
    ),
    "embeddings": Dialect(wholes=(Whole("prompt_tokens", Unit.INPUT),)),
    "responses": Dialect(
        wholes=(
            Whole("input_tokens", Unit.INPUT, {Unit.CACHED_INPUT: "input_tokens_details.cached_tokens"}),
            Whole("output_tokens", Unit.OUTPUT),
        ),
    ),
    "messages": Dialect(
        wholes=(
            Whole("input_tokens", Unit.INPUT),
            Whole("cache_read_input_tokens || `0`", Unit.CACHED_INPUT),
            Whole(
                "cache_creation_input_tokens || `0`",
                Unit.CACHE_WRITE,
                {Unit.CACHE_WRITE_1H: "cache_creation.ephemeral_1h_input_tokens"},
            ),
            Whole("output_tokens", Unit.OUTPUT),
        ),
        beyond="server_tool_use.web_search_requests > `0` || (service_tier && service_tier != 'standard')",
    ),
    "gemini": Dialect(
        wholes=(
            Whole(
                "promptTokenCount",
                Unit.INPUT,
                {
                    Unit.CACHED_INPUT: "cachedContentTokenCount",
                    Unit.AUDIO_INPUT: "promptTokensDetails[?modality == 'AUDIO'].tokenCount | [0]",
                },
            ),
            Whole("toolUsePromptTokenCount || `0`", Unit.INPUT),
            Whole("candidatesTokenCount || `0`", Unit.OUTPUT),
            Whole("thoughtsTokenCount || `0`", Unit.OUTPUT),
        ),
        tells_media_apart="promptTokensDetails",
    ),
    "gemini pictures": Dialect(
        wholes=(
            Whole("promptTokenCount", Unit.INPUT, {Unit.CACHED_INPUT: "cachedContentTokenCount"}),
            Whole(
                "candidatesTokenCount",
                Unit.OUTPUT,
                {Unit.IMAGE_OUTPUT: "candidatesTokensDetails[?modality == 'IMAGE'].tokenCount | [0]"},
            ),
            Whole("thoughtsTokenCount || `0`", Unit.OUTPUT),
        ),
        # Without it a picture would be counted as text, at a fraction of its price.
        beyond="!candidatesTokensDetails",
    ),
    "images": Dialect(
        wholes=(
            Whole(
                "input_tokens",
                None,
                {Unit.INPUT: "input_tokens_details.text_tokens", Unit.IMAGE_INPUT: "input_tokens_details.image_tokens"},
            ),
            Whole("output_tokens", Unit.IMAGE_OUTPUT, {Unit.OUTPUT: "output_tokens_details.text_tokens"}),
        ),
        beyond="input_tokens_details.cached_tokens > `0`",
    ),
    "transcripts": Dialect(
        wholes=(
            Whole(
                "input_tokens",
                None,
                {Unit.INPUT: "input_token_details.text_tokens", Unit.AUDIO_INPUT: "input_token_details.audio_tokens"},
            ),
            Whole("output_tokens", Unit.OUTPUT),
        ),
    ),
    "realtime": Dialect(
        wholes=(
            Whole(
                "input_tokens",
                None,
                {Unit.INPUT: "input_token_details.text_tokens", Unit.AUDIO_INPUT: "input_token_details.audio_tokens"},
            ),
            Whole(
                "output_tokens",
                None,
                {Unit.OUTPUT: "output_token_details.text_tokens", Unit.AUDIO_OUTPUT: "output_token_details.audio_tokens"},
            ),
        ),
        # Which of them were text and which sound is told elsewhere, if at all.
        beyond="input_token_details.cached_tokens > `0`",
    ),
}


def tokens(dialect: Dialect, usage: Any, *, only_text: bool) -> dict[Unit, int] | None:
    """How many tokens of each kind this usage reports, those with none left out; None if it does not add up.

    `only_text`: the input was nothing but text.
    """
    if not isinstance(usage, Mapping):
        return None
    try:
        return _counted(dialect, usage, only_text=only_text)
    except (TypeError, ValueError):  # JMESPath, about what is of another type than it ever is
        return None


def _counted(dialect: Dialect, usage: Mapping[str, Any], *, only_text: bool) -> dict[Unit, int] | None:
    if dialect.beyond and _found(dialect.beyond, usage):
        return None
    if dialect.tells_media_apart and not only_text and not _found(dialect.tells_media_apart, usage):
        return None
    counted: dict[Unit, int] = {}
    for whole in dialect.wholes:
        rest = _found(whole.total, usage)
        if not _is_count(rest):
            return None
        for unit, expression in whole.parts.items():
            part = _found(expression, usage) or 0
            if not _is_count(part):
                return None
            counted[unit] = counted.get(unit, 0) + part
            rest -= part
        if rest < 0 or (rest and whole.rest is None):
            return None
        if whole.rest is not None:
            counted[whole.rest] = counted.get(whole.rest, 0) + rest
    return {unit: count for unit, count in counted.items() if count}


def _found(expression: str, document: Mapping[str, Any]) -> Any:
    return compiled(expression).search(document)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
