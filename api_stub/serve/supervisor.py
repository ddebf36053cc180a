"""Starts the parts, waits until each says it is ready, starts again what dies, stops all of it without leaving one behind.

One asyncio loop, which must run in the main thread: the kernel ends our children when the *thread* that started them ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from api_stub.serve import notify

#: How many of its last lines are shown of a part that failed.
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Notifies:
    """Ready when it sends READY=1 (see notify)."""


@dataclass(frozen=True, slots=True)
class Says:
    """Ready when a line with these words appears on its standard output."""

    words: str


@dataclass(frozen=True, slots=True)
class Listens:
    """Ready when somebody listens at this address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Part:
    """One child. `level`: stopped from the highest to the lowest, those of one level together."""

    name: str
    command: tuple[str, ...]
    ready: Notifies | Says | Listens
    level: int
    #: A module of ours, run by this interpreter, or a program given by its path.
    kind: Literal["module", "program"] = "module"
    env: Mapping[str, str] = field(default_factory=dict)
    #: File descriptors it inherits.
    fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, and how often."""

    start_s: float = 60.0
    #: A part that lived shorter died quickly; `deaths` of these in a row and we give up.
    quick_s: float = 10.0
    deaths: int = 5
    #: First wait before a part is started again; doubles, up to the second.
    backoff_s: tuple[float, float] = (0.2, 5.0)
    #: For all parts together, from the first SIGTERM to SIGKILL.
    stop_s: float = 15.0
    look_s: float = 0.05


class PartFailed(Exception):
    """A part is beyond help. The message has its last lines."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        self.name, self.log = name, log
        tail = _tail(log)
        super().__init__(f"{name} {reason}; its log is {log}" + "".join(f"\n  {name} | {line}" for line in tail))


