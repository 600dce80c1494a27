"""One payment told by events of several versions of Stripe's API ends as it does by one version."""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from db.facts import Purchase
from tests.db.books import COINS, NOON, PRICE_MINOR, SKU, Books
from tests.db.payments.stripe.payloads import Event, deliver, interpreted
from tests.db.payments.stripe.versions import VERSIONS, Writer
from workers.cli.simulate import stripe as simulated

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.requirement("C11")

BUYER = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")
REFUNDED, DISPUTED = 30, 50
ONLY_ONE = [(version,) * 6 for version in VERSIONS]
MANY = 120


def events_of(payment: simulated.StripePayment) -> list[Event]:
    """Return what happens to a payment: paid, refunded in part, disputed in part, dispute lost."""
    taken = (f"txn_{payment.key}", -DISPUTED)
    dispute_id = f"dp_{payment.key}"
    return [
        simulated.payment_intent_succeeded(payment),
        simulated.checkout_session_completed(payment),
        simulated.refund_event(payment, refund_id=f"re_{payment.key}", amount_minor=REFUNDED),
        simulated.charge_refunded(payment, amount_refunded=REFUNDED),
        simulated.dispute_event(
            payment,
            dispute_id=dispute_id,
            amount_minor=DISPUTED,
            balance_transactions=[taken],
        ),
        simulated.dispute_event(
            payment,
            "charge.dispute.closed",
            dispute_id=dispute_id,
            status="lost",
            amount_minor=DISPUTED,
            balance_transactions=[taken],
            created_s=payment.created_s + 60,
        ),
    ]


def payment_of(buyer: UUID) -> simulated.StripePayment:
    return simulated.StripePayment(
        key=buyer.hex,
        amount_minor=PRICE_MINOR,
        created_s=int(NOON.timestamp()),
        metadata={"profile_id": str(buyer), "sku": SKU},
    )


async def end_of(
    books: Books, tellings: Sequence[Sequence[Writer]], *, rng: random.Random | None = None
) -> list[tuple[int, str]]:
    """Deliver a payment per telling, all in step; return its coins and its purchase's status."""
    buyers = await books.profiles(len(tellings))
    stories = []
    for buyer, writers in zip(buyers, tellings, strict=True):
        payment = payment_of(buyer)
        events = zip(writers, events_of(payment), strict=True)
        story = [write(payment, event) for write, event in events]
        if rng:
            rng.shuffle(story)
        stories.append(story)
    for told in zip(*stories, strict=True):
        await deliver(books, told)
    rows = await books.db.fetch(
        "select p.coin_balance, cp.status"
        " from unnest($1::uuid[]) with ordinality as b (id, no)"
        " join public.profiles as p on p.id = b.id"
        " join public.coin_purchases as cp on cp.profile_id = p.id order by b.no",
        buyers,
    )
    return [(row["coin_balance"], row["status"]) for row in rows]


LEFT = (COINS - REFUNDED - DISPUTED, "confirmed")


async def test_a_payment_told_by_any_one_version_ends_the_same(books: Books) -> None:
    assert await end_of(books, ONLY_ONE) == [LEFT] * len(ONLY_ONE)
    assert not await books.breaches()


async def test_a_payment_told_by_old_and_new_versions_ends_as_by_one(books: Books) -> None:
    rng = random.Random(16)
    pairs = [tuple(rng.choice(pair) for _ in range(6)) for pair in product(VERSIONS, repeat=2)]
    mixed = [tuple(rng.choice(VERSIONS) for _ in range(6)) for _ in range(MANY)]
    tellings = [*pairs, *mixed]
    assert await end_of(books, tellings, rng=rng) == [LEFT] * len(tellings)
    waiting = await books.db.fetchval(
        "select count(*) from fleet.inbox_events where state not in ('applied', 'ignored')"
    )
    assert waiting == 0
    assert not await books.breaches()


@pytest.mark.parametrize("write", VERSIONS, ids=lambda write: write.__name__)
def test_every_version_names_the_charge_and_says_who_bought_what(
    write: Writer,
) -> None:
    """Without the charge's name an old refund, which names nothing else, finds no purchase."""
    payment = payment_of(BUYER)
    intent, session, *_ = events_of(payment)
    told = interpreted(write(payment, intent))
    assert isinstance(told, Purchase)
    assert told.payment_keys == [payment.intent_id, payment.charge_id]
    assert (told.profile_id, told.sku, told.amount_minor) == (BUYER, SKU, PRICE_MINOR)
    told = interpreted(write(payment, session))
    assert isinstance(told, Purchase)
    assert told.payment_keys == [payment.intent_id, payment.session_id]
    assert (told.profile_id, told.sku, told.amount_minor) == (BUYER, SKU, PRICE_MINOR)
