"""The command line. `main` is the console script; one file for each family of commands, found in `program.py`.

Exit codes: 0 done, 1 failed, 2 misuse. Data goes to standard output (`--json` for machines), everything else to standard error.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; the console script exits with it."""
    from api_stub.cli.program import run

    return run(arguments)
