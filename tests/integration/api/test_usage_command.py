"""`mediamill usage` against a running API: a table for people, JSON and CSV for machines, and "unknown" where nobody knows."""

from __future__ import annotations

import csv
import functools
import io
import json
import re
import shlex
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from callers import SPEECH, VIDEO, Caller
from terminal import Command

from api_stub.client import Client
from jobs.models import Job
from jobs.queries import ledger


@pytest.fixture
def usage(command: Command) -> Command:
    """`mediamill usage …`."""
    return functools.partial(command, "usage")


@pytest.fixture
def spent(caller: Caller) -> str:
    """A speech that cost 0.40 and a film that cost nobody knows what, both today; the day."""
    today = datetime.now(UTC)
    for document, quoted, cost in ((SPEECH, Decimal("0.50"), Decimal("0.40")), (VIDEO, None, None)):
        job_id = caller.submit(document)["id"]
        attempt_id = caller.send(job_id)
        with caller.context.database.transaction() as session:
            ledger.reserve(session, session.get_one(Job, job_id), attempt_id, key_name="main", usd=quoted, at=today)
            ledger.settle(session, attempt_id, cost)
    return ledger.day_of(today)


@pytest.mark.usefixtures("spent")
def test_a_table_says_what_is_unknown_and_adds_up_the_rest(usage: Command) -> None:
    said = usage()
    assert said.code == 0
    head, film, speech, everything = (line.split() for line in said.out.splitlines())
    assert head[:3] == ["OPERATION", "JOBS", "CALLS"]
    assert film == ["kling.text_to_video", "1", "1", "unknown", "unknown", "0.00", "0.00", "1"]
    assert speech == ["openai.speech", "1", "1", "0.50", "0.40", "0.00", "0.00", "0"]
    assert everything == ["all", "2", "2", "0.50", "0.40", "0.00", "0.00", "1"]
    assert said.err == "1 call cost something that nobody knows: no sum holds it\n"


def test_csv_has_a_line_for_each_group_and_no_empty_amount(usage: Command, spent: str) -> None:
    said = usage("--by", "day,operation", "--since", spent, "--until", spent, "--csv")
    film, speech = csv.DictReader(io.StringIO(said.out))
    assert (film["day"], film["operation"], film["settled_usd"], film["cost_usd"]) == (
        spent,
        "kling.text_to_video",
        *["unknown"] * 2,
    )
    assert (speech["settled_usd"], speech["cost_usd"], speech["unknown_calls"]) == ("0.40", "0.40", "0")
    assert (said.code, said.err) == (0, "")


@pytest.mark.usefixtures("spent")
def test_json_is_the_answer_of_the_api(usage: Command, caller: Caller) -> None:
    assert json.loads(usage("--by", "provider", "--json").out) == caller.http.get("/v1/usage?group_by=provider").json()


def test_nothing_used_is_said_in_words(usage: Command) -> None:
    said = usage()
    assert (said.code, said.out, said.err) == (0, "", "nothing was used\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "--csv"], "--json or --csv, not both"),
        (["--by", "moon"], "takes tenant, operation, provider, day, key_name, status"),
        (["--since", "lately"], "query.since"),
    ],
)
def test_a_question_that_cannot_be_meant_is_misuse(usage: Command, words: list[str], said: str) -> None:
    refused = usage(*words)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.usefixtures("spent")
def test_the_commands_of_the_how_to_work_as_they_stand(usage: Command) -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "know-what-it-costs.md").read_text("utf-8")
    commands = re.findall(r"^    mediamill usage(.*)$", page, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        said = usage(*shlex.split(command))
        assert said.code == 0, f"{command}: {said.err}"


@pytest.mark.usefixtures("spent")
def test_all_pages_are_fetched(caller: Caller) -> None:
    with Client(caller.served.url, caller.key) as client:
        assert client.usage(group_by="operation", limit="1") == client.usage(group_by="operation")
