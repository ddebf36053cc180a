"""A mill for the tests of the worker's steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import servers
from mill import Mill, open_mill
from offers import Offer
from recorder import Recorder, recorder

from jobs import catalogue
from jobs.catalogue.spec import Operation
from jobs.queries import keys


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


@pytest.fixture
def gateway() -> Iterator[Recorder]:
    """A gateway that does what the test says, and keeps what it is sent."""
    with recorder() as kept:
        yield kept


@pytest.fixture
def world() -> Iterator[Recorder]:
    """Somebody else's server."""
    with recorder() as kept:
        yield kept


@pytest.fixture
def mill_at(tmp_path: Path, fresh_database_url: Callable[[str], str]) -> Iterator[Callable[..., Mill]]:
    """Opens an installation whose gateway is this one: `mill_at(gateway, submit_total_s=1)`."""
    with ExitStack() as stack:

        def open_at(gateway: Any, database: str = "sqlite", **settings: Any) -> Mill:
            url, secret = fresh_database_url(database), keys.new_webhook_secret()
            return stack.enter_context(open_mill(tmp_path / "mill", url, gateway, secret, **settings))

        yield open_at


@pytest.fixture
def own_mill(mill_at: Callable[..., Mill], gateway: Recorder) -> Mill:
    """An installation whose gateway is the test's own."""
    return mill_at(gateway)


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Adds operations to the catalogue: `offer(operation())`."""
    offered: dict[str, Operation] = {}
    real = catalogue.find
    monkeypatch.setattr(catalogue, "find", lambda name: offered.get(name) or real(name))

    def add(operation: Operation) -> Operation:
        offered[operation.name] = operation
        return operation

    return add
