"""What all of OpenAI's operations share: how errors are told, and rules that hold for some models."""

from __future__ import annotations

from jobs.catalogue.schema import Schema
from jobs.catalogue.spec import Errors, Fault

#: OpenAI's own codes; the gateway's are known everywhere. `server_error` is left out on purpose: with a good status it is the
#: last word on an answer that failed, with a bad one the status says that nobody knows.
CODES = {
    "rate_limit_exceeded": Fault.RATE_LIMITED,
    "billing_hard_limit_reached": Fault.PAYMENT,
    "context_length_exceeded": Fault.INVALID_INPUT,
    "invalid_prompt": Fault.INVALID_INPUT,
    "image_content_policy_violation": Fault.CONTENT_REJECTED,
    "content_filter": Fault.CONTENT_REJECTED,
    "invalid_image*": Fault.INVALID_INPUT,
    "image_*": Fault.INVALID_INPUT,
    # The gateway knows the route and does not serve it (HTTP 501).
    "api_not_implemented": Fault.MODEL_UNAVAILABLE,
}
ERRORS = Errors(codes=CODES)


def for_models(pattern: str, *, by_default: bool = False, **rules: object) -> Schema:
    """Rules that hold for the models whose id matches; `by_default`: also where the input names none."""
    named: Schema = {} if by_default else {"required": ["model"]}
    return {"if": {"properties": {"model": {"pattern": pattern}}, **named}, "then": {"properties": rules}}
