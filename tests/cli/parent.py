"""Runs a supervisor with two children until it is killed: `python parent.py FOLDER`. Prints their process ids."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from api_stub.serve.supervisor import Notifies, Part, Supervisor


async def main(folder: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    async with Supervisor(logs=folder, env=env, say=lambda line: None) as supervisor:
        await supervisor.start(Part("steady", ("stand_in", "steady", str(folder / "stopped")), Notifies(), 0))
        await supervisor.start(Part("deaf", ("stand_in", "deaf"), Notifies(), 1))
        # A grandchild's program, replaced by exec: the leash must survive that.
        sleeper = Part("sleeper", (sys.executable, "-m", "stand_in", "deaf"), Notifies(), 1, kind="program")
        await supervisor.start(sleeper)
        sys.stdout.write(json.dumps(supervisor.pids()) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
