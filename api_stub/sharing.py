"""Pauses, limits and tenants as the API and the command line know them: what is named must exist, and how it is shown."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from jobs import catalogue
from jobs.limits import Use
from jobs.models import PAUSABLE, Limit, Pause, Tenant
from jobs.queries import jobs, ledger, limits, pauses, tenants
from jobs.queries.limits import Selectors
from jobs.settings import Settings
from jobs.view import amount, instant

#: The highest limit of what runs at once or starts in a time, and the highest of what waits.
MOST_UNITS = 1_000_000
MOST_QUEUED = 100_000_000

_MOST_NAMED = 12


class Misnamed(Exception):
    """Something that is named is not there. `what`: provider, operation, tenant, key or kind; the message is for people."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


def scope_meant(session: Session, words: str) -> str:
    """The scope of the limit in these words: in any order, its tenant by id or name. Raises ValueError for what is none."""
    given = limits.selectors_of(words)
    tenant = None if given.tenant_id is None else tenants.find(session, given.tenant_id)
    return (given if tenant is None else given._replace(tenant_id=tenant.id)).scope


@dataclass(frozen=True)
class Names:
    """What may be named in a pause or a limit."""

    session: Session
    settings: Settings

    def pausable(self, kind: str, name: str, operation: str | None = None) -> tuple[str, str | None]:
        """The name under which it is paused, and the one operation it is about. Raises Misnamed."""
        _known("kind", kind, PAUSABLE, saying="nothing that can be paused")
        if operation is not None and kind != "key":
            raise Misnamed("operation", f"only a key is paused for one operation; `operation {operation}` is a pause of its own")
        found: str = getattr(self, kind)(name)
        if operation is None:
            return found, None
        provider = catalogue.all_operations()[self.operation(operation)].provider
        self._key_for(found, provider)
        return found, operation

    def selectors(
        self,
        *,
        provider: str | None = None,
        operation: str | None = None,
        key: str | None = None,
        each_key: bool = False,
        tenant: str | None = None,
    ) -> Selectors:
        """What a limit is about. Raises Misnamed, also for selectors that nothing can fit at once."""
        if key is not None and each_key:
            raise Misnamed("key", f"a limit is for {key} or for each key by itself, not for both")
        if operation is not None:
            home = catalogue.all_operations()[self.operation(operation)].provider
            if provider is not None and self.provider(provider) != home:
                raise Misnamed("operation", f"{operation} is an operation of {home}, not of {provider}")
        if key is not None:
            self.key(key)
            if asked := provider or (catalogue.all_operations()[operation].provider if operation else None):
                self._key_for(key, self.provider(asked))
        return Selectors(
            self.tenant(tenant) if tenant is not None else None,
            self.provider(provider) if provider is not None else None,
            operation,
            key,
            each_key,
        )

    def provider(self, name: str) -> str:
        return _known("provider", name, {one.provider for one in catalogue.all_operations().values()})

    def operation(self, name: str) -> str:
        return _known("operation", name, catalogue.all_operations(), otherwise="`mediamill operations` lists them")

    def key(self, name: str) -> str:
        providers = {one.provider for one in catalogue.all_operations().values()}
        return _known("upstream key", name, {key for provider in providers for key in self.settings.keys_of(provider)})

    def tenant(self, called: str) -> str:
        """The id of the tenant of this name or id."""
        found = tenants.find(self.session, called)
        if found is not None:
            return found.id
        there = {one.name for one in tenants.listed(self.session)}
        return _known("tenant", called, there, otherwise="`mediamill tenants list` shows them")

    def _key_for(self, key: str, provider: str) -> None:
        if key not in self.settings.keys_of(provider):
            raise Misnamed("key", f"the key {key} is not used for {provider}: MEDIAMILL_UPSTREAM_KEYS says what it is for")


