"""Reads Stripe's events about money that came: who bought what, and what was paid.

Only says what each event tells: whether it is granted, held or refused is decided in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from db.facts import Half, Names, Paid, Purchase, Quantity
from tasks.providers import reading
from tasks.providers.reading import ignored, malformed
from tasks.providers.stripe.names import payment_keys
from tasks.providers.stripe.objects import CheckoutSession, Data, PaymentIntent

if TYPE_CHECKING:
    from datetime import datetime

    from db.facts import Fact, ToldBy
    from tasks.providers.stripe.objects import EventData

_PAYMENT_INTENT = msgspec.json.Decoder(Data[PaymentIntent])
_CHECKOUT_SESSION = msgspec.json.Decoder(Data[CheckoutSession])
# A payment has at most 8 names (`db.facts.PaymentKeys`): its intent, its latest charge and these.
_CHARGES_MAX = 6


def read_payment_intent(event: EventData) -> Fact:
    """Return the purchase of an intent that succeeded."""
    intent = _PAYMENT_INTENT.decode(event.data).object
    if intent.status != "succeeded":
        return ignored("not_succeeded")
    metadata = reading.as_object(intent.metadata)
    charges = [intent.latest_charge, *_listed_charges(intent.charges)]
    keys = payment_keys(intent.id, *charges)
    order = _order(metadata, reference=None)
    billing = reading.as_object(reading.as_object(_first(charges)).get("billing_details"))
    if order is None:
        # A direct call may have recorded this payment, or a session that was not paid yet may have
        # named the buyer and the product.
        paid = Paid(
            amount_minor=intent.amount_received,
            currency=intent.currency.lower(),
            purchased_at=event.at,
            country_code=reading.country_code(
                reading.as_object(billing.get("address")).get("country")
            ),
        )
        return ignored("not_ours", keys, _half(metadata, told_by="intent", paid=paid))
    return _purchase(
        order,
        metadata,
        paid_at=event.at,
        keys=keys,
        amount_minor=intent.amount_received,
        currency=intent.currency,
        address=billing.get("address"),
        told_by="intent",
    )


def _listed_charges(charges: Any) -> list[Any]:
    """Return an intent's charges, the newest first; API versions before 2022-11-15 list them.

    A charge that failed before another one succeeded is a name of the payment, too.
    """
    data = reading.as_object(charges).get("data")
    return data[:_CHARGES_MAX] if isinstance(data, list) else []


def _first(charges: list[Any]) -> Any:
    """Return the first charge that is an object; the others are only ids."""
    return next((charge for charge in charges if isinstance(charge, dict)), None)


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
    order = _order(metadata, reference=session.client_reference_id)
    deductions = _deductions(session)
    half = _half(
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
    return _purchase(
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


class _Order(NamedTuple):
    """What was bought and by whom, by our metadata. None: not there, or not readable."""

    profile_id: UUID | None
    buyer_unreadable: bool
    by_reference: bool
    sku: str | None
    quantity: int | None
    quantity_unreadable: bool


def _order(metadata: dict[str, Any], *, reference: Any) -> _Order | None:
    """Return the order in our metadata; None if there is none: something else was sold.

    `reference` is a session's client_reference_id. Other products on the same account use it for
    their own ids, so without our metadata it is ours only if it is a uuid.
    """
    named, sku = metadata.get("profile_id"), metadata.get("sku")
    by_reference = not named and bool(sku or _uuid(reference))
    if by_reference:
        named = reference
    if not named and not sku:
        return None
    profile_id = _uuid(named)
    quantity, is_unreadable = _quantity(metadata)
    return _Order(
        profile_id=profile_id,
        buyer_unreadable=bool(named) and profile_id is None,
        by_reference=by_reference and bool(named),
        # Without a quantity there is no price. Without a product it is held for a person.
        sku=None if is_unreadable else reading.identifier(sku),
        quantity=quantity,
        quantity_unreadable=is_unreadable,
    )


def _half(
    metadata: dict[str, Any],
    *,
    told_by: ToldBy,
    order: _Order | None = None,
    currency: str | None = None,
    deductions_minor: tuple[int, ...] = (),
    paid: Paid | None = None,
) -> Half:
    """Return what an event that is no purchase by itself adds to its payment."""
    quantity, is_unreadable = _quantity(metadata)
    return Half(
        profile_id=order.profile_id if order else None,
        buyer_unreadable=bool(order and order.buyer_unreadable),
        by_reference=bool(order and order.by_reference),
        sku=order.sku if order else None,
        currency=currency.lower() if currency else None,
        quantity=quantity,
        quantity_unreadable=is_unreadable,
        deductions_minor=deductions_minor,
        told_by=told_by,
        paid=paid,
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


def _uuid(value: Any) -> UUID | None:
    try:
        return msgspec.convert(value, UUID)
    except msgspec.ValidationError:
        return None


def _quantity(metadata: dict[str, Any]) -> tuple[int | None, bool]:
    """Return the quantity (None: not given), and whether its text makes no sense."""
    value = metadata.get("quantity")
    if value is None or value == "":
        return None, False
    try:
        return msgspec.convert(value, Quantity, strict=False), False
    except msgspec.ValidationError:
        return None, True


def _purchase(
    order: _Order,
    metadata: dict[str, Any],
    *,
    paid_at: datetime,
    keys: list[str],
    amount_minor: int,
    currency: str,
    address: Any,
    told_by: ToldBy,
    deductions_minor: tuple[int, ...] = (),
) -> Purchase:
    """Return a purchase.

    `paid_at` is the time of the event. The intent's own time is earlier, by minutes or days: the
    buyer opened the checkout then. Both events of a payment must count in the same minute.
    """
    return Purchase(
        provider_payment_id=keys[0],
        payment_keys=keys,
        **order._asdict(),
        told_by=told_by,
        deductions_minor=deductions_minor,
        amount_minor=amount_minor,
        currency=currency.lower(),
        purchased_at=paid_at,
        ip_address=reading.ip_address(metadata.get("ip_address")),
        country_code=reading.country_code(metadata.get("country_code"))
        or reading.country_code(reading.as_object(address).get("country")),
        user_agent=reading.user_agent(metadata.get("user_agent")),
    )
