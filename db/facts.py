"""Facts: what an event says, in the form that SQL reads (`fleet.fact`).

A fact holds values only. It knows no provider's payload, and what it does is decided in SQL.
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

    `payment_keys` are all names of the payment, the most lasting one first. An event may say only
    half of what is known of its payment: what is None here may be in another event. Without
    `profile_id` or `sku` the event waits for that one. `buyer_unreadable`: the event named a buyer,
    but not by a uuid. `by_reference`: a buyer that another half names directly comes before this
    one. `deductions_minor`: amounts that may be subtracted from `amount_minor` before it is
    compared with the price (shipping; shipping and tax). A purchase whose amount doesn't match
    waits for its session if it was `told_by` the intent.
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
    """A viewer sends `quantity` gifts of one type, at the price of the gift type."""

    sender_id: UUID
    recipient_id: UUID
    gift_type: Text
    quantity: Quantity = 1
    stream_id: BigInt | None = None
    slot_index: Annotated[int, Meta(ge=1, le=12)] | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refund"):
    """One refund in its state of `told_at`; it was made at `refund_created_at`."""

    payment_keys: PaymentKeys
    told_at: datetime
    refund_created_at: datetime
    refund_id: Text
    amount_minor: Amount
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class RefundTotal(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refund_total"):
    """The sum of a payment's refunds up to `told_at`, out of `amount_minor` that were captured.

    `uncaptured_minor` is the part of the sum that may have been authorised and never captured; None
    if the event doesn't say.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    cumulative_minor: Amount
    uncaptured_minor: Amount | None = None
    amount_minor: Amount | None = None
    currency: CurrencyCode | None = None


class DisputeTransaction(msgspec.Struct, frozen=True):
    """One balance transaction of a dispute, in settlement currency; a withdrawal is negative."""

    id: Text
    amount: SignedAmount
    currency: CurrencyCode | None = None


class Dispute(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="dispute"):
    """A dispute in its state of `told_at`, with its balance transactions; an inquiry has none.

    `status` is one of Stripe's, or "unknown". `currency` is that of `amount_minor`; None if it is
    the payment's own. `opened_at` is when the dispute was made, `due_at` until when it can be
    answered, each None if it isn't told.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    opened_at: datetime | None = None
    due_at: datetime | None = None
    dispute_id: Text
    status: Text
    amount_minor: Amount
    currency: CurrencyCode | None = None
    transactions: list[DisputeTransaction]


class PaymentFreeze(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="freeze"):
    """An early fraud warning or a review in its state of `told_at`: it freezes, and takes nothing.

    It was opened at `opened_at`. An inquiry is a Dispute whose status begins with `warning_`.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    opened_at: datetime
    source: Literal["early_fraud_warning", "review"]
    source_id: Text
    is_open: bool


class ChargeFailed(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="charge_failed"
):
    """A charge failed after its money was on the balance: an alarm if coins were granted for it."""

    payment_keys: PaymentKeys


MilliPercent: TypeAlias = Annotated[int, Meta(ge=0, le=100_000)]