def _known(what: str, name: str, there: Collection[str], *, otherwise: str | None = None, saying: str | None = None) -> str:
    if name in there:
        return name
    near = difflib.get_close_matches(name, there, n=1)
    if near:
        more = f"; did you mean {near[0]}?"
    elif otherwise is not None or len(there) > _MOST_NAMED:
        more = f"; {otherwise}" if otherwise else ""
    else:
        more = f"; there are {', '.join(there if what == 'kind' else sorted(there))}" if there else "; there is none yet"
    raise Misnamed(what.rpartition(" ")[2], f"{name[:64] or 'an empty name'} is {saying or f'no {what}'}{more}")


# Shown --------------------------------------------------------------------------------------------------------------------


def pause_view(pause: Pause, waiting: int, tenant: str | None = None) -> dict[str, Any]:
    """`waiting`: jobs that it keeps back. `tenant`: the name of the tenant it is about."""
    return {
        "scope": pause.scope,
        "object": "pause",
        "kind": pause.kind,
        "name": pause.name,
        "tenant": tenant,
        "operation": pause.operation,
        "reason": pause.reason,
        "actor": pause.actor,
        "automatic": pause.automatic,
        "probe_at": instant(pause.probe_at),
        "jobs_waiting": waiting,
        "created_at": instant(pause.created_at),
    }


def pause_views(session: Session, settings: Settings) -> list[dict[str, Any]]:
    """Every pause with how many jobs it keeps back."""
    standing = pauses.listed(session)
    if not standing:
        return []
    return _pauses_shown(session, standing, standing, settings)


def shown_pause(session: Session, scope: str, settings: Settings) -> dict[str, Any]:
    """One of them, which stands."""
    standing = pauses.listed(session)
    chosen = [one for one in standing if one.scope == scope]
    return _pauses_shown(session, chosen, standing, settings)[0]


def _pauses_shown(session: Session, chosen: Iterable[Pause], standing: list[Pause], settings: Settings) -> list[dict[str, Any]]:
    lanes = pauses.lanes(session)
    found = []
    for one in chosen:
        tenant = tenants.find(session, one.name) if one.kind == "tenant" else None
        waiting = pauses.waiting_for(one.scope, lanes, standing, settings.keys_of)
        found.append(pause_view(one, waiting, tenant.name if tenant else None))
    return found


def limit_view(rule: Limit, uses: Iterable[Use]) -> dict[str, Any]:
    """`in_use`: units that fit it now, all keys together; `in_use_by_key` says it for each key that has any."""
    by_key = limits.used(rule, uses)
    return {
        "scope": rule.scope,
        "object": "limit",
        "tenant_id": rule.tenant_id,
        "provider": rule.provider,
        "operation": rule.operation,
        "key": rule.key_name,
        "each_key": rule.each_key,
        "concurrency": rule.concurrency,
        "per_second": rule.per_second,
        "per_minute": rule.per_minute,
        "in_use": sum(by_key.values()),
        "in_use_by_key": by_key,
        "created_at": instant(rule.created_at),
    }


def limit_views(session: Session) -> list[dict[str, Any]]:
    rules = limits.listed(session)
    uses = limits.under_way(session) if rules else []
    return [limit_view(rule, uses) for rule in rules]


def tenant_views(session: Session, shown: Iterable[Tenant]) -> list[dict[str, Any]]:
    today = ledger.day_of(jobs.clock(session))
    return [_tenant_view(one, ledger.committed(session, tenant_id=one.id, day=today)) for one in shown]


def _tenant_view(tenant: Tenant, used_today: Decimal) -> dict[str, Any]:
    """`used_today`: what counts against the cap of this day (UTC), spent or set aside for what is under way."""
    return {
        "id": tenant.id,
        "object": "tenant",
        "name": tenant.name,
        "weight": tenant.weight,
        "max_running": tenant.max_running,
        "submits_per_minute": tenant.submits_per_minute,
        "max_queued": tenant.max_queued,
        "cap_usd": amount(tenant.cap_usd),
        "cap_day_usd": amount(tenant.cap_day_usd),
        "used_today_usd": amount(used_today),
        "created_at": instant(tenant.created_at),
    }
