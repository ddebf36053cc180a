"""What one process works with: settings, database, storage, HTTP clients, leases. Opened once, passed as the first argument."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from jobs import pricing
from jobs.catalogue.spec import Operation
from jobs.db import Database
from jobs.life import Life
from jobs.models import Artifact
from jobs.pricing import PriceList, Quote
from jobs.queries import keys
from jobs.settings import Settings
from jobs.view import Linker, Links
from storage import Store, open_store
from workers import egress
from workers.app import configure
from workers.egress import Client, ClientShards, EgressRules
from workers.gate import Gate
from workers.leases import Leases
from workers.loop import Loop

#: Connections of the poll lane are spread over so many clients: a pool's cost grows with its connections.
_POLL_SHARDS = 10
_CALL_SHARDS = 4

#: Webhooks under way at once to one host, and in one process.
_SENDERS_PER_HOST = 4
_MOST_SENDERS = 64


_LONGEST_REST_S = 0.1


class Dispatching:
    """Rounds of dispatching in this process: one at work, one waiting."""

    def __init__(self) -> None:
        self.working = Lock()
        self.waiting = Lock()
        #: Something but the window was in the way of the last round.
        self.held_back = True
        self._ended_at = self._took_s = 0.0

    def took(self, seconds: float) -> None:
        """A round has ended, and took so long."""
        self._ended_at, self._took_s = time.monotonic(), seconds

    def rest_s(self) -> float:
        """Before the next one: rounds take a third of a thread's time at most, and none waits long for it."""
        rest = min(2 * self._took_s, _LONGEST_REST_S)
        return max(0.0, self._ended_at + rest - time.monotonic())


@dataclass(frozen=True)
class Context:
    """`owner` names this process in leases and history."""

    settings: Settings
    database: Database
    store: Store
    life: Life
    link: Linker
    owner: str

    @cached_property
    def loop(self) -> Loop:
        return Loop()

    @cached_property
    def dispatching(self) -> Dispatching:
        return Dispatching()

    @cached_property
    def leases(self) -> Leases:
        return Leases(self.database, self.settings.lease_s)

    @cached_property
    def polls(self) -> ClientShards:
        """Clients for status requests."""
        return ClientShards(lambda: egress.upstream_client(self.settings.upstream_url, timeouts=egress.POLL), _POLL_SHARDS)

    @cached_property
    def calls(self) -> ClientShards:
        """Clients for paid calls; each call on a connection of its own."""
        return ClientShards(lambda: egress.upstream_client(self.settings.upstream_url), _CALL_SHARDS)

    @cached_property
    def downloads(self) -> ClientShards:
        # Signed addresses of outputs can be long, and refusing one loses what was paid for.
        rules = replace(egress_rules(self.settings), max_url_chars=8192)
        return ClientShards(lambda: egress.download_client(rules, self._trusted), _CALL_SHARDS)

    @cached_property
    def webhooks(self) -> Client:
        return egress.webhook_client(egress_rules(self.settings))

    @cached_property
    def webhook_gate(self) -> Gate:
        """Half of the threads at most send webhooks; ticks and polls have the others."""
        return Gate(for_host=_SENDERS_PER_HOST, for_all=max(_SENDERS_PER_HOST, min(self.settings.concurrency // 2, _MOST_SENDERS)))

    @cached_property
    def webhook_secret(self) -> str:
        """Signs the callbacks of single jobs: the configured secret, or one that all roles share through the database."""
        configured = self.settings.webhook_secret
        return configured.get_secret_value() if configured else keys.shared_secret(self.database, "webhook")

    @cached_property
    def inbound_secret(self) -> bytes:
        """Makes the addresses that providers call; shared by all roles through the database."""
        return keys.shared_secret(self.database, "inbound").encode()

    @cached_property
    def spool_folder(self) -> Path:
        """Where bytes rest between network and storage."""
        return self.settings.data / "spool"

    @cached_property
    def prices(self) -> PriceList:
        """The prices in force: the operator's before those of the list."""
        return pricing.in_force(self.settings.prices)

    def price(self, operation: Operation, given: Mapping[str, Any]) -> Quote:
        """What a call with this input will cost."""
        return pricing.quote(operation, given, discount=self.settings.gateway_discount, prices=self.prices)

    @property
    def _trusted(self) -> frozenset[tuple[str, int]]:
        """The gateway's own host may serve outputs, wherever it is: the operator named it."""
        return frozenset({_host_and_port(self.settings.upstream_url)})

    def close(self) -> None:
        self.leases.close()
        for name in ("polls", "calls", "downloads", "webhooks"):
            if (used := self.__dict__.get(name)) is not None:  # made when it was first asked for
                self.loop.run(used.aclose())
        self.loop.close()
        self.database.dispose()


def open_context(settings: Settings, *, pool_size: int = 5) -> Context:
    """The context for these settings. Opens nothing that may be down, but the database where a shared secret must be read.

    Binds the Celery app of this process to the broker as well: whoever has a context can publish.
    """
    configure(settings)
    database = Database(settings.database_url, pool_size=pool_size)
    store = open_store(settings.storage_url, link_base=settings.public_url, link_key=_link_key(settings, database))
    link = _linker(store)
    life = Life(link=link, link_ttl_s=settings.webhook_link_ttl_s, hint_s=settings.hint_s)
    return Context(settings, database, store, life, link, owner=f"{socket.gethostname()}:{os.getpid()}")


def egress_rules(settings: Settings) -> EgressRules:
    """What callbacks and downloads may reach."""
    return EgressRules(
        allow_cidrs=settings.egress_allow_cidrs,
        own_hosts=frozenset({_host_and_port(settings.public_url)}),
    )


def _link_key(settings: Settings, database: Database) -> bytes:
    if not settings.storage_url.startswith("file:"):
        return b""
    if settings.link_secret is not None:
        return settings.link_secret.get_secret_value().encode()
    return keys.shared_secret(database, "links").encode()


def _linker(store: Store) -> Linker:
    def link(artifact: Artifact, expires_in_s: int) -> Links:
        extension = artifact.key.rpartition(".")[2]
        name = f"{artifact.job_id}-{artifact.index}.{extension}"
        url = store.url(artifact.key, expires_in_s=expires_in_s, filename=name)
        preview = store.url(artifact.preview_key, expires_in_s=expires_in_s) if artifact.preview_key else None
        return Links(url, preview)

    return link


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
