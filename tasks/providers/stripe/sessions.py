"""Reads a checkout session: who bought what, and which shipping and tax its total includes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.facts import Names, Paid
from tasks.providers import reading
from tasks.providers.reading import ignored, malformed
from tasks.providers.stripe.names import payment_keys
from tasks.providers.stripe.objects import CheckoutSession, Data
from tasks.providers.stripe.orders import read_order
from tasks.providers.stripe.purchases import make_half, make_purchase

if TYPE_CHECKING:
    from datetime import datetime

    from db.facts import Fact, Half
    from tasks.providers.stripe.objects import EventData

_CHECKOUT_SESSION = msgspec.json.Decoder(Data[CheckoutSession])


def read_checkout_session(event: EventData) -> Fact:
    """Return the purchase of a session that is paid, or that costs nothing.

    A session that isn't paid yet adds its names and its metadata to its payment: the intent may
    succeed before an event says that the session is paid, and if the money is captured by hand no
    event ever says so.
    """
    session = _CHECKOUT_SESSION.decode(event.data).object
    keys = payment_keys(session.payment_intent, session.id)
    is_of_an_intent = len(keys) > 1
    metadata = reading.as_object(session.metadata)
    order = read_order(metadata, reference=session.client_reference_id)
    deductions = _deductions(session)
    half = make_half(
        metadata,
        told_by="session",
        order=order,
        currency=session.currency,
        deductions_minor=deductions,
    )
    if session.payment_status != "paid" and not _is_free(session):
        if not is_of_an_intent:
            return ignored("unpaid")
        return Names(payment_keys=keys, reason="unpaid", half=half)
    if order is None:
        return ignored("not_ours", keys, _with_total(half, session, event.at))
    if session.amount_total is None or session.currency is None:
        return malformed()
    if not is_of_an_intent and not _is_free(session):
        # The first payment of a subscription names no intent, so no refund could be matched with
        # it. Without a product it is held for a person.
        order = order._replace(sku=None)
    return make_purchase(
        order,
        metadata,
        paid_at=event.at,
        keys=keys,
        amount_minor=session.amount_total,
        currency=session.currency,
        address=reading.as_object(session.customer_details).get("address"),
        told_by="session",
        deductions_minor=deductions,
    )


def _is_free(session: CheckoutSession) -> bool:
    """Return whether a session is an order that costs nothing: Stripe makes no intent for it.

    The package is free, or a discount is as high as the price. A session of another mode that asks
    for no payment saves a card or begins a trial: nothing was bought yet.
    """
    return (
        session.mode == "payment"
        and session.amount_total == 0
        and session.payment_status in ("paid", "no_payment_required")
    )


def _with_total(half: Half, session: CheckoutSession, paid_at: datetime) -> Half:
    """Return the half with the total that was paid, if the session has one."""
    if session.amount_total is None or session.currency is None:
        return half
    paid = Paid(
        amount_minor=session.amount_total,
        currency=session.currency.lower(),
        purchased_at=paid_at,
    )
    return msgspec.structs.replace(half, paid=paid)


def _deductions(session: CheckoutSession) -> tuple[int, ...]:
    """Return what may be part of a session's total besides the price: shipping, shipping and tax.

    They are tried after the total itself, because a price may include its tax. Stripe gives
    shipping with its tax and without, and that tax may be in the sum of all taxes, so each
    combination counts. A discount is not among them: after it less than the price was paid.
    """
    details = reading.as_object(session.total_details)
    cost = reading.as_object(session.shipping_cost)
    tax = reading.amount(details.get("amount_tax"))
    shipping = {
        reading.amount(details.get("amount_shipping")),
        reading.amount(cost.get("amount_total")),
    }
    # Without shipping the only amount is 0. With it, one of the two amounts may be absent.
    shipping = {amount for amount in shipping if amount} or {0}
    sums = {sum_ for amount in shipping for sum_ in (amount, amount + tax)}
    return tuple(sorted(sum_ for sum_ in sums if 0 < sum_ <= (session.amount_total or 0)))
