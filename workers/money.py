"""What a call is quoted, and what it turned out to cost: the price list and the ledger, as the steps of a job need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from jobs import pricing
from jobs.catalogue.spec import Operation
from jobs.models import Artifact, Attempt, Job
from jobs.pricing import Kind
from jobs.queries import ledger
from workers.context import Context

#: What the gateway's code does with a failed task, and nothing it says promises.
FAILED = "the task failed; the gateway gives back what it took"
_NOTHING_TAKEN = "the call was not taken"


def quoted(context: Context, job: Job, op: Operation, asked: Mapping[str, Any]) -> Decimal | None:
    """What this call is expected to cost, with the values of other jobs in their places; None: not known."""
    return job.quoted_usd if asked == job.input else context.price(op, asked).usd


def settle(
    context: Context, session: Session, attempt: Attempt, op: Operation, job: Job, values: Any, artifacts: Iterable[Artifact]
) -> None:
    """The call has brought its result: what it cost by the usage in it and by what was delivered, else by an exact quote."""
    given = attempt.given or job.input
    usd = pricing.actual(op, given, values, artifacts, discount=context.settings.gateway_discount, prices=context.prices)
    ledger.settle(session, attempt.id, usd if usd is not None else exact(context, op, given))


def settle_by_quote(context: Context, session: Session, attempt_id: str, op: Operation | None, given: Mapping[str, Any]) -> None:
    """The provider did its work, and there is nothing to count by."""
    ledger.settle(session, attempt_id, exact(context, op, given) if op else None, "by the quote: there is nothing to count by")


def refund(session: Session, attempt_id: str, note: str = _NOTHING_TAKEN) -> None:
    ledger.refund(session, attempt_id, note)


def exact(context: Context, op: Operation, given: Mapping[str, Any]) -> Decimal | None:
    """The quote, where the bill cannot be another."""
    quote = context.price(op, given)
    return quote.usd if quote.kind is Kind.EXACT else None
