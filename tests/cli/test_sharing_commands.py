"""`pause`, `resume`, `pauses`, `limits`, `tenants` and admins' keys: what they say, what they keep, and what they refuse."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from terminal import Command

from jobs.db import Database, after, now
from jobs.ids import new_id
from jobs.models import Attempt, Job
from jobs.queries import pauses, tenants


@pytest.fixture
def mill(mediamill: Command, own_folder: Path) -> Command:
    """The commands over a database with the tenant `studio` in it."""
    mediamill("db", "upgrade")
    mediamill("keys", "create", "--tenant", "studio")
    return mediamill


@pytest.fixture
def two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_UPSTREAM_KEYS", '{"main": {"key": "sk-1"}, "films": {"key": "sk-2", "providers": ["kling"]}}')


def add_job(own_folder: Path, *, held: bool = False, **values: Any) -> None:
    """A job of `studio` that waits, or that the provider is at work for."""
    database = Database(f"sqlite:///{own_folder}/.mediamill/mediamill.db")
    with database.transaction() as session:
        tenant = tenants.find(session, "studio")
        assert tenant is not None
        job = {
            "id": new_id("job"),
            "tenant_id": tenant.id,
            "operation": "kling.text_to_video",
            "modality": "video",
            "provider": "kling",
            "input": {},
            "meta": {},
            "due_at": after(60) if held else after(-1),
            "status": "running" if held else "queued",
            "released_at": now() if held else None,
        }
        session.execute(insert(Job).values(job))
        if held:
            session.execute(
                insert(Attempt).values(
                    id=new_id("att"),
                    job_id=job["id"],
                    n=1,
                    provider=job["provider"],
                    operation=job["operation"],
                    tenant_id=tenant.id,
                    client_ref=new_id("att"),
                    held=True,
                    **values,
                )
            )
    database.dispose()


def told(mill: Command, *words: str) -> Any:
    """What a command says to a machine."""
    said = mill(*words, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


@pytest.mark.usefixtures("two_keys")
def test_the_commands_of_the_how_to_work_as_they_stand(mill: Command) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "share-upstream-keys.md").read_text("utf-8")
    commands = re.findall(r"^    mediamill (.+)$", page, re.MULTILINE)
    assert len(commands) >= 15
    for command in commands:
        said = mill(*shlex.split(command))
        assert said.code == 0, f"{command}: {said.err}"


# Pauses -------------------------------------------------------------------------------------------------------------------


def test_a_pause_says_what_happens_and_how_many_jobs_wait(mill: Command, own_folder: Path) -> None:
    add_job(own_folder)
    add_job(own_folder)
    said = mill("pause", "provider", "kling", "--reason", "maintenance until six")
    assert said.code == 0
    facts = dict(line.split("  ", 1) for line in said.out.splitlines())
    assert facts["paused"].strip() == "provider:kling" and facts["reason"].strip() == "maintenance until six"
    assert facts["waiting"].strip() == "2 jobs"
    assert said.err == "nothing new is started of it; what is under way goes on\n"
    listed = mill("pauses")
    assert "provider:kling" in listed.out and "maintenance until six" in listed.out and "operator" in listed.out
    (shown,) = told(mill, "pauses")
    assert (shown["jobs_waiting"], shown["automatic"]) == (2, False)

    said = mill("resume", "provider", "kling")
    assert said.code == 0 and "2 jobs" in said.out
    assert mill("pauses").err == "nothing is paused\n"


def test_resuming_counts_what_nothing_else_keeps_back(mill: Command, own_folder: Path) -> None:
    add_job(own_folder)
    mill("pause", "provider", "kling", "--reason", "one")
    mill("pause", "tenant", "studio", "--reason", "two")
    assert told(mill, "resume", "tenant", "studio")["jobs_freed"] == 0
    assert told(mill, "resume", "provider", "kling") == {"scope": "provider:kling", "resumed": True, "jobs_freed": 1}


def test_a_tenant_is_paused_under_its_id_and_shown_with_its_name(mill: Command) -> None:
    made = told(mill, "pause", "tenant", "studio", "--reason", "unpaid")
    assert made["scope"].startswith("tenant:ten_") and made["tenant"] == "studio"
    assert "(studio)" in mill("pauses").out
    assert told(mill, "resume", "tenant", made["name"])["scope"] == made["scope"]


def test_pausing_again_keeps_the_first_reason(mill: Command) -> None:
    mill("pause", "operation", "suno.music", "--reason", "first")
    again = mill("pause", "operation", "suno.music", "--reason", "second")
    assert again.code == 0 and "first" in again.out
    assert "it is paused already; `mediamill resume operation suno.music` lifts it" in again.err


@pytest.mark.usefixtures("two_keys")
@pytest.mark.parametrize("operation", [None, "kling.text_to_video"])
def test_the_command_that_a_pause_is_said_to_end_with_ends_it(mill: Command, operation: str | None) -> None:
    pause = ("pause", "key", "main", *(("--operation", operation) if operation else ()), "--reason", "refused")
    assert mill(*pause).code == 0
    (said,) = re.findall(r"`mediamill (.*)` lifts it", mill(*pause).err)
    assert f"mediamill {said}" == pauses.lifted_by("key", "main", operation)
    assert mill(*said.split()).code == 0
    assert mill("pauses").err == "nothing is paused\n"


@pytest.mark.usefixtures("two_keys")
def test_a_key_keeps_jobs_back_once_no_other_is_left(mill: Command, own_folder: Path) -> None:
    add_job(own_folder)
    assert told(mill, "pause", "key", "films", "--reason", "empty")["jobs_waiting"] == 0
    made = told(mill, "pause", "key", "main", "--operation", "kling.text_to_video", "--reason", "refused")
    assert (made["scope"], made["jobs_waiting"]) == ("key:main operation:kling.text_to_video", 1)
    assert told(mill, "resume", "key", "main", "--operation", "kling.text_to_video")["jobs_freed"] == 1


def test_what_is_gone_from_the_settings_may_still_be_resumed(mill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMILL_UPSTREAM_KEYS", '{"old": {"key": "sk-1"}}')
    assert mill("pause", "key", "old", "--reason", "leaked").code == 0
    monkeypatch.delenv("MEDIAMILL_UPSTREAM_KEYS")
    assert mill("resume", "key", "old").code == 0


@pytest.mark.usefixtures("two_keys")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("planet mars", "planet is nothing that can be paused; there are provider, operation, tenant, key"),
        ("provide kling", "provide is nothing that can be paused; did you mean provider?"),
        ("provider klign", "klign is no provider; did you mean kling?"),
        ("provider xyz", "xyz is no provider"),
        ("operation kling.text_to_vide", "kling.text_to_vide is no operation; did you mean kling.text_to_video?"),
        ("operation nope", "nope is no operation; `mediamill operations` lists them"),
        ("tenant stdio", "stdio is no tenant; did you mean studio?"),
        ("tenant xyz", "xyz is no tenant; `mediamill tenants list` shows them"),
        ("key man", "man is no upstream key; did you mean main?"),
        ("key xyz", "xyz is no upstream key; there are films, main"),
        ("key films --operation suno.music", "the key films is not used for suno: MEDIAMILL_UPSTREAM_KEYS"),
        ("provider kling --operation kling.text_to_video", "only a key is paused for one operation"),
    ],
)
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_wrong_name_gets_the_nearest_right_one(mill: Command, command: str, words: str, complaint: str) -> None:
    said = mill(command, *words.split(), *(("--reason", "x") if command == "pause" else ()))
    assert said.code == 2
    assert complaint in said.err and said.err.count("\n") == 1
    assert said.out == ""


def test_a_pause_needs_a_reason_and_a_resume_a_pause(mill: Command) -> None:
    assert "say why" in mill("pause", "provider", "kling", "--reason", " ").err
    said = mill("resume", "provider", "kling")
    assert (said.code, said.err) == (1, "mediamill: provider:kling is not paused; `mediamill pauses` shows what is\n")


# Limits -------------------------------------------------------------------------------------------------------------------


def test_a_limit_is_set_listed_with_its_use_and_removed(mill: Command, own_folder: Path) -> None:
    add_job(own_folder, held=True, units=2, key_name="main")
    add_job(own_folder, held=True, key_name="films")
    said = mill("limits", "set", "--provider", "kling", "--each-key", "--concurrency", "1")
    assert said.code == 0 and "provider=kling key=*" in said.out and "films 1, main 2" in said.out
    assert "nothing new is started until it is less" in said.err
    assert told(mill, "limits", "set", "--operation", "suno.music", "--per-minute", "60")["scope"] == "operation=suno.music"
    listed = {one["scope"]: one for one in told(mill, "limits", "list")}
    assert set(listed) == {"provider=kling key=*", "operation=suno.music"}
    assert listed["provider=kling key=*"]["in_use_by_key"] == {"films": 1, "main": 2}
    assert listed["operation=suno.music"]["in_use"] == 0
    assert "films 1, main 2" in mill("limits", "list").out
    assert mill("limits", "rm", "key=*", "provider=kling").code == 0
    assert mill("limits", "rm", "operation=suno.music").out == "removed  operation=suno.music\n"
    assert mill("limits", "set", "--tenant", "studio", "--concurrency", "1").code == 0
    assert mill("limits", "rm", "tenant=studio").out.startswith("removed  tenant=ten_")
    assert mill("limits", "list").err == "there is no limit yet\n"


def test_a_limit_that_is_not_reached_is_not_warned_of(mill: Command, own_folder: Path) -> None:
    add_job(own_folder, held=True)
    said = mill("limits", "set", "--tenant", "studio", "--concurrency", "1", "--per-second", "0.5")
    assert (said.code, said.err) == (0, "")
    assert "0.5" in said.out
    assert told(mill, "limits", "set", "--concurrency", "100")["scope"] == "all"


@pytest.mark.usefixtures("two_keys")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("set --provider kling", "a limit of what? give --concurrency, --per-second or --per-minute"),
        ("set --provider klign --concurrency 1", "klign is no provider; did you mean kling?"),
        ("set --operation kling.text_to_vide --concurrency 1", "did you mean kling.text_to_video?"),
        ("set --provider suno --operation kling.text_to_video --concurrency 1", "is an operation of kling, not of suno"),
        ("set --key man --concurrency 1", "man is no upstream key; did you mean main?"),
        ("set --key films --operation suno.music --concurrency 1", "the key films is not used for suno"),
        ("set --key main --each-key --concurrency 1", "a limit is for main or for each key by itself, not for both"),
        ("set --tenant stdio --concurrency 1", "stdio is no tenant; did you mean studio?"),
        ("set --per-minute 0", "--per-minute must be more than 0"),
        ("set --per-second nan", "--per-second must be more than 0"),
        ("set --concurrency 0", "--concurrency"),
        ("rm kling", "kling is no selector; there are tenant=, provider=, operation= and key=, or `all`"),
    ],
)
def test_a_wrong_limit_is_refused(mill: Command, words: str, complaint: str) -> None:
    said = mill("limits", *words.split())
    assert said.code == 2
    assert complaint in said.err and said.err.count("\n") == 1
    assert told(mill, "limits", "list") == []


def test_removing_a_limit_that_is_not_there_fails(mill: Command) -> None:
    said = mill("limits", "rm", "provider=kling")
    assert (said.code, said.err) == (1, "mediamill: there is no limit provider=kling; `mediamill limits list` shows them\n")


# Tenants ------------------------------------------------------------------------------------------------------------------


def test_a_tenants_share_limits_and_caps_are_set_and_taken_away(mill: Command) -> None:
    words = "--weight 3 --max-running 10 --submits-per-minute 60 --max-queued 1000 --cap 100.10 --cap-day 0.000001"
    made = told(mill, "tenants", "set", "studio", *words.split())
    assert (made["weight"], made["max_running"], made["submits_per_minute"], made["max_queued"]) == (3, 10, 60, 1000)
    assert (made["cap_usd"], made["cap_day_usd"]) == ("100.10", "0.000001")
    said = mill("tenants", "set", made["id"], "--cap", "none", "--max-running", "none")
    assert said.code == 0 and said.out.splitlines()[0].split() == ["tenant", "studio"]
    (listed,) = told(mill, "tenants", "list")
    assert (listed["cap_usd"], listed["max_running"], listed["cap_day_usd"]) == (None, None, "0.000001")
    assert "studio" in mill("tenants", "list").out
    assert told(mill, "tenants", "show", "studio") == listed
    assert "used today USD    0.00" in mill("tenants", "show", listed["id"]).out


def test_a_tenant_that_is_not_there_is_not_shown(mill: Command) -> None:
    said = mill("tenants", "show", "stdio")
    assert (said.code, said.err) == (2, "mediamill: stdio is no tenant; did you mean studio?\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("studio", "nothing to change: give --weight"),
        ("stdio --weight 2", "stdio is no tenant; did you mean studio?"),
        ("studio --weight 0", "--weight"),
        ("studio --max-running 0", "--max-running takes a whole number from 1 to 1000000, or none; not 0"),
        ("studio --max-running 1000001", "--max-running takes a whole number from 1 to 1000000, or none; not 1000001"),
        ("studio --max-queued many", "--max-queued takes a whole number"),
        ("studio --submits-per-minute 1.5", "--submits-per-minute takes a whole number"),
        ("studio --cap -1", "--cap takes an amount of USD like 100.00"),
        ("studio --cap 0.0000001", "--cap takes an amount of USD"),
        ("studio --cap-day nan", "--cap-day takes an amount of USD"),
        ("studio --cap-day ten", "--cap-day takes an amount of USD"),
    ],
)
def test_a_wrong_change_of_a_tenant_is_refused(mill: Command, words: str, complaint: str) -> None:
    said = mill("tenants", "set", *words.split())
    assert said.code == 2
    assert complaint in said.err and said.err.count("\n") == 1


# Keys ---------------------------------------------------------------------------------------------------------------------


def test_an_admins_key_is_made_and_told_apart(mill: Command) -> None:
    assert told(mill, "keys", "create", "--tenant", "operations", "--admin")["admin"] is True
    assert {one["tenant"]: one["admin"] for one in told(mill, "keys", "list")} == {"studio": False, "operations": True}
