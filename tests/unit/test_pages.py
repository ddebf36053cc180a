"""The reference pages of the operations are made from the catalogue, and are what was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import catalogue
from jobs.catalogue import pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "operations"

MADE = pages.pages()


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_page_in_the_repository_is_the_page_of_this_catalogue(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8") if (FOLDER / name).exists() else ""
    assert written == MADE[name], "run `make docs` and commit what it changes"


def test_no_page_is_left_over_from_an_operation_that_is_gone() -> None:
    assert {path.name for path in FOLDER.glob("*")} == set(MADE)


def test_every_operation_has_its_section_with_an_example() -> None:
    text = "\n".join(MADE.values())
    for name in catalogue.all_operations():
        assert f"\n## {name}\n" in text
        assert f'"operation": "{name}"' in text


def test_no_page_carries_the_bytes_of_an_example() -> None:
    assert max(len(line) for text in MADE.values() for line in text.splitlines()) < 4000
