"""Reading what providers say, whatever it is: JSON that may be none, errors in anybody's words, numbers in any costume.

Nothing here raises because of an answer, and nothing it returns is more than a database can hold.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from jobs.catalogue.spec import Errors, Exprs, Fault, compiled
from jobs.errors import JobError, UpstreamDetail

_MESSAGE_CHARS = 500


#: Levels of an answer. A tower of brackets is nobody's result, and every later step would have to survive it.
_DEEPEST = 200


_GATEWAY_REQUEST_ID = re.compile(r"\(request id: ([A-Za-z0-9._\-]{1,100})\)")


_REQUEST_ID_HEADERS = ("x-cometapi-request-id", "x-oneapi-request-id", "request-id", "x-request-id")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, from 1 s to 15 min; None when absent or not a number of seconds (dates are not trusted)."""
    value = headers.get("retry-after", "").strip()
    if not re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return None
    return min(max(float(value), 1.0), 900.0)


def parse(body: bytes) -> tuple[Any, str | None]:
    """The JSON document, or a sentence that says why there is none."""
    start = body.lstrip()[:1]
    if not start:
        return None, "the answer is empty"
    if start not in (b"{", b"["):
        return None, "the answer is not JSON"
    try:
        return _storable(json.loads(body.decode(), parse_constant=_refuse_constant)), None
    except (ValueError, RecursionError):
        return None, "the answer is broken JSON"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _storable(value: Any, depth: int = 0) -> Any:
    """`value` without what PostgreSQL's JSON cannot hold: NUL, half a surrogate pair, infinity.

    Written down as it came, one such answer would fail the statement that writes a whole batch of polls, again and again.
    Raises ValueError for a tower.
    """
    if depth > _DEEPEST:
        raise ValueError("the answer is nested too deep")
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_storable(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {_storable(name, depth): _storable(part, depth + 1) for name, part in value.items()}
    return value


def holds(expression: str | None, document: Any) -> bool:
    """Whether the expression is true of the document; one that was not written for its shape is not."""
    return expression is not None and bool(first((expression,), document))


def first(expressions: Exprs, document: Any) -> Any:
    """The first expression that yields something."""
    for expression in expressions:
        try:
            value = compiled(expression).search(document)
        except Exception:  # noqa: S112 - a shape the expression was not written for is a shape that yields nothing
            continue
        if value is not None and value != "" and value != []:
            return value
    return None


def text(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str | int | float):
        return str(value)
    return None


def share(value: Any) -> float | None:
    """`"30%"`, 30 or 0.3 as a share of one, clamped; None when it is no number."""
    if isinstance(value, bool) or value is None:
        return None
    percent = isinstance(value, str) and value.strip().endswith("%")
    try:
        amount = float(str(value).strip().rstrip("%"))
    except ValueError:
        return None
    if amount != amount:
        return None
    return min(max(amount / 100 if percent or amount > 1 else amount, 0.0), 1.0)


def error_in_200(errors: Errors, document: Any) -> bool:
    if isinstance(document, dict) and isinstance(document.get("error"), dict) and document["error"]:
        return True
    return holds(errors.in_200, document)


BY_STATUS = {
    400: Fault.INVALID_INPUT,
    401: Fault.AUTH,
    402: Fault.PAYMENT,
    403: Fault.FORBIDDEN,
    404: Fault.MODEL_UNAVAILABLE,
    405: Fault.INVALID_INPUT,
    413: Fault.INVALID_INPUT,
    415: Fault.INVALID_INPUT,
    422: Fault.INVALID_INPUT,
    429: Fault.RATE_LIMITED,
}


#: The gateway's own codes, whatever provider is behind it (upstream facts, gateway §2).
GATEWAY_CODES = {
    "invalid_request": Fault.INVALID_INPUT,
    "sensitive_words_detected": Fault.CONTENT_REJECTED,
    "prompt_blocked": Fault.CONTENT_REJECTED,
    "content_policy_violation": Fault.CONTENT_REJECTED,
    "moderation_blocked": Fault.CONTENT_REJECTED,
    "insufficient_user_quota": Fault.PAYMENT,
    "pre_consume_token_quota_failed": Fault.PAYMENT,
    "insufficient_quota": Fault.PAYMENT,
    "access_denied": Fault.FORBIDDEN,
    "invalid_api_key": Fault.AUTH,
    "read_request_body_failed": Fault.INVALID_INPUT,
    "convert_request_failed": Fault.INVALID_INPUT,
    "bad_request_body": Fault.INVALID_INPUT,
    # No channel took the request: it cannot have been started.
    "model_not_found": Fault.BUSY,
    "get_channel_failed": Fault.BUSY,
    "channel:no_available_key": Fault.BUSY,
    "token_concurrency_limit_reached": Fault.RATE_LIMITED,
    "task_not_exist": Fault.NOT_VISIBLE,
}


_SENTENCES = {
    Fault.INVALID_INPUT: "The provider refused the request as invalid.",
    Fault.CONTENT_REJECTED: "The provider refused the content.",
    Fault.MODEL_UNAVAILABLE: "The provider does not know this model or path.",
    Fault.AUTH: "The gateway refused our key.",
    Fault.PAYMENT: "The gateway account is out of credit.",
    Fault.FORBIDDEN: "The gateway does not allow this key to do that.",
    Fault.RATE_LIMITED: "The provider asked us to slow down.",
    Fault.BUSY: "The provider has no capacity for this model right now.",
    Fault.BROKEN: "The provider failed while answering.",
    Fault.NOT_VISIBLE: "The provider does not know the task.",
}


RETRYABLE = frozenset({Fault.AUTH, Fault.PAYMENT, Fault.RATE_LIMITED, Fault.BUSY, Fault.BROKEN})


def named(errors: Errors, document: Any) -> Fault | None:
    """What the provider's own code means; None for one we do not know."""
    code = text(first(errors.code, document)) or ""
    return errors.fault_of(code) or GATEWAY_CODES.get(code.lower())


def by_status(errors: Errors, status: int) -> Fault | None:
    """What an HTTP status means here; None for one that leaves the question open."""
    return errors.statuses.get(status) or BY_STATUS.get(status)


def read_error(errors: Errors, status: int, headers: Mapping[str, str], document: Any) -> tuple[Fault, JobError]:
    code = text(first(errors.code, document))
    message = text(first(errors.message, document))
    fault = named(errors, document)
    if fault is Fault.BUSY and status == 404:
        fault = Fault.MODEL_UNAVAILABLE
    if fault is None:
        # With a good status and an unknown code only the body says "error".
        fault = Fault.INVALID_INPUT if 200 <= status < 300 else by_status(errors, status) or Fault.BROKEN
    said = tidy(message)
    return fault, JobError(
        code=fault.value,
        message=_SENTENCES[fault] + (f" It said: {said}" if said else ""),
        retryable=fault in RETRYABLE,
        upstream=UpstreamDetail(
            status=status, code=code[:100] if code else None, message=said, request_id=request_id_of(headers, document)
        ),
    )


def lost(error: JobError) -> JobError:
    return error.model_copy(
        update={
            "code": "upstream_outcome_unknown",
            "message": "The paid call was sent, but whether the provider took it is not known. " + error.message,
            "retryable": False,
            "may_have_been_charged": True,
        }
    )


def bad_answer(status: int, headers: Mapping[str, str], body: bytes, problem: str) -> JobError:
    return JobError(
        code="upstream_bad_response",
        message=f"Instead of the expected JSON {problem} (HTTP {status}).",
        retryable=True,
        upstream=UpstreamDetail(
            status=status, message=tidy(body[:200].decode("utf-8", "replace")), request_id=request_id_of(headers, None)
        ),
    )


def request_id_of(headers: Mapping[str, str], document: Any) -> str | None:
    for name in _REQUEST_ID_HEADERS:
        if value := headers.get(name):
            return value[:100]
    if isinstance(document, dict):
        own = document.get("request_id")
        if isinstance(own, str) and own:
            return own[:100]
        message = text(first(("error.message", "message"), document))
        if message and (hit := _GATEWAY_REQUEST_ID.search(message)):
            return hit.group(1)
    return None


_SECRETS = re.compile(r"(?i)(bearer\s+|sk-|whsec_|[?&](?:key|token|signature)=)[A-Za-z0-9._\-~+/=%]{4,}")


def tidy(message: str | None) -> str | None:
    """Somebody else's words, safe to keep: secrets masked, control characters gone, cut to 500 characters."""
    if not message:
        return None
    masked = _SECRETS.sub(r"\1***", message[: _MESSAGE_CHARS * 4])
    return "".join(char if char.isprintable() else " " for char in masked).strip()[:_MESSAGE_CHARS] or None
