"""One simulated sale of a store: what all that is told of it has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from db.simulation import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """So many of a package, sold at a time; its ids are made from `key`."""

    key: str
    package: Package
    quantity: int
    buyer: UUID
    at_s: int
    is_named: bool = True
    """Whether the store says who the buyer is."""
    amount_minor: int | None = None
    """What was paid in US dollars; the list's price if None."""

    @property
    def at(self) -> datetime:
        """When it was sold."""
        return datetime.fromtimestamp(self.at_s, UTC)

    @property
    def paid_minor(self) -> int:
        """What was paid, in cents."""
        listed = self.package.amount_minor * self.quantity
        return listed if self.amount_minor is None else self.amount_minor

    @property
    def coins(self) -> int:
        """What it is worth in coins."""
        return self.package.coins * self.quantity
