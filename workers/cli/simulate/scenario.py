"""The simulated platform: its people, what they buy and give, and the plan that grows from it.

All that is random comes from one seeded generator: the same seed gives the same run. Sends nothing
and asks nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID, uuid4

from tasks.providers.app import App
from tasks.providers.stripe import Stripe
from workers.cli.simulate.events import gift_sent
from workers.cli.simulate.plan import (
    APPLIED,
    Plan,
    PlannedEvent,
    PlannedGift,
    PlannedPayment,
    of_app,
    of_stripe,
)
from workers.cli.simulate.prices import PACKAGES, VAULT
from workers.cli.simulate.sale import Sale
from workers.cli.simulate.stripe import StripePayment, dispute_event, payment_intent_succeeded

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from random import Random

    from db.simulation import GiftType, Package, PurchaseRules
    from workers.cli.simulate.events import Webhook
    from workers.cli.simulate.plan import Outcome, Secrets

QUANTITY_MAX = 3
DAY_S = 86_400
# Beyond the rolling minute in which one buyer's purchases are counted.
PURCHASE_GAP_S = 61
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


class Scenario:
    """People who are all new, so that they end with exactly what the plan gave them.

    The methods that begin with `plan_` add events to `plan`; those that begin with `expect_` say
    what these events must do to the coins.
    """

    def __init__(
        self,
        run: str,
        *,
        random: Random,
        rules: PurchaseRules,
        streams: Mapping[UUID, int],
        livemode: bool,
        started_s: int,
        stores: Collection[str] = (),
    ) -> None:
        self.plan = Plan(run)
        self.random = random
        self.rules = rules
        self.livemode = livemode
        self.stores = stores
        """The stores whose events can be signed here."""
        self._streams = streams
        self._streamers = list(streams)
        self._started_s = started_s
        self._payments = 0
        self._buyers: list[UUID] = []
        self._bought: Counter[UUID] = Counter()
        self._givers: list[tuple[UUID, int]] = []
        for streamer in streams:
            self.plan.people[streamer] = f"{run}-streamer-{len(self.plan.people) + 1}"

    def add_person(self, part: str) -> UUID:
        """Add a person; `part` becomes part of the name."""
        person = uuid4()
        self.plan.people[person] = f"{self.plan.run}-{part}-{len(self.plan.people) + 1}"
        return person

    def pick_buyer(self) -> UUID:
        """Return a person who bought before or, half of the time, a new one."""
        if not self._buyers or self.random.random() < 0.5:
            self._buyers.append(self.add_person("buyer"))
        return self.random.choice(self._buyers)

    def pick_giver(self, coins: int) -> UUID:
        """Return a person who has so many coins to give, bought in an opening event."""
        if self._givers and self.random.random() > 1 / 8:
            nth = self.random.randrange(len(self._givers))
            giver, left = self._givers[nth]
            if left >= coins:
                self._givers[nth] = giver, left - coins
                return giver
        giver = self.add_person("giver")
        payment = self.make_order(VAULT, buyer=giver, quantity=1)
        self.plan_event(payment_intent_succeeded, payment, opening=True)
        self.expect_coins(payment)
        self._givers.append((giver, VAULT.coins - coins))
        return giver

    def pick_streamer(self) -> UUID:
        """Return a streamer who is live: the most popular one in a third of all cases."""
        if self.random.random() < 1 / 3:
            return self._streamers[0]
        return self.random.choice(self._streamers)

    def make_order(
        self,
        package: Package | None = None,
        *,
        buyer: UUID | None = None,
        quantity: int | None = None,
        gap_s: int = PURCHASE_GAP_S,
        age_s: int = 0,
        **fields: Any,
    ) -> StripePayment:
        """Return a payment for a package, so old; no event is planned.

        The orders of one buyer are `gap_s` apart. `fields` are those of StripePayment.
        """
        package = package or self.random.choice([*PACKAGES.values()])
        buyer = buyer or self.pick_buyer()
        quantity = quantity or self.random.choice((1, 1, 1, QUANTITY_MAX))
        self._bought[buyer] += 1
        metadata = {
            "profile_id": str(buyer),
            "sku": package.sku,
            "quantity": str(quantity),
            "ip_address": f"203.0.113.{self.random.randint(1, 254)}",
            "user_agent": BROWSER,
        }
        fields.setdefault("created_s", self._started_s - age_s - self._bought[buyer] * gap_s)
        return self.make_payment(package.amount_minor * quantity, metadata=metadata, **fields)

    def make_payment(
        self, amount_minor: int, *, metadata: Mapping[str, str], **fields: Any
    ) -> StripePayment:
        """Return any payment on the account, for coins or not; no event is planned."""
        self._payments += 1
        payment = StripePayment(
            key=f"{self.plan.run}n{self._payments}",
            amount_minor=amount_minor,
            metadata=metadata,
            **{"created_s": self._started_s, "livemode": self.livemode} | fields,
        )
        self.plan.charged[payment.intent_id] = amount_minor
        return payment

    def make_sale(
        self, package: Package | None = None, *, buyer: UUID | None = None, **fields: Any
    ) -> Sale:
        """Return a sale of a store; no event is planned. `fields` are those of Sale."""
        self._payments += 1
        buyer = buyer or self.pick_buyer()
        self._bought[buyer] += 1
        return Sale(
            key=f"{self.plan.run}n{self._payments}",
            package=package or self.random.choice([*PACKAGES.values()]),
            buyer=buyer,
            at_s=self._started_s - self._bought[buyer] * PURCHASE_GAP_S,
            **{"quantity": self.random.choice((1, 1, 1, QUANTITY_MAX))} | fields,
        )

    def expect_sale(self, sale: Sale, *, reversed_quantity: int = 0) -> None:
        """Expect that the coins of a sale are granted, and those of so many taken back."""
        self.plan.payments[sale.key] = PlannedPayment(
            buyer=sale.buyer,
            coins=sale.coins,
            paid_minor=sale.quantity,
            reversed_minor=reversed_quantity,
        )

    def plan_request(
        self,
        provider: str,
        event_id: str,
        make: Callable[[Secrets, float], Webhook],
        *,
        outcomes: Sequence[Outcome] = (APPLIED,),
        opening: bool = False,
    ) -> None:
        """Plan an event of any provider; `make` returns a delivery of it."""
        event = PlannedEvent(
            provider=provider, event_id=event_id, make=make, outcomes=frozenset(outcomes)
        )
        (self.plan.opening if opening else self.plan.events).append(event)

    def expect_coins(self, payment: StripePayment) -> None:
        """Expect that the coins of an order are granted."""
        quantity = int(payment.metadata["quantity"])
        self.plan.payments[payment.key] = PlannedPayment(
            buyer=UUID(payment.metadata["profile_id"]),
            coins=PACKAGES[payment.metadata["sku"]].coins * quantity,
            paid_minor=payment.amount_minor,
        )

    def expect_reversal(self, payment: StripePayment, amount_minor: int) -> None:
        """Expect that so much of a granted payment is reversed in the end."""
        self.plan.payments[payment.key].reversed_minor = amount_minor

    def plan_purchase(self, *, age_s: int = 0) -> StripePayment:
        """Plan an order, so old, that one event announces, its payment intent; most are so."""
        payment = self.make_order(age_s=age_s)
        self.plan_event(payment_intent_succeeded, payment)
        self.expect_coins(payment)
        return payment

    def plan_event(
        self,
        build: Callable[..., Mapping[str, Any]],
        payment: StripePayment,
        *,
        outcomes: Sequence[Outcome] = (APPLIED,),
        opening: bool = False,
        **arguments: Any,
    ) -> None:
        """Plan an event of a payment; `arguments` go to `build`."""
        self.plan_request(
            Stripe.name,
            build(payment, **arguments)["id"],
            partial(of_stripe, partial(build, payment, **arguments)),
            outcomes=outcomes,
            opening=opening,
        )

    def plan_dispute(
        self, payment: StripePayment, change: str, *, status: str, moved: Mapping[str, int]
    ) -> None:
        """Plan a change of the payment's dispute; `moved` is all money that moved for it so far.

        It is opened a day after the payment, as objects.py has it, and decided a day after that.
        """
        days = 2 if change in ("closed", "funds_reinstated") else 1
        self.plan_event(
            dispute_event,
            payment,
            created_s=payment.created_s + days * DAY_S,
            event_type=f"charge.dispute.{change}",
            dispute_id=f"du_{payment.key}",
            status=status,
            balance_transactions=[
                (f"txn_{name}_{payment.key}", amount) for name, amount in moved.items()
            ],
        )

    def plan_gift(
        self,
        kind: GiftType,
        quantity: int,
        *,
        sender: UUID,
        recipient: UUID | None = None,
        outcomes: Sequence[Outcome] = (APPLIED,),
    ) -> None:
        """Plan a gift: during a stream to its streamer, unless another recipient is named."""
        recipient = recipient or self.pick_streamer()
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
        make = partial(of_app, event_id, build)
        self.plan_request(App.name, event_id, make, outcomes=outcomes)
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


Case: TypeAlias = Callable[[Scenario], None]
"""Plans the events of one thing that happens, with the outcomes that each may have."""
