"""The catalogue as people and programs see it: which operations fit a question, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobs.catalogue.spec import Deprecated, Operation
from jobs.pricing import Price, PriceList, price_list


def chosen(
    operations: Iterable[Operation], *, modality: str | None = None, provider: str | None = None, text: str | None = None
) -> list[Operation]:
    """Those of this modality and provider whose name or summary holds every word of `text`, in any case."""
    words = (text or "").lower().split()
    return [
        one
        for one in operations
        if modality in (None, one.modality)
        and provider in (None, one.provider)
        and all(word in f"{one.name} {one.summary}".lower() for word in words)
    ]


def view(operation: Operation, prices: PriceList | None = None) -> dict[str, Any]:
    """One operation as `GET /v1/operations/{name}` answers it, with the prices in force or those of the list."""
    whole = next((one for one in operation.deprecated if not one.models), None)
    return {
        "name": operation.name,
        "object": "operation",
        "modality": operation.modality,
        "provider": operation.provider,
        "summary": operation.summary,
        "kind": operation.kind,
        "input_schema": operation.input_schema,
        "example": operation.example,
        "outputs": list(dict.fromkeys(output.kind for output in operation.outputs)),
        "confidence": str(operation.confidence),
        "unknown": list(operation.unknown),
        "deprecated": _ending(whole) if whole else None,
        "deprecated_models": [{"models": list(one.models), **_ending(one)} for one in operation.deprecated if one.models],
        # Null where it is not known, which is not the same as free.
        "price": [_rate(price) for price in (prices or price_list()).prices(operation.name)] or None,
        "lost_answer": _LOST_ANSWER[operation.dedupe.grade],
        "cancel": operation.cancel,
        "output_lifetime": operation.output_lifetime,
        "source": operation.source,
    }


#: What happens when the answer to the paid call is lost, by grade.
_LOST_ANSWER = {
    "A": "asked again: a repetition buys nothing twice",
    "B": "looked up at the provider by our own name for the call; not found, the job is `unknown` and its `on_unknown` decides",
    "C": "the provider cannot be searched: the job is `unknown` and its `on_unknown` decides",
}


def _rate(price: Price) -> dict[str, Any]:
    """One row of the price list: USD by unit, and for which calls."""
    return {
        "usd": {str(unit): str(usd) for unit, usd in price.rates.items()},
        "models": list(price.models),
        "when": {field: list(values) for field, values in price.when.items()},
        "basis": price.basis,
        "discounted": price.discounted,
        "part": price.part,
        "doubt": price.doubt,
        "source": price.source,
        "read": price.read.isoformat() if price.read else None,
    }


def priced(price: dict[str, Any]) -> str:
    """A row of `price` in words: `0.042 USD per image (gpt-image-1; quality medium)`."""
    rates = ", ".join(f"{usd} USD per {unit.replace('_', ' ')}" for unit, usd in price["usd"].items() if usd != "0") or "free"
    where = [", ".join(price["models"]), *(f"{field} {' or '.join(values)}" for field, values in price["when"].items())]
    said = "; ".join(one for one in where if one)
    notes = "; ".join(one for one in (price["part"], price["doubt"]) if one)
    return rates + (f" ({said})" if said else "") + (f", {notes}" if notes else "")


def origin(price: dict[str, Any]) -> str:
    """Where a row of `price` is from: `https://openai.com/api/pricing, read 2026-11-22`; empty where nobody said."""
    return ", ".join(one for one in (price["source"], f"read {price['read']}" if price["read"] else None) if one)


def _ending(one: Deprecated) -> dict[str, Any]:
    return {"on": one.on.isoformat(), "successor": one.successor, "note": one.note}
