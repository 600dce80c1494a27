"""Which of Stripe's events are purchases, whose, and of what."""

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
    from tasks.providers.stripe.objects import Told

_PAYMENT_INTENT = msgspec.json.Decoder(Data[PaymentIntent])
_CHECKOUT_SESSION = msgspec.json.Decoder(Data[CheckoutSession])
# A payment has at most 8 names (`db.facts.PaymentKeys`): its intent, its latest charge, and these.
_CHARGES_MAX = 6


def read_payment_intent(told: Told) -> Fact:
    """Return the purchase of an intent that succeeded."""
    intent = _PAYMENT_INTENT.decode(told.data).object
    if intent.status != "succeeded":
        return ignored("not_succeeded")
    metadata = reading.as_object(intent.metadata)
    charges = [intent.latest_charge, *_listed_charges(intent.charges)]
    keys = payment_keys(intent.id, *charges)
    order = _order(metadata, reference=None)
    billing = reading.as_object(reading.as_object(_first(charges)).get("billing_details"))
    if order is None:
        # A direct call may have recorded this payment; or a session that was not paid yet may have
        # named its buyer and product.
        paid = Paid(
            amount_minor=intent.amount_received,
            currency=intent.currency.lower(),
            purchased_at=told.at,
            country_code=reading.country_code(
                reading.as_object(billing.get("address")).get("country")
            ),
        )
        return ignored("not_ours", keys, _half(metadata, told_by="intent", paid=paid))
    return _purchase(
        order,
        metadata,
        paid_at=told.at,
        keys=keys,
        amount_minor=intent.amount_received,
        currency=intent.currency,
        address=billing.get("address"),
        told_by="intent",
    )


def _listed_charges(charges: Any) -> list[Any]:
    """Return an intent's charges, the newest first, as API versions before 2022-11-15 list them.

    Each that failed before the one that succeeded is a name of the payment, too.
    """
    data = reading.as_object(charges).get("data")
    return data[:_CHARGES_MAX] if isinstance(data, list) else []


def _first(charges: list[Any]) -> Any:
    """Return the first charge that is there in full."""
    return next((charge for charge in charges if isinstance(charge, dict)), None)


def read_checkout_session(told: Told) -> Fact:
    """Return the purchase of a paid session, or of one that costs nothing.

    One that isn't paid yet names its payment and adds its half to it. Its intent may succeed before
    a session is told to be paid, and of money that is captured by hand no session ever tells.
    """
    session = _CHECKOUT_SESSION.decode(told.data).object
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
        return ignored("not_ours", keys, _with_total(half, session, told.at))
    if session.amount_total is None or session.currency is None:
        return malformed()
    if not is_of_an_intent and not _is_free(session):
        # A subscription's first payment has no intent here, so its refund could never be
        # matched with it: a person decides.
        order = order._replace(sku=None)
    return _purchase(
        order,
        metadata,
        paid_at=told.at,
        keys=keys,
        amount_minor=session.amount_total,
        currency=session.currency,
        address=reading.as_object(session.customer_details).get("address"),
        told_by="session",
        deductions_minor=deductions,
    )


def _is_free(session: CheckoutSession) -> bool:
    """Say whether a session is an order of nothing, for which Stripe makes no intent.

    Its package costs nothing, or a discount took all of the price. A session of another mode that
    asks for no payment sets a card up or begins a trial: nothing was bought yet.
    """
    return (
        session.mode == "payment"
        and session.amount_total == 0
        and session.payment_status in ("paid", "no_payment_required")
    )


class _Order(NamedTuple):
    """What our metadata say was bought, and by whom. None: they don't say, or not readably."""

    profile_id: UUID | None
    buyer_unreadable: bool
    by_reference: bool
    sku: str | None
    quantity: int | None
    quantity_unreadable: bool


def _order(metadata: dict[str, Any], *, reference: Any) -> _Order | None:
    """Read our metadata; None when there are none, so that the payment is another product's.

    `reference` is a session's client_reference_id. Every product on a shared account has its own
    use for that, so alone it is ours only if it is a uuid.
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
        # What can't be counted can't be priced: without a product it is held for a person.
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
    """Return what an event adds to its payment that is no purchase by itself."""
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
    """Add what was paid, if the session tells it."""
    if session.amount_total is None or session.currency is None:
        return half
    paid = Paid(
        amount_minor=session.amount_total,
        currency=session.currency.lower(),
        purchased_at=paid_at,
    )
    return msgspec.structs.replace(half, paid=paid)


def _deductions(session: CheckoutSession) -> tuple[int, ...]:
    """Return what a session's total may hold besides the price: shipping, shipping and tax.

    Tax that a price includes is in its total as well, so the total itself is compared first. Stripe
    tells shipping with and without the tax on it, and that tax may be in the sum of all tax: each
    of these counts. A discount is not among them: who paid less has not paid the price.
    """
    details = reading.as_object(session.total_details)
    cost = reading.as_object(session.shipping_cost)
    tax = reading.amount(details.get("amount_tax"))
    shipping = {
        reading.amount(details.get("amount_shipping")),
        reading.amount(cost.get("amount_total")),
    }
    # Without shipping there is 0 only; with it, one of both may be absent.
    shipping = {amount for amount in shipping if amount} or {0}
    sums = {sum_ for amount in shipping for sum_ in (amount, amount + tax)}
    return tuple(sorted(sum_ for sum_ in sums if 0 < sum_ <= (session.amount_total or 0)))


def _uuid(value: Any) -> UUID | None:
    try:
        return msgspec.convert(value, UUID)
    except msgspec.ValidationError:
        return None


def _quantity(metadata: dict[str, Any]) -> tuple[int | None, bool]:
    """Read a quantity, as text in Stripe's metadata, and say whether it makes no sense."""
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
    """Put a purchase together.

    It is dated by its event. The intent's own time is when the buyer opened the checkout, minutes
    or days before, and both events of a payment must count in the same minute.
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
