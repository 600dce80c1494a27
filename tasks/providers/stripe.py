"""Stripe's door: proves that a webhook is Stripe's, and says what it means for coins.

Refuses to call Stripe or the database. The signature is checked here on bytes, as Stripe documents
it: its own library accepts timestamps from the future, raises UnicodeDecodeError and TypeError on
hostile input, puts the body into its exceptions, and takes twice as long. The tests hold the two
against each other.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from db.facts import Dispute, DisputeTransaction, Purchase, Quantity, Refund, RefundTotal
from tasks.providers import reading
from tasks.providers import stripe_objects as objects
from tasks.providers.reading import UNREADABLE_ERRORS, ignored, malformed, rejected
from tasks.providers.signed import (
    SIGNATURE_HEADER_BYTES_MAX,
    NotAuthentic,
    arrival,
    check_any_match,
    check_fresh,
    hmac_sha256,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from db.facts import Fact
    from db.inbox import Arrival, ClaimedEvent

PROVIDER = "stripe"

_ENVELOPE = msgspec.json.Decoder(objects.Envelope)
_EVENT = msgspec.json.Decoder(objects.Event)
_PAYMENT_INTENT = msgspec.json.Decoder(objects.Data[objects.PaymentIntent])
_CHECKOUT_SESSION = msgspec.json.Decoder(objects.Data[objects.CheckoutSession])
_CHARGE = msgspec.json.Decoder(objects.Data[objects.Charge])
_REFUND = msgspec.json.Decoder(objects.Data[objects.Refund])
_DISPUTE = msgspec.json.Decoder(objects.Data[objects.Dispute])


def verify(
    headers: Mapping[bytes, bytes], body: bytes, *, secrets: Sequence[str], now_s: float
) -> Arrival:
    """Give the inbox row of an authentic body. Raises NotAuthentic.

    `headers` have lower-case names; `secrets` are as Stripe shows them, any one may have signed.
    """
    timestamp, signatures = _read_signature(headers.get(b"stripe-signature", b""))
    check_fresh(timestamp, now_s=now_s)
    expected = (_signature(secret, timestamp, body) for secret in secrets)
    check_any_match(expected, signatures)
    try:
        envelope = _ENVELOPE.decode(body)
    except UNREADABLE_ERRORS:
        return unreadable(PROVIDER, body)
    return arrival(PROVIDER, event_id=envelope.id, event_type=envelope.type, body=body)


def _read_signature(header: bytes) -> tuple[bytes, list[bytes]]:
    """Read `t=1700000000,v1=<hex>,v1=<hex>`; other schemes are passed over, as Stripe asks."""
    if len(header) > SIGNATURE_HEADER_BYTES_MAX:
        raise NotAuthentic
    timestamp, signatures = b"", []
    for item in header.split(b","):
        scheme, _, value = item.partition(b"=")
        if scheme == b"v1":
            signatures.append(value)
        elif scheme == b"t" and not timestamp:
            timestamp = value
    return timestamp, signatures


def sign(body: bytes, *, secret: str, timestamp_s: int) -> dict[str, str]:
    """Give the headers with which Stripe would send `body`; for simulated events."""
    signature = _signature(secret, b"%d" % timestamp_s, body).decode()
    return {"stripe-signature": f"t={timestamp_s},v1={signature}"}


def _signature(secret: str, timestamp: bytes, body: bytes) -> bytes:
    return hmac_sha256(secret.encode(), timestamp, body).hex().encode()


class _Told(NamedTuple):
    """What an event tells, not read yet, and Stripe's time of it."""

    data: msgspec.Raw
    at: datetime


def interpret(event: ClaimedEvent, *, livemode: bool) -> Fact:
    """Say what an event means for coins: pure and total, any bytes give a fact.

    An event of the other mode moves nothing here, whatever its type: test cards pay no coins.
    """
    try:
        envelope = _EVENT.decode(event.payload)
        if envelope.livemode != livemode:
            return rejected("livemode_mismatch")
        if envelope.object == "v2.core.event":
            return ignored("thin_event")
        told = _Told(envelope.data, reading.moment(envelope.created) or event.received_at)
        if envelope.type.startswith("charge.dispute."):
            return _dispute(told)
        reader = _READERS.get(envelope.type)
        return reader(told) if reader else ignored("unknown_type")
    except UNREADABLE_ERRORS:
        return malformed()


def _payment_intent_succeeded(told: _Told) -> Fact:
    intent = _PAYMENT_INTENT.decode(told.data).object
    if intent.status != "succeeded":
        return ignored("not_succeeded")
    metadata = reading.as_object(intent.metadata)
    keys = _keys(intent.id, intent.latest_charge)
    order = _order(metadata, reference=None)
    if order is None:
        return ignored("not_ours", keys)
    billing = reading.as_object(reading.as_object(intent.latest_charge).get("billing_details"))
    return _purchase(
        order,
        metadata,
        paid_at=told.at,
        keys=keys,
        amount_minor=intent.amount_received,
        currency=intent.currency,
        address=billing.get("address"),
    )


