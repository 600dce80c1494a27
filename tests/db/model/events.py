"""Random events for the test of the ledger against a model: payloads as providers send them.

The same seed makes the same events. They come in no order: refunds before their purchases, one
payment under different names, one event twice and with different content.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from db.inbox.arrivals import Arrival
from tests.db.books import CAKE, CAKE_COST, CAKE_SHARE_BPS, NOON, ROSE, SKU
from tests.db.model.accounts import GiftPrice
from tests.db.model.prices import Price
from workers.cli.simulate import stripe
from workers.cli.simulate.events import gift_sent

if TYPE_CHECKING:
    from random import Random

PRICES = [(SKU, Price(100, 100)), (SKU, Price(100, 95, "eur")), ("coins_7", Price(7, 300))]
GIFTS = {ROSE: GiftPrice(1, 7_000), CAKE: GiftPrice(CAKE_COST, CAKE_SHARE_BPS)}
PEOPLE, PAYMENTS = 3, 12
STRANGER = UUID(int=404)

# Each item of a list is as likely as the others: what is repeated happens more often.
SECONDS = [0, 0, 1, 30, 59, 60, 61, 119]
PARTS = [0.01, 1 / 3, 0.5, 0.99, 1.0, 1.0, 1.5]
ORDERS = [
    *["whole"] * 8,
    *("none", "no_sku", "no_buyer", "no_quantity", "quantity_only", "countless"),
    *("nobody", "stranger", "another"),
]
REFUND_STATUSES = ["pending", "succeeded", "succeeded", "failed", "canceled"]
GIFT_TYPES = [*[ROSE] * 6, *[CAKE] * 3, "nothing"]
QUANTITIES = [1, 7, 30, 60, 100]
DISPUTE_STATUSES = ["needs_response", "under_review", "won", "lost", "lost", "warning_closed", "?"]
# Withdrawn, a third returned, the rest returned; withdrawn, a little returned, withdrawn again.
DISPUTED = ((-93, 31, 62), (-1_000, 20, -40))
UNCAPTURED = [0, 0, 0, 0.5, 1.0]


class Product(NamedTuple):
    """What a payment is for, as its metadata say."""

    sku: str
    amount_minor: int
    quantity: int = 1
    currency: str = "usd"
    tax: int = 0


PRODUCTS = [
    *[Product(SKU, 119, tax=19)] * 2,
    Product(SKU, 300, quantity=3, tax=48),
    Product(SKU, 300, quantity=2, tax=100),
    Product(SKU, 118, tax=19),
    *[Product(SKU, 100)] * 6,
    *[Product("coins_7", 300)] * 4,
    Product(SKU, 300, quantity=3),
    Product(SKU, 25_000_00, quantity=25_000),
    Product(SKU, 25_001_00, quantity=25_001),
    Product(SKU, 50_001_00, quantity=50_001),
    Product(SKU, 99),
    Product(SKU, 95, currency="eur"),
    Product(SKU, 95, currency="eur"),
    Product(SKU, 80, currency="gbp"),
    Product("nothing", 100),
]


class RandomEvents:
    """Events of the payments and gifts of a few people, in any order."""

    def __init__(self, random: Random) -> None:
        self.people = [UUID(int=no + 1) for no in range(PEOPLE)]
        self._bought = [
            (random.choice(self.people), random.choice(PRODUCTS), random.choice(SECONDS))
            for _ in range(PAYMENTS)
        ]
        self._numbers = count(1)

    def events(self, random: Random, size: int) -> list[Arrival]:
        """Return some events of all kinds, as a receiver stores them."""
        kinds = (self._gift, self._gift, self._purchase, self._purchase, self._reversal)
        return [self._arrival(random.choice(kinds)(random)) for _ in range(size)]

    def _arrival(self, event: dict[str, Any]) -> Arrival:
        event_id = f"evt_{next(self._numbers)}"
        provider = "app" if event["type"] == "gift.sent" else "stripe"
        body = msgspec.json.encode(event | {"id": event_id} if provider == "stripe" else event)
        return Arrival(provider, event_id, event["type"], body, sha256(body).digest())

    def _gift(self, random: Random) -> dict[str, Any]:
        sender, recipient = random.sample(self.people, 2)
        # Sometimes to nobody, or to oneself.
        recipient = random.choice([*[recipient] * 8, STRANGER, sender])
        return gift_sent(
            sender_id=sender,
            recipient_id=recipient,
            gift_type=random.choice(GIFT_TYPES),
            quantity=random.choice(QUANTITIES),
        )

    def _purchase(self, random: Random) -> dict[str, Any]:
        payment = self._payment(random.randrange(PAYMENTS), order=random.choice(ORDERS))
        if random.random() < 0.5:
            return stripe.payment_intent_succeeded(payment)
        _, product, _ = self._bought[int(payment.key)]
        session: dict[str, Any] = {"total_details": {"amount_tax": product.tax}}
        if random.random() < 0.3:
            # The buyer only by reference, or not at all.
            session["client_reference_id"] = random.choice([str(self.people[0]), "17", None])
        return stripe.checkout_session_completed(payment, changes=session)

    def _payment(self, number: int, order: str = "whole") -> stripe.StripePayment:
        buyer, product, second = self._bought[number]
        metadata = {
            "profile_id": str(buyer),
            "sku": product.sku,
            "quantity": str(product.quantity),
        }
        match order:
            case "none":
                metadata = {}
            case "no_sku":
                del metadata["sku"]
            case "no_quantity":
                del metadata["quantity"]
            case "quantity_only":
                metadata = {"quantity": metadata["quantity"]}
            case "countless":
                metadata["quantity"] = "some"
            case "another":
                metadata["sku"] = "coins_7"
            case "no_buyer":
                del metadata["profile_id"]
            case "nobody":
                metadata["profile_id"] = "me"
            case "stranger":
                metadata["profile_id"] = str(STRANGER)
        return stripe.StripePayment(
            key=str(number),
            amount_minor=product.amount_minor,
            currency=product.currency,
            created_s=int(NOON.timestamp()) + second,
            metadata=metadata,
        )

    def _reversal(self, random: Random) -> dict[str, Any]:
        payment, no = self._payment(random.randrange(PAYMENTS)), random.randrange(2)
        amount = max(1, int(payment.amount_minor * random.choice(PARTS)))
        told_s = payment.created_s + random.choice(SECONDS)
        match random.randrange(9):
            case 0:
                event = stripe.stripe_event(
                    payment, "charge.failed", stripe.charge(payment) | {"paid": False}
                )
                event["data"]["object"]["failure_balance_transaction"] = random.choice([None, "x"])
            case 1 | 2:
                event = stripe.charge_refunded(payment, amount_refunded=amount, created_s=told_s)
                uncaptured = int(payment.amount_minor * random.choice(UNCAPTURED))
                event["data"]["object"]["amount"] += uncaptured
                event["data"]["object"]["captured"] = random.choice([*[True] * 9, False])
            case 3 | 4:
                dispute_id = f"dp_{payment.key}_{no}"
                moved = [(f"txn_{dispute_id}_{n}", minor) for n, minor in enumerate(DISPUTED[no])]
                event = stripe.dispute_event(
                    payment,
                    dispute_id=dispute_id,
                    amount_minor=amount,
                    status=random.choice(DISPUTE_STATUSES),
                    balance_transactions=moved[: random.randrange(len(moved) + 1)],
                    created_s=told_s,
                )
                event["data"]["object"]["currency"] = random.choice(
                    [*[payment.currency] * 4, "usd", "eur", "gbp"]
                )
                for transaction in event["data"]["object"]["balance_transactions"][2:]:
                    transaction["currency"] = "gbp"
            case _:
                event = stripe.refund_event(
                    payment,
                    refund_id=f"re_{payment.key}_{no}",
                    amount_minor=amount,
                    status=random.choice(REFUND_STATUSES),
                    created_s=told_s,
                )
                # A refund has one creation time, however many events report it.
                event["data"]["object"]["created"] = payment.created_s + 30 * no
        if random.random() < 0.5:
            # Older events name only the charge.
            event["data"]["object"]["payment_intent"] = None
        return event
