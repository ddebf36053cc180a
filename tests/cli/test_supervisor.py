"""The supervisor, with small stand-ins as children: real processes, real signals."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api_stub.serve import ports
from api_stub.serve.supervisor import Listens, Notifies, Part, PartFailed, Patience, Says, Supervisor

HERE = Path(__file__).parent
QUICK = Patience(start_s=10, backoff_s=(0.01, 0.05), stop_s=5)


def supervisor(folder: Path, said: list[str], patience: Patience = QUICK) -> Supervisor:
    env = os.environ | {"PYTHONPATH": str(HERE)}
    return Supervisor(logs=folder / "logs", env=env, say=said.append, patience=patience)


def stand_in(mode: str, *more: str, name: str = "", level: int = 0) -> Part:
    return Part(name or mode, ("stand_in", mode, *more), Notifies(), level)


def ended(pid: int) -> bool:
    """Whether the process is gone; a zombie is."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


async def until(true: Callable[[], bool]) -> None:
    """For what another process does without telling us."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  # it has no event for us
            await asyncio.sleep(0.01)


def test_a_part_that_dies_is_started_again_and_that_is_said_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []

    async def play() -> tuple[int, int]:
        async with supervisor(tmp_path, said) as parts:
            await parts.start(stand_in("steady", str(tmp_path / "stopped")))
            first = parts.pids()["steady"]
            os.kill(first, signal.SIGKILL)
            await until(lambda: parts.pids().get("steady", first) != first)
            return first, parts.pids()["steady"]

    first, second = asyncio.run(play())
    assert first != second
    assert said == ["steady was killed by SIGKILL; it is started again in 0.0 s"]


def test_a_part_that_keeps_dying_is_given_up_after_five_times(tmp_path: Path) -> None:
    said: list[str] = []

    async def play() -> None:
        async with supervisor(tmp_path, said) as parts:
            await parts.start(stand_in("short-lived"))
            async with asyncio.timeout(20):
                await parts.failed()

    with pytest.raises(PartFailed, match="short-lived ended with exit code 1, 5 times in a row"):
        asyncio.run(play())
    assert len(said) == 4


def test_a_part_that_ends_by_itself_before_it_is_ready_fails_at_once_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []

    async def play() -> None:
        async with supervisor(tmp_path, said) as parts:
            await parts.start(stand_in("refuses"))

    with pytest.raises(PartFailed) as failure:
        asyncio.run(play())
    assert "refuses ended with exit code 3" in str(failure.value)
    assert "refuses | the reason why" in str(failure.value)
    assert said == []


def test_a_part_that_never_says_ready_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def play() -> None:
        async with supervisor(tmp_path, [], Patience(start_s=0.2, stop_s=2)) as parts:
            await parts.start(stand_in("late"))

    with pytest.raises(PartFailed, match=r"late was not ready after 0\.2 s"):
        asyncio.run(play())


def test_stopping_goes_from_the_highest_level_to_the_lowest_one_after_the_other(tmp_path: Path) -> None:
    async def play() -> list[int]:
        async with supervisor(tmp_path, []) as parts:
            for level in (0, 1, 2):
                await parts.start(stand_in("steady", str(tmp_path / f"stopped-{level}"), name=f"part-{level}", level=level))
            return list(parts.pids().values())

    pids = asyncio.run(play())
    assert all(ended(pid) for pid in pids)
    moments = [float((tmp_path / f"stopped-{level}").read_text()) for level in (2, 1, 0)]
    assert moments == sorted(moments)


def test_a_part_that_does_not_hear_is_killed_when_the_time_is_over(tmp_path: Path) -> None:
    said: list[str] = []

    async def play() -> int:
        async with supervisor(tmp_path, said, Patience(stop_s=0.3)) as parts:
            await parts.start(stand_in("deaf"))
            return parts.pids()["deaf"]

    pid = asyncio.run(play())
    assert ended(pid)
    assert said == ["deaf did not stop in time and was killed"]


def test_a_part_may_say_that_it_is_ready_and_go_on_talking(tmp_path: Path) -> None:
    talked = tmp_path / "talked"

    async def play() -> None:
        async with supervisor(tmp_path, []) as parts:
            await parts.start(Part("speaks", ("stand_in", "speaks", str(talked)), Says("stand-in ready "), 0))
            # It gets past a full pipe only if somebody reads.
            await until(talked.exists)

    asyncio.run(play())
    log = (tmp_path / "logs" / "speaks.log").read_text()
    assert log.startswith("one moment\nstand-in ready http://127.0.0.1:1\nand more\n")


def test_a_part_may_be_ready_when_its_port_is(tmp_path: Path) -> None:
    port = ports.free()

    async def play() -> None:
        async with supervisor(tmp_path, []) as parts:
            command = ("http.server", "--bind", "127.0.0.1", str(port))
            await parts.start(Part("web", command, Listens("127.0.0.1", port), 0))
            with pytest.raises(ports.PortTaken):
                ports.listen("127.0.0.1", port)

    asyncio.run(play())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pidfd is Linux's; what other systems rely on is the next test")
def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, str(HERE / "parent.py"), str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids: dict[str, int] = json.loads(parent.stdout.readline())
        assert set(pids) == {"steady", "deaf", "sleeper"}
        handles = {name: os.pidfd_open(pid) for name, pid in pids.items()}
        try:
            parent.kill()
            parent.wait()
            for name, handle in handles.items():
                readable, _, _ = select.select([handle], [], [], 10)
                assert readable, f"{name} outlived its parent"
        finally:
            for handle in handles.values():
                os.close(handle)
    assert not (tmp_path / "stopped").exists()


def test_the_leash_without_the_kernel_s_help_is_the_pipe(tmp_path: Path) -> None:
    """As on systems other than Linux: end of file on standard input means that the parent is gone."""
    script = (
        "import os, sys\n"
        "from api_stub.serve import leash\n"
        "leash._ask_the_kernel = lambda: False\n"
        "leash.main([str(os.getppid()), 'module', 'stand_in', 'deaf'])\n"
    )
    env = os.environ | {"PYTHONPATH": str(HERE)}
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, env=env) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(timeout=10) == 128 + signal.SIGKILL
