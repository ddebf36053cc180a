"""What the commands share: exit codes, errors as sentences, JSON for machines and tables for people."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, MISUSE, INTERRUPTED = 0, 1, 2, 130

#: Width of tables that go into a file or a pipe: wide enough for every column.
_PIPE_WIDTH = 200

JsonFlag = Annotated[bool, typer.Option("--json", help="JSON for machines.")]


class Failure(Exception):
    """A command cannot do what was asked. `code` is the exit code."""

    def __init__(self, *lines: str, code: int = FAILED) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.code = code


def fail(*lines: str) -> NoReturn:
    raise Failure(*lines)


def misuse(*lines: str) -> NoReturn:
    raise Failure(*lines, code=MISUSE)


def complain(*lines: str) -> None:
    for line in lines:
        typer.echo(f"mediamill: {line}", err=True)


def note(line: str) -> None:
    """For people who watch; never part of the data."""
    typer.echo(line, err=True)


def known_failure(error: Exception) -> tuple[list[str], int] | None:
    """The lines and the exit code for an error that is nobody's mistake here; None for a mistake of ours.

    By name where the class lives in a module that most commands need not load.
    """
    from api_stub.client import ClientError, Refused, Unsendable
    from jobs.settings import SettingsError

    if isinstance(error, Failure):
        return list(error.lines), error.code
    if isinstance(error, SettingsError):
        return str(error).splitlines(), MISUSE
    if isinstance(error, Refused):
        # One problem is what the sentence says already, save that a batch's names the line only.
        more = error.problems if len(error.problems) > 1 or error.code == "batch_invalid" else []
        code = MISUSE if error.status in (400, 413, 415, 422) else FAILED
        return [_with_hint(error), *(f"  {problem}" for problem in more)], code
    if isinstance(error, ClientError):
        return [str(error)], MISUSE if isinstance(error, Unsendable) else FAILED
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"PortTaken", "FolderInUse", "UnknownQueue", "RoleRefused"}:
        return [str(error)], MISUSE
    if names & {"SchemaOutdated", "NotReady", "PartFailed"}:
        return str(error).splitlines(), FAILED
    if "StorageError" in names:
        return [f"the storage cannot be used: {error} (MEDIAMILL_STORAGE_URL)"], FAILED
    if "DBAPIError" in names:
        original = getattr(error, "orig", error)
        return [f"the database cannot be used: {str(original).strip().splitlines()[0]} (MEDIAMILL_DATABASE_URL)"], FAILED
    return None


def _with_hint(error: Any) -> str:
    if error.status == 401:
        return f"{error}: name the key with --key or MEDIAMILL_BOOTSTRAP_KEY; `mediamill keys create` makes one"
    return str(error)


def console(*, err: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else max(_PIPE_WIDTH, shutil.get_terminal_size().columns)
    return Console(stderr=err, width=width, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table of plain cells; `empty` is said when it has no rows."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        note(empty)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Name and value, a line each; what is None is left out. The further lines of a value stand below its first."""
    shown = [(name, str(value)) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        below = "\n" + " " * (width + 2)
        typer.echo(f"{name:<{width}}  {value.replace(chr(10), below)}")


def bytes_text(count: int | None) -> str | None:
    if count is None:
        return None
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def ago(moment: str | None) -> str | None:
    """`2026-11-22T17:00:00Z` as "3 min ago"."""
    if moment is None:
        return None
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def seconds_between(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
