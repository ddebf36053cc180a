"""A command run in this process, in an empty folder without anybody's settings, and what it said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from api_stub.cli import main


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


def settle_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this folder, with no setting from outside."""
    for name in list(os.environ):
        if name.upper().startswith(("MEDIAMILL_", "COMETAPI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)


def commands(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `mediamill …`: `commands(capsys)("jobs", "list")`."""

    def run(*words: str) -> Said:
        code = main(words)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run
