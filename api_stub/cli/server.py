"""Which server the client commands talk to, and with which key.

`--url` and `--key`, else MEDIAMILL_PUBLIC_URL and MEDIAMILL_BOOTSTRAP_KEY, else what a `mediamill serve` on the same data folder
wrote to `client.json`. A key from that file goes to that server only.
"""

from __future__ import annotations

from typing import Annotated

import typer

from api_stub.client import Client
from api_stub.serve import folder
from jobs import settings as settings_module
from jobs.settings import Settings

UrlOption = Annotated[
    str | None, typer.Option("--url", help="The server (default: MEDIAMILL_PUBLIC_URL, else the `serve` of this folder).")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="The API key (default: MEDIAMILL_BOOTSTRAP_KEY, else that of this folder's `serve`).")
]


def connect(url: str | None = None, key: str | None = None, *, timeout_s: float = 30.0) -> Client:
    """A client for the server in reach. Raises SettingsError."""
    return Client(*resolve(url, key, settings_module.load()), timeout_s=timeout_s)


def resolve(url: str | None, key: str | None, settings: Settings) -> tuple[str, str | None]:
    """Address and key."""
    running = folder.read_address(settings.data)
    if url is None and "public_url" in settings.model_fields_set:
        url = settings.public_url
    if url is None:
        url = running.get("url", settings.public_url)
    url = url.rstrip("/")
    if key is None and settings.bootstrap_key is not None:
        key = settings.bootstrap_key.get_secret_value()
    if key is None and url in (running.get("url"), running.get("public_url")):
        key = running.get("key")
    return url, key
