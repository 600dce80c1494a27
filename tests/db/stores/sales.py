"""What Apple and Google sell in the tests of stores: facts of one payment, and its price list."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

from db.facts import LineItem, StorePurchase, StoreSnapshot, StoreVoid
from tests.db.books import NOON, Books, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from db.connections.pool import Connection

# 100 coins of the product cost 1.00, and 7 coins of the other one 3.00.
HUNDRED, SEVEN = "coins.100", "coins.7"
COINS = {HUNDRED: 100, SEVEN: 7}
PRICE_LIST = """
insert into public.coin_packages (provider, sku, product_id, coin_amount, amount_minor, currency)
select p.provider, n.sku, n.product_id, n.coins, n.amount_minor, n.currency
from (values ('apple'), ('google')) as p (provider)
cross join (values
    ('hundred', 'coins.100', 100, 100, 'usd'),
    ('hundred', 'coins.100', 100, 95, 'eur'),
    ('coins.7', null, 7, 300, 'usd'),
    ('unpriced', 'coins.9', 9, 900, 'eur')
) as n (sku, product_id, coins, amount_minor, currency)
"""
NOT_THE_BUYER = Outcome("rejected", "not_the_buyer")
NO_BUYER_YET = Outcome("waiting", "no_buyer_yet")
UNKNOWN_BUYER = Outcome("held", "unknown_buyer")
SANDBOX = Outcome("ignored", "sandbox")

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Sale:
    """One payment at a store; `provider` is apple or google."""

    provider: str
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def app(self) -> str:
        return f"{self.provider}.app"

    @property
    def name(self) -> str:
        """The transaction id or the purchase token; case matters."""
        return f"{self.provider}-Token-{self.number}"

    @property
    def order(self) -> str:
        return f"GPA.{self.number}"

    @property
    def keys(self) -> list[str]:
        return [self.name] if self.provider == "apple" else [self.name, self.order]

    @property
    def digest(self) -> str:
        return sha256(self.name.encode()).hexdigest()

    def sold(
        self,
        buyer: UUID | None,
        *items: LineItem,
        units: int = 1,
        back: int | None = None,
        **changes: Any,
    ) -> StorePurchase:
        """The store names this buyer of `units` of 100 coins, of which so many went `back`."""
        told: dict[str, Any] = {
            "provider_payment_id": self.name,
            "payment_keys": self.keys,
            "store_app": self.app,
            "purchased_at": NOON,
            "told_at": NOON,
            "line_items": list(items) or [item(units=units, back=back)],
            "profile_id": buyer,
        }
        return StorePurchase(**told | changes)

    def submitted(self, by: UUID, *items: LineItem, **changes: Any) -> StorePurchase:
        """A client submits it; the store names nobody, unless `profile_id` says so."""
        return self.sold(changes.pop("profile_id", None), *items, submitted_by=by, **changes)

    def reversed(
        self, milli_percent: int, told_at: datetime = NOON, **changes: Any
    ) -> StoreSnapshot:
        """So much of it is reversed by then."""
        told: dict[str, Any] = {
            "payment_keys": self.keys,
            "told_at": told_at,
            "store_app": self.app,
            "reversed_milli_percent": milli_percent,
        }
        return StoreSnapshot(**told | changes)

    def voided(self, quantity: int | None, told_at: datetime = NOON, **changes: Any) -> StoreVoid:
        """Google's record that so many went back; None is the whole."""
        told: dict[str, Any] = {
            "payment_keys": self.keys,
            "told_at": told_at,
            "store_app": self.app,
            "voided_quantity": quantity,
        }
        return StoreVoid(**told | changes)


def item(product: str = HUNDRED, *, units: int = 1, back: int | None = None) -> LineItem:
    """So many of a product, of which so many went back."""
    return LineItem(product_id=product, quantity=units, reversed_quantity=back)


async def purchase(books: Books, sale: Sale) -> asyncpg.Record | None:
    """The sale's purchase."""
    return await books.db.fetchrow(
        "select * from public.coin_purchases where provider_payment_id = $1", sale.name
    )


async def calls(connection: Connection, sale: Sale) -> list[str]:
    """The kinds of calls to the store about this sale, in order."""
    rows = await connection.fetch(
        "select kind from fleet.provider_calls"
        " where key like '%' || $1 or request ->> 'token' = $2 order by id",
        sale.digest,
        sale.name,
    )
    return [row["kind"] for row in rows]


async def set_sandbox(
    connection: Connection,
    mode: str = "ignore",
    *,
    profiles: Sequence[UUID] = (),
    coins_per_day: int = 10_000,
) -> None:
    """The rules of what costs nothing, as a release writes them."""
    await connection.execute(
        "select fleet.configure_stores($1, $2, $3)", mode, list(profiles), coins_per_day
    )
