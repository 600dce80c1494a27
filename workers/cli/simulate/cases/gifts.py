"""Gifts of coins: those that are applied, and those that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from db.simulation import GiftType
from workers.cli.simulate import stripe
from workers.cli.simulate.plan import APPLIED, Outcome
from workers.cli.simulate.prices import CAKE, GIFT_TYPES, HANDFUL, ROSE

if TYPE_CHECKING:
    from uuid import UUID

    from workers.cli.simulate.scenario import Scenario
    from workers.cli.simulate.stripe import StripePayment

SHORT_OF_COINS = Outcome("rejected", "insufficient_coins")


def give(scenario: Scenario) -> None:
    """Give coins that were bought in an opening event."""
    (kind,) = scenario.random.choices(GIFT_TYPES, (60, 30, 10))
    quantity = scenario.random.randint(1, 3)
    scenario.plan_gift(kind, quantity, sender=scenario.pick_giver(kind.coins * quantity))


def buy_and_give_all(scenario: Scenario) -> None:
    """Give all coins right after the purchase; either event may be applied first."""
    buyer = scenario.add_person("viewer")
    _plan_handful(scenario, buyer)
    scenario.plan_gift(CAKE, 4, sender=buyer, outcomes=(APPLIED, SHORT_OF_COINS))


def give_and_refund(scenario: Scenario) -> None:
    """Refund coins that may be spent already: then the balance becomes a debt."""
    buyer = scenario.add_person("viewer")
    payment = _plan_handful(scenario, buyer)
    scenario.plan_gift(CAKE, 2, sender=buyer, outcomes=(APPLIED, SHORT_OF_COINS))
    scenario.plan_event(stripe.charge_refunded, payment, amount_refunded=payment.amount_minor)
    scenario.expect_reversal(payment, payment.amount_minor)


def give_without_coins(scenario: Scenario) -> None:
    """Give without ever having bought a coin."""
    scenario.plan_gift(ROSE, 1, sender=scenario.add_person("viewer"), outcomes=(SHORT_OF_COINS,))


def give_to_unknown_recipient(scenario: Scenario) -> None:
    """Give to an id that no profile has."""
    outcomes = (Outcome("rejected", "unknown_recipient"),)
    sender = scenario.add_person("viewer")
    scenario.plan_gift(ROSE, 1, sender=sender, recipient=uuid4(), outcomes=outcomes)


def give_to_oneself(scenario: Scenario) -> None:
    """Give to oneself, as a streamer who wants to look popular."""
    streamer = scenario.pick_streamer()
    outcomes = (Outcome("rejected", "self_gift"),)
    scenario.plan_gift(ROSE, 1, sender=streamer, recipient=streamer, outcomes=outcomes)


def give_unknown_type(scenario: Scenario) -> None:
    """Give a gift that is not on the price list."""
    unknown = GiftType("sim-nothing", "Nothing", coins=1, streamer_share_bps=0)
    outcomes = (Outcome("rejected", "unknown_gift_type"),)
    scenario.plan_gift(unknown, 1, sender=scenario.add_person("viewer"), outcomes=outcomes)


def _plan_handful(scenario: Scenario, buyer: UUID) -> StripePayment:
    payment = scenario.make_order(HANDFUL, buyer=buyer, quantity=1)
    scenario.plan_event(stripe.payment_intent_succeeded, payment)
    scenario.expect_coins(payment)
    return payment
