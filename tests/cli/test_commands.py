"""Commands as words in and words out: what they print, what they refuse, and with which exit code."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from terminal import Command

from api_stub.cli.program import app
from api_stub.cli.server import resolve
from api_stub.demo import BATCH
from api_stub.serve import folder
from jobs import catalogue, submission
from jobs import settings as settings_module
from jobs.settings import Settings

COMMANDS = [
    *("serve", "api", "worker", "beat", "flower", "demo", "run", "submit", "watch", "operations", "doctor", "config"),
    *("jobs list", "jobs show", "jobs cancel", "jobs retry", "batches list", "batches show", "batches cancel"),
    *("batches results", "batches retry-failed", "batches download"),
    *("deliveries list", "deliveries resend", "keys create", "keys list", "keys revoke", "db upgrade", "db check"),
    *("pause", "resume", "pauses", "limits list", "limits set", "limits rm", "tenants list", "tenants set", "usage"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(mediamill: Command, command: str) -> None:
    said = mediamill(*command.split(), "--help")
    assert said.code == 0
    assert f"Example: mediamill {command}" in " ".join(said.out.split())


def test_the_list_of_commands_here_is_complete() -> None:
    families = {group.name: group.typer_instance for group in app.registered_groups}
    assert {command.split()[0] for command in COMMANDS} | {"simulator"} == {one.name for one in app.registered_commands} | set(
        families
    )


def test_the_simulator_answers_with_its_own_help(mediamill: Command) -> None:
    said = mediamill("simulator", "--help")
    assert said.code == 0
    assert "--latency" in said.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nope"], "No such command 'nope'"),
        (["serve", "--port", "many"], "--port"),
        (["run"], "Missing argument 'OPERATION'"),
        (["keys", "create"], "Missing option '--tenant'"),
        (["worker", "vidoe"], "'vidoe' is no queue; there are image, video"),
        (["operations", "kling.text_to_vide"], "kling.text_to_vide is no operation; did you mean kling.text_to_video?"),
        (["operations", "--modality", "smell"], "smell is no modality here; there are audio, image, model3d, music, text, video"),
        (["watch", "17"], "17 is no id of a job (job_…) or a batch (batch_…)"),
        (["submit", "nowhere.jsonl"], "cannot read nowhere.jsonl: No such file or directory"),
        (["demo", "--batch", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
        (["beat"], "needs MEDIAMILL_BROKER_URL"),
    ],
)
def test_misuse_is_one_line_on_stderr_and_exit_code_2(mediamill: Command, words: list[str], complaint: str) -> None:
    said = mediamill(*words)
    assert said.code == 2
    assert complaint in said.err
    assert said.err.startswith("mediamill: ") and said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize("words", [["run", "kling.text_to_video", "prompt=x"], ["submit", "jobs.jsonl"]])
@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        ("jobs.jsonl", "jobs.jsonl is no folder"),
        ("jobs.jsonl/below", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("nowhere", "nowhere is no folder"),
    ],
)
def test_a_folder_that_cannot_be_is_refused_before_anything_is_sent(
    mediamill: Command, tmp_path: Path, words: list[str], out: str, complaint: str
) -> None:
    (tmp_path / "jobs.jsonl").write_text("{}")
    (tmp_path / "nowhere").symlink_to("not-there")
    # Nothing answers there: whatever is sent would say so.
    said = mediamill(*words, "--out", out, "--url", "http://127.0.0.1:1")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"mediamill: cannot write into {out}: ") and complaint in said.err
    assert said.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"jobs.jsonl", "nowhere"}


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list", "--key", "geheim123\r"],
        ["jobs", "list", "--key", "schlüssel"],
        ["submit", "jobs.jsonl", "--idempotency-key", "ü"],
        ["batches", "retry-failed", "batch_1", "--idempotency-key", "geheim123\n"],
    ],
    ids=ascii,
)
def test_a_key_that_cannot_be_sent_is_misuse_and_not_shown(mediamill: Command, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "jobs.jsonl").write_text("{}")
    said = mediamill(*words, "--url", "http://127.0.0.1:1")
    kind = "API" if "--key" in words else "idempotency"
    assert said.code == 2
    assert said.err == f"mediamill: the {kind} key may have only printable ASCII characters, and no space at its ends\n"


def test_wrong_settings_are_named_line_by_line(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_WINDOWW", "3")
    monkeypatch.setenv("MEDIAMILL_TICK_S", "0")
    said = mediamill("jobs", "list")
    assert said.code == 2
    first, second = said.err.splitlines()
    assert first == "mediamill: MEDIAMILL_WINDOWW is no setting; did you mean MEDIAMILL_WINDOW?"
    assert second.startswith("mediamill: MEDIAMILL_TICK_S='0': ")


def test_nothing_answering_says_where_and_what_to_do(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_PUBLIC_URL", "http://127.0.0.1:1")
    said = mediamill("jobs", "list")
    assert said.code == 1
    assert said.err == (
        "mediamill: nothing answers at http://127.0.0.1:1: start it with `mediamill serve`, or point MEDIAMILL_PUBLIC_URL at it\n"
    )


@pytest.mark.parametrize("option", ["--port", "--flower-port"])
def test_a_taken_port_is_named_before_anything_starts(mediamill: Command, tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = ["--port", "0"] if option == "--flower-port" else []
        said = mediamill("serve", *free, option, str(port), "--data", str(tmp_path / "data"))
    assert said.code == 2
    assert said.err == (f"mediamill: port {port} is taken on 127.0.0.1: stop what uses it, or choose another with {option}\n")
    assert not (tmp_path / "data" / "logs").exists()


def test_a_second_serve_on_the_same_folder_is_refused(mediamill: Command, tmp_path: Path) -> None:
    with folder.locked(tmp_path / "data"):
        said = mediamill("serve", "--port", "0", "--data", str(tmp_path / "data"))
    assert said.code == 2
    assert f"another `mediamill serve` (process {os.getpid()}) runs on {tmp_path}/data" in said.err


# Where the server is --------------------------------------------------------------------------------------------------


def test_a_command_in_the_same_folder_finds_the_running_serve_and_its_key(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    path = folder.write_address(tmp_path, url="http://127.0.0.1:4711", public_url="https://mill.example", key="mm_live_1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert resolve(None, None, settings) == ("http://127.0.0.1:4711", "mm_live_1")
    # The key of that server goes to no other.
    assert resolve("http://elsewhere.example", None, settings) == ("http://elsewhere.example", None)
    assert resolve("https://mill.example/", None, settings) == ("https://mill.example", "mm_live_1")


def test_options_win_over_settings_and_settings_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_address(tmp_path, url="http://127.0.0.1:4711", public_url="", key="from-the-file")
    monkeypatch.setenv("MEDIAMILL_DATA", str(tmp_path))
    monkeypatch.setenv("MEDIAMILL_PUBLIC_URL", "https://mill.example")
    monkeypatch.setenv("MEDIAMILL_BOOTSTRAP_KEY", "from-settings")
    settings = settings_module.load()
    assert resolve(None, None, settings) == ("https://mill.example", "from-settings")
    assert resolve("http://other.example", "given", settings) == ("http://other.example", "given")


# The catalogue --------------------------------------------------------------------------------------------------------


def test_the_catalogue_lists_every_operation_and_filters(mediamill: Command) -> None:
    every = json.loads(mediamill("operations", "--json").out)
    assert [one["name"] for one in every] == list(catalogue.all_operations())
    video = json.loads(mediamill("operations", "--modality", "video", "--json").out)
    assert {one["modality"] for one in video} == {"video"}
    assert "kling.text_to_video" in mediamill("operations", "--provider", "kling").out


@pytest.mark.parametrize("name", list(catalogue.all_operations()))
def test_each_operation_shows_fields_limits_unknowns_and_a_curl_that_holds_its_example(mediamill: Command, name: str) -> None:
    operation = catalogue.find(name)
    assert operation is not None
    said = mediamill("operations", name)
    assert said.code == 0
    for field in operation.input_schema["properties"]:
        assert field in said.out
    for unknown in operation.unknown:
        assert unknown in said.out
    body = said.out.partition("-d '")[2].rpartition("'")[0].replace("'\\''", "'")
    assert json.loads(body) == {"operation": name, "input": operation.example}


def test_one_operation_as_json_is_its_whole_declaration(mediamill: Command) -> None:
    shown = json.loads(mediamill("operations", "suno.music", "--json").out)
    operation = catalogue.find("suno.music")
    assert operation is not None
    assert shown["input_schema"] == operation.input_schema
    assert shown["price"] is None


# Settings -------------------------------------------------------------------------------------------------------------


def test_config_shows_every_setting_with_value_origin_and_meaning(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMETAPI_KEY", "sk-very-secret")
    monkeypatch.setenv("MEDIAMILL_WINDOW", "7")
    monkeypatch.setenv("MEDIAMILL_BROKER_URL", "redis://:hunter2@broker.example/0")
    Path(".env").write_text("MEDIAMILL_TICK_S=2\n")
    said = mediamill("config", "--json")
    rows = {row["name"]: row for row in json.loads(said.out)}
    assert set(rows) == {settings_module.variable(name) for name in Settings.model_fields}
    assert all(row["meaning"] for row in rows.values())
    assert (rows["MEDIAMILL_WINDOW"]["value"], rows["MEDIAMILL_WINDOW"]["source"]) == (7, "environment")
    assert (rows["MEDIAMILL_TICK_S"]["value"], rows["MEDIAMILL_TICK_S"]["source"]) == (2.0, ".env")
    assert rows["MEDIAMILL_POLL_BATCH"]["default"] is True
    assert rows["MEDIAMILL_UPSTREAM_KEY"]["value"] == "(hidden)"
    assert rows["MEDIAMILL_UPSTREAM_KEY"]["source"] == "environment"
    assert "sk-very-secret" not in said.out and "hunter2" not in said.out
    assert "sk-very-secret" in mediamill("config", "--secrets").out


def test_named_upstream_keys_are_shown_without_their_secrets(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_UPSTREAM_KEYS", '{"films": {"key": "sk-very-secret", "weight": 3, "providers": ["kling"]}}')

    def shown(*more: str) -> Any:
        rows = json.loads(mediamill("config", "--json", *more).out)
        return next(row["value"] for row in rows if row["name"] == "MEDIAMILL_UPSTREAM_KEYS")

    assert shown() == {"films": {"key": "(hidden)", "weight": 3, "providers": ["kling"]}}
    assert shown("--secrets")["films"]["key"] == "sk-very-secret"
    assert "sk-very-secret" not in mediamill("config").out


def test_a_new_secret_is_one_that_settings_take(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = mediamill("config", "--new-secret").out.strip()
    monkeypatch.setenv("MEDIAMILL_WEBHOOK_SECRET", secret)
    assert settings_module.load().webhook_secret is not None


# The database ---------------------------------------------------------------------------------------------------------


def test_keys_are_made_listed_and_revoked(mediamill: Command) -> None:
    assert "mediamill db upgrade" in mediamill("keys", "list").err
    assert mediamill("db", "check").code == 1
    assert mediamill("db", "upgrade").code == 0
    assert json.loads(mediamill("db", "check", "--json").out)["up_to_date"] is True
    made = json.loads(mediamill("keys", "create", "--tenant", "studio", "--json").out)
    assert set(made) == {"id", "key", "tenant"} and made["tenant"] == "studio"
    listed = mediamill("keys", "list", "--json").out
    assert made["key"] not in listed
    assert [row["revoked_at"] for row in json.loads(listed)] == [None]
    assert mediamill("keys", "revoke", made["id"]).code == 0
    assert json.loads(mediamill("keys", "list", "--json").out)[0]["revoked_at"] is not None
    again = mediamill("keys", "revoke", made["id"])
    assert again.code == 1 and "no key in use" in again.err


def test_the_doctor_says_of_each_part_what_to_mend(mediamill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_PUBLIC_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MEDIAMILL_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("MEDIAMILL_UPSTREAM_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("COMETAPI_KEY", "sk-test")
    said = mediamill("doctor")
    assert said.code == 1
    lines = {line.split()[1]: line for line in said.out.splitlines()}
    assert lines["settings"].startswith("✓") and lines["storage"].startswith("✓")
    for part, cure in {
        "database": "mediamill db upgrade",
        "broker": "MEDIAMILL_BROKER_URL",
        "upstream": "MEDIAMILL_UPSTREAM_URL",
        "api": "mediamill serve",
    }.items():
        assert lines[part].startswith("✗") and cure in lines[part]
    findings = json.loads(mediamill("doctor", "--json").out)
    assert {one["part"]: one["ok"] for one in findings}["broker"] is False


# The example batch ----------------------------------------------------------------------------------------------------


def test_the_example_batch_is_valid_varied_and_covers_every_operation_of_the_first_release() -> None:
    jobs = [json.loads(line) for line in BATCH.read_text().splitlines()]
    assert len(jobs) >= 20
    assert len({job["custom_id"] for job in jobs}) == len(jobs)
    for job in jobs:
        submission.check(job, callback=lambda url: None, files_missing=lambda ids: set())
    assert {job["operation"] for job in jobs} >= {
        *("kling.text_to_video", "openai.image_generation", "seedream.image_generation", "suno.music"),
        *("openai.speech", "replicate.prediction", "openai.chat"),
    }


def test_secrets_are_made_once_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    first = folder.own_secrets(tmp_path)
    assert folder.own_secrets(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
