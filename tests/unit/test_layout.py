"""The house rules that the code itself can be asked about: who imports whom, who calls out, who knows a vendor's name."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import catalogue

ROOT = Path(__file__).parents[2]

#: Each package, and those of ours that it may import.
MAY_IMPORT = {
    "jobs": {"jobs"},
    "storage": {"storage"},
    "workers": {"workers", "jobs", "storage"},
    "api_stub": {"api_stub", "workers", "jobs", "storage"},
    "simulator": {"simulator"},
}

#: The command line starts the simulator by its own front door, and knows nothing else of it.
FRONT_DOOR = ("api_stub/cli/", "simulator.cli.main")

#: What `jobs` must not know of.
OUTSIDE = {"celery", "kombu", "redis", "httpx", "httpx2", "requests", "urllib3", "aiohttp", "boto3", "botocore", "fastapi"}

#: What can make an HTTP request. `boto3` is the storage's own affair.
HTTP = {"httpx", "httpx2", "httpcore2", "requests", "urllib3", "aiohttp", "urllib.request", "http.client"}

#: `workers.egress` is the one way out of this program; `api_stub/client.py` runs at the user's, not here.
MAY_CALL_OUT = ("workers/egress/", "api_stub/client.py")


def _files(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything this file imports, wherever in it, also for type checking only."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).parts[: -node.level or None]) if node.level else ""
            module = ".".join(part for part in (package, node.module or "") if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _belongs_to(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package: str) -> None:
    files = _files(package)
    assert files, f"{package} is gone"
    wrong = [
        f"{_name(path)}:{line} imports {name}"
        for path in files
        for line, name in _imports(path)
        if (top := name.partition(".")[0]) in MAY_IMPORT and top not in MAY_IMPORT[package]
        if not (_name(path).startswith(FRONT_DOOR[0]) and name == FRONT_DOOR[1])
    ]
    assert wrong == []


def test_jobs_knows_nothing_of_queues_and_networks() -> None:
    wrong = [
        f"{_name(path)}:{line} imports {name}"
        for path in _files("jobs")
        for line, name in _imports(path)
        if _belongs_to(name, OUTSIDE | HTTP)
    ]
    assert wrong == []


def test_only_egress_calls_out() -> None:
    wrong = [
        f"{_name(path)}:{line} imports {name}"
        for path in _files("jobs", "workers", "storage", "api_stub")
        if not _name(path).startswith(MAY_CALL_OUT)
        for line, name in _imports(path)
        if _belongs_to(name, HTTP)
    ]
    assert wrong == []


def test_the_user_client_calls_out_and_is_used_by_no_server_part() -> None:
    """It has no rules against private addresses: nothing that runs at ours may borrow it."""
    wrong = [
        f"{_name(path)}:{line} imports {name}"
        for path in _files("jobs", "workers", "storage", "api_stub/routes")
        for line, name in _imports(path)
        if name.startswith("api_stub.client")
    ]
    assert wrong == []


def _decides_by_name(path: Path, names: set[str]) -> Iterator[str]:
    """Comparisons, cases and prefix tests with the name of a provider or operation in them."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        looked_at: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            looked_at = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            looked_at = [node.value]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith", "removeprefix", "partition")
        ):
            looked_at = list(node.args)
        for part in looked_at:
            for constant in ast.walk(part):
                named = isinstance(constant, ast.Constant) and isinstance(constant.value, str)
                if named and constant.value.rstrip(".") in names:
                    yield f"{_name(path)}:{constant.lineno} decides by {constant.value!r}"


def test_no_code_outside_its_file_decides_by_a_vendors_name() -> None:
    operations = catalogue.all_operations()
    names = set(operations) | {operation.provider for operation in operations.values()}
    wrong = [
        found
        for path in _files("jobs", "workers", "storage", "api_stub")
        if not _name(path).startswith("jobs/catalogue/providers/")
        for found in _decides_by_name(path, names)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "source",
    [
        "if job.provider == 'kling': pass",
        "x = job.operation in ('suno.music', 'other')",
        "match job.provider:\n    case 'openai': pass",
        "if job.operation.startswith('kling.'): pass",
    ],
)
def test_the_test_above_sees_what_it_should(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "bad.py"
    file.write_text(source)
    assert list(_decides_by_name(file, {"kling", "openai", "suno.music"}))


def test_every_provider_is_one_file_or_package_named_after_it() -> None:
    files = {info.name for info in pkgutil.iter_modules([str(ROOT / "jobs/catalogue/providers")])}
    assert {operation.provider for operation in catalogue.all_operations().values()} == files
