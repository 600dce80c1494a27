"""The mock of Stripe tells what happens to a refund, as Stripe does."""

from __future__ import annotations

from workers.mock_providers.stripe import Payment, StripeServer


def told(stripe: StripeServer) -> list[tuple[str, object]]:
    """The type of each event, with the sum of the charge or the status of the refund."""
    found = [(event["type"], event["data"]["object"]) for event in stripe.events]
    return [(kind, each.get("amount_refunded", each["status"])) for kind, each in found]


def test_a_refund_is_told_and_each_event_has_an_id_of_its_own() -> None:
    stripe = StripeServer(payments={"pi_1": Payment(1_000)})
    stripe.add_refund("pi_1", 300)
    stripe.add_refund("pi_1", 700)
    assert told(stripe) == [
        *(("refund.created", "succeeded"), ("charge.refunded", 300)),
        *(("refund.created", "succeeded"), ("charge.refunded", 1_000)),
    ]
    assert len({event["id"] for event in stripe.events}) == 4


def test_a_pending_refund_may_fail_days_later_and_the_money_comes_back() -> None:
    stripe = StripeServer(payments={"pi_1": Payment(1_000, refunds_are_pending=True)})
    refund = stripe.add_refund("pi_1", 1_000)
    stripe.wait(hours=72)
    stripe.settle_refund(refund, "failed")
    assert told(stripe) == [
        *(("refund.created", "pending"), ("charge.refunded", 1_000)),
        *(("refund.failed", "failed"), ("charge.refunded", 0)),
    ]
    assert stripe.events[-1]["created"] - stripe.events[0]["created"] == 72 * 3_600
    assert stripe.refunded("pi_1") == 0
