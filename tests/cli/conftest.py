"""What the tests of the command line share: a folder of their own without anybody's settings, and the commands in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import terminal
from terminal import Command


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    terminal.settle_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def mediamill(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""
    return terminal.commands(capsys)
