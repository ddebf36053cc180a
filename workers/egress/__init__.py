"""Safe egress: the only maker of HTTP clients in the product.

    client = egress.download_client(EgressRules())
    got = await egress.stream_to(client, "GET", url, file.write, total_s=60, cap_bytes=64 << 20)

Three kinds of client (upstream, download, webhook) differ in whom they may call; three functions (request_json,
stream_to, post_webhook) call, inside a total deadline and a cap. Every failure says whether the peer may have
acted: NotSent, or AnswerLost. The rules are §5.3 of the reliability notes; what a library cannot do (a process
that is no longer ours) is left to the firewall.
"""

from workers.egress.clients import (
    DOWNLOAD,
    POLL,
    SUBMIT,
    Client,
    ClientShards,
    Timeouts,
    download_client,
    resolve_check,
    upstream_client,
    webhook_client,
)
from workers.egress.errors import (
    AnswerLost,
    EgressError,
    EncodingRefused,
    NotSent,
    TooLarge,
    TooSlow,
    Truncated,
    UrlRefused,
)
from workers.egress.exchange import (
    Answer,
    File,
    Files,
    MinRate,
    Streamed,
    WebhookAnswer,
    post_webhook,
    request_json,
    stream_to,
)
from workers.egress.redact import redact
from workers.egress.rules import EgressRules, check_url
from workers.egress.seam import Net, tls_context

__all__ = [
    "DOWNLOAD",
    "POLL",
    "SUBMIT",
    "Answer",
    "AnswerLost",
    "Client",
    "ClientShards",
    "EgressError",
    "EgressRules",
    "EncodingRefused",
    "File",
    "Files",
    "MinRate",
    "Net",
    "NotSent",
    "Streamed",
    "Timeouts",
    "TooLarge",
    "TooSlow",
    "Truncated",
    "UrlRefused",
    "WebhookAnswer",
    "check_url",
    "download_client",
    "post_webhook",
    "redact",
    "request_json",
    "resolve_check",
    "stream_to",
    "tls_context",
    "upstream_client",
    "webhook_client",
]
