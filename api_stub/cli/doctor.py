"""`doctor`: looks at every part and says what to mend, a line each."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import typer

from api_stub.cli.server import KeyOption, UrlOption, resolve
from api_stub.cli.shell import DONE, FAILED, JsonFlag, print_json
from jobs import settings as settings_module
from jobs.settings import Settings, SettingsError

_PATIENCE_S = 5.0
#: The list of models is long.
_MODELS_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    ok: bool
    said: str


class Sick(Exception):
    """What is wrong with a part, and what to do."""


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: JsonFlag = False, url: UrlOption = None, key: KeyOption = None) -> int:
    """Look at every part: settings, database, broker, storage, gateway, API. Exit code 1 if one needs mending.

    Example: mediamill doctor
    """
    findings = []
    for finding in examine(url, key):
        findings.append(finding)
        if not as_json:
            mark = "✓" if finding.ok else "✗"
            typer.echo(f"{mark} {finding.part:<9} {finding.said}")
            sys.stdout.flush()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    return DONE if all(finding.ok for finding in findings) else FAILED


def examine(url: str | None = None, key: str | None = None) -> Iterator[Finding]:
    """Each part in turn, as soon as it is known."""
    try:
        settings = settings_module.load()
    except SettingsError as error:
        for line in str(error).splitlines():
            yield Finding("settings", False, line)
        return
    yield Finding("settings", True, f"all known and possible; data in {settings.data}")
    parts: dict[str, Callable[[], str]] = {
        "database": lambda: _database(settings),
        "broker": lambda: _broker(settings),
        "storage": lambda: _storage(settings),
        "upstream": lambda: _upstream(settings),
        "flower": lambda: _flower(settings),
        "api": lambda: _api(url, key, settings),
    }
    for part, look in parts.items():
        try:
            yield Finding(part, True, look())
        except Sick as error:
            yield Finding(part, False, str(error))


def _database(settings: Settings) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    from jobs import migrate
    from jobs.db import Database

    place = "SQLite" if settings.embedded_database else "PostgreSQL"
    try:
        database = Database(settings.database_url)
        try:
            migrate.check(database)
        finally:
            database.dispose()
    except migrate.SchemaOutdated as error:
        raise Sick(f"{place}: {error}") from None
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise Sick(f"{place} cannot be used: {reason}; look at MEDIAMILL_DATABASE_URL") from None
    return f"{place} answers, its tables are up to date ({migrate.newest()})"


def _broker(settings: Settings) -> str:
    if settings.broker_url:
        from workers.roles import ping_broker

        problem = ping_broker(settings.broker_url, _PATIENCE_S)
        if problem is not None:
            raise Sick(f"does not answer: {problem}; look at MEDIAMILL_BROKER_URL")
        return "answers"
    if shutil.which("redis-server"):
        return "none set; `mediamill serve` starts redis-server"
    if find_spec("fakeredis") and find_spec("lupa"):
        return "none set; `mediamill serve` brings its own (fakeredis; redis-server on the PATH would be faster)"
    raise Sick("none: set MEDIAMILL_BROKER_URL, or install redis-server, or pip install 'mediamill[embedded]'")


def _storage(settings: Settings) -> str:
    from storage import StorageError, open_store

    scheme = settings.storage_url.partition(":")[0]
    try:
        # The key only signs links, and none is made here.
        open_store(settings.storage_url, link_base=settings.public_url, link_key=b"doctor looks at files").check()
    except (StorageError, OSError) as error:
        raise Sick(f"{scheme}: {error}; look at MEDIAMILL_STORAGE_URL") from None
    return f"{'folder' if scheme == 'file' else scheme}: writes, reads and deletes"


def _upstream(settings: Settings) -> str:
    if settings.upstream_key is None and "upstream_url" not in settings.model_fields_set:
        return "no COMETAPI_KEY; `mediamill serve` puts the simulator in its place"
    if settings.upstream_key is None:
        raise Sick(f"{settings.upstream_url}: no key; set COMETAPI_KEY or MEDIAMILL_UPSTREAM_KEY")
    status = _models_status(settings)
    if status == 401 or status == 403:
        raise Sick(f"{settings.upstream_url} refuses the key (HTTP {status}); look at COMETAPI_KEY")
    if status >= 400:
        raise Sick(f"{settings.upstream_url} answers HTTP {status}; is MEDIAMILL_UPSTREAM_URL right?")
    return f"{settings.upstream_url} answers and takes the key"


def _models_status(settings: Settings) -> int:
    """The status of GET /v1/models, which is free."""
    import asyncio

    from workers import egress

    key = settings.upstream_key.get_secret_value() if settings.upstream_key else ""

    async def ask() -> int:
        async with egress.upstream_client(settings.upstream_url, timeouts=egress.POLL) as client:
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{settings.upstream_url}/v1/models"
            answer = await egress.request_json(client, "GET", url, headers=headers, total_s=_PATIENCE_S, cap_bytes=_MODELS_BYTES)
        return answer.status

    try:
        return asyncio.run(ask())
    except egress.EgressError as error:
        raise Sick(f"{settings.upstream_url} cannot be reached: {error}; look at MEDIAMILL_UPSTREAM_URL") from None


def _flower(settings: Settings) -> str:
    if find_spec("flower") is None:
        return "not installed, and not needed (pip install 'mediamill[flower]')"
    if settings.flower_password is None:
        return "installed; `mediamill serve` makes a password, `mediamill flower` needs MEDIAMILL_FLOWER_PASSWORD"
    return "installed, with a password"


def _api(url: str | None, key: str | None, settings: Settings) -> str:
    from api_stub.client import Client, ClientError, Refused

    url, key = resolve(url, key, settings)
    try:
        with Client(url, key, timeout_s=_PATIENCE_S) as client:
            problem = client.not_ready()
            if problem is not None:
                raise Sick(f"{url} runs but takes no jobs: {problem}")
            client.jobs(most=1)
    except Refused as error:
        if error.status == 401:
            raise Sick(f"{url} answers but refuses the key: name one with --key or MEDIAMILL_BOOTSTRAP_KEY") from None
        raise Sick(f"{url}: {error}") from None
    except ClientError as error:
        raise Sick(str(error)) from None
    return f"{url} takes jobs, and our key"
