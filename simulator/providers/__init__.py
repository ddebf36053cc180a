"""One file per provider. Each has ``register(site)``; a new provider is a new file and nothing else."""

from __future__ import annotations

import importlib
import pkgutil

from simulator.site import Site


def register_all(site: Site) -> None:
    """In alphabetical order, which decides nothing: two providers that want the same request are an error."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        importlib.import_module(f"{__name__}.{module.name}").register(site)
