"""A mill for the tests of the worker's steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from mill import Mill, open_mill


@pytest.fixture
def mill(
    tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator, receiver: servers.Receiver
) -> Iterator[Mill]:
    """An installation of its own beside a simulator that has forgotten everything."""
    with open_mill(tmp_path / "mill", fresh_database_url("sqlite"), upstream, receiver.secret) as opened:
        yield opened


@pytest.fixture
def short_lease_mill(
    tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator, receiver: servers.Receiver
) -> Iterator[Mill]:
    """One that takes a worker for dead after a second."""
    with open_mill(tmp_path / "mill", fresh_database_url("sqlite"), upstream, receiver.secret, lease_s=1) as opened:
        yield opened


@pytest.fixture
def impatient_mill(
    tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator, receiver: servers.Receiver
) -> Iterator[Mill]:
    """One that gives an asynchronous submit a second, not ninety."""
    with open_mill(tmp_path / "mill", fresh_database_url("sqlite"), upstream, receiver.secret, submit_total_s=1) as opened:
        yield opened
