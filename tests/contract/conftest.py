"""One installation and one simulator for the whole suite."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers

from jobs.queries import keys

# The house of the core's tests, where pytest itself puts it only once it has collected those.
sys.path.append(str(Path(__file__).parents[1] / "integration" / "core"))

from mill import open_mill
from workshop import LATENCY_S, Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("contract")
    database = folder / "mill.db"
    shutil.copyfile(migrated_sqlite, database)
    gateway = servers.Simulator("--latency", str(LATENCY_S), "--data", str(folder / "simulator"))
    with open_mill(folder / "mill", f"sqlite:///{database}", gateway, keys.new_webhook_secret()) as mill:
        yield Workshop(mill)
    gateway.stop()
