"""References: an input value that another job will have made.

`{"job": …, "artifact": 0}` stands for a stored output, `{"job": …, "get": "upstream.task_id"}` for a value of the finished job.
Exactly these two keys make a reference, at any depth of an input. What a name stands for, and whether it is there, is asked
elsewhere: nothing here looks at a database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import jmespath
from jmespath.exceptions import JMESPathError

#: References of one job.
MOST = 50
#: Characters of the name of a job: an id, or a `custom_id`.
_NAME_CHARS = 200
_LAST_ARTIFACT = 999
_GET_CHARS = 500
#: Levels of an expression; each costs the interpreter several frames of Python's stack.
_GET_DEPTH = 40
#: As JSON. No prompt is longer.
_VALUE_BYTES = 1 << 20

_MEDIA = {"job", "artifact"}
_VALUE = {"job", "get"}

#: What an expression may call: all that yields no more than it was given. A few lines of doubling would fill any memory.
_FUNCTIONS = frozenset(
    {"abs", "avg", "ceil", "contains", "ends_with", "floor", "keys", "length", "map", "max", "max_by", "min", "min_by", "not_null"}
    | {"reverse", "sort", "sort_by", "starts_with", "sum", "to_array", "to_number", "to_string", "type", "values"}
)
_DOUBLING = {"multi_select_list": "[a, b]", "multi_select_dict": "{a: b}"}

Path = tuple[str | int, ...]


class Reference(NamedTuple):
    """Where it stands in the input, the job it names, and what it wants of it: an artifact by number, or a value."""

    path: Path
    job: str
    artifact: int | None = None
    get: str | None = None


class Malformed(NamedTuple):
    """It has the keys of a reference and cannot be one; `said` says why."""

    path: Path
    said: str


class Unresolved(Exception):
    """The finished job has no such value."""


def find(given: Any) -> list[Reference | Malformed]:
    """Every reference of an input, in its order."""
    return list(_find(given, ()))


def names(given: Any) -> list[str]:
    """The jobs that an input points at, each once, in their order."""
    return list(dict.fromkeys(found.job for found in find(given) if isinstance(found, Reference)))


def replace(given: Any, change: Callable[[Reference], Any]) -> Any:
    """The input with `change` made of each reference."""
    return _replace(given, (), change)


def rename(given: Any, ids: Mapping[str, str]) -> Any:
    """The input with these names (the custom_ids of a batch) replaced by ids of jobs."""

    def change(reference: Reference) -> dict[str, Any]:
        job = ids.get(reference.job, reference.job)
        return {"job": job, "artifact": reference.artifact} if reference.get is None else {"job": job, "get": reference.get}

    return replace(given, change)


def value_of(expression: str, finished: Mapping[str, Any]) -> Any:
    """What the expression yields of a finished job. Raises Unresolved where that is nothing, or too much."""
    try:
        value = jmespath.compile(expression).search(finished)
        size = len(json.dumps(value, allow_nan=False))
    except (JMESPathError, ValueError, TypeError, RecursionError) as error:
        raise Unresolved(f"cannot be evaluated there: {str(error)[:200]}") from None
    if value is None:
        raise Unresolved("yields nothing")
    if size > _VALUE_BYTES:
        raise Unresolved(f"yields more than {_VALUE_BYTES:,} bytes")
    return value


def cycles(needs: Mapping[int, Collection[int]]) -> Iterator[list[int]]:
    """Ways that end where they began, walking from each line to those it needs: [3, 7] where 3 needs 7 and 7 needs 3.

    At least one for every line that can never start because of itself.
    """
    done: set[int] = set()
    for start in needs:
        # From `start` to where we are, each with what is still to be tried there.
        way = {} if start in done else {start: iter(needs[start])}
        while way:
            here = next(reversed(way))
            for there in way[here]:
                if there in way:
                    lines = list(way)
                    yield lines[lines.index(there) :]
                elif there in needs and there not in done:
                    way[there] = iter(needs[there])
                    break
            else:
                way.popitem()
                done.add(here)


def _find(value: Any, path: Path) -> Iterator[Reference | Malformed]:
    if isinstance(value, Mapping):
        if value.keys() == _MEDIA or value.keys() == _VALUE:
            yield _read(value, path)
        else:
            for name, part in value.items():
                yield from _find(part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _find(part, (*path, place))


def _replace(value: Any, path: Path, change: Callable[[Reference], Any]) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == _MEDIA or value.keys() == _VALUE:
            reference = _read(value, path)
            return change(reference) if isinstance(reference, Reference) else value
        return {name: _replace(part, (*path, name), change) for name, part in value.items()}
    if isinstance(value, list):
        return [_replace(part, (*path, place), change) for place, part in enumerate(value)]
    return value


def _read(value: Mapping[str, Any], path: Path) -> Reference | Malformed:
    job = value["job"]
    if not isinstance(job, str) or not 0 < len(job) <= _NAME_CHARS:
        return Malformed(path, f'"job" must name a job: its id, or in a batch its custom_id, of at most {_NAME_CHARS} characters')
    if "get" in value:
        wrong = _wrong_with(value["get"])
        return Malformed(path, f'"get" {wrong}') if wrong else Reference(path, job, get=value["get"])
    number = value["artifact"]
    if type(number) is not int or not 0 <= number <= _LAST_ARTIFACT:
        return Malformed(path, f'"artifact" must be a whole number from 0 to {_LAST_ARTIFACT}')
    return Reference(path, job, artifact=number)


def _wrong_with(expression: Any) -> str | None:
    if not isinstance(expression, str) or not 0 < len(expression) <= _GET_CHARS:
        return f"must be a JMESPath expression of at most {_GET_CHARS} characters"
    try:
        root = jmespath.compile(expression).parsed
    except (JMESPathError, ValueError) as error:
        return "is no JMESPath expression: " + str(error).partition("\n")[0].encode("ascii", "backslashreplace").decode()[:150]
    except RecursionError:
        return "is nested too deep"
    texts = 0
    level = [root]
    for _ in range(_GET_DEPTH):
        for node in level:
            kind = node["type"]
            if kind in _DOUBLING:
                return f"must yield one value: {_DOUBLING[kind]} is not available, each value is a reference of its own"
            if kind == "function_expression" and node["value"] not in _FUNCTIONS:
                return f"calls a function that is not available; there are {', '.join(sorted(_FUNCTIONS))}"
            texts += kind == "function_expression" and node["value"] == "to_string"
        # The bounds of a slice are children that are no nodes.
        level = [child for node in level for child in node["children"] if isinstance(child, Mapping)]
        if not level:
            return None if texts < 2 else "may call to_string once"
    return "is nested too deep"
