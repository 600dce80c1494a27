"""Events of a payment as several versions of Stripe's API write them.

From Stripe's changelog: what each version has instead of, or beside, what the newest one has. An
account's endpoint has the version of its creation, and the list of events another one, so the
events of one payment may come in several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workers.cli.simulate import stripe as simulated

if TYPE_CHECKING:
    from tests.db.payments.stripe.payloads import Event

Writer = Callable[[simulated.StripePayment, "Event"], "Event"]

_GONE: Any = object()


def _written(event: Event, version: str, **fields: Any) -> Event:
    told = {
        name: value
        for name, value in (event["data"]["object"] | fields).items()
        if value is not _GONE
    }
    return event | {"api_version": version, "data": {"object": told}}


def _charge(payment: simulated.StripePayment) -> dict[str, Any]:
    charge: dict[str, Any] = simulated.charge_refunded(payment, amount_refunded=0)["data"]["object"]
    return charge


def write_2019(payment: simulated.StripePayment, event: Event) -> Event:
    """Before 2020-08-27: no captured amount, a request that is text in the oldest events."""
    match event["data"]["object"]["object"]:
        case "payment_intent":
            charges = {"object": "list", "data": [_charge(payment)], "has_more": False}
            written = _written(
                event,
                "2019-12-03",
                charges=charges,
                latest_charge=_GONE,
                invoice=None,
                amount_details=_GONE,
                source=None,
            )
        case "checkout.session":
            written = _written(
                event,
                "2019-12-03",
                display_items=[{"amount": payment.amount_minor, "quantity": 1, "type": "custom"}],
                total_details=_GONE,
                amount_subtotal=_GONE,
                customer_details=_GONE,
                customer_email="viewer@example.com",
                collected_information=_GONE,
                shipping=None,
            )
        case "charge":
            refunds = {"object": "list", "data": [], "has_more": False}
            written = _written(
                event,
                "2019-12-03",
                amount_captured=_GONE,
                refunds=refunds,
                invoice=None,
                destination=None,
                order=None,
            )
        case "refund":
            written = _written(event, "2019-12-03", destination_details=_GONE)
        case _:
            moved = event["data"]["object"]["balance_transactions"]
            written = _written(
                event,
                "2019-12-03",
                balance_transaction=moved[0]["id"] if moved else None,
                payment_method_details=_GONE,
            )
    return written


def write_2022(payment: simulated.StripePayment, event: Event) -> Event:
    """2022-08-01: charges are listed still; a session has its shipping at the top."""
    match event["data"]["object"]["object"]:
        case "payment_intent":
            charges = {"object": "list", "data": [_charge(payment)], "has_more": False}
            return _written(event, "2022-08-01", charges=charges, latest_charge=_GONE, invoice=None)
        case "checkout.session":
            return _written(
                event,
                "2022-08-01",
                collected_information=_GONE,
                shipping_details=None,
                shipping_cost=None,
            )
        case "charge":
            refunds = {"object": "list", "data": [], "has_more": False}
            return _written(event, "2022-08-01", refunds=refunds, invoice=None)
        case _:
            return _written(event, "2022-08-01")


def write_2024(payment: simulated.StripePayment, event: Event) -> Event:
    """2024-06-20: the latest charge in place of the list; `invoice` still on both."""
    match event["data"]["object"]["object"]:
        case "payment_intent":
            return _written(event, "2024-06-20", latest_charge=payment.charge_id, invoice=None)
        case "charge":
            return _written(event, "2024-06-20", invoice=None)
        case "checkout.session":
            return _written(event, "2024-06-20", collected_information=_GONE, shipping_details=None)
        case _:
            return _written(event, "2024-06-20")


def write_basil(payment: simulated.StripePayment, event: Event) -> Event:
    """2025-03-31.basil: no `invoice`; shipping among what the session collected."""
    del payment
    return _written(event, "2025-03-31.basil", invoice=_GONE)


def write_clover(payment: simulated.StripePayment, event: Event) -> Event:
    """2025-09-30.clover and later: payment details, and the charge in whole if it is expanded."""
    match event["data"]["object"]["object"]:
        case "payment_intent":
            details = {"customer_reference": None, "order_reference": "order-17"}
            return _written(
                event, "2025-09-30.clover", payment_details=details, latest_charge=_charge(payment)
            )
        case "charge":
            return _written(event, "2025-09-30.clover", payment_intent={"id": payment.intent_id})
        case "refund" | "dispute":
            return _written(event, "2025-09-30.clover", charge={"id": payment.charge_id})
        case _:
            return _written(event, "2025-09-30.clover")


VERSIONS: tuple[Writer, ...] = (write_2019, write_2022, write_2024, write_basil, write_clover)
