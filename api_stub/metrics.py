"""Prometheus' text format, written by hand: a few counts need no library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api_stub.face import Face
from jobs.queries import deliveries, jobs

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, object], float]


def exposition(face: Face) -> str:
    with face.context.database.read() as session:
        by_status = jobs.counts(session)
        sent = deliveries.counts(session)
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
        ]
    )


def _metric(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
    lines += sorted(f"{name}{{{_labels(labels)}}} {value}" for labels, value in samples)
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, object]) -> str:
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
