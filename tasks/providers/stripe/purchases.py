"""Makes the facts of money that came: a purchase, or the half that an event adds to one.

Whether a purchase is granted, held or refused is decided in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from db.facts import Half, Purchase
from tasks.providers import reading
from tasks.providers.stripe.orders import read_quantity

if TYPE_CHECKING:
    from datetime import datetime

    from db.facts import Paid, ToldBy
    from tasks.providers.stripe.orders import Order


def make_purchase(
    order: Order,
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


def make_half(
    metadata: dict[str, Any],
    *,
    told_by: ToldBy,
    order: Order | None = None,
    currency: str | None = None,
    deductions_minor: tuple[int, ...] = (),
    paid: Paid | None = None,
) -> Half:
    """Return what an event that is no purchase by itself adds to its payment."""
    quantity, is_unreadable = read_quantity(metadata)
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
