"""`config`: every setting, the value in force, and what it means."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from dotenv import dotenv_values
from pydantic import SecretStr

from api_stub.cli.shell import DONE, JsonFlag, print_json, print_table
from jobs import settings as settings_module
from jobs.settings import Settings, UpstreamKey


def register(app: typer.Typer) -> None:
    app.command("config")(config)


def config(
    secrets: Annotated[bool, typer.Option("--secrets", help="Show keys and passwords too.")] = False,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Only print a new webhook secret (whsec_…).")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Every setting: its value in force, whether that is the default, and what it means.

    Settings come from the environment, then from a file .env. Example: mediamill config
    """
    if new_secret:
        from jobs.queries.keys import new_webhook_secret

        secret = new_webhook_secret()
        if as_json:
            print_json({"secret": secret})
        else:
            typer.echo(secret)
        return DONE
    settings = settings_module.load()
    kept = _kept(settings) if secrets else {}
    rows = [_row(name, settings, secrets) | kept.get(name, {}) for name in Settings.model_fields]
    if as_json:
        print_json(rows)
    else:
        table = ((row["name"], _text(row["value"]), "" if row["default"] else row["source"], row["meaning"]) for row in rows)
        print_table(("SETTING", "VALUE", "SET IN", "MEANING"), table, empty="")
    return DONE


def _row(name: str, settings: Settings, secrets: bool) -> dict[str, Any]:
    field = Settings.model_fields[name]
    value = getattr(settings, name)
    is_secret = any(word in str(field.annotation) for word in ("SecretStr", "UpstreamKey"))
    shown: Any
    if isinstance(value, SecretStr):
        shown = value.get_secret_value() if secrets else "(hidden)"
    elif isinstance(value, str) and not secrets:
        shown = _without_password(value)
    elif name == "upstream_keys":
        shown = {called: _key(one, secrets) for called, one in settings.upstream_keys.items()}
    else:
        shown = value if isinstance(value, int | float | dict | None) else list(value) if isinstance(value, tuple) else str(value)
    source = _source(name)
    return {
        "name": settings_module.variable(name),
        "value": shown,
        "default": source is None,
        "source": source,
        "secret": is_secret,
        "meaning": field.description,
    }


def _key(key: UpstreamKey, secrets: bool) -> dict[str, Any]:
    shown = key.key.get_secret_value() if secrets else "(hidden)"
    return {"key": shown, "weight": key.weight, "providers": list(key.providers)}


def _kept(settings: Settings) -> dict[str, dict[str, Any]]:
    """Secrets that nobody set and the roles share through the database: a receiver of webhooks needs to know one of them."""
    from sqlalchemy.exc import SQLAlchemyError

    from jobs.db import Database
    from jobs.queries import keys

    names = {"webhook_secret": "webhook", "link_secret": "links"}
    missing = {field: name for field, name in names.items() if getattr(settings, field) is None}
    if not missing or (settings.embedded_database and not settings.data.exists()):
        return {}
    database = Database(settings.database_url)
    try:
        found = {field: keys.shared_secret(database, name) for field, name in missing.items()}
    except SQLAlchemyError:
        return {}  # `doctor` says what is wrong with it
    finally:
        database.dispose()
    return {field: {"value": value, "source": "database", "default": False} for field, value in found.items()}


def _source(name: str) -> str | None:
    """Where it is set; None: nowhere. An alias counts (COMETAPI_KEY)."""
    alias = Settings.model_fields[name].validation_alias
    choices = getattr(alias, "choices", None) or [settings_module.variable(name)]
    known = {str(choice).upper() for choice in choices}
    if any(given.upper() in known for given in os.environ):
        return "environment"
    if any(given.upper() in known for given in dotenv_values(settings_module.ENV_FILE)):
        return settings_module.ENV_FILE
    return None


def _without_password(url: str) -> str:
    """postgresql://user:(hidden)@host/name"""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not separator or not at or ":" not in credentials:
        return url
    return f"{scheme}://{credentials.partition(':')[0]}:(hidden)@{place}"


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    return ", ".join(value) if isinstance(value, list) else str(value)
