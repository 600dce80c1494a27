"""What the model of the ledger keeps of people, purchases and gifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class GiftPrice(NamedTuple):
    """What a gift costs, and the streamer's part of it."""

    coins: int
    share_bps: int


@dataclass
class Account:
    """A profile."""

    coins: int = 0
    earnings: int = 0
    bought: int = 0
    spent: int = 0
    received: int = 0


@dataclass
class Bought:
    """A recorded purchase."""

    event_id: int
    buyer: UUID
    coins: int
    paid: int
    at: datetime
    hold: str | None
    taken: int = 0
    status: str = "pending"
