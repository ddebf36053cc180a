"""How much of each unit a call takes: before it from its input, after it from its result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, Protocol

from jobs.catalogue import media
from jobs.catalogue.spec import Operation, compiled
from jobs.pricing.tariff import Measure
from jobs.pricing.units import INPUTS, MOST, TOKENS, Unit
from jobs.pricing.usage import DIALECTS, tokens

#: The shortest time that is one, in seconds.
_LEAST = Decimal("0.000001")
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
            return _images(measure, given)
        case Unit.SECOND_OF_VIDEO:
            return Count(_positive(_search(measure.seconds, given), "seconds"), exact=True)
        case Unit.CHARACTERS:
            text = _search(measure.text, given)
            if not isinstance(text, str):
                raise Unknown("the text is not known yet")
            return Count(_whole(len(text), "characters"), exact=True)
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
        counted[Unit.IMAGE] = _whole(_search(measure.images_done, values) or pictures, "images")
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


def _images(measure: Measure, given: Mapping[str, Any]) -> Count:
    if (asked := _search(measure.images, given)) is not None:
        return Count(_whole(asked, "images"), exact=True)
    return Count(_whole(_search(measure.images_most, given), "images"), exact=False)


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
    return Count(_whole(most, "tokens") * _whole(_search(measure.answers, given), "answers"), exact=False)


def _played_s(artifacts: Iterable[Artifact]) -> Decimal:
    """Seconds of film in all. Raises Unknown if one does not say."""
    return sum((_positive(artifact.duration_s, "seconds") for artifact in artifacts if artifact.kind == "video"), Decimal())


def _positive(value: Any, what: str) -> Decimal:
    """A number of JSON, or one written as text, as it reads; a float through its text, because it is not what it seems.

    Raises Unknown for what is none, and for one that nobody can mean.
    """
    number = None
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            number = Decimal(str(value) if isinstance(value, float) else value)
    if number is None or not number.is_finite() or not _LEAST <= number <= MOST:
        raise Unknown(f"how many {what} is not known")
    return number


def _whole(value: Any, what: str) -> Decimal:
    """The same of things that there are no halves of."""
    number = _positive(value, what)
    if number % 1:
        raise Unknown(f"how many {what} is not known")
    return number


def _search(expression: str | None, document: Any) -> Any:
    try:
        return None if expression is None else compiled(expression).search(document)
    except (TypeError, ValueError):  # JMESPath, about what is of another type than it ever is
        raise Unknown("it is not of the form in which it is counted") from None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(part)


def _is_opaque(part: Mapping[str, Any]) -> bool:
    kind = part.get("type")
    return not _OPAQUE.isdisjoint(part) or (isinstance(kind, str) and kind in _OPAQUE_TYPES) or set(part) == {"job", "get"}
