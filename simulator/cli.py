"""The command line: ``python -m simulator --port 8501``."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.config import KINDS, LATENCY_S, Kind, SimulatorConfig
from simulator.server import Server, listen

#: Exit code when the address cannot be used.
CANNOT_LISTEN = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Prints ``simulator ready http://HOST:PORT`` when it accepts connections."""
    options = _parser().parse_args(arguments)
    host = options.host
    if options.listen_fd is not None:
        listener = socket.socket(fileno=options.listen_fd)
        host = listener.getsockname()[0]
    else:
        try:
            listener = listen(host, options.port)
        except OSError as reason:
            sys.stderr.write(f"simulator: cannot listen on {host}:{options.port}: {reason.strerror}\n")
            return CANNOT_LISTEN
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    def say_ready() -> None:
        sys.stdout.write(f"simulator ready {address}\n")
        sys.stdout.flush()

    try:
        Server(_config(options), say_ready).run([listener])
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A stand-in for the CometAPI gateway: real media, no money. Tasks live in memory.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default %(default)s")
    parser.add_argument("--port", type=_port, default=8501, help="0 picks a free one; default %(default)s")
    # A socket that listens already, handed down by whoever starts us: its port cannot be taken in between.
    parser.add_argument("--listen-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--key", action="append", default=[], help="let in only this API key; may be repeated")
    parser.add_argument("--data", type=Path, help="directory for outputs and ledger; default: temporary, removed")
    parser.add_argument("--ledger", type=Path, help="ledger file; default: ledger.jsonl in the data directory")
    parser.add_argument("--public-url", help="start of output URLs; default: the host each request names")
    parser.add_argument("--renderers", type=int, default=2, help="threads that draw and encode; default %(default)s")
    parser.add_argument("--latency", type=_seconds, help="seconds until done, for every kind of work")
    for kind in KINDS:
        parser.add_argument(f"--latency-{kind}", type=_seconds, help=f"the same for {kind}; default {LATENCY_S[kind]}")
    return parser


def _config(options: argparse.Namespace) -> SimulatorConfig:
    latency_s: dict[Kind, float] = {}
    for kind in KINDS:
        own: float | None = getattr(options, f"latency_{kind}")
        common: float | None = options.latency
        latency_s[kind] = next((s for s in (own, common) if s is not None), LATENCY_S[kind])
    return SimulatorConfig(
        keys=frozenset(options.key),
        latency_s=latency_s,
        data=options.data,
        ledger=options.ledger,
        public_url=options.public_url,
        renderers=options.renderers,
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if seconds < 0:
        raise argparse.ArgumentTypeError("seconds are not negative")
    return seconds
