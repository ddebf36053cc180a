"""Which parts the embedded system has, and with which settings: what a URL names is used, the rest is brought along."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from api_stub.serve import ports
from api_stub.serve.supervisor import Listens, Notifies, Part, Says
from jobs import settings as settings_module
from jobs.settings import Settings, SettingsError

LOOPBACK = ("127.0.0.0/8", "::1/128")

_ALLOW = settings_module.variable("egress_allow_cidrs")

#: The key the simulator is called with; it takes any.
_SIMULATOR_KEY = "simulator"
_SIMULATOR_PORT = 8501

# Levels: stopped from the highest to the lowest.
_BASE, _FACE, _WORK, _EDGE = range(4)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for. `None`: not said."""

    host: str = "127.0.0.1"
    port: int = 8080
    data: Path | None = None
    flower: bool = True
    flower_port: int | None = None
    #: Take the simulator and the embedded parts whatever the environment says (the demo).
    isolated: bool = False
    simulator_options: tuple[str, ...] = ()
    overrides: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before the first part starts."""

    settings: Settings
    #: Where it answers on this machine; `settings.public_url` is where others reach it.
    url: str
    parts: tuple[Part, ...]
    env: Mapping[str, str]
    listeners: tuple[socket.socket, ...]
    flower_url: str | None
    #: Address of the simulator, None when a real gateway is asked.
    simulator_url: str | None
    #: The broker was there before us.
    external_broker: bool
    #: What the operator should know, one line each.
    remarks: tuple[str, ...]

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()


def load(wish: Wish) -> Settings:
    """The settings in force, before the embedded parts fill the gaps. Raises SettingsError."""
    chosen = dict(wish.overrides)
    if wish.data is not None:
        chosen["data"] = wish.data
    return settings_module.load(**chosen)


def make(wish: Wish, settings: Settings, secrets: Mapping[str, str]) -> Plan:
    """Decide every part, and bind its sockets. Raises PortTaken and SettingsError; then nothing is left open."""
    listeners: list[socket.socket] = []
    try:
        return _make(wish, settings, secrets, listeners)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise


def _make(wish: Wish, settings: Settings, secrets: Mapping[str, str], listeners: list[socket.socket]) -> Plan:
    remarks: list[str] = []
    parts: list[Part] = []
    data = settings.data.absolute()

    face = ports.listen(wish.host, wish.port)
    listeners.append(face)
    url = f"http://{ports.reachable_host(wish.host)}:{ports.number(face)}"
    flower_port = _flower_port(wish, remarks) if wish.flower else None

    broker_url = settings.broker_url
    if not broker_url or wish.isolated:
        part, broker_url = _broker(data, listeners)
        parts.append(part)

    simulator_url: str | None = None
    if wish.isolated or (not settings.named_keys() and "upstream_url" not in settings.model_fields_set):
        gateway = ports.listen_on_first(*(() if wish.isolated else (_SIMULATOR_PORT,)))
        listeners.append(gateway)
        simulator_url = f"http://127.0.0.1:{ports.number(gateway)}"
        parts.append(_simulator(gateway.fileno(), data, wish.simulator_options))
        if not wish.isolated:
            remarks.append("no COMETAPI_KEY is set: the simulator stands in for the gateway; real media, no money")

    allow = settings.egress_allow_cidrs
    # Set to nothing is said as well: it means nowhere private.
    silent = "egress_allow_cidrs" not in settings.model_fields_set and _ALLOW not in os.environ
    if wish.isolated or silent:
        allow = LOOPBACK
        remarks.append(
            "callbacks and downloads may reach this machine (127.0.0.0/8, ::1); an empty MEDIAMILL_EGRESS_ALLOW_CIDRS forbids it"
        )

    in_force = settings.model_copy(
        update={
            "data": data,
            "broker_url": broker_url,
            "public_url": settings.public_url if "public_url" in settings.model_fields_set and not wish.isolated else url,
            "upstream_url": simulator_url or settings.upstream_url,
            "upstream_key": SecretStr(_SIMULATOR_KEY) if simulator_url else settings.upstream_key,
            "balance_url": f"{simulator_url}/user/quota" if simulator_url else settings.balance_url,
            "bootstrap_key": settings.bootstrap_key or SecretStr(secrets["bootstrap_key"]),
            "flower_password": settings.flower_password or SecretStr(secrets["flower_password"]),
            "egress_allow_cidrs": allow,
        }
    )
    parts += _roles(port_fd=face.fileno(), flower_port=flower_port)
    return Plan(
        settings=in_force,
        url=url,
        parts=tuple(parts),
        env=_environment(in_force, isolated=wish.isolated),
        listeners=tuple(listeners),
        flower_url=f"http://127.0.0.1:{flower_port}" if flower_port else None,
        simulator_url=simulator_url,
        external_broker=in_force.broker_url == settings.broker_url,
        remarks=tuple(remarks),
    )


def _broker(data: Path, listeners: list[socket.socket]) -> tuple[Part, str]:
    server = shutil.which("redis-server")
    if server is not None:
        folder = data / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        port = ports.free()
        options = {"--port": str(port), "--bind": "127.0.0.1", "--save": "", "--appendonly": "no", "--dir": str(folder)}
        command = (server, *(word for option in options.items() for word in option))
        return Part("redis", command, Says("eady to accept connections"), _BASE, kind="program"), f"redis://127.0.0.1:{port}/0"
    if find_spec("fakeredis") is None or find_spec("lupa") is None:
        raise SettingsError(
            "there is no broker: put redis-server on the PATH, or install the embedded one (pip install 'mediamill[embedded]'), "
            "or set MEDIAMILL_BROKER_URL"
        )
    listener = ports.listen("127.0.0.1", 0)
    listeners.append(listener)
    command = ("api_stub.serve.broker", str(listener.fileno()))
    part = Part("broker", command, Notifies(), _BASE, fds=(listener.fileno(),))
    return part, f"redis://127.0.0.1:{ports.number(listener)}/0"


def _simulator(port_fd: int, data: Path, options: tuple[str, ...]) -> Part:
    command = ("simulator", "--listen-fd", str(port_fd), "--data", str(data / "simulator"), *options)
    return Part("simulator", command, Says("simulator ready "), _BASE, fds=(port_fd,))


def _roles(*, port_fd: int, flower_port: int | None) -> list[Part]:
    cli = "api_stub.cli"
    roles = [
        Part("api", (cli, "api", "--listen-fd", str(port_fd)), Notifies(), _FACE, fds=(port_fd,)),
        # Two processes: paid calls and downloads may last minutes, and what is due must not queue behind their threads.
        Part("work", (cli, "worker", "submit", "collect", "--name", "work"), Notifies(), _WORK),
        Part("flow", (cli, "worker", "poll", "control", "webhook", "--name", "flow"), Notifies(), _WORK),
        Part("beat", (cli, "beat"), Notifies(), _EDGE),
    ]
    if flower_port is not None:
        command = (cli, "flower", "--host", "127.0.0.1", "--port", str(flower_port))
        roles.append(Part("flower", command, Listens("127.0.0.1", flower_port), _EDGE))
    return roles


def _flower_port(wish: Wish, remarks: list[str]) -> int | None:
    if find_spec("flower") is None:
        remarks.append("Flower is not installed (pip install 'mediamill[flower]')")
        return None
    if wish.flower_port is None:
        return ports.free(5555)
    with ports.listen("127.0.0.1", wish.flower_port, option="--flower-port") as listener:
        return ports.number(listener)


def _environment(settings: Settings, *, isolated: bool) -> dict[str, str]:
    """What the children read: ours, and whatever else the operator had set."""
    said = {
        "data": str(settings.data),
        "database_url": settings.database_url,
        "broker_url": settings.broker_url,
        "storage_url": settings.storage_url,
        "public_url": settings.public_url,
        "upstream_url": settings.upstream_url,
        "upstream_key": _revealed(settings.upstream_key),
        "balance_url": settings.balance_url or "none",
        "bootstrap_key": _revealed(settings.bootstrap_key),
        "flower_password": _revealed(settings.flower_password),
        "webhook_secret": _revealed(settings.webhook_secret),
        "egress_allow_cidrs": ",".join(settings.egress_allow_cidrs),
    }
    inherited = dict(os.environ)
    if isolated:
        ours = (settings_module.PREFIX, "COMETAPI_", "FLOWER_", "CELERY_")
        inherited = {name: value for name, value in inherited.items() if not name.upper().startswith(ours)}
    return inherited | {settings_module.variable(name): value for name, value in said.items() if value}


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
