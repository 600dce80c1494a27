"""What the model of the ledger keeps of people and gifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


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
