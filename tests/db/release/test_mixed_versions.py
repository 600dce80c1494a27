"""Workers of the last release beside workers of this one: an event counts the same by either.

Those of the last release leave out of refunds and disputes what these cases need: the event's time,
what was never captured, a dispute's status and its currencies.
"""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.db.books import NOON, SKU, Books
from tests.db.reversals.reversing_events import PAID_S, Event, dispute, refund, total
from tests.tasks.providers.stripe.events import interpret
from workers.cli.simulate import stripe as made

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.cli.simulate.stripe import StripePayment

MINOR = 1_000
# The fields that a worker of the last release (7b6f16a) leaves out.
NEWER_FIELDS = {
    "refund": ("told_at", "refund_created_at"),
    "refund_total": ("told_at", "uncaptured_minor", "amount_minor", "currency"),
    "dispute": ("told_at", "status", "currency"),
}


async def tell(books: Books, event: Event, *, by_old_worker: bool) -> None:
    """Receive one event as it was signed, and apply it by a worker of either release."""
    body = json.dumps(event).encode()
    await books.db.execute(
        "select fleet.store_events($1, $2, $3, $4, $5, $6, $7)",
        *(["stripe"], [event["id"]], [event["type"]], [body]),
        *([sha256(body).digest()], ["pending"], [None]),
    )
    event_id = await books.db.fetchval(
        "select id from fleet.inbox_events where provider_event_id = $1", event["id"]
    )
    fact: dict[str, Any] = json.loads(msgspec.json.encode(interpret(event)))
    if by_old_worker:
        for name in NEWER_FIELDS.get(fact["kind"], ()):
            fact.pop(name, None)
        for moved in fact.get("transactions", ()):
            moved.pop("currency", None)
    fact |= {"event_id": event_id, "provider": "stripe", "provider_event_id": event["id"]}
    fact |= {"received_at": NOON.isoformat()}
    await books.db.execute("select fleet.apply_events($1, $2)", json.dumps([fact]), NOON)


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("story", "left"),
    [
        (lambda p: [total(p, 200, 1), total(p, 500, 2)], 500),
        # A total that went down, because a refund failed.
        (lambda p: [total(p, 500, 1), total(p, 200, 2)], 800),
        (lambda p: [total(p, 1_000, 1), refund(p, 1_000, 2, "failed")], 1_000),
        (
            lambda p: [total(p, 1_000, 1), refund(p, 1_000, 2, "failed"), total(p, 1_000, 3)],
            0,
        ),
        (lambda p: [total(p, 400, 1), refund(p, 400, 2, "failed"), total(p, 300, 3)], 700),
        (lambda p: [refund(p, 300, 1, "succeeded"), total(p, 300, 2)], 700),
        # Made after the total, so the total never included it.
        (
            lambda p: [total(p, 400, 1), refund(p, 300, 3, "failed", created=PAID_S + 120)],
            600,
        ),
        (lambda p: [total(p, 750, 1, amount=1_500, amount_captured=1_000)], 750),
        (lambda p: [dispute(p, 1, "needs_response", -1_000), dispute(p, 2, "won", -1_000)], 1_000),
        (
            lambda p: [
                dispute(p, 1, "needs_response", -1_000),
                dispute(p, 2, "lost", -1_000, 20),
            ],
            0,
        ),
    ],
)
async def test_a_reversal_counts_the_same_whichever_release_applies_it(
    books: Books, story: Callable[[StripePayment], list[Event]], left: int
) -> None:
    size = len(story(made.StripePayment(key="any", amount_minor=MINOR, created_s=PAID_S)))
    # In any order, by any mix of the two releases.
    mixes = product(permutations(range(size)), product((True, False), repeat=size))
    for number, (order, by_old) in enumerate(mixes):
        buyer = await books.profile()
        metadata = {"profile_id": str(buyer), "sku": SKU, "quantity": "10"}
        payment = made.StripePayment(
            key=f"{number}x", amount_minor=MINOR, created_s=PAID_S, metadata=metadata
        )
        await tell(books, made.payment_intent_succeeded(payment), by_old_worker=False)
        events = story(payment)
        for no, is_old in zip(order, by_old, strict=True):
            await tell(books, events[no], by_old_worker=is_old)
        assert (order, by_old, await books.coins(buyer)) == (order, by_old, left)
