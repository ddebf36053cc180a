"""A process that never outlives the one that started it, however that one ends.

    python -m api_stub.serve.leash PARENT_PID module NAME [ARGUMENT …]
    python -m api_stub.serve.leash PARENT_PID program PATH [ARGUMENT …]

On Linux the kernel kills us when the parent is gone (PR_SET_PDEATHSIG, which survives exec). Elsewhere a thread reads standard
input, a pipe whose other end only the parent holds: end of file means that it is gone. A wrapper, not subprocess' preexec_fn:
that runs Python code between fork and exec, which may deadlock in a process with threads. Imports the standard library only,
so that the leash is on before anything slow begins.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

_PR_SET_PDEATHSIG = 1

#: Exit code of a child whose parent is gone: that of a SIGKILL.
_ORPHANED = 128 + signal.SIGKILL


def main(arguments: Sequence[str]) -> NoReturn:
    parent, kind, target, *rest = arguments
    by_kernel = _ask_the_kernel()
    if os.getppid() != int(parent):  # it ended before we could ask
        os._exit(_ORPHANED)
    if kind == "program":
        if by_kernel:
            os.execv(target, [target, *rest])  # noqa: S606  # the command is the plan's, no shell is wanted
        _mind([target, *rest])
    if not by_kernel:
        _when_parent_ends(lambda: os._exit(_ORPHANED))
    sys.argv = [target, *rest]
    runpy.run_module(target, run_name="__main__", alter_sys=True)
    sys.exit(0)


def _ask_the_kernel() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0)
    except (OSError, AttributeError):
        return False


def _when_parent_ends(act: Callable[[], None]) -> None:
    def wait() -> None:
        while os.read(0, 1):
            pass
        act()

    threading.Thread(target=wait, name="leash", daemon=True).start()


def _mind(command: list[str]) -> NoReturn:
    """Stay beside a program that cannot watch its parent itself."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # as above
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    def end() -> None:
        child.kill()
        os._exit(_ORPHANED)

    _when_parent_ends(end)
    sys.exit(child.wait())


if __name__ == "__main__":
    main(sys.argv[1:])
