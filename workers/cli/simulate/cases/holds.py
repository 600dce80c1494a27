"""Paid purchases that are held for a person, one case for each reason."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from db.simulation import Package
from workers.cli.simulate import stripe
from workers.cli.simulate.plan import APPLIED, Outcome
from workers.cli.simulate.prices import HANDFUL, VAULT

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.cli.simulate.scenario import Scenario
    from workers.cli.simulate.stripe import StripePayment

# A rule that allows more purchases per minute isn't worth the events that break it.
PER_MINUTE_MAX = 20


def exceed_velocity(scenario: Scenario) -> None:
    """Buy once too often at one moment; any one of the purchases may be the one that is held."""
    allowed = scenario.rules.per_minute
    if allowed > PER_MINUTE_MAX:
        return
    buyer = scenario.add_person("buyer")
    orders = [
        scenario.make_order(HANDFUL, buyer=buyer, quantity=1, gap_s=0) for _ in range(allowed + 1)
    ]
    for order in orders:
        outcomes = (APPLIED, Outcome("held", "velocity"))
        scenario.plan_event(stripe.payment_intent_succeeded, order, outcomes=outcomes)
    for order in orders[:allowed]:
        scenario.expect_coins(order)


def need_approval(scenario: Scenario) -> None:
    """Pay just more than the approval threshold, unless that is over the limit, too."""
    quantity = _quantity_above(scenario.rules.approval_threshold_usd)
    if quantity < _quantity_above(scenario.rules.limit_usd):
        _plan_hold(scenario, scenario.make_order(VAULT, quantity=quantity), "needs_approval")


def exceed_limit(scenario: Scenario) -> None:
    """Pay just more than the limit."""
    quantity = _quantity_above(scenario.rules.limit_usd)
    _plan_hold(scenario, scenario.make_order(VAULT, quantity=quantity), "over_limit")


def pay_wrong_amount(scenario: Scenario) -> None:
    """Pay less than the price, in a checkout: an intent alone would wait for its session."""
    cheaper = Package(VAULT.sku, coins=VAULT.coins, amount_minor=VAULT.amount_minor - 1)
    order = scenario.make_order(cheaper)
    outcomes = (Outcome("held", "wrong_amount"),)
    scenario.plan_event(stripe.checkout_session_completed, order, outcomes=outcomes)


def buy_unknown_product(scenario: Scenario) -> None:
    """Buy a product that is not on the price list."""
    unknown = Package("sim-moon", coins=1, amount_minor=100)
    _plan_hold(scenario, scenario.make_order(unknown), "unknown_product")


def buy_for_unknown_buyer(scenario: Scenario) -> None:
    """Buy for an id that no profile has."""
    _plan_hold(scenario, scenario.make_order(buyer=uuid4()), "unknown_buyer")


def pay_without_a_rate(scenario: Scenario) -> None:
    """Pay in the currency that ISO 4217 keeps for tests: no fleet has a rate for it."""
    _plan_hold(scenario, scenario.make_order(currency="xts"), "no_fx_rate")


def leave_out_product(scenario: Scenario) -> None:
    """Name the buyer but no product: it waits 15 minutes for another event, and is then held."""
    payment = scenario.make_payment(99, metadata={"profile_id": str(scenario.pick_buyer())})
    outcomes = (Outcome("waiting", "incomplete_metadata"), Outcome("held", "unknown_product"))
    scenario.plan_event(stripe.payment_intent_succeeded, payment, outcomes=outcomes)


def _plan_hold(scenario: Scenario, payment: StripePayment, reason: str) -> None:
    outcomes = (Outcome("held", reason),)
    scenario.plan_event(stripe.payment_intent_succeeded, payment, outcomes=outcomes)


def _quantity_above(usd: Decimal) -> int:
    return int(usd * 100) // VAULT.amount_minor + 1
