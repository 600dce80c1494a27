"""Where a run's stories are told: its people, what they buy and give, and the plan that grows.

All that is random comes from one seeded generator, so the same seed gives the same run.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from db.simulation import GiftType, Package
from tasks.providers.app import App
from tasks.providers.stripe import Stripe
from workers.cli.simulate.events import gift_sent
from workers.cli.simulate.plan import APPLIED, Plan, PlannedEvent, PlannedGift, PlannedPayment
from workers.cli.simulate.stripe import StripePayment, dispute_event, payment_intent_succeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from db.simulation import PurchaseRules
    from workers.cli.simulate.plan import Ending

HANDFUL = Package("sim-handful", coins=100, amount_minor=99)
VAULT = Package("sim-vault", coins=13_000, amount_minor=99_99)
PACKAGES = {
    package.sku: package
    for package in (
        HANDFUL,
        Package("sim-pouch", coins=550, amount_minor=4_99),
        Package("sim-chest", coins=1_200, amount_minor=9_99),
        VAULT,
    )
}
ROSE = GiftType("sim-rose", "Rose", coins=1, streamer_share_bps=7_000)
CAKE = GiftType("sim-cake", "Cake", coins=25, streamer_share_bps=7_000)
# A share that doesn't divide evenly, so that rounding is seen.
CROWN = GiftType("sim-crown", "Crown", coins=499, streamer_share_bps=6_550)
GIFT_TYPES = (ROSE, CAKE, CROWN)

MOST_UNITS = 3
# Beyond the rolling minute in which one buyer's purchases are counted.
APART_S = 61
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


class Stage:
    """Everyone on it is new, so what they have in the end is what the plan gave them."""

    def __init__(
        self,
        run: str,
        *,
        random: Random,
        rules: PurchaseRules,
        streams: Mapping[UUID, int],
        livemode: bool,
        started_s: int,
    ) -> None:
        self.plan = Plan(run)
        self.random = random
        self.rules = rules
        self.livemode = livemode
        self._streams = streams
        self._streamers = list(streams)
        self._started_s = started_s
        self._payments = 0
        self._buyers: list[UUID] = []
        self._bought: Counter[UUID] = Counter()
        self._purses: list[tuple[UUID, int]] = []
        for streamer in streams:
            self.plan.people[streamer] = f"{run}-streamer-{len(self.plan.people) + 1}"

    # People

    def person(self, part: str) -> UUID:
        """Somebody new."""
        person = uuid4()
        self.plan.people[person] = f"{self.plan.run}-{part}-{len(self.plan.people) + 1}"
        return person

    def buyer(self) -> UUID:
        """Somebody who bought before or, half of the time, somebody new."""
        if not self._buyers or self.random.random() < 0.5:
            self._buyers.append(self.person("buyer"))
        return self.random.choice(self._buyers)

    def giver(self, coins: int) -> UUID:
        """Somebody with so many coins to give, bought in an opening event."""
        if self._purses and self.random.random() > 1 / 8:
            nth = self.random.randrange(len(self._purses))
            giver, left = self._purses[nth]
            if left >= coins:
                self._purses[nth] = giver, left - coins
                return giver
        giver = self.person("giver")
        payment = self.order(VAULT, buyer=giver, units=1)
        self.send(payment_intent_succeeded, payment, opening=True)
        self.grant(payment)
        self._purses.append((giver, VAULT.coins - coins))
        return giver

    def streamer(self) -> UUID:
        """Somebody who is live; every third time the star."""
        if self.random.random() < 1 / 3:
            return self._streamers[0]
        return self.random.choice(self._streamers)

    # Payments

    def buy(self) -> StripePayment:
        """A purchase told of by its payment intent, as most are."""
        payment = self.order()
        self.send(payment_intent_succeeded, payment)
        self.grant(payment)
        return payment

    def order(
        self,
        package: Package | None = None,
        *,
        buyer: UUID | None = None,
        units: int | None = None,
        apart_s: int = APART_S,
        **told: Any,
    ) -> StripePayment:
        """A payment for a package; nothing is sent. One buyer's lie `apart_s` apart."""
        package = package or self.random.choice([*PACKAGES.values()])
        buyer = buyer or self.buyer()
        units = units or self.random.choice((1, 1, 1, MOST_UNITS))
        self._bought[buyer] += 1
        metadata = {
            "profile_id": str(buyer),
            "sku": package.sku,
            "quantity": str(units),
            "ip_address": f"203.0.113.{self.random.randint(1, 254)}",
            "user_agent": BROWSER,
        }
        told.setdefault("created_s", self._started_s - self._bought[buyer] * apart_s)
        return self.payment(package.amount_minor * units, metadata=metadata, **told)

    def payment(
        self, amount_minor: int, *, metadata: Mapping[str, str], **told: Any
    ) -> StripePayment:
        """Any payment on the account."""
        self._payments += 1
        return StripePayment(
            key=f"{self.plan.run}n{self._payments}",
            amount_minor=amount_minor,
            metadata=metadata,
            **{"created_s": self._started_s, "livemode": self.livemode} | told,
        )

    def grant(self, payment: StripePayment) -> None:
        """Expect the coins of an order."""
        units = int(payment.metadata["quantity"])
        self.plan.payments[payment.key] = PlannedPayment(
            buyer=UUID(payment.metadata["profile_id"]),
            coins=PACKAGES[payment.metadata["sku"]].coins * units,
            paid_minor=payment.amount_minor,
        )

    def take_back(self, payment: StripePayment, amount_minor: int) -> None:
        """Expect that so much of a granted payment is reversed in the end."""
        self.plan.payments[payment.key].reversed_minor = amount_minor

    # Events

    def send(
        self,
        build: Callable[..., Mapping[str, Any]],
        payment: StripePayment,
        *,
        endings: Sequence[Ending] = (APPLIED,),
        opening: bool = False,
        **told: Any,
    ) -> None:
        """Plan an event of a payment; `told` goes to its builder."""
        event = PlannedEvent(
            provider=Stripe.name,
            event_id=build(payment, **told)["id"],
            build=partial(build, payment, **told),
            endings=frozenset(endings),
        )
        (self.plan.opening if opening else self.plan.events).append(event)

    def dispute(
        self, payment: StripePayment, change: str, *, status: str, moved: Mapping[str, int]
    ) -> None:
        """Plan a change of the payment's dispute; `moved` is all money that moved for it so far."""
        self.send(
            dispute_event,
            payment,
            event_type=f"charge.dispute.{change}",
            dispute_id=f"du_{payment.key}",
            status=status,
            balance_transactions=[
                (f"txn_{name}_{payment.key}", amount) for name, amount in moved.items()
            ],
        )

    def gift(
        self,
        kind: GiftType,
        quantity: int,
        *,
        sender: UUID,
        recipient: UUID | None = None,
        endings: Sequence[Ending] = (APPLIED,),
    ) -> None:
        """Plan a gift, to a streamer during the stream unless the recipient is named."""
        recipient = recipient or self.streamer()
        event_id = f"{self.plan.run}-gift-{len(self.plan.gifts) + 1}"
        build = partial(
            gift_sent,
            sender_id=sender,
            recipient_id=recipient,
            gift_type=kind.code,
            quantity=quantity,
            stream_id=self._streams.get(recipient),
            slot_index=self.random.randint(1, 12),
            timestamp=datetime.fromtimestamp(self._started_s, UTC).isoformat(),
        )
        self.plan.events.append(
            PlannedEvent(
                provider=App.name, event_id=event_id, build=build, endings=frozenset(endings)
            )
        )
        coins = kind.coins * quantity
        self.plan.gifts.append(
            PlannedGift(
                event_id=event_id,
                sender=sender,
                recipient=recipient,
                coins=coins,
                streamer_share=coins * kind.streamer_share_bps // 10_000,
            )
        )
