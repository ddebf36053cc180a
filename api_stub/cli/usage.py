"""`usage`: what was used and what it cost, as a table, as JSON or as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

import typer

from api_stub.cli.server import KeyOption, UrlOption, connect
from api_stub.cli.shell import DONE, JsonFlag, misuse, note, print_json, print_table

_MONEY = ("quoted_usd", "settled_usd", "refunded_usd", "open_usd")
_IN_CSV = (
    *("jobs", "calls", "quoted_usd", "unquoted_calls", "settled_usd", "refunded_usd"),
    *("open_usd", "open_calls", "unknown_calls", "cost_usd"),
)
_UNKNOWN = "unknown"


def register(app: typer.Typer) -> None:
    app.command("usage")(usage)


def usage(
    since: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The first day, UTC.")] = None,
    until: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The last day, UTC.")] = None,
    by: Annotated[
        str, typer.Option(help="What to tell apart: tenant, operation, provider, day, key_name, status; several with commas.")
    ] = "operation",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's, by name or id. Needs an admin's key.")] = None,
    as_json: JsonFlag = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV for a spreadsheet.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> int:
    """Jobs and money: what was quoted, what it cost, what came back, what is open. An admin's key shows all tenants'.

    Example: mediamill usage --since 2026-11-01 --by day,operation --csv > november.csv
    """
    if as_json and as_csv:
        misuse("--json or --csv, not both")
    with connect(url, key) as client:
        found = client.usage(since=since, until=until, group_by=by, tenant=tenant)
    if as_json:
        print_json(found)
        return DONE
    names = found["group_by"].split(",")
    if as_csv:
        typer.echo(_csv(names, found["data"]), nl=False)
        return DONE
    rows = [[*(one[name] for name in names), *_cells(one)] for one in found["data"]]
    if len(rows) > 1:
        rows.append(["all", *("" for _ in names[1:]), *_cells(found["total"])])
    columns = ("JOBS", "CALLS", "QUOTED USD", "SETTLED USD", "REFUNDED USD", "OPEN USD", "UNKNOWN CALLS")
    print_table((*(name.upper().replace("_", " ") for name in names), *columns), rows, empty="nothing was used")
    if unknown := found["total"]["unknown_calls"]:
        note(f"{unknown:,} {'call' if unknown == 1 else 'calls'} cost something that nobody knows: no sum holds it")
    return DONE


def _cells(group: dict[str, Any]) -> list[str]:
    return [
        f"{group['jobs']:,}",
        f"{group['calls']:,}",
        *(group[name] or _UNKNOWN for name in _MONEY),
        f"{group['unknown_calls']:,}",
    ]


def _csv(names: list[str], groups: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*names, *_IN_CSV])
    for one in groups:
        # An amount that is not there would count as zero; a job that was not handed out really has no key.
        table.writerow([*(one[name] or "" for name in names), *(_UNKNOWN if one[name] is None else one[name] for name in _IN_CSV)])
    return out.getvalue()
