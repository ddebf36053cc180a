"""Running the system: `serve` for everything at once, and each role by itself for production."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api_stub.cli.shell import DONE, note
from jobs import settings as settings_module

if TYPE_CHECKING:
    from api_stub.serve.plan import Plan

HostOption = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")]
PortOption = Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0 picks a free one.")]


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)
    app.command("api")(api)
    app.command("worker")(worker)
    app.command("beat")(beat)
    app.command("flower")(flower)
    # Whatever follows is the simulator's own, --help included.
    own = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command("simulator", context_settings=own, add_help_option=False)(simulator)


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    data: Annotated[Path | None, typer.Option(help="Folder for database, media, keys and logs (default: .mediamill).")] = None,
    flower_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of Flower (default: 5555, or a free one).")
    ] = None,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Leave Flower out.")] = False,
) -> int:
    """Run everything: API, workers, beat, Flower, and whatever of database, broker, storage and gateway no setting names.

    Prints `ready http://HOST:PORT` when it takes jobs; SIGTERM or Ctrl-C stops it cleanly. Example: mediamill serve --port 8080
    """
    from api_stub.serve import run
    from api_stub.serve.plan import Wish

    async def body(plan: Plan, stop: asyncio.Event) -> int:
        _introduce(plan)
        return await run.until_stopped(plan, stop)

    wish = Wish(host=host, port=port, data=data, flower=not no_flower, flower_port=flower_port)
    return run.serve(wish, body, lambda line: note(f"mediamill: {line}"))


def _introduce(plan: Plan) -> None:
    settings = plan.settings
    password = settings.flower_password.get_secret_value() if settings.flower_password else ""
    key = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else ""
    rows = [
        ("API", settings.public_url),
        ("docs", f"{settings.public_url}/docs"),
        ("Flower", f"{plan.flower_url}  ({settings.flower_user} / {password})" if plan.flower_url else None),
        ("key", key),
        ("webhooks", "signed; `mediamill config --secrets` shows with what"),
        ("data", str(settings.data)),
        ("upstream", f"{settings.upstream_url}{' (simulator)' if plan.simulator_url else ''}"),
    ]
    for name, value in rows:
        if value:
            typer.echo(f"  {name:<9} {value}")
    for remark in plan.remarks:
        typer.echo(f"  {'note':<9} {remark}")
    typer.echo(f"ready {plan.url}")
    sys.stdout.flush()


def api(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    listen_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Serve the HTTP API. Needs a database that is up to date (`mediamill db upgrade`).

    Example: mediamill api --host 0.0.0.0 --port 8080 --workers 2
    """
    import socket

    from api_stub.serve import ports, web

    settings = settings_module.load()
    listener = ports.listen(host, port) if listen_fd is None else socket.socket(fileno=listen_fd)
    return web.serve(settings, listener, workers)


def worker(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Modalities (image video music audio text model3d), lanes (video.poll), submit, poll, collect, control, webhook. "
            "None: everything.",
        ),
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=1000, help="Threads (default: MEDIAMILL_CONCURRENCY).")] = None,
    name: Annotated[str | None, typer.Option(help="Name of this worker in Flower.")] = None,
) -> int:
    """Work on jobs. Start as many as you like, each for everything or for a modality of its own.

    Example: mediamill worker video --concurrency 40
    """
    settings = settings_module.load()
    from celery.signals import worker_ready

    from workers import queues, roles

    queues.resolve(list(names or ()))
    worker_ready.connect(_ready, weak=False)
    return roles.run_worker(settings, list(names or ()), concurrency, name)


def beat() -> int:
    """Send the tick that finds what is due. One is enough; two do no harm.

    Example: mediamill beat
    """
    settings = settings_module.load()
    from celery.signals import after_task_publish

    from workers import roles

    after_task_publish.connect(_ready_once(), weak=False)
    return roles.run_beat(settings)


def flower(
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the page.")] = 5555,
) -> int:
    """Run Flower, the page that shows queues, workers and tasks. Needs MEDIAMILL_FLOWER_PASSWORD.

    Example: mediamill flower --port 5555
    """
    settings = settings_module.load()
    from workers import roles

    return roles.run_flower(settings, host, port)


def simulator(context: typer.Context) -> int:
    """Run the stand-in for the gateway: real media, no money. Its own options follow.

    Example: mediamill simulator --port 8501 --latency 1
    """
    from simulator.cli import main

    try:
        return main(context.args)
    except SystemExit as end:  # argparse leaves so, for --help and for misuse
        return end.code if isinstance(end.code, int) else DONE


def _ready(**_: Any) -> None:
    from api_stub.serve import notify

    notify.ready()


def _ready_once() -> Any:
    """The first tick has been sent."""
    said = False

    def tell(**_: Any) -> None:
        nonlocal said
        if not said:
            said = True
            _ready()

    return tell
