"""`key=value` words as the input of an operation.

A value is JSON where it parses as a number, true, false, null, an object or an array *and* the operation's schema allows that
type there; else it is text. So `duration=5` is the text "5" for Kling, whose field is text, and `n=2` is a number for OpenAI.

    prompt="A paper boat"       text
    input.num_outputs=2         nested: {"input": {"num_outputs": 2}}
    image=@boat.png             the file is uploaded, the field becomes {"file": "file_…"}
    tag=a tag=b                 a word said twice is a list
    text=@@home                 text that begins with @
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]
#: Hands a local file to the server and says what stands for it.
Upload = Callable[[Path], Any]


class WrongWord(Exception):
    """A word that is no `key=value`; the message says which and why."""


def parse(words: Sequence[str], schema: Schema, upload: Upload) -> dict[str, Any]:
    """The input that the words spell. Raises WrongWord."""
    given: dict[str, Any] = {}
    seen: set[str] = set()
    for word in words:
        name, separator, text = word.partition("=")
        if not separator or not name or not all(name.split(".")):
            raise WrongWord(f"{word!r} is no key=value, such as prompt='A paper boat'")
        path = name.split(".")
        _put(given, path, name, _value(text, _types(_schemas_at(schema, path)), upload, word), again=name in seen)
        seen.add(name)
    return given


def _put(given: dict[str, Any], path: list[str], name: str, value: Any, *, again: bool) -> None:
    place: Any = given
    for part in path[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise WrongWord(f"{name} is given, and so is a value for {part} as a whole")
    last = path[-1]
    if not again:
        if last in place:
            raise WrongWord(f"{name} is given as a whole, and in parts")
        place[last] = value
    else:
        before = place[last]
        place[last] = [*before, value] if isinstance(before, list) else [before, value]


def _value(text: str, types: set[str] | None, upload: Upload, word: str) -> Any:
    if text.startswith("@@"):
        return text[1:]
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        if not path.is_file():
            raise WrongWord(f"{word!r}: there is no file {path} (write @@ for text that begins with @)")
        return upload(path)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text
    if isinstance(value, str):
        # Quotes inside the shell's quotes: meant as text where nothing says what the field is, part of the text elsewhere.
        return value if types is None else text
    return value if types is None or _type_of(value) in types else text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return "null"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "string"


def _types(schemas: list[Schema]) -> set[str] | None:
    """The JSON types a field may have; None when nothing is said of it."""
    found: set[str] = set()
    for schema in schemas:
        for one in _alternatives(schema):
            said = one.get("type")
            if said is not None:
                found |= {said} if isinstance(said, str) else set(said)
            elif "enum" in one:
                found |= {_type_of(value) for value in one["enum"]}
            elif "const" in one:
                found.add(_type_of(one["const"]))
            elif one.get("properties"):
                found.add("object")
    if "integer" in found:
        found.add("number")
    if "array" in found:
        # A word said twice becomes a list: each of its values is one item.
        for schema in schemas:
            for one in _alternatives(schema):
                if isinstance(one.get("items"), Mapping):
                    found |= _types([one["items"]]) or set()
    return found or None


def _schemas_at(schema: Schema, path: Sequence[str]) -> list[Schema]:
    places: list[Schema] = [schema]
    for part in path:
        places = [
            one["properties"][part]
            for place in places
            for one in _alternatives(place)
            if isinstance(one.get("properties"), Mapping) and isinstance(one["properties"].get(part), Mapping)
        ]
    return places


def _alternatives(schema: Schema) -> Iterator[Schema]:
    yield schema
    for word in ("anyOf", "oneOf"):
        for one in schema.get(word) or ():
            yield from _alternatives(one)
