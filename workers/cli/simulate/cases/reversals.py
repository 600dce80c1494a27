"""Refunds and disputes of purchases that were granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.simulate import stripe
from workers.cli.simulate.scenario import DAY_S

if TYPE_CHECKING:
    from workers.cli.simulate.scenario import Scenario
    from workers.cli.simulate.stripe import StripePayment

# A bank disputes a payment a day after it and decides a day later, all of it in the past.
DISPUTED_AGE_S = 3 * DAY_S


def refund_in_full(scenario: Scenario) -> None:
    """Refund the whole amount once; three events say so."""
    payment = scenario.plan_purchase()
    _plan_refund(scenario, payment, "refund.created", status="pending")
    scenario.plan_event(stripe.charge_refunded, payment, amount_refunded=payment.amount_minor)
    _plan_refund(scenario, payment, "refund.updated", status="succeeded")
    scenario.expect_reversal(payment, payment.amount_minor)


def refund_in_part(scenario: Scenario) -> None:
    """Refund two parts; each event of the charge names their sum so far."""
    payment = scenario.plan_purchase()
    first = payment.amount_minor // 3
    both = first + payment.amount_minor // 5
    scenario.plan_event(stripe.charge_refunded, payment, amount_refunded=first)
    scenario.plan_event(stripe.charge_refunded, payment, amount_refunded=both)
    scenario.expect_reversal(payment, both)


def fail_to_refund(scenario: Scenario) -> None:
    """Refund to a bank that sends the money back: the coins stay."""
    payment = scenario.plan_purchase()
    _plan_refund(scenario, payment, "refund.created", status="pending")
    _plan_refund(scenario, payment, "refund.failed", status="failed")


def lose_dispute(scenario: Scenario) -> None:
    """Lose a dispute: the buyer's bank takes the money for good."""
    payment = scenario.plan_purchase(age_s=DISPUTED_AGE_S)
    moved = {"out": -payment.amount_minor}
    scenario.plan_dispute(payment, "created", status="needs_response", moved=moved)
    scenario.plan_dispute(payment, "closed", status="lost", moved=moved)
    scenario.expect_reversal(payment, payment.amount_minor)


def win_dispute(scenario: Scenario) -> None:
    """Win a dispute: the bank takes the money and gives it back, and the coins follow."""
    payment = scenario.plan_purchase(age_s=DISPUTED_AGE_S)
    out = {"out": -payment.amount_minor}
    both = out | {"in": payment.amount_minor}
    scenario.plan_dispute(payment, "funds_withdrawn", status="needs_response", moved=out)
    scenario.plan_dispute(payment, "funds_reinstated", status="won", moved=both)


def open_inquiry(scenario: Scenario) -> None:
    """Be asked by the bank, which takes nothing."""
    payment = scenario.plan_purchase(age_s=DISPUTED_AGE_S)
    scenario.plan_dispute(payment, "created", status="warning_needs_response", moved={})


def _plan_refund(
    scenario: Scenario, payment: StripePayment, event_type: str, *, status: str
) -> None:
    scenario.plan_event(
        stripe.refund_event,
        payment,
        event_type=event_type,
        refund_id=f"re_{payment.key}",
        amount_minor=payment.amount_minor,
        status=status,
    )
