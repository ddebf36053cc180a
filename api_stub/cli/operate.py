"""For operators, straight on the database: `keys` and `db`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from api_stub.cli.shell import DONE, JsonFlag, fail, note, print_facts, print_json, print_table
from jobs import settings as settings_module

if TYPE_CHECKING:
    from jobs.db import Database


def register(app: typer.Typer) -> None:
    keys = typer.Typer(help="API keys: make, list, revoke.", no_args_is_help=True, rich_markup_mode=None)
    keys.command("create")(create_key)
    keys.command("list")(list_keys)
    keys.command("revoke")(revoke_key)
    app.add_typer(keys, name="keys")
    db = typer.Typer(help="The database's tables.", no_args_is_help=True, rich_markup_mode=None)
    db.command("upgrade")(upgrade)
    db.command("check")(check)
    app.add_typer(db, name="db")


@contextmanager
def open_database(*, checked: bool = True) -> Iterator[Database]:
    from jobs import migrate
    from jobs.db import Database

    database = Database(settings_module.load().database_url)
    try:
        if checked:
            migrate.check(database)
        yield database
    finally:
        database.dispose()


def create_key(
    tenant: Annotated[str, typer.Option(help="Who uses it; made if new.")],
    note_: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="It may also pause, set limits, and see all tenants.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Make an API key. It is shown once.

    Example: mediamill keys create --tenant studio; mediamill keys create --tenant operations --admin
    """
    from jobs.queries import keys

    with open_database() as database, database.transaction() as session:
        row, key = keys.create(session, tenant, note=note_, admin=admin)
    if as_json:
        print_json({"id": row.id, "key": key, "tenant": tenant} | ({"admin": True} if admin else {}))
    else:
        print_facts([("key", key), ("id", row.id), ("tenant", tenant), ("may", "all that admins may" if admin else None)])
        note("keep it: it is not shown again")
    return DONE


def list_keys(as_json: JsonFlag = False) -> int:
    """All keys, without the keys themselves.

    Example: mediamill keys list
    """
    from jobs.queries import keys
    from jobs.view import instant

    with open_database() as database, database.read() as session:
        rows = [
            {
                "id": row.id,
                "tenant": tenant,
                "admin": row.admin,
                "note": row.note,
                "created_at": instant(row.created_at),
                "revoked_at": instant(row.revoked_at),
            }
            for row, tenant in keys.every(session)
        ]
    if as_json:
        print_json(rows)
    else:
        table = (
            (row["id"], row["tenant"], "yes" if row["admin"] else "", row["note"], row["created_at"], row["revoked_at"])
            for row in rows
        )
        print_table(("KEY", "TENANT", "ADMIN", "NOTE", "CREATED", "REVOKED"), table, empty="there is no key yet")
    return DONE


def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: JsonFlag = False) -> int:
    """Revoke a key: it opens nothing from now on.

    Example: mediamill keys revoke key_0199a7c2f0a87d7c8f0e4f1d2c3b4a59
    """
    from jobs.queries import keys

    with open_database() as database, database.transaction() as session:
        revoked = keys.revoke(session, key_id)
    if not revoked:
        fail(f"{key_id} is no key in use; `mediamill keys list` shows them")
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        print_facts([("revoked", key_id)])
    return DONE


def upgrade(as_json: JsonFlag = False) -> int:
    """Bring the tables up to date. Safe to run from several places at once.

    Example: mediamill db upgrade
    """
    from jobs import migrate

    with open_database(checked=False) as database:
        migrate.upgrade(database)
    _say_version(as_json)
    return DONE


def check(as_json: JsonFlag = False) -> int:
    """Whether the tables are those of this program; exit code 1 if not.

    Example: mediamill db check
    """
    with open_database():
        _say_version(as_json)
    return DONE


def _say_version(as_json: bool) -> None:
    from jobs import migrate

    if as_json:
        print_json({"version": migrate.newest(), "up_to_date": True})
    else:
        print_facts([("database", f"up to date ({migrate.newest()})")])
