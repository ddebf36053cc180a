"""For operators, straight on the database: `pause`, `resume`, `pauses`."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from api_stub.cli.operate import open_database
from api_stub.cli.shell import DONE, JsonFlag, ago, fail, misuse, note, print_facts, print_json, print_table
from jobs import settings as settings_module

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help="provider, operation, tenant or key.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name; a tenant's may be its id.")]
OperationOption = Annotated[str | None, typer.Option("--operation", help="Of a key: only this operation.")]


def register(app: typer.Typer) -> None:
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("pauses")(list_pauses)


def pause(
    kind: KindArgument,
    name: NameArgument,
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it.")],
    operation: OperationOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Start nothing new of a provider, an operation, a tenant or an upstream key. What is under way goes on.

    Example: mediamill pause provider kling --reason "maintenance until six"
    """
    from api_stub import sharing
    from jobs.queries import pauses

    settings = settings_module.load()
    if not reason.strip():
        misuse("say why: --reason is what everybody else will read")
    with open_database() as database, database.transaction() as session:
        try:
            name, operation = sharing.Names(session, settings).pausable(kind, name, operation)
        except sharing.Misnamed as error:
            misuse(str(error))
        made = pauses.put(session, kind, name, operation=operation, reason=reason, actor=_actor())
        shown = sharing.shown_pause(session, pauses.scope_of(kind, name, operation), settings)
    if as_json:
        print_json(shown)
        return DONE
    if not made:
        note(f"it is paused already; `{pauses.lifted_by(kind, name, operation)}` lifts it")
    print_facts(
        [
            ("paused", shown["scope"]),
            ("tenant", shown["tenant"]),
            ("reason", shown["reason"]),
            ("by", shown["actor"]),
            ("waiting", _jobs(shown["jobs_waiting"])),
        ]
    )
    note("nothing new is started of it; what is under way goes on")
    return DONE


def resume(kind: KindArgument, name: NameArgument, operation: OperationOption = None, as_json: JsonFlag = False) -> int:
    """Lift a pause. What waited because of it starts in its turn.

    Example: mediamill resume provider kling
    """
    from api_stub import sharing
    from jobs.queries import pauses

    settings = settings_module.load()
    with open_database() as database, database.transaction() as session:
        # By the words as they stand first: what is gone from the catalogue or the settings may still be paused.
        lifted = pauses.lift(session, pauses.scope_of(kind, name, operation))
        if lifted is None:
            try:
                name, operation = sharing.Names(session, settings).pausable(kind, name, operation)
            except sharing.Misnamed as error:
                misuse(str(error))
            lifted = pauses.lift(session, pauses.scope_of(kind, name, operation))
        if lifted is None:
            fail(f"{pauses.scope_of(kind, name, operation)} is not paused; `mediamill pauses` shows what is")
        freed = pauses.freed_by(lifted, pauses.lanes(session), pauses.listed(session), settings.keys_of)
    if as_json:
        print_json({"scope": lifted.scope, "resumed": True, "jobs_freed": freed})
    else:
        print_facts([("resumed", lifted.scope), ("free to start", _jobs(freed))])
    return DONE


def list_pauses(as_json: JsonFlag = False) -> int:
    """Everything that is paused, by whom and why, and how many jobs wait because of it.

    Example: mediamill pauses
    """
    from api_stub import sharing

    with open_database() as database, database.read() as session:
        found = sharing.pause_views(session, settings_module.load())
    if as_json:
        print_json(found)
        return DONE
    rows = (
        (
            one["scope"] + (f" ({one['tenant']})" if one["tenant"] else ""),
            one["jobs_waiting"],
            ago(one["created_at"]),
            one["actor"],
            one["reason"],
            f"tries again by itself at {one['probe_at']}" if one["probe_at"] else "",
        )
        for one in found
    )
    print_table(("PAUSED", "JOBS WAITING", "SINCE", "BY", "REASON", ""), rows, empty="nothing is paused")
    return DONE


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _actor() -> str:
    """Who sits at this machine, as far as it can tell."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return "operator"
