"""What can go wrong in the database: as classes, what each error means, and how it is told.

Other packages import from here, not from the modules.
"""

from __future__ import annotations

from db.errors.base import (
    CoinfleetError,
    DatabaseRefused,
    DatabaseUnavailable,
    NoSessionFree,
    ReadOnlyServer,
)
from db.errors.descriptions import argument_fault, describe, server_message, sqlstate_of
from db.errors.fates import FATES, Fate, fate, fate_of_sqlstate, is_timeout, is_transient
from db.errors.refusals import (
    SQLSTATES,
    AccountFull,
    AppendOnly,
    DecidedBefore,
    DecidedMeanwhile,
    IdempotencyConflict,
    InsufficientCoins,
    NoPrice,
    PurchaseOverLimit,
    PurchaseVelocity,
    Refused,
    SelfGift,
    UnknownGiftType,
    UnknownProfile,
    UnknownStream,
    refusal,
)
from db.errors.servers import is_out_of_sessions, is_server_unfit
from db.errors.translation import raising_unavailable, unavailable

__all__ = [
    "FATES",
    "SQLSTATES",
    "AccountFull",
    "AppendOnly",
    "CoinfleetError",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "DecidedBefore",
    "DecidedMeanwhile",
    "Fate",
    "IdempotencyConflict",
    "InsufficientCoins",
    "NoPrice",
    "NoSessionFree",
    "PurchaseOverLimit",
    "PurchaseVelocity",
    "ReadOnlyServer",
    "Refused",
    "SelfGift",
    "UnknownGiftType",
    "UnknownProfile",
    "UnknownStream",
    "argument_fault",
    "describe",
    "fate",
    "fate_of_sqlstate",
    "is_out_of_sessions",
    "is_server_unfit",
    "is_timeout",
    "is_transient",
    "raising_unavailable",
    "refusal",
    "server_message",
    "sqlstate_of",
    "unavailable",
]
