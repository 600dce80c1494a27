"""Facts of intents and sessions that name half of a payment each, and ways to apply them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from db.facts import Half, Verdict
from tests.db.books import Books, Outcome, Payment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from db.facts import Fact, Purchase

NOTHING: dict[str, Any] = {"sku": None, "quantity": None}
NOT_OURS = Outcome("ignored", "not_ours")
INCOMPLETE = Outcome("waiting", "incomplete_metadata")
NO_SESSION_YET = Outcome("waiting", "no_session_yet")
UNKNOWN_BUYER = Outcome("held", "unknown_buyer")
UNKNOWN_PRODUCT = Outcome("held", "unknown_product")
WRONG_AMOUNT = Outcome("held", "wrong_amount")
BATCHES = ["one batch", "two batches", "after 15 minutes"]
ORDERS = [(0, 1), (1, 0)]


def intent(payment: Payment, buyer: UUID | None = None, **told: Any) -> Purchase:
    """Return an intent's fact with these metadata."""
    return payment.bought(buyer, **NOTHING | {"told_by": "intent"} | told)


def session(payment: Payment, buyer: UUID | None = None, **told: Any) -> Purchase:
    """Return a session's fact with these metadata."""
    return payment.bought(buyer, **NOTHING | {"told_by": "session"} | told)


def without_ours(payment: Payment, **half: Any) -> Verdict:
    """Return the fact of a session, or an intent, that names neither buyer nor product."""
    told = Half(**{"told_by": "session", "currency": "usd"} | half)
    return Verdict(state="ignored", reason="not_ours", payment_keys=[payment.intent], half=told)


async def apply_in(books: Books, batches: str, *facts: Fact) -> list[Outcome]:
    """Apply facts in one batch or in several; return the outcome of each at the end."""
    if batches == "one batch":
        event_ids = await books.receive(*facts)
        await books.work()
    else:
        event_ids = []
        for fact in facts:
            event_ids += await books.receive(fact)
            await books.work()
            if batches != "two batches":
                books.wait(minutes=15)
                await books.wake()
                await books.work()
    # Events may be pending again, to be judged again.
    await books.work()
    return [await books.outcome(event_id) for event_id in event_ids]


def in_order(order: Sequence[int], *facts: Fact) -> list[Fact]:
    return [facts[no] for no in order]
