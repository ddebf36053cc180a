"""A paid call that is a conversation: one reply over WebSocket, its sound and its words as one document.

Until the reply is asked for nothing is bought, and every failure is a call that was not made. After that, an end without a
result is a lost answer like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response

from jobs.catalogue import asking, outcomes, wire
from jobs.catalogue.realtime import Broken, Talk
from jobs.catalogue.spec import Fault, Operation
from jobs.errors import JobError
from storage import StorageError
from workers import egress
from workers.context import Context
from workers.egress.socket import open_socket
from workers.sound import NotSound, as_samples

#: Between two events of a session; the reply itself comes in pieces all along.
_SILENCE_S = 45.0
#: A browser cannot send headers: some servers take the key as a subprotocol only.
_KEY_PROTOCOL = "openai-insecure-api-key."
_KEY_REFUSED = frozenset({Fault.AUTH.value, Fault.FORBIDDEN.value})


async def reply(
    context: Context,
    op: Operation,
    request: asking.Request,
    sink: Callable[[bytes], object],
    *,
    headers: Mapping[str, str],
    total_s: float,
    asked: asking.Asked,
    key: SecretStr | None,
) -> outcomes.SubmitOutcome:
    """The reply to what `request` says; a result goes to `sink` as JSON, as a synchronous answer does."""
    given = request.json or {}
    spoken = given.get("audio")
    try:
        samples = (
            await asyncio.to_thread(as_samples, spoken.content, context.spool_folder) if isinstance(spoken, asking.Part) else None
        )
    except NotSound as error:
        return outcomes.Rejected(JobError(code="invalid_input", message=f"input.audio is not usable: {error}."))
    except StorageError as error:
        problem = JobError(code="storage_unavailable", message=f"input.audio could not be decoded: {error}", retryable=True)
        return outcomes.NotAccepted(problem, None)
    ways = _ways(key, headers)
    while True:
        talk = Talk(given, samples)
        outcome = await _converse(context, op, request.path, ways.pop(0), talk, sink, total_s=total_s, asked=asked, key=key)
        if talk.bought or not ways or not _about_the_way(outcome):
            return outcome


def _about_the_way(outcome: outcomes.SubmitOutcome) -> bool:
    """Whether another way may be taken: the key was refused, or a layer before the provider misses a subprotocol."""
    if not isinstance(outcome, outcomes.Rejected):
        return False
    error = outcome.error
    speechless = error.upstream is None or error.upstream.code is None
    return error.code in _KEY_REFUSED or (error.code == Fault.INVALID_INPUT.value and speechless)


class _Way(NamedTuple):
    """How the key travels."""

    headers: Mapping[str, str]
    protocols: tuple[str, ...] = ()


def _ways(key: SecretStr | None, headers: Mapping[str, str]) -> list[_Way]:
    others = [_Way({}, ("realtime", _KEY_PROTOCOL + key.get_secret_value()))] if key else []
    return [_Way(headers), *others]


async def _converse(
    context: Context,
    op: Operation,
    path: str,
    way: _Way,
    talk: Talk,
    sink: Callable[[bytes], object],
    *,
    total_s: float,
    asked: asking.Asked,
    key: SecretStr | None,
) -> outcomes.SubmitOutcome:
    """One session, from the handshake to what came of it."""
    settings = context.settings
    trouble = ""
    try:
        async with asyncio.timeout(total_s):
            opened = await open_socket(
                settings.upstream_url, path, headers=way.headers, subprotocols=way.protocols, cap_bytes=settings.max_answer_bytes
            )
            async with opened as socket:
                await _listen(socket, talk, settings.max_inline_bytes)
    except InvalidStatus as error:
        return _refused(op, error.response)
    except (OSError, InvalidHandshake, ConnectionClosed, Broken, TimeoutError) as error:
        trouble = _shown(key, error)
    if talk.result is None:
        return _lost(trouble) if talk.bought else _unreachable(trouble)
    body = json.dumps(talk.result, ensure_ascii=False).encode("utf-8", "replace")
    if not talk.bought:
        return _not_bought(wire.read_submit(op, 400, {}, body))
    sink(body)
    return wire.read_submit(op, 200, {}, body, asked)


async def _listen(socket: ClientConnection, talk: Talk, cap_bytes: int) -> None:
    """Until the talk has a result. Raises Broken, ConnectionClosed and TimeoutError."""
    heard = 0
    while talk.result is None:
        message = await asyncio.wait_for(socket.recv(), _SILENCE_S)
        heard += len(message)
        if heard > cap_bytes:
            raise Broken(f"the session brings more than {cap_bytes:,} bytes")
        for event in talk.hear(_event(message)):
            await socket.send(json.dumps(event, ensure_ascii=False))


def _event(message: str | bytes) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        raise Broken("a message of the session is not JSON") from None


def _refused(op: Operation, answer: Response) -> outcomes.SubmitOutcome:
    """What an answer comes to that opens no session."""
    if 200 <= answer.status_code < 300:
        return _unreachable(f"the gateway answered HTTP {answer.status_code} and opened no session")
    headers = {name.lower(): value for name, value in answer.headers.raw_items()}
    return _not_bought(wire.read_submit(op, answer.status_code, headers, bytes(answer.body or b"")))


def _not_bought(outcome: outcomes.SubmitOutcome) -> outcomes.SubmitOutcome:
    """A refusal stays one; what would leave the question open elsewhere is surely not taken here."""
    if isinstance(outcome, outcomes.Lost):
        error = outcome.error.model_copy(
            update={
                "code": "upstream_unavailable",
                "message": "The gateway did not open the session, so nothing was bought.",
                "retryable": True,
                "may_have_been_charged": False,
            }
        )
        return outcomes.NotAccepted(error, None)
    return outcome


def _shown(key: SecretStr | None, error: BaseException) -> str:
    """What happened, without our key: a server may quote the subprotocol that it came in."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    return egress.redact(text.replace(key.get_secret_value(), "***") if key else text, 300)


def _unreachable(why: str) -> outcomes.NotAccepted:
    message = f"No session could be had, so nothing was bought: {why}"
    return outcomes.NotAccepted(JobError(code="upstream_unreachable", message=message, retryable=True), None)


def _lost(why: str) -> outcomes.Lost:
    message = f"The reply was asked for, and the session broke before it was whole: {why}"
    return outcomes.Lost(JobError(code="upstream_outcome_unknown", message=message, may_have_been_charged=True))
