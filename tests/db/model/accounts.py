"""People, gifts and events in the model of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tests.db.books import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from db.facts import Fact


class GiftPrice(NamedTuple):
    """What a gift costs, and the streamer's share of it."""

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
class Event:
    """An event of the inbox."""

    id: int
    fact: Fact
    received: datetime
    state: str = "pending"
    reason: str | None = None

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.state, self.reason)

    @property
    def is_final(self) -> bool:
        return self.state not in ("pending", "waiting", "held")
