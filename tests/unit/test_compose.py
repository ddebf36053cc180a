"""compose.yaml: what an operator relies on, checked on the file; and by the client itself where it exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import servers
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


def test_every_role_has_its_service(services: dict[str, dict[str, Any]]) -> None:
    commands = {tuple(service["command"][:2]) for service in services.values() if service.get("image", "").startswith("mediamill")}
    for modality in ("image", "video", "music", "audio", "text", "model3d", "control"):
        assert ("worker", modality) in commands
    assert {"api", "beat", "flower", "migrate", "postgres", "redis", "s3", "simulator"} <= services.keys()


def test_only_loopback_ports_are_published(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_everything_is_watched_and_comes_back(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped", name
            assert "healthcheck" in service, name


def test_redis_keeps_its_messages_evicts_nothing_and_asks_for_a_password(services: dict[str, dict[str, Any]]) -> None:
    command = " ".join(services["redis"]["command"])
    for part in ("--appendonly yes", "noeviction", "--requirepass"):
        assert part in command


def test_state_lives_in_volumes(services: dict[str, dict[str, Any]]) -> None:
    for name in ("postgres", "redis", "s3"):
        assert services[name]["volumes"], name


def test_the_simulator_is_only_in_the_demo_profile(services: dict[str, dict[str, Any]]) -> None:
    assert services["simulator"]["profiles"] == ["demo"]


def test_no_secret_has_a_default() -> None:
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_SECRET_KEY", "MEDIAMILL_BOOTSTRAP_KEY", "MEDIAMILL_FLOWER_PASSWORD"):
        uses = re.findall(r"\$\{" + name + r"(.)", FILE.read_text())
        assert uses and set(uses) == {":"}, name
        assert f"${{{name}:-" not in FILE.read_text(), name


def test_every_variable_is_explained_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    for name in set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", FILE.read_text())):
        assert name in example or name in ("MEDIAMILL_UPSTREAM_URL", "MEDIAMILL_EGRESS_ALLOW_CIDRS"), name


def test_the_client_accepts_it(tmp_path: Path) -> None:
    """`docker compose config`, where a client is installed: it needs no engine."""
    command = _client()
    if command is None:
        servers.cannot_have("compose client", "neither `docker compose` nor `docker-compose` is installed")
    settings = tmp_path / "env"
    settings.write_text(re.sub(r"=$", "=x", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    for extra in ([], ["--profile", "demo"]):
        ended = subprocess.run(
            [*command, "--env-file", str(settings), *extra, "-f", str(FILE), "config"], capture_output=True, text=True, cwd=ROOT
        )
        assert ended.returncode == 0, ended.stderr


def _client() -> list[str] | None:
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None
