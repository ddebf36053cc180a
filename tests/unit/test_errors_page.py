"""The page of errors names the codes that jobs end with: all of them, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from jobs.catalogue.spec import Fault

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")

#: What makes an error of a job out of a code: its first argument, or `code`.
MAKERS = {"JobError", "Never", "MediaBroken", "MediaRefused", "InputUnavailable", "_problem"}
#: A code that is chosen before it is used.
CHOSEN = {"no_output", "output_expired", "output_truncated", "output_unreachable", "upstream_lost_job"}


def named() -> set[str]:
    """Codes in the first column of the page's tables."""
    rows = re.findall(r"^\| (`.+?) \|", PAGE, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}


def made() -> Iterator[str]:
    """Codes as they stand in the code."""
    for folder in ("jobs", "workers", "storage"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in MAKERS:
                    given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
                    yield from (one.value for one in given if isinstance(one, ast.Constant) and " " not in str(one.value))


def test_every_code_that_a_job_may_end_with_is_on_the_page() -> None:
    # A provider that does not know a task says nothing about the job yet.
    faults = {fault.value for fault in Fault} - {"not_visible"}
    assert named() == set(made()) | faults | CHOSEN


def test_a_code_that_is_chosen_is_one_that_is_used() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "workers").rglob("*.py"))
    text += (ROOT / "jobs" / "catalogue" / "wire.py").read_text("utf-8")
    assert {code for code in CHOSEN if f'"{code}"' not in text} == set()
