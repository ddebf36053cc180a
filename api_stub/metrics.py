"""Prometheus' text format, written by hand: a few counts need no library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta

from sqlmodel import Session

from api_stub.face import Face
from jobs.queries import balances, deliveries, jobs, limits, pauses, usage
from jobs.queries.usage import Key, Span, Sum, Used
from jobs.view import amount

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, object], float | str]

#: A balance that nobody has asked for lately says nothing about now.
_BALANCE_S = 3600.0


def exposition(face: Face) -> str:
    with face.context.database.read() as session:
        by_status = jobs.counts(session)
        sent = deliveries.counts(session)
        shared = [*_money(session), *_scarce(session)]
    answers, seconds = face.traffic.seen()
    return "".join(
        [
            _metric(
                "mediamill_jobs",
                "gauge",
                "Jobs by status and modality, of all tenants.",
                (({"status": status, "modality": modality}, count) for status, modality, count in by_status),
            ),
            _metric(
                "mediamill_deliveries",
                "gauge",
                "Webhook deliveries by status, of all tenants.",
                (({"status": status}, count) for status, count in sent.items()),
            ),
            _metric(
                "mediamill_http_requests_total",
                "counter",
                "Requests answered by this process.",
                (
                    ({"method": method, "route": route, "status": status}, count)
                    for (method, route, status), count in answers.items()
                ),
            ),
            _metric(
                "mediamill_http_request_seconds_total",
                "counter",
                "Seconds spent on them, waits and streams included.",
                (({"method": method, "route": route}, spent) for (method, route), spent in seconds.items()),
            ),
            *shared,
        ]
    )


def _money(session: Session) -> Iterator[str]:
    """Today and yesterday, found by the index: the whole ledger would be read with every scrape."""
    today = jobs.clock(session).astimezone(UTC).date()
    names = {today.isoformat(): "today", (today - timedelta(days=1)).isoformat(): "yesterday"}
    span = Span(datetime.combine(today - timedelta(days=1), time(), UTC))
    spent = usage.spent(session, ("day", "operation", "key_name"), tenant_id=None, span=span)
    of_days = {key: used for key, used in spent.items() if key[0] in names}

    def labels(key: Key) -> dict[str, object]:
        day, operation, key_name = key
        return {"day": names[day or ""], "operation": operation, "key": key_name}

    def dollars(name: str, meaning: str, part: Callable[[Used], Sum]) -> str:
        sums = ((key, amount(part(used).said)) for key, used in of_days.items())
        return _metric(name, "gauge", meaning, ((labels(key), usd) for key, usd in sums if usd is not None))

    yield dollars("mediamill_spend_usd", "What calls of the day (UTC) have cost, as far as it is known.", lambda used: used.settled)
    yield dollars("mediamill_open_usd", "Set aside for calls of the day that are not over.", lambda used: used.open)
    yield _metric(
        "mediamill_unknown_cost_calls",
        "gauge",
        "Calls of the day that cost something that nobody knows.",
        ((labels(key), used.unknown_calls) for key, used in of_days.items()),
    )
    accounts = balances.listed(session, within_s=_BALANCE_S)
    yield _metric(
        "mediamill_balance_usd",
        "gauge",
        "What the account of an upstream key holds.",
        (({"key": one.key_name}, usd) for one in accounts if (usd := amount(one.usd)) is not None),
    )
    yield _metric(
        "mediamill_balance_known",
        "gauge",
        "Whether the gateway said what the account holds when it was last asked.",
        (({"key": one.key_name}, int(one.usd is not None)) for one in accounts),
    )


def _scarce(session: Session) -> Iterator[str]:
    """What is paused, and how much of the limits is used."""
    yield _metric(
        "mediamill_paused",
        "gauge",
        "What nothing new is started of; `automatic` is what came by itself.",
        (
            ({"kind": one.kind, "name": one.name, "operation": one.operation or "", "automatic": str(one.automatic).lower()}, 1)
            for one in pauses.listed(session)
        ),
    )
    uses = limits.under_way(session)
    rules = [rule for rule in limits.listed(session) if rule.concurrency is not None]
    under_way: Counter[tuple[str, str]] = Counter()
    for use in uses:
        under_way[use.provider, use.key_name] += use.units
    yield _metric(
        "mediamill_units_under_way",
        "gauge",
        "Units at providers or on their way there.",
        (({"provider": provider, "key": key}, units) for (provider, key), units in under_way.items()),
    )
    yield _metric(
        "mediamill_limit_units",
        "gauge",
        "Units at once that a limit allows; with `key=*` for each key.",
        (({"scope": rule.scope}, rule.concurrency or 0) for rule in rules),
    )
    yield _metric(
        "mediamill_limit_used_units",
        "gauge",
        "Units under way that count against it, by upstream key.",
        (({"scope": rule.scope, "key": key}, units) for rule in rules for key, units in limits.used(rule, uses).items()),
    )


def _metric(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
    lines += sorted(f"{name}{{{_labels(labels)}}} {value}" for labels, value in samples)
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, object]) -> str:
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
