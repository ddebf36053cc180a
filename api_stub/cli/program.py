"""All commands under one name, and what becomes of their errors: one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from api_stub.cli import batches, catalogue, doctor, limits, operate, pausing, roles, settings, tenants, tracking, usage, work
from api_stub.cli.shell import FAILED, INTERRUPTED, complain, known_failure

app = typer.Typer(
    name="mediamill",
    help="Run and operate AI media jobs: images, video, music, speech, text. `mediamill serve` starts everything.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for family in (roles, work, tracking, batches, catalogue, operate, pausing, limits, tenants, usage, doctor, settings):
    family.register(app)


def _say_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"mediamill {version('mediamill')}")
        except PackageNotFoundError:
            typer.echo("mediamill, from a checkout")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    del version


#: Built once: to read the options of all commands takes longer than many a command.
_program = typer.main.get_command(app)


def run(arguments: Sequence[str] | None = None) -> int:
    try:
        result = _program(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="mediamill", standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            typer.echo(error.format_message(), err=True)
        else:
            complain(f"{error.format_message().rstrip('.')} (see `{_command(error)} --help`)")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough (`mediamill jobs list | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        failure = known_failure(error)
        if failure is None:
            raise
        lines, code = failure
        complain(*lines)
        return code
    return result if isinstance(result, int) else 0


def _command(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "mediamill"
