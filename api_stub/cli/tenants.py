"""For operators, straight on the database: `tenants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api_stub.cli.operate import open_database
from api_stub.cli.shell import DONE, JsonFlag, misuse, print_facts, print_json, print_table
from api_stub.cli.tracking import family
from jobs import settings as settings_module

if TYPE_CHECKING:
    from sqlmodel import Session

TenantName = Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")]

_SHOWN = {
    "weight": "WEIGHT",
    "max_running": "MAX RUNNING",
    "submits_per_minute": "SUBMITS A MINUTE",
    "max_queued": "MAX QUEUED",
    "cap_usd": "CAP USD",
    "cap_day_usd": "CAP USD A DAY",
    "used_today_usd": "USED TODAY USD",
}


def register(app: typer.Typer) -> None:
    tenants = family(app, "tenants", "Shares, limits and caps of tenants. `keys create` makes a tenant.")
    tenants.command("list")(list_tenants)
    tenants.command("show")(show_tenant)
    tenants.command("set")(set_tenant)


def list_tenants(as_json: JsonFlag = False) -> int:
    """All tenants with their shares, limits and caps, and what they have used of the day's (UTC).

    Example: mediamill tenants list
    """
    from api_stub import sharing
    from jobs.queries import tenants

    with open_database() as database, database.read() as session:
        found = sharing.tenant_views(session, tenants.listed(session))
    if as_json:
        print_json(found)
        return DONE
    rows = ((one["name"], one["id"], *(one[field] for field in _SHOWN)) for one in found)
    print_table(("TENANT", "ID", *_SHOWN.values()), rows, empty="there is no tenant yet; `mediamill keys create` makes one")
    return DONE


def show_tenant(name: TenantName, as_json: JsonFlag = False) -> int:
    """One tenant with its share, limits and caps, and what it has used of the day's (UTC).

    Example: mediamill tenants show studio
    """
    with open_database() as database, database.read() as session:
        return _show(session, _named(session, name), as_json=as_json)


def set_tenant(
    name: TenantName,
    weight: Annotated[int | None, typer.Option(min=1, max=1000, help="Its share: 3 is served three times as often as 1.")] = None,
    max_running: Annotated[str | None, typer.Option(metavar="N|none", help="Units at providers at once.")] = None,
    submits_per_minute: Annotated[str | None, typer.Option(metavar="N|none", help="Calls that submit, in 60 s.")] = None,
    max_queued: Annotated[str | None, typer.Option(metavar="N|none", help="Jobs that wait.")] = None,
    cap: Annotated[str | None, typer.Option(metavar="USD|none", help="What it may spend in all.")] = None,
    cap_day: Annotated[str | None, typer.Option(metavar="USD|none", help="What it may spend on one day, UTC.")] = None,
    as_json: JsonFlag = False,
) -> int:
    """Change what is named of a tenant; `none` takes a limit or a cap away.

    Example: mediamill tenants set studio --weight 3 --max-running 10 --cap 100.00 --cap-day none
    """
    from api_stub.sharing import MOST_QUEUED, MOST_UNITS
    from jobs.queries import tenants

    changes: dict[str, Any] = {} if weight is None else {"weight": weight}
    counts = (
        ("--max-running", "max_running", max_running, MOST_UNITS),
        ("--submits-per-minute", "submits_per_minute", submits_per_minute, MOST_UNITS),
        ("--max-queued", "max_queued", max_queued, MOST_QUEUED),
    )
    changes |= {field: _count(option, given, most) for option, field, given, most in counts if given is not None}
    amounts = (("--cap", "cap_usd", cap), ("--cap-day", "cap_day_usd", cap_day))
    changes |= {field: _usd(option, given) for option, field, given in amounts if given is not None}
    if not changes:
        misuse("nothing to change: give --weight, --max-running, --submits-per-minute, --max-queued, --cap or --cap-day")
    with open_database() as database, database.transaction() as session:
        tenant_id = _named(session, name)
        tenants.change(session, tenant_id, **changes)
        return _show(session, tenant_id, as_json=as_json)


def _named(session: Session, name: str) -> str:
    """The id of the tenant that is called so."""
    from api_stub import sharing

    try:
        return sharing.Names(session, settings_module.load()).tenant(name)
    except sharing.Misnamed as error:
        misuse(str(error))


def _show(session: Session, tenant_id: str, *, as_json: bool) -> int:
    from api_stub import sharing
    from jobs.models import Tenant

    (shown,) = sharing.tenant_views(session, [session.get_one(Tenant, tenant_id)])
    if as_json:
        print_json(shown)
    else:
        print_facts(
            [
                ("tenant", shown["name"]),
                ("id", shown["id"]),
                *((title.lower().replace("usd", "USD"), shown[field] or "none") for field, title in _SHOWN.items()),
            ]
        )
    return DONE


def _count(option: str, given: str, most: int) -> int | None:
    if given == "none":
        return None
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:10]) <= most):
        misuse(f"{option} takes a whole number from 1 to {most}, or none; not {given[:64]}")
    return int(given)


def _usd(option: str, given: str) -> Any:
    """A Decimal, exactly as it was written."""
    from pydantic import TypeAdapter, ValidationError

    from jobs.submission import UsdAmount

    if given == "none":
        return None
    try:
        return TypeAdapter(UsdAmount).validate_python(given)
    except ValidationError:
        misuse(f"{option} takes an amount of USD like 100.00, to six places and at most a million, or none; not {given[:64]}")
