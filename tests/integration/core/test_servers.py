"""The servers that other tests lean on: each answers, and the receiver believes nobody it should not."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import boto3
import httpx2
import pytest
import servers
from kombu import Connection
from standardwebhooks import Webhook

from jobs.queries import keys


def test_redis_takes_messages(redis_url: str) -> None:
    with Connection(redis_url) as connection, connection.SimpleQueue("test") as queue:
        queue.put({"job": "job_1"})
        message = queue.get(timeout=5)
        assert message.payload == {"job": "job_1"}
        message.ack()


def test_s3_keeps_objects(s3_endpoint: str) -> None:
    client = boto3.session.Session("id", "secret", region_name="us-east-1").client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket="servers")
    client.put_object(Bucket="servers", Key="a", Body=b"bytes")
    assert client.get_object(Bucket="servers", Key="a")["Body"].read() == b"bytes"
    client.close()


def test_the_simulator_counts_what_was_paid_for(upstream: servers.Simulator) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}
    assert upstream.http.post("/v1/chat/completions", json=body).status_code == 200
    assert len(upstream.paid_calls(charged="true")) == 1
    upstream.reset()
    assert upstream.ledger() == []


@pytest.mark.parametrize(("ours", "valid"), [(True, True), (False, False)])
def test_the_receiver_checks_signatures(receiver: servers.Receiver, ours: bool, valid: bool) -> None:
    body, moment = '{"type":"job.succeeded"}', datetime.now(UTC)
    signature = Webhook(receiver.secret if ours else keys.new_webhook_secret()).sign("evt_1", moment, body)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": signature}
    receiver.answers = [503]
    statuses = [httpx2.post(receiver.url, content=body, headers=headers).status_code for _ in range(2)]
    assert statuses == [503, 200]
    assert [(got.id, got.valid, got.body) for got in receiver.wait_for(2)] == [("evt_1", valid, body.encode())] * 2


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_server_fails_where_every_test_must_run_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setitem(os.environ, "CI", ci)
    with pytest.raises(outcome, match="no Redis: not installed"):
        servers.cannot_have("Redis", "not installed")
