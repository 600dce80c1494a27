"""The parts of Stripe's objects that coins depend on, in the shapes of its API since 2022.

A field that decides about money has a type, and an event with another value there is malformed. A
field that only adds to it is `Any` and read leniently: a payment must not be lost because of its
country.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from db.facts import Amount, SignedAmount
from tasks.providers.reading import Currency, Identifier

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")


class Envelope(msgspec.Struct):
    """The fields of an event that the inbox stores."""

    id: str
    type: str


class Event(msgspec.Struct):
    """An event; its object is decoded once its type is known."""

    type: str
    object: str = "event"
    # Set if the event is of another account than ours: the id of an account, or a path of ids.
    account: Any = None
    user_id: Any = None  # its name before 2017-05-25
    context: Any = None
    livemode: bool = False
    created: Any = None  # epoch seconds; text in a thin event
    data: msgspec.Raw = msgspec.Raw()


class EventData(NamedTuple):
    """The data of an event, not decoded yet, and Stripe's time of the event."""

    data: msgspec.Raw
    at: datetime


class Data(msgspec.Struct, Generic[T]):
    """The field `data` of an event."""

    object: T


class PaymentIntent(msgspec.Struct):
    """In `payment_intent.succeeded`."""

    id: Identifier
    status: str
    currency: Currency
    amount_received: Amount
    metadata: Any = None
    latest_charge: Any = None
    charges: Any = None  # before 2022-11-15, a list in place of the latest charge


class CheckoutSession(msgspec.Struct):
    """In `checkout.session.*`; a session in mode `setup` has neither amount nor currency."""

    id: Identifier
    payment_status: str
    mode: Any = None
    amount_total: Amount | None = None
    currency: Currency | None = None
    payment_intent: Any = None
    client_reference_id: Any = None
    customer_details: Any = None
    total_details: Any = None
    shipping_cost: Any = None
    metadata: Any = None


class NamedCharge(msgspec.Struct):
    """In events of a charge that matter only for its names."""

    id: Any = None
    payment_intent: Any = None


class Charge(msgspec.Struct):
    """In `charge.refunded`; before 2020 it had no `amount_captured`."""

    id: Identifier
    amount_refunded: Amount
    amount: Amount | None = None
    amount_captured: Amount | None = None
    currency: Currency | None = None
    captured: Any = None
    payment_intent: Any = None


class FailedCharge(msgspec.Struct):
    """In `charge.failed`; with a balance transaction, money had come and was taken back."""

    id: Identifier
    failure_balance_transaction: Any = None
    payment_intent: Any = None


class Refund(msgspec.Struct):
    """In `refund.*` and `charge.refund.updated`."""

    id: Identifier
    amount: Amount
    status: Any = None
    created: Any = None  # epoch seconds
    charge: Any = None
    payment_intent: Any = None


class BalanceTransaction(msgspec.Struct):
    """One movement of money because of a dispute; negative if Stripe took it from us."""

    id: Identifier
    amount: SignedAmount
    currency: Currency | None = None


class Dispute(msgspec.Struct):
    """In `charge.dispute.*`; an inquiry has no balance transaction."""

    id: Identifier
    amount: Amount
    status: Any = None
    created: Any = None  # epoch seconds
    currency: Currency | None = None
    balance_transactions: list[BalanceTransaction] | None = None
    evidence_details: Any = None
    charge: Any = None
    payment_intent: Any = None


class Suspicion(msgspec.Struct):
    """In `radar.early_fraud_warning.*` and `review.*`; only a review is open or closed."""

    id: Identifier
    created: Any = None  # epoch seconds
    open: Any = None
    charge: Any = None
    payment_intent: Any = None
