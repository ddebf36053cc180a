"""API keys: strong, checkable without the database, kept as digests; shared secrets are made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from standardwebhooks import Webhook

from jobs.db import Database
from jobs.models import ApiKey, Secret, Tenant
from jobs.queries import keys


@pytest.fixture
def store(fresh_database_url: Callable[[str], str]) -> Iterator[Database]:
    opened = Database(fresh_database_url("sqlite"))
    yield opened
    opened.dispose()


def test_a_new_key_is_well_formed_long_and_never_the_same() -> None:
    made = {keys.make_key() for _ in range(100)}
    assert len(made) == 100
    assert all(keys.well_formed(key) and key.startswith("mm_live_") and len(key) >= 50 for key in made)


@pytest.mark.parametrize("spoil", [lambda key: key[:-1], lambda key: key + "0", lambda key: key.upper(), lambda key: key[1:]])
def test_a_typo_is_seen_without_asking_the_database(spoil: Callable[[str], str]) -> None:
    assert not keys.well_formed(spoil(keys.make_key()))


def test_one_wrong_character_anywhere_is_seen() -> None:
    key = keys.make_key()
    for place in range(len(key)):
        wrong = key[:place] + ("x" if key[place] != "x" else "y") + key[place + 1 :]
        assert not keys.well_formed(wrong), place


@given(st.text(max_size=200))
def test_no_text_is_an_accident(text: str) -> None:
    assert not keys.well_formed(text)
    assert not keys.well_formed(f"mm_live_{text}")


def test_only_the_digest_of_a_key_is_kept(store: Database) -> None:
    with store.transaction() as session:
        row, key = keys.create(session, "acme", note="for the shop")
    with store.read() as session:
        kept = session.scalars(select(ApiKey)).one()
    assert kept.digest == hashlib.sha256(key.encode()).hexdigest()
    assert key not in repr(kept)
    assert row.id == kept.id


def test_a_key_finds_its_tenant_until_it_is_revoked(store: Database) -> None:
    with store.transaction() as session:
        row, key = keys.create(session, "acme")
        _, second = keys.create(session, "acme")
        keys.create(session, "other")
    with store.read() as session:
        found = keys.find(session, key)
        assert found is not None
        assert session.get_one(Tenant, found.tenant_id).name == "acme"
        assert not found.admin
        assert keys.find(session, keys.make_key()) is None
        assert len(session.scalars(select(Tenant)).all()) == 2
    with store.transaction() as session:
        assert keys.revoke(session, row.id)
        assert not keys.revoke(session, row.id), "only once"
        assert not keys.revoke(session, "key_nobody")
    with store.read() as session:
        assert keys.find(session, key) is None
        assert keys.find(session, second) is not None, "the other key lives on"


def test_the_bootstrap_key_is_the_default_tenants_and_stays_revoked(store: Database) -> None:
    keys.ensure_bootstrap(store, "a first key")
    keys.ensure_bootstrap(store, "a first key")
    with store.transaction() as session:
        found = keys.find(session, "a first key")
        assert found is not None
        assert session.get_one(Tenant, found.tenant_id).name == keys.DEFAULT_TENANT
        ((row, _),) = keys.every(session)
        keys.revoke(session, row.id)
    keys.ensure_bootstrap(store, "a first key")
    with store.read() as session:
        assert keys.find(session, "a first key") is None


def test_the_bootstrap_key_is_an_admins_also_where_it_was_made_before_there_were_admins(store: Database) -> None:
    with store.transaction() as session:
        keys.create(session, keys.DEFAULT_TENANT, key="made long ago")
        keys.create(session, "studio", admin=True)
    for key in ("made long ago", "made now"):
        keys.ensure_bootstrap(store, key)
        with store.read() as session:
            found = keys.find(session, key)
        assert found is not None and found.admin, key


def test_a_shared_secret_is_made_once_and_signs(store: Database) -> None:
    first = keys.shared_secret(store, "webhook")
    assert keys.shared_secret(store, "webhook") == first
    assert keys.shared_secret(store, "links") != first
    Webhook(first)
    with store.read() as session:
        assert len(session.scalars(select(Secret)).all()) == 2
