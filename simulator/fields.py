"""Checks of request fields, one object of the body at a time.

Each method takes a field by name, checks it, and returns its value, or the default when it is absent. What is wrong is
said in the provider's own words: `refuse` gets the field's path, such as ``options.seconds``, and what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.calls import Call
from simulator.exchange import Refused

Refuse = Callable[[str, str], Refused]


@dataclass(frozen=True, slots=True)
class Fields:
    given: Mapping[str, Any]
    refuse: Refuse
    #: Where this object stands in the body, with the dot at its end; empty for the body itself.
    path: str = ""

    def wrong(self, name: str, what: str) -> Refused:
        return self.refuse(self.path + name, what)

    def need(self, *names: str) -> None:
        for name in names:
            if self.given.get(name) in (None, ""):
                raise self.wrong(name, "is required")

    def text(self, name: str, most: int | None = None, default: str = "") -> str:
        """`most` is in characters."""
        value = self.given.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "must be a string")
        if most is not None and len(value) > most:
            raise self.wrong(name, f"must not be longer than {most} characters")
        return value

    def one_of(self, name: str, allowed: Collection[Any], default: Any = None) -> Any:
        """No conversion: ``"5"`` is not 5, and true is not 1."""
        if name not in self.given:
            return default
        value = self.given[name]
        if not any(value == one and type(value) is type(one) for one in allowed):
            raise self.wrong(name, f"must be one of {', '.join(map(str, allowed))}")
        return value

    def whole(self, name: str, least: int, most: int, default: int = 0) -> int:
        value = self.given.get(name, default)
        if name in self.given and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
            raise self.wrong(name, f"must be a whole number from {least} to {most}")
        return int(value)

    def number(self, name: str, least: float, most: float, default: float = 0.0) -> float:
        value = self.given.get(name, default)
        if name in self.given and (not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most):
            raise self.wrong(name, f"must be a number from {least} to {most}")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.given.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def inside(self, name: str) -> Fields:
        """The object under `name`; an empty one when it is absent."""
        value = self.given.get(name, {})
        if not isinstance(value, dict):
            raise self.wrong(name, "must be an object")
        return Fields(value, self.refuse, f"{self.path}{name}.")

    def each(self, name: str, least: int, most: int) -> list[Fields]:
        """The objects of the list under `name`."""
        value = self.given.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(name, "must be a list of objects")
        if not least <= len(value) <= most:
            raise self.wrong(name, f"must have {least} to {most} entries")
        return [Fields(one, self.refuse, f"{self.path}{name}.{number}.") for number, one in enumerate(value)]


def fields_of(call: Call) -> Fields:
    """The body, with what is wrong said by the operation's dialect."""
    return Fields(call.body, lambda field, what: call.invalid(f"{field} {what}"))
