"""Prices and limits of purchases, in plain Python: how the model judges a purchase."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tests.db.model.payments import USD_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from db.facts import Purchase
    from tests.db.model.halves import Together

MINUTE = timedelta(minutes=1)
PURCHASES_PER_MINUTE = 5


class Price(NamedTuple):
    """A row of the price list."""

    coins: int
    amount_minor: int
    currency: str = "usd"


class Judge(NamedTuple):
    """A price list, by product, and how payments are judged by it."""

    prices: Sequence[tuple[str, Price]]

    def price(self, fact: Purchase, said: Together) -> Price | None:
        """Return the row for the currency, or a row for another currency."""
        offers = [price for sku, price in self.prices if sku == said.sku]
        fitting = (price for price in offers if price.currency == fact.currency)
        return next(fitting, offers[0] if offers else None)

    def coins(self, fact: Purchase, said: Together) -> int:
        """Return the coins of the price list for the payment."""
        price = self.price(fact, said)
        return price.coins * (said.quantity or 1) if price else 0

    def hold_reason(self, fact: Purchase, said: Together, others: Iterable[datetime]) -> str | None:
        """Return why it is held; `others` are the times of the buyer's other purchases."""
        data = said.hold or self._wrong_data(fact, said)
        cents = fact.amount_minor * USD_PER_UNIT.get(fact.currency, 0)
        if data or cents > 50_000_00:
            return data or "over_limit"
        if is_too_fast(fact.purchased_at, others):
            return "velocity"
        return "needs_approval" if cents > 25_000_00 else None

    def _wrong_data(self, fact: Purchase, said: Together) -> str | None:
        price = self.price(fact, said)
        if price is None:
            return "unknown_product"
        if fact.currency not in USD_PER_UNIT and fact.amount_minor:
            return "no_fx_rate"
        apart = {0} | {amount for currency, amount in said.deductions if currency == fact.currency}
        too_much = fact.amount_minor - price.amount_minor * (said.quantity or 1)
        is_paid = price.currency == fact.currency and too_much in apart
        return None if is_paid else "wrong_amount"


def is_too_fast(at: datetime, others: Iterable[datetime]) -> bool:
    """Return whether there are too many purchases in some minute around `at`."""
    times = [*others, at]
    return any(
        start <= at < start + MINUTE
        and sum(start <= time < start + MINUTE for time in times) > PURCHASES_PER_MINUTE
        for start in times
    )
