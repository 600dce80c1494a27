"""What interpretation may say of one event, in the form that SQL reads (`fleet.fact`).

Values only: providers' shapes end before this module, and what a fact does is decided in SQL.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"\A[^\x00]*\Z")]
AMOUNT_MAX = 2**53
Amount: TypeAlias = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
SignedAmount: TypeAlias = Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
BigInt: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
CurrencyCode: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z]{3}\Z")]
Quantity: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
PaymentKeys: TypeAlias = Annotated[list[Text], Meta(min_length=1, max_length=8)]


Deductions: TypeAlias = Annotated[tuple[Amount, ...], Meta(max_length=4)]
ToldBy: TypeAlias = Literal["intent", "session"]


class Purchase(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="purchase"):
    """A payment was made. Amounts in minor units of `currency` (lower case); times by the provider.

    `payment_keys` are all names of the payment, the most lasting one first. An event tells a half
    of its payment: what it leaves out (None) may stand in another. Without `profile_id` or `sku` it
    waits for that; `buyer_unreadable` says that a buyer was named, but is nobody's id, and a buyer
    `by_reference` gives way to one that another half names directly. `deductions_minor` are what
    may be taken off `amount_minor` before it is compared with a price: shipping, shipping and tax.
    A price that doesn't match waits for the session if it was `told_by` the intent.
    """

    provider_payment_id: Text
    payment_keys: PaymentKeys
    amount_minor: Amount
    currency: CurrencyCode
    purchased_at: datetime
    profile_id: UUID | None = None
    buyer_unreadable: bool = False
    by_reference: bool = False
    sku: Text | None = None
    quantity: Quantity | None = None
    quantity_unreadable: bool = False
    deductions_minor: Deductions = ()
    told_by: ToldBy | None = None
    ip_address: str | None = None
    country_code: Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")] | None = None
    user_agent: Text | None = None


class Gift(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="gift"):
    """A viewer gives `quantity` gifts of one type; the price is the gift type's."""

    sender_id: UUID
    recipient_id: UUID
    gift_type: Text
    quantity: Quantity = 1
    stream_id: BigInt | None = None
    slot_index: Annotated[int, Meta(ge=1, le=12)] | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refund"):
    """One refund, by its id, as it stood at `told_at`; made at `refund_created_at`."""

    payment_keys: PaymentKeys
    told_at: datetime
    refund_created_at: datetime
    refund_id: Text
    amount_minor: Amount
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class RefundTotal(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refund_total"):
    """All that was refunded of a payment up to `told_at`, of `amount_minor` that were captured.

    `uncaptured_minor` of it may be money that was authorised and never taken; None: not told.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    cumulative_minor: Amount
    uncaptured_minor: Amount | None = None
    amount_minor: Amount | None = None
    currency: CurrencyCode | None = None


class DisputeTransaction(msgspec.Struct, frozen=True):
    """One movement of a dispute in settlement currency: a withdrawal is negative."""

    id: Text
    amount: SignedAmount
    currency: CurrencyCode | None = None


class Dispute(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="dispute"):
    """A dispute as it stood at `told_at`, with its balance transactions; an inquiry has none.

    `status` is one of Stripe's, or "unknown"; `currency` is that of `amount_minor`, which need not
    be the payment's; None: it is.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    dispute_id: Text
    status: Text
    amount_minor: Amount
    currency: CurrencyCode | None = None
    transactions: list[DisputeTransaction]


class ChargeFailed(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="charge_failed"
):
    """A charge failed after its money had reached the balance: an alarm if coins were granted."""

    payment_keys: PaymentKeys


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid, when and from where, of a payment that nothing has shown to be ours yet."""

    amount_minor: Amount
    currency: CurrencyCode
    purchased_at: datetime
    country_code: Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")] | None = None


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """What an event adds to a payment that only another event shows to be ours, or to be paid.

    `paid` is what refunds divide by if a direct call recorded the payment. Told by an intent, it is
    the payment's purchase should a session that was not paid yet name its buyer or product.
    """

    profile_id: UUID | None = None
    buyer_unreadable: bool = False
    by_reference: bool = False
    sku: Text | None = None
    currency: CurrencyCode | None = None
    quantity: Quantity | None = None
    quantity_unreadable: bool = False
    deductions_minor: Deductions = ()
    told_by: ToldBy
    paid: Paid | None = None


class Names(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="names"):
    """These are names of one payment, which may be anybody's, and unpaid.

    `half` is what the event adds to the payment should another event tell that it is paid.
    """

    payment_keys: PaymentKeys
    reason: Text = "names_only"
    half: Half | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="verdict"):
    """The event moves nothing. `payment_keys` name a payment that is not ours.

    `failed` counts an attempt, with `reason` as its error: the event is tried again, then dead.
    `half` is what the event adds nevertheless, should the payment turn out to be ours.
    `detail` is what a person needs to know besides the reason: an id, never a part of a payload.
    """

    state: Literal["ignored", "rejected", "dead", "failed"]
    reason: Text
    payment_keys: PaymentKeys | None = None
    detail: Text | None = None
    half: Half | None = None


Fact: TypeAlias = Purchase | Gift | Refund | RefundTotal | Dispute | ChargeFailed | Names | Verdict
