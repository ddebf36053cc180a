"""For operators, straight on the database: `limits`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api_stub.cli.operate import open_database
from api_stub.cli.shell import DONE, JsonFlag, fail, misuse, note, print_facts, print_json, print_table
from api_stub.cli.tracking import family
from jobs import settings as settings_module


def register(app: typer.Typer) -> None:
    limits = family(app, "limits", "How much may be under way at once, or started in a time.")
    limits.command("list")(list_limits)
    limits.command("set")(set_limit)
    limits.command("rm")(remove_limit)


def list_limits(as_json: JsonFlag = False) -> int:
    """Every limit, and how much of it is used now.

    Example: mediamill limits list
    """
    from api_stub import sharing

    with open_database() as database, database.read() as session:
        found = sharing.limit_views(session)
    if as_json:
        print_json(found)
        return DONE
    rows = ((one["scope"], one["concurrency"], _used(one), _number(one["per_second"]), _number(one["per_minute"])) for one in found)
    print_table(("LIMIT", "AT ONCE", "NOW", "PER SECOND", "PER MINUTE"), rows, empty="there is no limit yet")
    return DONE


def set_limit(
    provider: Annotated[str | None, typer.Option(help="Jobs of this provider.")] = None,
    operation: Annotated[str | None, typer.Option(help="Jobs that ask this operation.")] = None,
    key: Annotated[str | None, typer.Option(help="Jobs sent with this upstream key.")] = None,
    each_key: Annotated[bool, typer.Option("--each-key", help="For each upstream key by itself.")] = False,
    tenant: Annotated[str | None, typer.Option(help="Jobs of this tenant, by name or id.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Units at once.")] = None,
    per_second: Annotated[float | None, typer.Option(help="Starts in a second, spread evenly.")] = None,
    per_minute: Annotated[float | None, typer.Option(help="Starts in a minute, spread evenly.")] = None,
    as_json: JsonFlag = False,
) -> int:
    """Set a limit for jobs that fit all of the selectors; without one it is for all jobs together. Replaces its like.

    Example: mediamill limits set --provider kling --each-key --concurrency 5
    """
    from api_stub import sharing
    from jobs.queries import limits

    if concurrency is None and per_second is None and per_minute is None:
        misuse("a limit of what? give --concurrency, --per-second or --per-minute")
    for option, rate in (("--per-second", per_second), ("--per-minute", per_minute)):
        if rate is not None and not 0 < rate <= sharing.MOST_UNITS:
            misuse(
                f"{option} must be more than 0 and at most {sharing.MOST_UNITS}; to stop it altogether there is `mediamill pause`"
            )
    with open_database() as database, database.transaction() as session:
        try:
            selectors = sharing.Names(session, settings_module.load()).selectors(
                provider=provider, operation=operation, key=key, each_key=each_key, tenant=tenant
            )
        except sharing.Misnamed as error:
            misuse(str(error))
        rule = limits.put(session, **selectors._asdict(), concurrency=concurrency, per_second=per_second, per_minute=per_minute)
        shown = sharing.limit_view(rule, limits.under_way(session))
    if as_json:
        print_json(shown)
        return DONE
    print_facts(
        [
            ("limit", shown["scope"]),
            ("at once", shown["concurrency"]),
            ("per second", _number(shown["per_second"])),
            ("per minute", _number(shown["per_minute"])),
            ("now", _used(shown)),
        ]
    )
    if concurrency is not None and _most(shown) > concurrency:
        note("more than that is under way: it goes on, and nothing new is started until it is less")
    return DONE


def remove_limit(
    scope: Annotated[list[str], typer.Argument(metavar="SCOPE", help="As `limits list` shows it.")], as_json: JsonFlag = False
) -> int:
    """Take a limit away.

    Example: mediamill limits rm "provider=kling key=*"
    """
    from api_stub import sharing
    from jobs.queries import limits

    with open_database() as database, database.transaction() as session:
        try:
            wanted = sharing.scope_meant(session, " ".join(scope))
        except ValueError as error:
            misuse(str(error))
        if not limits.remove(session, wanted):
            fail(f"there is no limit {wanted}; `mediamill limits list` shows them")
    if as_json:
        print_json({"scope": wanted, "removed": True})
    else:
        print_facts([("removed", wanted)])
    return DONE


def _used(shown: dict[str, Any]) -> str:
    if shown["each_key"] and shown["in_use_by_key"]:
        return ", ".join(f"{key} {units}" for key, units in sorted(shown["in_use_by_key"].items()))
    return str(shown["in_use"])


def _most(shown: dict[str, Any]) -> int:
    """What is compared with the limit: all that fits, or the key that has most."""
    by_key: dict[str, int] = shown["in_use_by_key"]
    return max(by_key.values(), default=0) if shown["each_key"] else sum(by_key.values())


def _number(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:g}"