def _checkout_session_paid(told: _Told) -> Fact:
    """Grant on a paid session. One that isn't paid yet succeeds later under another type."""
    session = _CHECKOUT_SESSION.decode(told.data).object
    if session.payment_status != "paid":
        return ignored("unpaid")
    metadata = reading.as_object(session.metadata)
    keys = _keys(session.payment_intent)
    order = _order(metadata, reference=session.client_reference_id)
    if order is None:
        return ignored("not_ours", keys)
    if session.amount_total is None or session.currency is None:
        return malformed()
    if not keys:
        # A subscription's first payment has no intent here, so its refund could never be matched
        # with it: a person decides.
        keys, order = [session.id], order._replace(sku=None)
    return _purchase(
        order,
        metadata,
        paid_at=told.at,
        keys=keys,
        amount_minor=session.amount_total,
        currency=session.currency,
        address=reading.as_object(session.customer_details).get("address"),
    )


def _refund(told: _Told) -> Fact:
    refund = _REFUND.decode(told.data).object
    keys = _keys(refund.payment_intent, refund.charge)
    if not keys:
        return ignored("no_payment")
    return Refund(
        # Its own id too: told once by its charge and once by its intent, it joins the two.
        payment_keys=[*keys, refund.id],
        refund_id=refund.id,
        amount_minor=refund.amount,
        # A status that Stripe adds some day, or none at all, is a refund on its way.
        status=refund.status if refund.status in _REFUND_STATUSES else "pending",
    )


_REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")


def _charge_refunded(told: _Told) -> Fact:
    charge = _CHARGE.decode(told.data).object
    return RefundTotal(
        payment_keys=_keys(charge.payment_intent, charge.id),
        cumulative_minor=charge.amount_refunded,
    )


def _dispute(told: _Told) -> Fact:
    """Tell the money that moved; the type and the status of the dispute say nothing more."""
    dispute = _DISPUTE.decode(told.data).object
    keys = _keys(dispute.payment_intent, dispute.charge)
    if not keys:
        return ignored("no_payment")
    return Dispute(
        payment_keys=[*keys, dispute.id],
        dispute_id=dispute.id,
        amount_minor=dispute.amount,
        transactions=[
            DisputeTransaction(id=moved.id, amount=moved.amount)
            for moved in dispute.balance_transactions or []
        ],
    )


_READERS: dict[str, Callable[[_Told], Fact]] = {
    "payment_intent.succeeded": _payment_intent_succeeded,
    "checkout.session.completed": _checkout_session_paid,
    "checkout.session.async_payment_succeeded": _checkout_session_paid,
    "charge.refunded": _charge_refunded,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
}


def _keys(*references: Any) -> list[str]:
    """Give the names of a payment, the one that purchases are unique by first."""
    names = (reading.identifier(reference) for reference in references)
    return list(dict.fromkeys(name for name in names if name is not None))


class _Order(NamedTuple):
    """What our metadata say was bought, and by whom. None: they don't say, or not readably."""

    profile_id: UUID | None
    buyer_unreadable: bool
    sku: str | None
    quantity: int


def _order(metadata: dict[str, Any], *, reference: Any) -> _Order | None:
    """Read our metadata; None when there are none, so that the payment is another product's.

    `reference` is a session's client_reference_id. Every product on a shared account has its own
    use for that, so alone it is ours only if it is a uuid.
    """
    named, sku = metadata.get("profile_id"), metadata.get("sku")
    if not named and (sku or _uuid(reference)):
        named = reference
    if not named and not sku:
        return None
    profile_id = _uuid(named)
    quantity = _quantity(metadata.get("quantity"))
    return _Order(
        profile_id=profile_id,
        buyer_unreadable=bool(named) and profile_id is None,
        # What can't be counted can't be priced: without a product it is held for a person.
        sku=reading.identifier(sku) if quantity else None,
        quantity=quantity or 1,
    )


def _uuid(value: Any) -> UUID | None:
    try:
        return msgspec.convert(value, UUID)
    except msgspec.ValidationError:
        return None


def _quantity(value: Any) -> int | None:
    """Read a quantity, as text in Stripe's metadata; absent is 1, None is nonsense."""
    if value is None or value == "":
        return 1
    try:
        return msgspec.convert(value, Quantity, strict=False)
    except msgspec.ValidationError:
        return None


def _purchase(
    order: _Order,
    metadata: dict[str, Any],
    *,
    paid_at: datetime,
    keys: list[str],
    amount_minor: int,
    currency: str,
    address: Any,
) -> Purchase:
    """Put a purchase together.

    It is dated by its event. The intent's own time is when the buyer opened the checkout, minutes
    or days before, and both events of a payment must count in the same minute.
    """
    return Purchase(
        provider_payment_id=keys[0],
        payment_keys=keys,
        profile_id=order.profile_id,
        buyer_unreadable=order.buyer_unreadable,
        sku=order.sku,
        quantity=order.quantity,
        amount_minor=amount_minor,
        currency=currency.lower(),
        purchased_at=paid_at,
        ip_address=reading.ip_address(metadata.get("ip_address")),
        country_code=reading.country_code(metadata.get("country_code"))
        or reading.country_code(reading.as_object(address).get("country")),
        user_agent=reading.user_agent(metadata.get("user_agent")),
    )
