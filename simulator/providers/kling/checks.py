"""Checks of request fields, answered with the native 1201."""

from __future__ import annotations

from simulator.calls import Call


def common_tail(call: Call) -> None:
    """The tail every asynchronous create has."""
    for name in ("callback_url", "external_task_id"):
        if name in call.body and not isinstance(call.body[name], str):
            raise call.invalid(f"{name} must be a string")
    url = call.body.get("callback_url")
    if url and not url.startswith(("http://", "https://")):
        raise call.invalid("callback_url is not a URL")
    if call.body.get("external_task_id") == "":
        call.body["external_task_id"] = None
    if not isinstance(call.body.get("watermark_info", {}), dict):
        raise call.invalid("watermark_info must be an object")


def one_of(call: Call, name: str, allowed: tuple[str, ...]) -> None:
    if name in call.body and call.body[name] not in allowed:
        raise call.invalid(f"{name} value '{call.body[name]}' is invalid")


def at_most(call: Call, name: str, characters: int) -> None:
    value = call.body.get(name, "")
    if not isinstance(value, str):
        raise call.invalid(f"{name} must be a string")
    if len(value) > characters:
        raise call.invalid(f"{name} must not be longer than {characters} characters")


def number(call: Call, name: str, least: float, most: float) -> None:
    if name in call.body and not (is_number(call.body[name]) and least <= call.body[name] <= most):
        raise call.invalid(f"{name} must be between {least} and {most}")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
