"""Looks at the accounts behind the upstream keys: one that runs low is not used until somebody has filled it.

The gateway is asked with a free call, `GET /user/quota?key=…` on a host of its own (CometAPI's page "Balance query", read
2026-11). The key stands in the URL, so no URL of these calls is ever logged or kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

import structlog
from pydantic import SecretStr
from sqlmodel import Session

from jobs.queries import balances, pauses
from jobs.view import amount
from workers import egress
from workers.context import Context

log = structlog.get_logger()

#: A key is asked about once in so many seconds, whatever the number of processes.
EVERY_S = 300.0
#: Who made a pause, where it was this module: it lifts no other.
ACTOR = "balance"

_PATIENCE_S = 10.0
_MOST_BYTES = 1 << 20
#: Keys without a limit say -1, here and in the older answers a number of nines; an account may do the same.
_UNLIMITED = Decimal(-1)
_MOST_USD = Decimal(100_000_000)


class Told(NamedTuple):
    """What an account holds, in USD; None: not known, and `why` is for people. `unlimited`: whatever is asked of it."""

    usd: Decimal | None
    why: str | None = None
    unlimited: bool = False


def look(context: Context) -> None:
    """Ask about the keys whose turn it is, pause those whose account runs low, and lift the pauses of those that hold enough.

    Cheap where nothing is due. An answer that is not known is logged and changes nothing.
    """
    settings = context.settings
    keys = settings.named_keys()
    if not settings.balance_url or not keys:
        return
    with context.database.read() as session:
        due = balances.due(session, keys, EVERY_S)
    if not due:
        return
    with context.database.transaction() as session:
        mine = balances.claim(session, due, EVERY_S)
    if not mine:
        return
    answers = context.loop.run(ask(settings.balance_url, {name: keys[name] for name in mine}))
    for name, told in answers.items():
        with context.database.transaction() as session:
            balances.keep(session, name, told.usd, told.why)
            changed = _judge(session, name, told, settings.low_balance_usd)
        scope = pauses.scope_of("key", name)
        if changed == "paused":
            log.error("key_paused", scope=scope, code="low_balance", usd=amount(told.usd), ends="when the account holds more")
        elif changed == "resumed":
            log.info("key_resumed", scope=scope, usd=amount(told.usd))
        elif told.usd is None and not told.unlimited:
            log.warning("balance_unknown", key=name, reason=told.why)


async def ask(url: str, keys: Mapping[str, SecretStr]) -> dict[str, Told]:
    """What the account of each key holds, asked of the gateway at once. Never raises for an answer, or for none."""
    async with egress.upstream_client(url, timeouts=egress.POLL) as client:
        answers = await asyncio.gather(*(_ask(client, url, key.get_secret_value()) for key in keys.values()))
    return dict(zip(keys, answers, strict=True))


async def _ask(client: egress.Client, url: str, key: str) -> Told:
    address = f"{url}{'&' if '?' in url else '?'}key={quote(key, safe='')}"
    try:
        answer = await egress.request_json(client, "GET", address, total_s=_PATIENCE_S, cap_bytes=_MOST_BYTES)
    except egress.EgressError as error:
        return Told(None, f"no answer: {error}")
    said = _parsed(answer.body)
    told = _read(said) if answer.status == 200 else Told(None, f"HTTP {answer.status}")
    reason = egress.redact(_reason(said).replace(key, "***"), 200)
    return told._replace(why=f"{told.why}: {reason}") if told.usd is None and reason else told


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def _reason(said: Any) -> str:
    """The gateway's words for an error, in any of its envelopes."""
    error = said.get("error", said) if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def _read(said: Any) -> Told:
    usd = said.get("total_quota") if isinstance(said, dict) else None
    if isinstance(usd, bool) or not isinstance(usd, int | Decimal):
        return Told(None, "the answer names no total_quota")
    usd = Decimal(usd)
    if usd == _UNLIMITED or usd > _MOST_USD:
        return Told(None, "the account has no limit", unlimited=True)
    return Told(usd) if usd > -_MOST_USD else Told(None, "the answer names no amount that can be meant")


def _judge(session: Session, name: str, told: Told, low: Decimal | None) -> str | None:
    """Pause or resume the key, as its account wants: "paused" or "resumed" if that changed anything."""
    if told.usd is None and not told.unlimited:
        return None
    if told.usd is not None and low is not None and told.usd < low:
        reason = f"its account holds {amount(told.usd)} USD, less than MEDIAMILL_LOW_BALANCE_USD ({amount(low)})"
        return "paused" if pauses.put(session, "key", name, reason=reason, actor=ACTOR, automatic=True) else None
    scope = pauses.scope_of("key", name)
    pause = pauses.get(session, scope)
    # A key that the gateway refused is paused for another reason, whatever its account holds.
    if pause is None or pause.actor != ACTOR or pauses.lift(session, scope, only_automatic=True) is None:
        return None
    return "resumed"
