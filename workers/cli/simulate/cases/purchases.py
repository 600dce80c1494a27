"""Purchases that are granted, and events of the account that grant nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.simulate import stripe
from workers.cli.simulate.plan import APPLIED, Outcome

if TYPE_CHECKING:
    from workers.cli.simulate.scenario import Scenario

# Two events announce the payment: the first grants it, whichever that is.
GRANTED_BY_EITHER = (APPLIED, Outcome("applied", "duplicate_payment"))
NOT_OURS = Outcome("ignored", "not_ours")


def pay_with_intent(scenario: Scenario) -> None:
    """Pay with a payment intent alone."""
    scenario.plan_purchase()


def check_out(scenario: Scenario) -> None:
    """Pay in a checkout: its session and its intent both announce the payment."""
    payment = scenario.make_order()
    scenario.plan_event(stripe.checkout_session_completed, payment, outcomes=GRANTED_BY_EITHER)
    scenario.plan_event(stripe.payment_intent_succeeded, payment, outcomes=GRANTED_BY_EITHER)
    scenario.expect_coins(payment)


def pay_after_checkout(scenario: Scenario) -> None:
    """Check out with a bank transfer that succeeds later."""
    payment = scenario.make_order()
    scenario.plan_event(
        stripe.checkout_session_completed,
        payment,
        changes={"payment_status": "unpaid"},
        outcomes=(Outcome("ignored", "unpaid"),),
    )
    scenario.plan_event(stripe.checkout_session_async_payment_succeeded, payment)
    scenario.expect_coins(payment)


def pay_for_another_product(scenario: Scenario) -> None:
    """Sell something else on the same account: its payment and its refund are ignored."""
    payment = scenario.make_payment(1_500, metadata={"order": "T-shirt"})
    scenario.plan_event(stripe.payment_intent_succeeded, payment, outcomes=(NOT_OURS,))
    scenario.plan_event(stripe.charge_refunded, payment, amount_refunded=500, outcomes=(NOT_OURS,))


def send_unknown_type(scenario: Scenario) -> None:
    """Send a type of event that moves no coins."""
    payment = scenario.make_payment(0, metadata={})
    scenario.plan_event(
        stripe.stripe_event,
        payment,
        event_type="customer.updated",
        stripe_object={"id": f"cus_{payment.key}", "object": "customer"},
        outcomes=(Outcome("ignored", "unknown_type"),),
    )


def pay_in_the_other_mode(scenario: Scenario) -> None:
    """Pay with a test card where live events count, or the other way round."""
    payment = scenario.make_order(livemode=not scenario.livemode)
    outcomes = (Outcome("rejected", "livemode_mismatch"),)
    scenario.plan_event(stripe.payment_intent_succeeded, payment, outcomes=outcomes)
