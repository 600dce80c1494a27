"""Amounts of money as Google writes them: whole units as text, and billionths of a unit.

Says what an order cost and which part of it went back; never how many coins that is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from db.facts import AMOUNT_MAX

if TYPE_CHECKING:
    from tasks.providers.google.objects import Money, Order

# ISO 4217; every other currency has two decimals. The price only feeds guardrails.
NO_DECIMALS = frozenset(
    {"bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg"}
    | {"rwf", "ugx", "uyi", "vnd", "vuv", "xaf", "xof", "xpf"}
)
THREE_DECIMALS = frozenset(["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"])
CODE_LETTERS = 3
WHOLE = 100_000


class Price(NamedTuple):
    """An amount in minor units of a currency, whose code is in lower case."""

    amount_minor: int
    currency: str


def price_of(money: Money | None) -> Price | None:
    """Return what an order cost; None if that is no amount that we can store."""
    if money is None or len(money.currency_code) != CODE_LETTERS:
        return None
    currency = money.currency_code.lower()
    if not (currency.isascii() and currency.isalpha()):
        return None
    decimals = 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2
    minor = round(_amount(money) * 10**decimals)
    return Price(minor, currency) if 0 <= minor <= AMOUNT_MAX else None


def reversed_share(order: Order) -> int:
    """Return how much of what was paid went back, in thousandths of a percent, rounded down."""
    if order.state in ("REFUNDED", "CANCELED"):
        return WHOLE
    if order.total is None:
        return 0
    paid = _amount(order.total)
    back = Decimal(0)
    for refund in order.order_history.partial_refund_events:
        total = refund.refund_details.total if refund.refund_details else None
        # One that Google has not processed yet may still fail.
        is_done = refund.state in (None, "PROCESSED_SUCCESSFULLY")
        if total and is_done and total.currency_code == order.total.currency_code:
            back += _amount(total)
    return int(min(max(back / paid, Decimal(0)), Decimal(1)) * WHOLE) if paid > 0 else 0


def _amount(money: Money) -> Decimal:
    return int(money.units) + Decimal(money.nanos) / 1_000_000_000
