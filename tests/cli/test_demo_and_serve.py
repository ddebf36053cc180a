"""The whole thing, as a user starts it: `mediamill demo`, and `serve` with a second terminal beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from storage.media import inspect

CLI = (sys.executable, "-m", "api_stub.cli")


def test_the_demo_succeeds_with_every_job_file_and_webhook(tmp_path: Path) -> None:
    # The settings of the user's own installation must not matter.
    (tmp_path / ".env").write_text("COMETAPI_KEY=sk-real\nMEDIAMILL_UPSTREAM_URL=http://127.0.0.1:1\n")
    done = subprocess.run([*CLI, "demo", "--out", "files"], cwd=tmp_path, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 of 24 jobs succeeded · 24 of 24 final webhooks verified · 24 paid calls for 24 jobs" in done.stdout
    made = sorted((tmp_path / "files").iterdir())
    assert made[0].name == "01-kling.text_to_video.mp4"
    assert len(made) >= 24
    assert {inspect(path).kind for path in made} >= {"video", "image", "audio", "text"}
    # Nothing of it is left but the files.
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "files"]


def test_a_second_terminal_in_the_same_folder_just_works(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIAMILL_", "COMETAPI_"))}
    serve = subprocess.Popen(
        [*CLI, "serve", "--port", "0", "--no-flower"],
        cwd=tmp_path,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def say(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*CLI, *words], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60, input=given)

    try:
        assert serve.stdout is not None and serve.stderr is not None
        lines = []
        for line in serve.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        assert sum(line.startswith("ready ") for line in lines) == 1, serve.stderr.read()

        words = ("openai.speech", "model=tts-1", "voice=alloy", "input=All hands on deck.", "speed=1.2")
        ran = say("run", *words, "--out", "sound", "--json")
        assert ran.returncode == 0, ran.stderr
        job = json.loads(ran.stdout)
        assert job["input"]["speed"] == 1.2
        (file,) = job["files"]
        assert inspect(tmp_path / file).kind == "audio"

        wrong = say("run", "openai.speech", "model=tts-1", "voice=alloy", "input=x", "speed=9")
        assert wrong.returncode == 2
        assert "input.speed: must be at most 4" in wrong.stderr

        line = json.dumps({"custom_id": "greeting", "operation": job["operation"], "input": job["input"]})
        batch = json.loads(say("submit", "-", "--wait", "--out", "sound", "--json", given=line + "\n\n").stdout)
        assert batch["counts"]["succeeded"] == 1
        assert [Path(one).name for one in batch["jobs"][0]["files"]] == ["01-greeting.mp3"]

        assert job["id"] in say("jobs", "list").stdout
        assert "finish" in say("jobs", "show", job["id"]).stdout
        assert say("watch", job["id"]).returncode == 0
        assert say("watch", batch["id"]).returncode == 0
        assert say("jobs", "cancel", job["id"]).returncode == 1, "it is over"
        assert batch["id"] in say("batches", "list").stdout
        healthy = say("doctor")
        assert healthy.returncode == 0, healthy.stdout
        assert (tmp_path / ".mediamill" / "client.json").exists()

        serve.send_signal(signal.SIGTERM)
        assert serve.wait(timeout=30) == 0
        assert not (tmp_path / ".mediamill" / "client.json").exists()
        assert "nothing answers" in say("jobs", "list").stderr
    finally:
        if serve.poll() is None:
            serve.kill()
        serve.communicate()