class Supervisor:
    """`say` gets one line for everything a person should know of. Use as `async with`: leaving stops everything."""

    def __init__(
        self,
        *,
        logs: Path,
        env: Mapping[str, str],
        say: Callable[[str], None],
        cwd: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._logs = logs
        self._env = {name: value for name, value in env.items() if name != notify.VARIABLE} | {"PYTHONUNBUFFERED": "1"}
        self._say = say
        self._cwd = cwd
        self._patience = patience or Patience()
        self._keepers: list[_Keeper] = []
        self._failure: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Supervisor:
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._failure = asyncio.get_running_loop().create_future()
        # Whoever started the part was told already; asyncio need not complain that nobody asked here as well.
        self._failure.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, part: Part) -> None:
        """Start it and wait until it is ready. Raises PartFailed if it ends by itself before that."""
        keeper = _Keeper(part, self._logs / f"{part.name}.log", self)
        self._keepers.append(keeper)
        await keeper.first_ready

    async def failed(self) -> None:
        """Raises PartFailed when a part is given up; never returns otherwise."""
        assert self._failure is not None  # noqa: S101  # set on entering
        await asyncio.shield(self._failure)

    def pids(self) -> dict[str, int]:
        """The parts that run now."""
        return {keeper.part.name: keeper.process.pid for keeper in self._keepers if keeper.process is not None}

    async def stop(self) -> None:
        """SIGTERM from the highest level to the lowest, each after the one before; SIGKILL for whatever is left at the end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.stop_s
        for level in sorted({keeper.part.level for keeper in self._keepers}, reverse=True):
            keepers = [keeper for keeper in self._keepers if keeper.part.level == level]
            for keeper in keepers:
                keeper.stop()
            await asyncio.wait([keeper.task for keeper in keepers], timeout=max(0.0, deadline - loop.time()))
        for keeper in self._keepers:
            if not keeper.task.done():
                self._say(f"{keeper.part.name} did not stop in time and was killed")
                keeper.kill()
        await asyncio.gather(*(keeper.task for keeper in self._keepers), return_exceptions=True)
        if self._failure is not None and not self._failure.done():
            self._failure.cancel()

    def kill(self) -> None:
        """For the impatient: end everything at once. `stop` then has nothing to wait for."""
        for keeper in self._keepers:
            keeper.kill()

    def say(self, line: str) -> None:
        self._say(line)

    def give_up(self, failure: PartFailed) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(failure)

    @property
    def patience(self) -> Patience:
        return self._patience

    def environment(self, part: Part, listener: notify.Listener) -> dict[str, str]:
        return {**self._env, **part.env, notify.VARIABLE: listener.address}

    @property
    def cwd(self) -> Path | None:
        return self._cwd


class _Keeper:
    """Keeps one part running."""

    def __init__(self, part: Part, log: Path, supervisor: Supervisor) -> None:
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting any more when it fails.
        self.first_ready.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        self._log = log
        self._of = supervisor
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self._watch(), name=f"keep {part.name}")

    def stop(self) -> None:
        self._stop.set()
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def kill(self) -> None:
        self._stop.set()
        if self.process is not None and self.process.returncode is None:
            # Each child leads a group of its own: this takes its children too.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def _watch(self) -> None:
        try:
            await self._keep()
        except OSError as reason:
            self._fail(f"could not be started: {reason}")

    async def _keep(self) -> None:
        patience, loop = self._of.patience, asyncio.get_running_loop()
        quick_deaths = 0
        self._log.write_bytes(b"")
        # Appending, because the child and we write to it by turns.
        with self._log.open("ab") as log:
            while not self._stop.is_set():
                started = loop.time()
                was_ready, how = await self._run(log)
                if self._stop.is_set():
                    break
                if not self.first_ready.done() and not was_ready and not how.startswith("was killed by"):
                    # It ended by its own decision before it ever worked: a second try would say the same.
                    self._fail(how)
                    return
                quick_deaths = quick_deaths + 1 if loop.time() - started < patience.quick_s else 1
                if quick_deaths >= patience.deaths:
                    self._fail(f"{how}, {quick_deaths} times in a row")
                    return
                first, most = patience.backoff_s
                wait_s = min(most, first * 2 ** (quick_deaths - 1))
                self._of.say(f"{self.part.name} {how}; it is started again in {wait_s:.1f} s")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), wait_s)
        self.first_ready.cancel()

    def _fail(self, reason: str) -> None:
        failure = PartFailed(self.part.name, reason, self._log)
        if not self.first_ready.done():
            self.first_ready.set_exception(failure)
        self._of.give_up(failure)

    async def _run(self, log: BinaryIO) -> tuple[bool, str]:
        """One life of the child: whether it became ready, and how it ended."""
        listener = notify.Listener()
        says = isinstance(self.part.ready, Says)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "api_stub.serve.leash", str(os.getpid()), self.part.kind, *self.part.command),
                stdin=asyncio.subprocess.PIPE,  # never written: its end is the leash where the kernel has none
                stdout=asyncio.subprocess.PIPE if says else log,
                stderr=log,
                env=self._of.environment(self.part, listener),
                cwd=self._of.cwd,
                pass_fds=self.part.fds,
                # Its own session: Ctrl-C in the terminal reaches us alone, and we stop the parts in order.
                start_new_session=True,
            )
            self.process = process
            if self._stop.is_set():
                self.stop()
            ended = asyncio.create_task(process.wait())
            ready = asyncio.create_task(self._ready(process, listener, log))
            was_ready = False
            try:
                await asyncio.wait({ended, ready}, timeout=self._of.patience.start_s, return_when=asyncio.FIRST_COMPLETED)
                was_ready = ready.done() and not ready.cancelled() and ready.exception() is None
                if was_ready and not self.first_ready.done():
                    self.first_ready.set_result(None)
                late = not was_ready and not ended.done()
                if late:
                    self._kill_alone(process)
                code = await ended
            finally:
                ready.cancel()
                await asyncio.gather(ready, return_exceptions=True)
                if process.returncode is None:  # we are being cancelled
                    self._kill_alone(process)
            if process.stdout is not None and not was_ready:
                log.write(await process.stdout.read())
                log.flush()
            return was_ready, f"was not ready after {self._of.patience.start_s:g} s" if late else _how(code)
        finally:
            self.process = None
            listener.close()

    @staticmethod
    def _kill_alone(process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    async def _ready(self, process: asyncio.subprocess.Process, listener: notify.Listener, log: BinaryIO) -> None:
        """Returns when the part is ready."""
        match self.part.ready:
            case Notifies():
                await _notified(listener)
            case Listens(host, port):
                while not await _answers(host, port):  # noqa: ASYNC110  # another process' port sends no event
                    await asyncio.sleep(self._of.patience.look_s)
            case Says(words):
                assert process.stdout is not None  # noqa: S101  # we asked for a pipe
                await _said(process.stdout, words, log)
                # Whatever it says later must not fill the pipe and stop it.
                asyncio.create_task(_copy(process.stdout, self._log), name=f"log of {self.part.name}")  # noqa: RUF006


async def _notified(listener: notify.Listener) -> None:
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()

    def look() -> None:
        if listener.heard_ready():
            heard.set()

    loop.add_reader(listener.socket, look)
    try:
        await heard.wait()
    finally:
        loop.remove_reader(listener.socket)


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _said(stream: asyncio.StreamReader, words: str, log: BinaryIO) -> None:
    while line := await stream.readline():
        log.write(line)
        log.flush()
        if words.encode() in line:
            return
    await asyncio.Event().wait()  # it closed its output: that it ends is noticed elsewhere


async def _copy(stream: asyncio.StreamReader, log: Path) -> None:
    with log.open("ab") as file:
        while block := await stream.read(65536):
            file.write(block)
            file.flush()


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()][-_TAIL_LINES:]
    except OSError:
        return []
