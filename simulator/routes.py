"""Which handler owns which path.

A table by method and number of segments instead of a list of regular expressions: with some 150 routes a poll would
otherwise be matched against half of them first, and polls are what a load test sends by the thousand.
"""

from __future__ import annotations

from typing import Generic, TypeVar

H = TypeVar("H")

_Shape = tuple[str, int]
_Template = tuple[str, ...]


class Routes(Generic[H]):
    """Paths are written ``/kling/v1/videos/text2video/{id}``; a parameter never holds a slash.

    A segment may go on after its parameter, as in ``{model}:generateContent``.
    """

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], H] = {}
        self._templates: dict[_Shape, list[tuple[_Template, H]]] = {}

    def add(self, method: str, path: str, handler: H) -> None:
        """Raises ValueError when the path has an owner: two providers cannot both answer."""
        if "{" not in path:
            if (method, path) in self._exact:
                raise ValueError(f"{method} {path} is already taken")
            self._exact[method, path] = handler
            return
        template = tuple(path.split("/"))
        rows = self._templates.setdefault((method, len(template)), [])
        if any(row == template for row, _ in rows):
            raise ValueError(f"{method} {path} is already taken")
        rows.append((template, handler))

    def get(self, path: str, handler: H) -> None:
        self.add("GET", path, handler)

    def post(self, path: str, handler: H) -> None:
        self.add("POST", path, handler)

    def find(self, method: str, path: str) -> tuple[H, dict[str, str]] | None:
        """The handler and its path parameters, or None for a path nobody owns."""
        handler = self._exact.get((method, path))
        if handler is not None:
            return handler, {}
        segments = path.split("/")
        for template, candidate in self._templates.get((method, len(segments)), ()):
            params = _match(template, segments)
            if params is not None:
                return candidate, params
        return None


def _match(template: _Template, segments: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for expected, actual in zip(template, segments, strict=True):
        if expected.startswith("{"):
            name, _, ending = expected[1:].partition("}")
            value = actual.removesuffix(ending)
            if not value or value + ending != actual:
                return None
            params[name] = value
        elif expected != actual:
            return None
    return params
