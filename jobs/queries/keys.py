"""Tenants, their API keys, and the secrets all roles share."""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from jobs.db import Database, now
from jobs.ids import new_id
from jobs.models import ApiKey, Secret, Tenant

DEFAULT_TENANT = "default"
_PREFIX = "mm_live_"


def make_key() -> str:
    """A new API key: prefix, 256 random bits, and a checksum that tells a typo from a wrong key without asking the database."""
    body = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    return f"{_PREFIX}{body}_{_checksum(body)}"


def well_formed(key: str) -> bool:
    """Whether this could be a key made by `make_key`."""
    if not key.startswith(_PREFIX):
        return False
    body, _, checksum = key.removeprefix(_PREFIX).rpartition("_")
    # As bytes: text that is not ASCII cannot be compared this way, and strangers send what they like.
    return secrets.compare_digest(_checksum(body).encode(), checksum.encode())


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def find(session: Session, key: str) -> ApiKey | None:
    """What is kept of this key; None when it is nobody's or revoked. Looked up by digest, so timing tells nothing of the key."""
    return session.scalars(select(ApiKey).where(col(ApiKey.digest) == digest(key), col(ApiKey.revoked_at).is_(None))).one_or_none()


def ensure_tenant(session: Session, name: str) -> Tenant:
    tenant = session.scalars(select(Tenant).where(col(Tenant.name) == name)).one_or_none()
    if tenant is None:
        try:
            with session.begin_nested():
                session.execute(insert(Tenant).values(id=new_id("ten"), name=name))
        except IntegrityError:
            pass  # another role made it a moment ago
        tenant = session.scalars(select(Tenant).where(col(Tenant.name) == name)).one()
    return tenant


def create(
    session: Session, tenant_name: str, *, key: str | None = None, note: str = "", admin: bool = False
) -> tuple[ApiKey, str]:
    """A key for the tenant (which is made if new). The key itself is in the answer and nowhere else."""
    key = key or make_key()
    tenant = ensure_tenant(session, tenant_name)
    row = session.scalars(
        insert(ApiKey).values(id=new_id("key"), tenant_id=tenant.id, digest=digest(key), note=note, admin=admin).returning(ApiKey)
    ).one()
    return row, key


def ensure_bootstrap(database: Database, key: str) -> None:
    """Make the configured first key valid for the default tenant, and an admin's."""
    with database.transaction() as session:
        found = session.scalars(select(ApiKey).where(col(ApiKey.digest) == digest(key))).one_or_none()
        if found is None:
            try:
                with session.begin_nested():
                    create(session, DEFAULT_TENANT, key=key, note="MEDIAMILL_BOOTSTRAP_KEY", admin=True)
            except IntegrityError:
                pass
        elif not found.admin:
            # Made before there were admins.
            session.execute(update(ApiKey).where(col(ApiKey.id) == found.id).values(admin=True))


def every(session: Session) -> list[tuple[ApiKey, str]]:
    """All keys with their tenants' names, for the operator."""
    rows = session.execute(
        select(ApiKey, col(Tenant.name)).join(Tenant, col(Tenant.id) == col(ApiKey.tenant_id)).order_by(col(ApiKey.id))
    )
    return [(key, name) for key, name in rows]


def revoke(session: Session, key_id: str) -> bool:
    result = session.execute(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=now())
        .returning(col(ApiKey.id)),
        execution_options={"synchronize_session": False},
    )
    return result.first() is not None


def new_webhook_secret() -> str:
    """`whsec_` and 256 random bits, base64 (Standard Webhooks)."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def shared_secret(database: Database, name: str) -> str:
    """A secret nobody configured: made by the first role that asks, the same for all of them ever after."""
    with database.read() as session:
        found = session.get(Secret, name)
    if found is not None:
        return found.value
    with database.transaction() as session:
        try:
            with session.begin_nested():
                session.execute(insert(Secret).values(name=name, value=new_webhook_secret()))
        except IntegrityError:
            pass
        return session.scalars(select(Secret).where(col(Secret.name) == name)).one().value


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
