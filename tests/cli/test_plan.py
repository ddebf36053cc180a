"""What `serve` decides before it starts anything."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api_stub.serve import plan, ports
from api_stub.serve.plan import Plan, Wish

SECRETS = {"bootstrap_key": "mm_key", "flower_password": "open-sesame"}


def planned(data: Path) -> Plan:
    wish = Wish(port=0, data=data, flower=False)
    return plan.make(wish, plan.load(wish), SECRETS)


def test_two_that_start_at_the_same_moment_get_a_simulator_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMETAPI_KEY", "MEDIAMILL_UPSTREAM_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    with closing(planned(tmp_path / "one")) as one, closing(planned(tmp_path / "two")) as two:
        assert one.simulator_url and two.simulator_url
        assert one.simulator_url != two.simulator_url
        # Long before the simulator itself runs nobody else can have its port.
        with pytest.raises(ports.PortTaken):
            ports.listen("127.0.0.1", urlsplit(one.simulator_url).port or 0)


def test_the_ports_of_a_plan_that_comes_to_nothing_are_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_environment", lambda *_, **__: 1 / 0)
    held = []
    listen = ports.listen
    monkeypatch.setattr(ports, "listen", lambda *given, **said: held.append(made := listen(*given, **said)) or made)

    with pytest.raises(ZeroDivisionError):
        planned(tmp_path)

    assert held
    assert all(one.fileno() == -1 for one in held)
