"""Ids: a prefix that says what it is, and a UUIDv7 that sorts by time (`job_01a204dcb7e971fab2b74708151d73da`).

An id is a name, never an authority: every look-up also names the tenant.
"""

from __future__ import annotations

from typing import Literal

import uuid_utils

Prefix = Literal["job", "batch", "att", "art", "evt", "dlv", "ep", "key", "ten", "file", "led"]


def new_id(prefix: Prefix) -> str:
    """A fresh id, sortable by the millisecond it was made in."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def new_client_ref() -> str:
    """The random name under which a paid call can be found again upstream.

    Random and not derived from our ids: behind a gateway one upstream account is shared by strangers, and a guessable
    name could be taken by somebody else (upstream facts, Kling §0, "Idempotency").
    """
    return str(uuid_utils.uuid4())
