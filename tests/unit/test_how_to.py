"""The how-to pages say what is so: their code is the code, their requests are accepted, their tables are the catalogue's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs import catalogue, references, submission
from jobs.settings import Settings
from jobs.states import JobState

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "how-to").glob("*.md"))

ADD_A_PROVIDER = DOCS / "how-to" / "add-a-provider.md"
CATALOGUE, SIMULATOR, TESTS = (
    "jobs/catalogue/providers/flux.py",
    "simulator/providers/flux.py",
    "tests/unit/test_catalogue.py",
)


class Block(NamedTuple):
    """A fenced block: its language, the file it is from (if it says so), its text."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def with_files(*languages: str) -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(blocks(page)):
            if block.language in languages and block.file:
                yield pytest.param(block, id=f"{page.stem}-{number}")


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_a_block_is_found_with_its_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n```python x/y.py\n1\n```\n\n```json\n{}\n```\n")
    assert blocks(page) == [Block("python", "x/y.py", "1\n"), Block("json", "", "{}\n")]


# Adding a provider --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", list(with_files("python")))
def test_code_on_a_page_is_the_code_of_its_file(block: Block) -> None:
    code = (ROOT / block.file).read_text("utf-8")
    assert f"\n{block.text.strip(chr(10))}\n" in f"\n{code}", f"{block.file} has changed: show what it says now"


def test_every_piece_of_code_names_its_file() -> None:
    assert all(block.file for page in PAGES for block in blocks(page) if block.language == "python")


def test_a_provider_is_added_by_one_file_each_and_one_row() -> None:
    shown = [block for block in blocks(ADD_A_PROVIDER) if block.language == "python"]
    assert list(dict.fromkeys(block.file for block in shown)) == [CATALOGUE, SIMULATOR, TESTS]
    (row,) = [block for block in shown if block.file == TESTS]
    assert len(lines_of(row.text)) == 1


def test_the_whole_catalogue_file_is_on_the_page_in_its_order() -> None:
    shown = [line for block in blocks(ADD_A_PROVIDER) if block.file == CATALOGUE for line in lines_of(block.text)]
    assert shown == lines_of((ROOT / CATALOGUE).read_text("utf-8"))


def test_no_other_code_knows_the_provider_that_was_added() -> None:
    knows = re.compile(r"flux\.image_generation|providers[./]flux|[\"'/]flux[\"'/]")
    files = [path for folder in ("api_stub", "jobs", "simulator", "storage", "workers") for path in (ROOT / folder).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if knows.search(path.read_text("utf-8"))}
    assert found == {CATALOGUE, SIMULATOR}


def test_the_files_named_for_other_shapes_have_them() -> None:
    rows = re.findall(r"^\|.*\| `([a-z0-9_/]+\.py)` \(([^)]*)\)", ADD_A_PROVIDER.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 8
    for file, words in rows:
        code = (ROOT / "jobs/catalogue/providers" / file).read_text("utf-8")
        assert all(word in code for word in re.findall(r"`([^`]+)`", words)), file


# Requests -----------------------------------------------------------------------------------------------------------------


def requests() -> Iterator[Any]:
    """Every request on a page: JSON, or what a curl sends."""
    for page in PAGES:
        for number, block in enumerate(blocks(page)):
            sent = re.search(r"-d '(.*?)'$", block.text, re.MULTILINE | re.DOTALL) if block.language == "sh" else None
            if block.language == "json" or sent:
                text = sent[1] if sent else block.text
                yield pytest.param(json.loads(text), id=f"{page.stem}-{number}")


@pytest.mark.parametrize("request_", list(requests()))
def test_a_request_on_a_page_is_accepted(request_: dict[str, Any]) -> None:
    submission.check(
        request_,
        callback=lambda _: None,
        files_missing=lambda _: set(),
        states_of=lambda wanted: dict.fromkeys(wanted, JobState.RUNNING),
    )


@pytest.mark.parametrize("block", list(with_files("json")))
def test_a_job_of_an_example_on_a_page_is_the_job_in_its_file(block: Block) -> None:
    assert json.loads(block.text) in [json.loads(line) for line in (ROOT / block.file).read_text("utf-8").splitlines()]


def test_what_is_said_of_references_is_so() -> None:
    text = (DOCS / "how-to" / "chains.md").read_text("utf-8")
    assert f"may hold {references.MOST} of them" in text
    for expression in ("[a, b]", "{a: b}", "join('', a)", "merge(a, b)"):
        assert isinstance(references.find({"x": {"job": "j", "get": expression}})[0], references.Malformed), expression


# Tables and links ---------------------------------------------------------------------------------------------------------


def test_the_providers_that_call_back_are_those_on_the_page() -> None:
    text = (DOCS / "how-to" / "provider-callbacks.md").read_text("utf-8")
    shown = set(re.findall(r"^\| (\w+) \| `(\w+)` \|", text, re.MULTILINE))
    submits = [(one.provider, one.submit.callback) for one in catalogue.all_operations().values() if one.submit]
    assert shown == {(provider, callback.field) for provider, callback in submits if callback}
    for provider, callback in submits:
        if callback and callback.required:
            assert f"| {provider} | `{callback.field}` | required |" in text
        if callback and callback.echo:
            assert f"with its `{callback.echo}` |" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_named_on_a_page_exist(page: Path) -> None:
    named = re.findall(r"MEDIAMILL_([A-Z_]+)", page.read_text("utf-8"))
    assert {name.lower() for name in named} <= set(Settings.model_fields)


@pytest.mark.parametrize("page", [*PAGES, DOCS / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_how_to_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    assert [page.name for page in PAGES if f"(how-to/{page.name})" not in index] == []
