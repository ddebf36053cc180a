"""Where a provider may call us: an address for each job that nobody can guess, and whether a caller knows it.

A call there is a hint to look now. It never says what became of the job: anybody who saw the address could make one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from jobs.catalogue.spec import Operation
from jobs.models import Job
from workers.context import Context

_TOKEN_BYTES = 24


def address(context: Context, job: Job, op: Operation) -> str | None:
    """The address for this job's provider; None where it takes none, or could not reach it."""
    callback = op.submit.callback if op.submit else None
    base = context.settings.public_url
    if callback is None or not (callback.required or reachable(context, base)):
        return None
    return f"{base}/v1/upstream/{job.provider}/{job.id}/{_token(context, job.id)}"


def knows(context: Context, job_id: str, token: str) -> bool:
    """Whether `token` is the one in the job's address."""
    return hmac.compare_digest(_token(context, job_id).encode(), token.encode("utf-8", "replace"))


def reachable(context: Context, url: str) -> bool:
    """Whether the gateway may follow this address of ours: one elsewhere cannot reach this machine by its loopback name."""
    return not _loopback(url) or _loopback(context.settings.upstream_url)


def _token(context: Context, job_id: str) -> str:
    digest = hmac.new(context.inbound_secret, job_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:_TOKEN_BYTES]).decode()


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
