"""What a transaction of Apple's says: its whole state at the time at which it was signed.

Its product alone decides the coins; its price only says what the purchase was worth.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from db.facts import LineItem, StorePurchase, StoreSnapshot
from tasks.providers.apple.jws import read_payload
from tasks.providers.apple.objects import PRODUCTION, Consumable, Kind
from tasks.providers.apple.storefronts import country_of
from tasks.providers.minor_units import minor_unit_exponent

if TYPE_CHECKING:
    from typing import TypedDict

    class Amount(TypedDict):
        """What was paid, in minor units; both None if Apple doesn't say."""

        amount_minor: int | None
        currency: str | None


WHOLE_MILLI_PERCENT = 100_000
# A price is in thousandths of its currency, whatever that is.
PRICE_DECIMALS = 3

_KIND = msgspec.json.Decoder(Kind)
_CONSUMABLE = msgspec.json.Decoder(Consumable)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read_consumable(signed: str) -> Consumable | str:
    """Return a transaction, or why it buys no coins: it is no consumable of the buyer's own.

    Raises NotAuthentic and what msgspec raises for one that can't be read.
    """
    kind = read_payload(signed, _KIND)
    if kind.type == "Auto-Renewable Subscription":
        return "subscription"
    if kind.type != "Consumable":
        return "not_consumable"
    if kind.inAppOwnershipType != "PURCHASED":
        return "family_shared"
    return read_payload(signed, _CONSUMABLE)


def purchase_of(told: Consumable, *, submitted_by: UUID | None = None) -> StorePurchase:
    """Return the purchase; `submitted_by` is the profile whose client submitted it."""
    token = told.appAccountToken
    is_uuid = isinstance(token, str) and _UUID.fullmatch(token) is not None
    return StorePurchase(
        provider_payment_id=told.transactionId,
        payment_keys=[told.transactionId],
        store_app=told.bundleId,
        purchased_at=moment(told.purchaseDate),
        told_at=moment(told.signedDate),
        line_items=[LineItem(product_id=told.productId, quantity=told.quantity)],
        reversed_milli_percent=_reversed_milli_percent(told),
        # Compared as a uuid: apps write it in either case, Apple in lower case.
        profile_id=UUID(token) if is_uuid else None,
        buyer_unreadable=bool(token) and not is_uuid,
        submitted_by=submitted_by,
        country_code=country_of(told.storefront),
        is_sandbox=told.environment != PRODUCTION,
        **_amount(told),
    )


def snapshot_of(told: Consumable, *, is_given_back: bool = False) -> StoreSnapshot:
    """Return how much of the purchase is refunded; `is_given_back`: its refund was reversed."""
    return StoreSnapshot(
        payment_keys=[told.transactionId],
        told_at=moment(told.signedDate),
        store_app=told.bundleId,
        quantity=told.quantity,
        reversed_milli_percent=(told.revocationPercentage or 0)
        if is_given_back
        else _reversed_milli_percent(told),
        is_sandbox=told.environment != PRODUCTION,
    )


def moment(epoch_ms: int) -> datetime:
    """Return a time from milliseconds since 1970, exactly."""
    at = datetime.fromtimestamp(epoch_ms // 1_000, UTC)
    return at.replace(microsecond=epoch_ms % 1_000 * 1_000)


def _reversed_milli_percent(told: Consumable) -> int:
    if told.revocationPercentage is not None:
        return told.revocationPercentage
    # Before 2026 Apple told no percentage: a refund was the whole.
    return WHOLE_MILLI_PERCENT if told.revocationDate is not None else 0


def _amount(told: Consumable) -> Amount:
    """Return the price in minor units, rounded to the nearest one."""
    if told.price is None or told.currency is None:
        return {"amount_minor": None, "currency": None}
    currency = told.currency.lower()
    unit = 10 ** (PRICE_DECIMALS - minor_unit_exponent(currency))
    return {"amount_minor": (told.price + unit // 2) // unit, "currency": currency}