class LineItem(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` of one product. `reversed_quantity` of them went back; None if it isn't told."""

    product_id: Text
    quantity: Quantity = 1
    reversed_quantity: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class StorePurchase(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="store_purchase"
):
    """A store (Apple, Google) sold products; its state of `told_at`. The products say the coins.

    `provider_payment_id` is Apple's transactionId or Google's purchaseToken, and the first of
    `payment_keys`; Google's orderId may follow. `told_at`: when Apple signed it, when Google was
    asked. `reversed_milli_percent` of the whole went back (100000 = all), besides what
    `line_items` tell. `profile_id` is whom the store names as the buyer; `buyer_unreadable`: it
    names somebody, but not by a uuid. `submitted_by` is the subject of the access token, if a
    client submitted it; only a purchase whose store names nobody becomes theirs. `is_sandbox`: it
    cost nothing (sandbox, TestFlight, App Review, license tester). `is_acknowledged` and
    `is_consumed`: Google's; None if it isn't told.
    """

    provider_payment_id: Text
    payment_keys: PaymentKeys
    store_app: Text
    purchased_at: datetime
    told_at: datetime
    line_items: Annotated[list[LineItem], Meta(min_length=1, max_length=20)]
    reversed_milli_percent: MilliPercent = 0
    profile_id: UUID | None = None
    buyer_unreadable: bool = False
    submitted_by: UUID | None = None
    amount_minor: Amount | None = None
    currency: CurrencyCode | None = None
    country_code: Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")] | None = None
    is_sandbox: bool = False
    is_acknowledged: bool | None = None
    is_consumed: bool | None = None


class StoreSnapshot(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="store_snapshot"
):
    """How much of a store's purchase is reversed, at `told_at`; grants nothing.

    Of Apple's the newest counts, and of one time the largest.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    store_app: Text
    quantity: Quantity = 1
    reversed_milli_percent: MilliPercent
    is_sandbox: bool = False


class StoreVoid(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="store_void"):
    """Google's voided record: `voided_quantity` of the purchase went back; None is the whole.

    Each (payment, told_at, voided_quantity) counts once, however often it is told.
    """

    payment_keys: PaymentKeys
    told_at: datetime
    store_app: Text
    voided_quantity: Quantity | None


class StoreInquiry(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="store_inquiry"
):
    """The store asks us about a purchase until `deadline`.

    `inquiry_id` is Apple's transactionId (CONSUMPTION_REQUEST) or Google's pendingRefundToken
    (pendingRefundReviewNotification). `told` is what the event says of the purchase besides.
    """

    payment_keys: PaymentKeys
    inquiry_id: Text
    store_app: Text
    asked_at: datetime
    deadline: datetime
    reason: Text | None = None
    told: StoreSnapshot | None = None
    is_sandbox: bool = False


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid, when and from where, if no event has shown yet that the payment is ours."""

    amount_minor: Amount
    currency: CurrencyCode
    purchased_at: datetime
    country_code: Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")] | None = None


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """What an event adds to a payment if another event shows that it is ours, or that it is paid.

    `paid` is the total that refunds are compared with if a direct call recorded the payment. Told
    by an intent, it is the payment's purchase if a session that was not paid yet names its buyer or
    product.
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
    """These are names of one payment, which may be another's, or unpaid.

    `half` is what the event adds to the payment if another event says that it is paid.
    """

    payment_keys: PaymentKeys
    reason: Text = "names_only"
    half: Half | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call to the provider, to be made once per key; see db/outbox/provider_calls.py.

    With `again_after_s` one that was answered is made again, so many seconds from now: 1 hour at
    most.
    """

    kind: Text
    key: Text
    request: dict[str, str | int | None]
    again_after_s: Annotated[int, Meta(ge=1, le=3_600)] | None = None


NO_ANSWER_YET = "no_answer_yet"


class Question(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="question"):
    """The event means nothing without the answer of this call: it waits for that.

    It is interpreted again with the answer in `ClaimedEvent.answer`. `reason` is why it waits; an
    answer that decides nothing yet has another than NO_ANSWER_YET.
    """

    call: Call
    reason: Text = NO_ANSWER_YET


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="verdict"):
    """The event moves no coins. `payment_keys` name a payment that is not ours.

    `failed` counts an attempt, with `reason` as its error: the event is tried again, and dead after
    the last attempt. `half` is what the event adds if the payment turns out to be ours. `detail` is
    what a person needs to know besides the reason: an id, never a part of a payload.
    """

    state: Literal["ignored", "rejected", "dead", "failed"]
    reason: Text
    payment_keys: PaymentKeys | None = None
    detail: Text | None = None
    half: Half | None = None


Fact: TypeAlias = (
    Purchase
    | Gift
    | Refund
    | RefundTotal
    | Dispute
    | PaymentFreeze
    | ChargeFailed
    | StorePurchase
    | StoreSnapshot
    | StoreVoid
    | StoreInquiry
    | Names
    | Question
    | Verdict
)
