"""`doctor`: looks at every part and says what to mend, a line each."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from api_stub.cli.server import KeyOption, UrlOption, resolve
from api_stub.cli.shell import DONE, FAILED, JsonFlag, print_json
from jobs import settings as settings_module
from jobs.settings import Settings, SettingsError

if TYPE_CHECKING:
    from jobs.pricing import PriceList

_PATIENCE_S = 5.0
#: The list of models is long.
_MODELS_BYTES = 16 << 20
#: A price that nobody has looked up for so long may be another by now.
_STALE_DAYS = 90
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """`warning`: it works, but somebody should know; the exit code stays 0."""

    part: str
    ok: bool
    said: str
    warning: bool = False

    @property
    def mark(self) -> str:
        return "!" if self.warning else "✓" if self.ok else "✗"


class Sick(Exception):
    """What is wrong with a part, and what to do."""


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: JsonFlag = False, url: UrlOption = None, key: KeyOption = None) -> int:
    """Look at every part: settings, database, broker, storage, gateway, its accounts, prices, pauses, API.

    Exit code 1 if one needs mending; what is marked with ! works, and somebody should know. Example: mediamill doctor
    """
    findings = []
    for finding in examine(url, key):
        findings.append(finding)
        if not as_json:
            typer.echo(f"{finding.mark} {finding.part:<9} {finding.said}")
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
    parts: dict[str, Callable[[], str | Iterator[Finding]]] = {
        "database": lambda: _database(settings),
        "broker": lambda: _broker(settings),
        "storage": lambda: _storage(settings),
        "upstream": lambda: _upstream(settings),
        "balance": lambda: _balances(settings),
        "prices": lambda: _prices(settings),
        "pauses": lambda: _pauses(settings),
        "flower": lambda: _flower(settings),
        "api": lambda: _api(url, key, settings),
    }
    for part, look in parts.items():
        try:
            said = look()
            if isinstance(said, str):
                yield Finding(part, True, said)
            else:
                yield from said
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
    keys = settings.named_keys()
    if not keys and "upstream_url" not in settings.model_fields_set:
        return "no COMETAPI_KEY; `mediamill serve` puts the simulator in its place"
    if not keys:
        raise Sick(f"{settings.upstream_url}: no key; set COMETAPI_KEY or MEDIAMILL_UPSTREAM_KEY")
    one = len(keys) == 1
    for name, key in keys.items():
        status = _models_status(settings, key.get_secret_value())
        if status in (401, 403):
            place = "COMETAPI_KEY" if name == settings_module.DEFAULT_KEY else "MEDIAMILL_UPSTREAM_KEYS"
            raise Sick(f"{settings.upstream_url} refuses the key{'' if one else f' {name}'} (HTTP {status}); look at {place}")
        if status >= 400:
            raise Sick(f"{settings.upstream_url} answers HTTP {status}; is MEDIAMILL_UPSTREAM_URL right?")
    return f"{settings.upstream_url} answers and takes " + ("the key" if one else f"the keys {', '.join(keys)}")


def _models_status(settings: Settings, key: str) -> int:
    """The status of GET /v1/models, which is free."""
    from workers import egress

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


def _balances(settings: Settings) -> Iterator[Finding]:
    """What the accounts behind the keys hold. The gateway is asked, which is free."""
    from jobs.view import amount
    from workers import balance

    keys, low = settings.named_keys(), settings.low_balance_usd
    if not keys:
        yield Finding("balance", True, "there is no key, and no account")
    elif not settings.balance_url:
        yield Finding("balance", True, "not asked for: MEDIAMILL_BALANCE_URL names no address of this gateway")
    else:
        for name, (usd, why, unlimited) in asyncio.run(balance.ask(settings.balance_url, keys)).items():
            if unlimited:
                yield Finding("balance", True, f"{name}: {why}")
            elif usd is None:
                yield Finding("balance", True, f"{name}: unknown: {why}", warning=True)
            elif low is not None and usd < low:
                said = f"{name}: {amount(usd)} USD, less than MEDIAMILL_LOW_BALANCE_USD ({amount(low)}): fill it, the key is paused"
                yield Finding("balance", True, said, warning=True)
            else:
                yield Finding("balance", True, f"{name}: {amount(usd)} USD", warning=usd <= 0)


def _prices(settings: Settings) -> Iterator[Finding]:
    """Settings that are known and possible have a price file that is right."""
    from jobs import catalogue, pricing

    prices = pricing.in_force(settings.prices)
    everything = catalogue.all_operations()
    ours = f", {len(prices.own())} of them by {settings.prices}" if settings.prices else ""
    yield Finding("prices", True, f"{len(prices.priced())} of {len(everything)} operations have one{ours}; the others are unknown")
    stale = stale_prices(prices, datetime.now(UTC).date())
    if stale:
        more = f" and {len(stale) - _MOST_NAMED} more" if len(stale) > _MOST_NAMED else ""
        said = (
            f"looked up more than {_STALE_DAYS} days ago: {', '.join(stale[:_MOST_NAMED])}{more}; MEDIAMILL_PRICES names newer ones"
        )
        yield Finding("prices", True, said, warning=True)


def stale_prices(prices: PriceList, today: date) -> list[str]:
    """Rows that nobody has looked up for long, the oldest first: `suno.music chirp-v5 (2026-01-31)`."""
    rows = [(row.read, name, row.models) for name, row in prices if row.read and row.read < today - timedelta(days=_STALE_DAYS)]
    return [f"{' '.join((name, *models))} ({read})" for read, name, models in sorted(rows)]


def _pauses(settings: Settings) -> Iterator[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from api_stub import sharing
    from jobs import migrate
    from jobs.db import Database

    try:
        database = Database(settings.database_url)
        try:
            migrate.check(database)
            with database.read() as session:
                found = sharing.pause_views(session, settings)
        finally:
            database.dispose()
    except (migrate.SchemaOutdated, SQLAlchemyError, OSError):
        yield Finding("pauses", True, "not known: see the database", warning=True)
        return
    if not found:
        yield Finding("pauses", True, "nothing is paused")
    for one in found:
        whose = "came by itself" if one["automatic"] else f"by {one['actor']}"
        waiting = f"{one['jobs_waiting']:,} {'job waits' if one['jobs_waiting'] == 1 else 'jobs wait'}"
        yield Finding("pauses", True, f"{one['scope']}: {one['reason']} ({whose}; {waiting})", warning=True)


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
