"""The receiver that users copy works as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from fleet import free_port, wait_for
from standardwebhooks import Webhook

EXAMPLE = Path(__file__).parents[2] / "examples" / "receive_webhooks.py"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"job.succeeded","timestamp":"2026-11-22T17:00:00Z","data":{"id":"job_1","artifacts":[{"url":"https://a/b"}]}}'


def test_it_takes_what_is_signed_once_and_refuses_the_rest() -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(port)],
        env={**os.environ, "WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def post(signature: str, event_id: str = "evt_1") -> int | None:
        now = datetime.now(UTC)
        headers = {"webhook-id": event_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        if signature == "right":
            headers["webhook-signature"] = Webhook(SECRET).sign(event_id, now, BODY)
        try:
            return httpx2.post(f"http://127.0.0.1:{port}/", content=BODY, headers=headers).status_code
        except httpx2.TransportError:
            return None

    try:
        assert wait_for(lambda: post("v1,forged"), within_s=15, what="the example listens") == 401
        assert [post("right"), post("right"), post("right", "evt_2")] == [204, 204, 204]
        # It answers before it acts.
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
    finally:
        process.terminate()
        more, _ = process.communicate(timeout=10)
    assert said == ["job.succeeded job_1 https://a/b\n"] * 2
    assert more == "", "told twice of one event, it acts once"
