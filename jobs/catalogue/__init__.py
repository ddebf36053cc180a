"""The catalogue: every operation a job may ask, as data. One file per provider in `providers/`; adding a file adds it."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from jobs.catalogue import providers
from jobs.catalogue.spec import Operation, Provider


@cache
def all_operations() -> dict[str, Operation]:
    """Every operation by name, in order of name. Two files that claim one name stop the program."""
    found: dict[str, Operation] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(providers.__path__)):
        provider: Provider = importlib.import_module(f"{providers.__name__}.{module}").PROVIDER
        for operation in provider.operations:
            if operation.name in found:
                raise ValueError(f"operation {operation.name} is declared twice")
            found[operation.name] = operation
    return dict(sorted(found.items()))


def find(name: str) -> Operation | None:
    return all_operations().get(name)
