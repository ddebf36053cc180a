"""How much of each unit a call takes: before it from its input, after it from its result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, Protocol

from jobs.catalogue import media
from jobs.catalogue.spec import Operation, compiled
from jobs.pricing.tariff import Measure
from jobs.pricing.units import INPUTS, TOKENS, Unit
from jobs.pricing.usage import DIALECTS, tokens

#: Room for what a provider itself writes around an input that brings tools, in tokens.
_AROUND_TOOLS = 1_000
#: Fields of messages whose tokens do not follow from their length: sound, stored files, sealed thoughts.
_OPAQUE = {"input_audio", "file_id", "file_data", "fileData", "file_uri", "encrypted_content"}
#: The same, by the `type` that a part of a message gives itself.
_OPAQUE_TYPES = {"image", "document", "image_url", "input_image", "input_file", "file", "item_reference", "container_upload"}


class Artifact(Protocol):
    """An output as it was stored."""

    @property
    def kind(self) -> str: ...
    @property
    def duration_s(self) -> float | None: ...


class Count(NamedTuple):
    """So many images, seconds, tokens, …; not `exact`: at most so many."""

    amount: Decimal
    exact: bool


class Unknown(Exception):
    """It cannot be counted; the message says why."""


def taken(operation: Operation, measure: Measure, given: Mapping[str, Any]) -> dict[str, Any]:
    """The input as the provider will take it: what it says, what we always say, and what goes without saying."""
    properties: Mapping[str, Any] = operation.input_schema.get("properties", {})
    declared = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    ours = operation.submit.defaults if operation.submit else {}
    return {**measure.defaults, **declared, **ours, **given}


def only_text(operation: Operation, given: Mapping[str, Any]) -> bool:
    """Nothing but text goes in: no media, no files, nothing that another job will have made."""
    return not media.places(operation, given) and not any(_is_opaque(part) for part in _objects(given))


def asks_to_keep(given: Any) -> bool:
    """Some of the prompt is to be kept for later calls, which costs more than reading it."""
    return any("cache_control" in part for part in _objects(given))


def before(unit: Unit, operation: Operation, measure: Measure, given: Mapping[str, Any]) -> Count:
    """How much of `unit` the call will take. Raises Unknown."""
    match unit:
        case Unit.REQUEST:
            return Count(Decimal(1), exact=True)
        case Unit.IMAGE:
            return _asked_or_most(measure.images, measure.images_most, given, "images")
        case Unit.SECOND_OF_VIDEO:
            return _asked_or_most(measure.seconds, None, given, "seconds")
        case Unit.CHARACTERS:
            text = _search(measure.text, given)
            if not isinstance(text, str):
                raise Unknown("the text is not known yet")
            return Count(Decimal(len(text)), exact=True)
        case Unit.MINUTE_OF_AUDIO:
            raise Unknown("the length of the sound is not known before it is heard")
        case _ if unit in INPUTS:
            return _input_bound(operation, measure, given)
        case _:
            return _output_bound(measure, given)


def after(
    units: Iterable[Unit],
    operation: Operation,
    measure: Measure,
    given: Mapping[str, Any],
    values: Any,
    artifacts: Iterable[Artifact],
) -> dict[Unit, Decimal]:
    """How much of each unit was taken; tokens of every kind that was used, priced or not. Raises Unknown."""
    wanted, made = set(units), list(artifacts)
    counted: dict[Unit, Decimal] = {}
    if wanted & TOKENS:
        used = None
        if measure.usage is not None:
            used = tokens(DIALECTS[measure.usage], _search("usage", values), only_text=only_text(operation, given))
        if not used:
            raise Unknown("the result does not say how many tokens were used")
        counted |= {unit: Decimal(count) for unit, count in used.items()}
    if Unit.REQUEST in wanted:
        counted[Unit.REQUEST] = Decimal(1)
    if Unit.IMAGE in wanted:
        pictures = Decimal(sum(1 for artifact in made if artifact.kind == "image"))
        counted[Unit.IMAGE] = _positive(_search(measure.images_done, values) or pictures, "images")
    if Unit.SECOND_OF_VIDEO in wanted:
        counted[Unit.SECOND_OF_VIDEO] = _positive(_search(measure.seconds, given) or _played_s(made), "seconds")
    if Unit.MINUTE_OF_AUDIO in wanted:
        counted[Unit.MINUTE_OF_AUDIO] = _positive(_search(measure.heard_s, values), "seconds of sound")
    if Unit.CHARACTERS in wanted:
        counted[Unit.CHARACTERS] = before(Unit.CHARACTERS, operation, measure, given).amount
    return counted


def beyond(reasons: Mapping[str, str], given: Mapping[str, Any]) -> str | None:
    """The first of these reasons (reason → JMESPath) that this input gives."""
    return next((reason for reason, expression in reasons.items() if _search(expression, given)), None)


def _asked_or_most(exact: str | None, most: str | None, given: Mapping[str, Any], what: str) -> Count:
    if (asked := _search(exact, given)) is not None:
        return Count(_positive(asked, what), exact=True)
    return Count(_positive(_search(most, given), what), exact=False)


def _input_bound(operation: Operation, measure: Measure, given: Mapping[str, Any]) -> Count:
    """No tokenizer makes more tokens of a text than it has bytes; the names and brackets of its JSON stand for the wrapping."""
    if (reason := beyond(measure.unseen, given)) is not None:
        raise Unknown(f"more goes in than the input shows: {reason}")
    if not only_text(operation, given):
        raise Unknown("the tokens of media and of what other jobs will make are not known before the call")
    written = len(json.dumps(given, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return Count(Decimal(written + (_AROUND_TOOLS if given.get("tools") else 0)), exact=False)


def _output_bound(measure: Measure, given: Mapping[str, Any]) -> Count:
    most = _search(measure.answer_most, given)
    if most is None:
        raise Unknown("the input does not say how long the answer may become")
    return Count(_positive(most, "tokens") * _positive(_search(measure.answers, given), "answers"), exact=False)


def _played_s(artifacts: Iterable[Artifact]) -> Decimal | None:
    """Seconds of film in all; None if one does not say."""
    lengths = [artifact.duration_s for artifact in artifacts if artifact.kind == "video"]
    known = [Decimal(str(length)) for length in lengths if length is not None]
    return sum(known, Decimal()) if len(known) == len(lengths) else None


def _positive(value: Any, what: str) -> Decimal:
    """A number of JSON, or one written as text, as it reads; through its text, because a float is not what it seems."""
    try:
        number = Decimal(str(value)) if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number <= 0:
        raise Unknown(f"how many {what} is not known")
    return number


def _search(expression: str | None, document: Any) -> Any:
    return None if expression is None else compiled(expression).search(document)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(part)


def _is_opaque(part: Mapping[str, Any]) -> bool:
    kind = part.get("type")
    return not _OPAQUE.isdisjoint(part) or (isinstance(kind, str) and kind in _OPAQUE_TYPES) or set(part) == {"job", "get"}
