"""The house itself: locks that work anywhere, nothing unfinished, no address of a package index."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import servers

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        servers.cannot_have("git checkout", error)
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.prod.lock"])
def test_the_lock_pins_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = re.findall(r"^([a-z0-9_.-]+)(?:\[[a-z,]+\])?==", text, re.MULTILINE)
    assert len(pins) > 30
    assert len(re.findall(r"^\s+--hash=sha256:", text, re.MULTILINE)) >= len(pins)
    assert "://" not in text
    assert not re.search(r"^--", text, re.MULTILINE), "options belong to the user"


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "Not" + "Implemented", "pass  # " + "stub")))
    found = [path.name for path in tracked() if path.suffix != ".lock" and marks.search(path.read_text(errors="replace"))]
    assert found == []
