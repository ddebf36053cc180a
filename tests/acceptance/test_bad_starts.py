"""What an operator gets wrong, and the words that tell how to mend it. Never a traceback, never a half-started program."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from fleet import KEY, Fleet, fleet_of, free_port

BASE = {"MEDIAMILL_BOOTSTRAP_KEY": KEY, "MEDIAMILL_BROKER_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    with fleet_of({**BASE, "MEDIAMILL_DATA": str(tmp_path / "data")}, tmp_path) as made:
        return made


def assert_refused(fleet: Fleet, *command: str, code: int, says: list[str]) -> None:
    ended = fleet.run(*command, timeout_s=45)
    words = ended.stdout + ended.stderr
    assert ended.returncode == code, words
    for part in says:
        assert part in words, words
    assert "Traceback" not in words, words


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MEDIAMILL_WINDOWW", "3", ["MEDIAMILL_WINDOWW is no setting", "MEDIAMILL_WINDOW"]),
        ("MEDIAMILL_WINDOW", "many", ["MEDIAMILL_WINDOW=", "integer"]),
        ("MEDIAMILL_TICK_S", "0", ["MEDIAMILL_TICK_S=", "0.05"]),
        ("MEDIAMILL_DATABASE_URL", "mysql://host/db", ["MEDIAMILL_DATABASE_URL=", "sqlite:///", "postgresql"]),
        ("MEDIAMILL_STORAGE_URL", "ftp://host", ["MEDIAMILL_STORAGE_URL=", "s3://"]),
        ("MEDIAMILL_EGRESS_ALLOW_CIDRS", "10.0.0.0/99", ["MEDIAMILL_EGRESS_ALLOW_CIDRS="]),
        ("MEDIAMILL_WEBHOOK_SECRET", "hunter2", ["MEDIAMILL_WEBHOOK_SECRET=(hidden)", "whsec_"]),
    ],
)
@pytest.mark.parametrize("command", ["api", "serve"])
def test_a_wrong_setting_stops_every_command_with_its_name_and_what_is_allowed(
    fleet: Fleet, command: str, name: str, value: str, says: list[str]
) -> None:
    fleet.environment[name] = value
    assert_refused(fleet, command, code=2, says=says)


def test_a_database_that_is_down_is_named_at_once(fleet: Fleet) -> None:
    fleet.environment["MEDIAMILL_DATABASE_URL"] = f"postgresql+psycopg://someone:secret@127.0.0.1:{free_port()}/nothing"
    for command in (["api"], ["worker", "video"], ["db", "upgrade"]):
        ended = fleet.run(*command, timeout_s=45)
        words = ended.stdout + ended.stderr
        assert ended.returncode == 1, words
        assert "database" in words.lower() and "127.0.0.1" in words, words
        assert "Traceback" not in words and "secret" not in words, words


def test_a_database_without_our_tables_asks_for_the_migration(fleet: Fleet) -> None:
    assert_refused(fleet, "api", code=1, says=["mediamill db upgrade"])


def test_a_storage_that_cannot_be_written_is_named(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    fleet.environment["MEDIAMILL_STORAGE_URL"] = f"file://{tmp_path}/file/media"
    assert fleet.run("db", "upgrade").returncode == 0
    assert_refused(fleet, "api", code=1, says=["storage"])
    assert_refused(fleet, "serve", "--port", str(free_port()), code=1, says=["storage"])


@pytest.mark.parametrize("command", ["api", "serve"])
def test_a_taken_port_is_named(fleet: Fleet, command: str) -> None:
    fleet.run("db", "upgrade")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(fleet, command, "--port", str(port), code=2, says=[str(port)])


def test_a_role_without_a_broker_says_what_it_needs(fleet: Fleet) -> None:
    del fleet.environment["MEDIAMILL_BROKER_URL"]
    for command in (["worker", "video"], ["beat"], ["flower"]):
        assert_refused(fleet, *command, code=2, says=["MEDIAMILL_BROKER_URL"])


def test_a_worker_for_an_unknown_modality_lists_those_there_are(fleet: Fleet) -> None:
    fleet.run("db", "upgrade")
    assert_refused(fleet, "worker", "vidoe", code=2, says=["vidoe", "video", "webhook"])


def test_flower_without_a_password_does_not_start(fleet: Fleet) -> None:
    assert_refused(fleet, "flower", code=2, says=["MEDIAMILL_FLOWER_PASSWORD"])


def test_the_doctor_names_each_ill_part_and_its_cure(fleet: Fleet) -> None:
    ended = fleet.run("doctor", timeout_s=60)
    assert ended.returncode == 1
    for part in ("database", "broker", "storage", "upstream"):
        assert part in ended.stdout.lower(), ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
