"""The stores under test: a folder, and S3 over HTTP through moto's server.

MEDIAMILL_TEST_S3_URL adds a real one to the contract, such as
s3://bucket?endpoint_url=http://localhost:9000&create=true with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.loaders
import pytest
from faulty_s3 import FaultyS3
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.server import ThreadedMotoServer
from stores import LINK_BASE, LINK_KEY, STORES

from storage import Store, open_store


@pytest.fixture(scope="session", autouse=True)
def aws() -> Iterator[None]:
    """Throw-away credentials, and none of this machine's own configuration."""
    with pytest.MonkeyPatch.context() as patch:
        if "MEDIAMILL_TEST_S3_URL" not in os.environ:
            patch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-access-key")
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        # Each store has its own session, which reads boto's descriptions of S3 anew: that would be half of our time.
        loader = botocore.loaders.create_loader()
        patch.setattr("botocore.session.create_loader", lambda _: loader)
        yield


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    # Else each answer waits 40 ms for the client's delayed acknowledgement.
    MotoRequestHandler.disable_nagle_algorithm = True
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(moto_url: str) -> Iterator[object]:
    """A client of our own, to look behind the store's back."""
    client = boto3.session.Session().client("s3", endpoint_url=moto_url, region_name="us-east-1")
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client) -> str:
    name = f"test-{secrets.token_hex(6)}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def faulty(moto_url: str) -> Iterator[FaultyS3]:
    """moto behind a proxy that can be told to misbehave."""
    with FaultyS3(moto_url) as proxy:
        yield proxy


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every implementation in turn."""
    return open_store(store_url(request, tmp_path), link_base=LINK_BASE, link_key=LINK_KEY)


def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}/media"
    if request.param == "real-s3":
        return os.environ["MEDIAMILL_TEST_S3_URL"]
    bucket = request.getfixturevalue("bucket")
    return f"s3://{bucket}/some/prefix?endpoint_url={request.getfixturevalue('moto_url')}"
