"""The reference page of the simulator says what the simulator does: every name, and every example."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import simulator
from simulator import control, ledger, providers
from simulator.calls import Operation
from simulator.cli import main
from simulator.config import LATENCY_S
from simulator.dialects import GATEWAY
from simulator.faults import FAULTS, Rule
from simulator.keys import REFUSALS
from simulator.ledger import Ledger
from simulator.limits import MEMBERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "simulator.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    """Names in the first column of the tables of `text`."""
    return re.findall(r"^\| `([^`]+)` ", text, re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def operations() -> dict[str, Operation]:
    """Everything any provider sells."""
    modules = pkgutil.walk_packages(providers.__path__, f"{providers.__name__}.")
    values = [value for module in modules for value in vars(importlib.import_module(module.name)).values()]
    return {value.name: value for value in values if isinstance(value, Operation)}


def test_the_page_names_every_fault_and_no_other() -> None:
    table = section("Faults").split("| fault |")[1]

    assert first_cells(table) == list(FAULTS)


def test_the_page_names_every_option_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    known = re.findall(r"^  (?:-h, )?(--[a-z0-9-]+)", capsys.readouterr().out, re.MULTILINE)

    assert sorted(first_cells(section("Options"))) == sorted(known)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", PAGE)) == set(known)


def test_the_page_has_the_default_latencies() -> None:
    found = dict(re.findall(r"^\| `--latency-(\w+)` \| `([\d.]+)` ", section("Options"), re.MULTILINE))

    assert {kind: float(seconds) for kind, seconds in found.items()} == LATENCY_S


def test_the_page_lists_every_operation_of_every_provider() -> None:
    listed = {
        f"{provider}.{name}": bool(polled)
        for provider, names in re.findall(r"^\| `(\w+)` \| (.+) \|$", section("What it plays"), re.MULTILINE)
        for name, polled in re.findall(r"`(\w+)`(¹?)", names)
    }

    assert listed == {name: operation.is_task for name, operation in operations().items()}


def test_the_page_has_the_whole_control_api() -> None:
    known = re.findall(r"^(GET|POST) +(/_simulator/[\w/]+)", control.__doc__ or "", re.MULTILINE)

    assert re.findall(r"^\| `(GET|POST) (/_simulator/[\w/]+)` ", section("Control"), re.MULTILINE) == known
    orders = section("Control").split("| member |")[1].split("\n\n")[0]
    assert tuple(first_cells(orders)) == control.ORDERS
    assert all(f"`{name}`" in section("Control") for name in Rule.MATCHES | MEMBERS)


def test_the_page_names_every_mood_of_a_key_and_its_refusal() -> None:
    table = section("Control").split("| mood |")[1].split("\n\n")[0]

    told = re.findall(r"^\| `(\w+)` \| (\d+)(?: `(\w+)`)? ", table, re.MULTILINE)
    assert told == [(mood, str(GATEWAY[kind][0]), code or GATEWAY[kind][1]) for mood, (kind, code) in REFUSALS.items()]


def test_the_page_has_every_event_of_the_ledger() -> None:
    for event in first_cells(section("Ledger")):
        assert event in (ledger.__doc__ or "")
    written = {
        event
        for path in (ROOT / "simulator").rglob("*.py")
        for event in re.findall(r'ledger\.append\(\s*"(\w+)"', path.read_text("utf-8"))
    }
    assert set(first_cells(section("Ledger"))) == written


def test_the_page_shows_only_faults_that_exist() -> None:
    asked = re.findall(r"\[\[simulate:(\w+)", PAGE) + re.findall(r'"fault": ?"(\w+)"', PAGE)
    asked += re.findall(r"^\| .*?\| `(\w+)", section("Variants"), re.MULTILINE)

    assert {"failed", "rate_limit", "variant", "wrapped"} <= set(asked) <= set(FAULTS)


def test_every_variant_on_the_page_is_looked_for_by_its_provider() -> None:
    folder = ROOT / "simulator" / "providers"
    provider = ""
    for name, directives in re.findall(r"^\| (?:`(\w+)`)? ?\| (`(?:wrapped|variant).*?) \|", section("Variants"), re.MULTILINE):
        provider = name or provider
        sources = [path.read_text("utf-8") for path in folder.rglob("*.py") if provider in str(path.relative_to(folder))]
        for fault, key in re.findall(r"`(wrapped|variant)(?: (\w+)=)?", directives):
            assert any(f'"{fault}"' in source for source in sources), (provider, fault)
            assert not key or any(f'"{key}"' in source for source in sources), (provider, fault, key)


def test_every_variant_a_provider_looks_for_is_on_the_page() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "simulator" / "providers").rglob("*.py"))
    keys = re.findall(r'option\((?:[\w.]+\.fault\("variant"\)|variant), "(\w+)"', sources)

    assert keys
    assert {key for key in keys if f"{key}=" not in section("Variants")} == set()


def test_the_package_says_what_each_of_its_modules_is_for() -> None:
    overview = simulator.__doc__ or ""
    folder = ROOT / "simulator"

    there = {path.name for path in folder.glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert set(re.findall(r"(?:^    |   )(\w+(?:\.py|/)) ", overview, re.MULTILINE)) == there


def consoles() -> Iterator[tuple[str, str]]:
    """Each command of the page with the answer it shows; … stands for anything."""
    for block in blocks("console"):
        for example in block.split("$ ")[1:]:
            command, _, shown = example.strip().partition("\n")
            yield command, shown


def test_the_commands_of_the_page_answer_what_it_shows(start: Callable[..., Any]) -> None:
    address = start("--latency", "0").url
    examples = list(consoles())
    assert len(examples) >= 4

    for command, shown in examples:
        local = command.replace("http://127.0.0.1:8501", address)
        ended = subprocess.run(["bash", "-c", local], capture_output=True, text=True, timeout=30)
        answer = ended.stdout.replace("\r", "").strip()
        assert re.fullmatch(".*".join(map(re.escape, shown.split("…"))), answer, re.DOTALL), f"{command}\n{answer}"


def test_the_fixture_of_the_page_works_as_it_stands(tmp_path: Path) -> None:
    (example,) = blocks("python")
    (tmp_path / "test_example.py").write_text(example)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_the_workflow_of_the_page_is_one(tmp_path: Path) -> None:
    written = Ledger(tmp_path / "ledger.jsonl")
    for charged in (True, False):
        asyncio.run(written.append("paid_call", charged=charged))
    (workflow,) = blocks("yaml")
    steps = yaml.safe_load(workflow)["jobs"]["test"]["steps"]

    started = next(step["run"] for step in steps if step.get("name") == "Start the simulator")
    ended = subprocess.run(["bash", "-n"], input=started, capture_output=True, text=True, timeout=10)
    assert ended.returncode == 0, ended.stderr

    line = subprocess.run(["bash", "-c", steps[-1]["run"]], cwd=tmp_path, capture_output=True, text=True, timeout=10)
    assert line.stdout == "1\n"
