"""Settings: each is checked at start, and what is wrong is named with its value and what is allowed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine

from jobs import settings
from jobs.queries import keys
from jobs.settings import Settings, SettingsError
from storage import open_store

Environment = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """Settings as a process with this environment, started in an empty folder, has them."""
    for name in list(os.environ):
        if name.upper().startswith("MEDIAMILL_") or name == "COMETAPI_KEY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def with_environment(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return settings.load()

    return with_environment


def test_everything_has_a_default_and_a_meaning(load: Environment, tmp_path: Path) -> None:
    found = load()
    assert found.database_url == f"sqlite:///{tmp_path}/.mediamill/mediamill.db"
    assert found.storage_url == f"file://{tmp_path}/.mediamill/media"
    assert (found.broker_url, found.upstream_url, found.upstream_key) == ("", "https://api.cometapi.com", None)
    assert found.embedded_database
    assert all(field.description for field in Settings.model_fields.values())


def test_the_numbers_of_the_reliability_plan_are_the_defaults(load: Environment) -> None:
    found = load()
    assert (found.lease_s, found.submit_total_s, found.webhook_total_s) == (60, 90, 15)
    assert (found.max_batch_jobs, found.max_batch_bytes, found.max_line_bytes, found.max_body_bytes) == (
        50_000,
        200 << 20,
        64 << 10,
        1 << 20,
    )
    assert (found.max_image_bytes, found.max_audio_bytes, found.max_video_bytes, found.max_outputs) == (
        64 << 20,
        256 << 20,
        4 << 30,
        64,
    )
    assert found.idempotency_ttl_s == 7 * 86_400


def test_a_variable_sets_its_field(load: Environment) -> None:
    found = load(MEDIAMILL_WINDOW="7", MEDIAMILL_WINDOWS='{"video": 200}', MEDIAMILL_EGRESS_ALLOW_CIDRS=" 10.0.0.0/8 ,127.0.0.0/8,")
    assert (found.window_of("image"), found.window_of("video")) == (7, 200)
    assert found.egress_allow_cidrs == ("10.0.0.0/8", "127.0.0.0/8")


@pytest.mark.parametrize("name", ["COMETAPI_KEY", "MEDIAMILL_UPSTREAM_KEY"])
def test_the_gateways_key_has_two_names(load: Environment, name: str) -> None:
    key = load(**{name: "sk-1234"}).upstream_key
    assert key is not None
    assert key.get_secret_value() == "sk-1234"


def test_our_own_name_of_the_key_wins(load: Environment) -> None:
    key = load(COMETAPI_KEY="sk-theirs", MEDIAMILL_UPSTREAM_KEY="sk-ours").upstream_key
    assert key is not None
    assert key.get_secret_value() == "sk-ours"


def test_a_file_beside_the_program_is_read_and_the_environment_wins(load: Environment, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MEDIAMILL_WINDOW=5\nMEDIAMILL_TICK_S=2\nCOMETAPI_KEY=sk-file\nSOMEBODY_ELSES=1\n")
    found = load(MEDIAMILL_WINDOW="6")
    assert (found.window, found.tick_s) == (6, 2)
    assert found.upstream_key is not None
    assert found.upstream_key.get_secret_value() == "sk-file"


def test_an_empty_variable_is_one_that_is_not_set(load: Environment) -> None:
    """Compose files hand on `${NAME:-}`."""
    found = load(MEDIAMILL_WEBHOOK_SECRET="", MEDIAMILL_BOOTSTRAP_KEY="", MEDIAMILL_WINDOW="", COMETAPI_KEY="")
    assert (found.webhook_secret, found.bootstrap_key, found.upstream_key, found.window) == (None, None, None, 48)


def test_the_bare_scheme_of_postgresql_means_our_driver(load: Environment) -> None:
    assert load(MEDIAMILL_DATABASE_URL="postgresql://u:p@h/d").database_url == "postgresql+psycopg://u:p@h/d"


def test_addresses_lose_their_last_slash(load: Environment) -> None:
    assert load(MEDIAMILL_PUBLIC_URL="https://mill.example/").public_url == "https://mill.example"


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("MEDIAMILL_DATABSE_URL", "MEDIAMILL_DATABASE_URL"),
        ("MEDIAMILL_WINDOWW", "MEDIAMILL_WINDOW"),
        ("MEDIAMILL_UPSTREAM_API_KEY", "MEDIAMILL_UPSTREAM_KEY"),
        ("MEDIAMILL_QQQQQQQQQQ", "mediamill config"),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_the_nearest_one(load: Environment, name: str, suggested: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{name: "x"})
    assert name in str(refused.value)
    assert suggested in str(refused.value)


def test_a_name_that_is_no_setting_is_refused_in_the_file_too(load: Environment, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MEDIAMILL_TIK_S=2\n")
    with pytest.raises(SettingsError, match="MEDIAMILL_TICK_S"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MEDIAMILL_DATABASE_URL", "mysql://host/db", "postgresql+psycopg://"),
        ("MEDIAMILL_BROKER_URL", "http://host", "redis://"),
        ("MEDIAMILL_STORAGE_URL", "gs://bucket", "s3://"),
        ("MEDIAMILL_PUBLIC_URL", "mill.example", "https://"),
        ("MEDIAMILL_UPSTREAM_URL", "ftp://mill.example", "https://"),
        ("MEDIAMILL_WINDOW", "0", "greater than or equal to 1"),
        ("MEDIAMILL_WINDOW", "many", "integer"),
        ("MEDIAMILL_TICK_S", "0", "0.05"),
        ("MEDIAMILL_LEASE_S", "601", "600"),
        ("MEDIAMILL_WINDOWS", '{"sculpture": 3}', "video"),
        ("MEDIAMILL_WINDOWS", '{"video": 0}', "between 1 and 10000"),
        ("MEDIAMILL_EGRESS_ALLOW_CIDRS", "10.0.0.0/33", "10.0.0.0/33"),
        ("MEDIAMILL_LOG_LEVEL", "loud", "'debug', 'info'"),
    ],
)
def test_an_impossible_value_is_refused_with_its_name_the_value_and_what_is_allowed(
    load: Environment, name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{name: value})
    said = str(refused.value)
    assert said.startswith(f"{name}=")
    assert allowed in said
    if not value.startswith("{"):
        assert value in said


def test_windows_that_are_no_json_are_refused_like_everything_else(load: Environment) -> None:
    with pytest.raises(SettingsError, match="MEDIAMILL_WINDOWS"):
        load(MEDIAMILL_WINDOWS="video=3")


def test_all_that_is_wrong_is_said_at_once(load: Environment) -> None:
    with pytest.raises(SettingsError) as refused:
        load(MEDIAMILL_WINDOW="0", MEDIAMILL_TICK_S="-1", MEDIAMILL_TYPO="x")
    assert [line.partition("=")[0].partition(" ")[0] for line in sorted(str(refused.value).splitlines())] == [
        "MEDIAMILL_TICK_S",
        "MEDIAMILL_TYPO",
        "MEDIAMILL_WINDOW",
    ]


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("MEDIAMILL_BOOTSTRAP_KEY", "abc", "abc"),
        ("MEDIAMILL_WEBHOOK_SECRET", "hunter2hunter2", "hunter2"),
        ("MEDIAMILL_WEBHOOK_SECRET", "whsec_hunter2hunter", "hunter2"),
        ("MEDIAMILL_DATABASE_URL", "mysql://user:hunter2@host/db", "hunter2"),
        ("MEDIAMILL_DATABASE_URL", "mysql://user:hunt/er2@host/db", "er2"),
        ("MEDIAMILL_DATABASE_URL", "mysql://user:hunt@er2@host/db", "er2"),
        ("MEDIAMILL_DATABASE_URL", "mysql://user:hunt/3r@er2/@host/db", "hunt"),
        ("MEDIAMILL_BROKER_URL", "http://:hunter2@host", "hunter2"),
    ],
)
def test_a_secret_is_not_shown_even_when_it_is_wrong(load: Environment, name: str, value: str, secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{name: value})
    assert name in str(refused.value)
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["whsec_", "whsec_hello", "whsec_ü", "whsec_!!!!", "whsec_=", "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"]
)
def test_a_webhook_secret_that_cannot_sign_is_refused_at_the_start(load: Environment, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(MEDIAMILL_WEBHOOK_SECRET=value)
    assert str(refused.value).startswith("MEDIAMILL_WEBHOOK_SECRET=(hidden): must ")
    assert "whsec_" in str(refused.value)
    assert "config --new-secret" in str(refused.value)
    assert value.removeprefix("whsec_") in ("", "=") or value not in str(refused.value)


def test_a_webhook_secret_may_lack_its_padding(load: Environment) -> None:
    secret = keys.new_webhook_secret()
    for given in (secret, secret.rstrip("=")):
        assert load(MEDIAMILL_WEBHOOK_SECRET=given).webhook_secret == SecretStr(given)


@pytest.mark.parametrize("name", ["o d", "o %41d", "o%2541d", "50% ours", "o#d", "o?d=e", "grün", "a@b:c"])
def test_the_folder_of_the_embedded_parts_may_have_any_name(load: Environment, tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    data.mkdir()
    found = load(MEDIAMILL_DATA=str(data))

    create_engine(found.database_url).connect().close()
    open_store(found.storage_url, link_base=found.public_url, link_key=b"a key of these tests").check()

    assert {file.name for file in data.iterdir()} == {"mediamill.db", "media"}
    assert [file.name for file in tmp_path.iterdir()] == [name]
    # `serve` hands both on to its parts, which read them as they are.
    handed_on = load(MEDIAMILL_DATABASE_URL=found.database_url, MEDIAMILL_STORAGE_URL=found.storage_url)
    assert (handed_on.database_url, handed_on.storage_url) == (found.database_url, found.storage_url)


def test_secrets_are_hidden_wherever_settings_are_shown(load: Environment) -> None:
    secret = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
    found = load(COMETAPI_KEY="sk-hunter2", MEDIAMILL_BOOTSTRAP_KEY="hunter2-key", MEDIAMILL_WEBHOOK_SECRET=secret)
    for shown in (repr(found), str(found.model_dump()), found.model_dump_json()):
        assert "hunter2" not in shown
        assert secret not in shown


def test_settings_do_not_change_under_way(load: Environment) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().window = 3  # type: ignore[misc]


def test_only_cometapi_is_asked_for_the_balance_of_its_keys(load: Environment) -> None:
    assert load().balance_url == "https://query.cometapi.com/user/quota"
    assert load(MEDIAMILL_UPSTREAM_URL="https://gateway.example").balance_url == ""
    assert load(MEDIAMILL_BALANCE_URL="https://gateway.example/quota").balance_url == "https://gateway.example/quota"


def test_the_balance_is_not_asked_for_where_it_is_said_so(load: Environment) -> None:
    assert load(MEDIAMILL_BALANCE_URL="none").balance_url == ""


def test_every_key_has_its_name(load: Environment) -> None:
    assert load().named_keys() == {}
    assert list(load(COMETAPI_KEY="sk-one").named_keys()) == ["default"]
    named = load(MEDIAMILL_UPSTREAM_KEYS='{"films": {"key": "sk-two"}, "default": {"key": "sk-three"}}').named_keys()
    assert {name: key.get_secret_value() for name, key in named.items()} == {"default": "sk-three", "films": "sk-two"}
