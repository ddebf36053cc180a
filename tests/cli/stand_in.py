"""A child for the supervisor's tests: `python -m stand_in MODE [FILE]`. Imports nothing slow."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from api_stub.serve import notify


def main(mode: str, file: str = "") -> int:
    match mode:
        case "steady":  # until SIGTERM, which it notes in the file
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(_note(file)))
            notify.ready()
            signal.pause()
        case "deaf":  # hears no SIGTERM
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            notify.ready()
            while True:
                signal.pause()
        case "refuses":  # ends by itself before it is ready
            sys.stderr.write("the reason why\n")
            return 3
        case "short-lived":  # ready, and gone
            notify.ready()
            return 1
        case "late":  # never says that it is ready
            time.sleep(60)
        case "speaks":
            sys.stdout.write("one moment\nstand-in ready http://127.0.0.1:1\n")
            sys.stdout.write("and more\n" * 20_000)  # more than a pipe holds
            sys.stdout.flush()
            _note(file)
            signal.pause()
    return 0


def _note(file: str) -> int:
    with Path(file).open("a") as log:
        log.write(f"{time.monotonic()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
