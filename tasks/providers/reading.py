"""How vendors' values are read, so that what comes out is safe to hand to PostgreSQL.

What decides about money has a type that msgspec checks while it decodes; what only adds to it is
read leniently, and left out when it makes no sense.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from db.facts import AMOUNT_MAX, Verdict

if TYPE_CHECKING:
    from db.facts import Half

IDENTIFIER_CHARACTERS_MAX = 255
USER_AGENT_CHARACTERS_MAX = 512
COUNTRY_CODE_LETTERS = 2
# Until the year 9999, the last that `datetime` knows.
EPOCH_SECONDS_MAX = 253_402_300_799
# "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", the longest address there is.
IP_ADDRESS_CHARACTERS_MAX = 45

Identifier = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,255}\Z")]
Currency = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z]{3}\Z")]

# What msgspec raises on hostile bytes: its own errors and UnicodeDecodeError are ValueErrors,
# a thousand nested arrays are a RecursionError.
UNREADABLE_ERRORS = (ValueError, RecursionError)


def rejected(reason: str, detail: str | None = None) -> Verdict:
    """Refuse an event for good; `detail` names an id that a person needs to know."""
    return Verdict(state="rejected", reason=reason, detail=detail)


def malformed() -> Verdict:
    """Refuse an event whose shape isn't the vendor's."""
    return rejected("malformed")


def ignored(
    reason: str, payment_keys: list[str] | None = None, half: Half | None = None
) -> Verdict:
    """Set an event aside; `payment_keys` names a payment that isn't ours.

    `half` is what it adds should another event show that the payment is ours.
    """
    keys = payment_keys or None
    return Verdict(state="ignored", reason=reason, payment_keys=keys, half=half if keys else None)


def as_object(value: Any) -> dict[str, Any]:
    """Give a JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def identifier(value: Any) -> str | None:
    """Give an id, from itself or from the object it was expanded into."""
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= IDENTIFIER_CHARACTERS_MAX:
        return None
    return value if value.isascii() and value.isprintable() else None


def amount(value: Any) -> int:
    """Give an amount in minor units that only adds to a fact; 0 for anything else."""
    return value if type(value) is int and 0 <= value <= AMOUNT_MAX else 0


def moment(epoch_s: Any) -> datetime | None:
    """Give a time from epoch seconds."""
    if type(epoch_s) is not int or not 0 <= epoch_s <= EPOCH_SECONDS_MAX:
        return None
    return datetime.fromtimestamp(epoch_s, UTC)


def ip_address(value: Any) -> str | None:
    """Give an address as PostgreSQL's inet reads it; it has no scope ids."""
    if not isinstance(value, str) or len(value) > IP_ADDRESS_CHARACTERS_MAX or "%" in value:
        return None
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return None


def country_code(value: Any) -> str | None:
    """Give an ISO 3166 code in upper case."""
    if not isinstance(value, str) or len(value) != COUNTRY_CODE_LETTERS:
        return None
    return value.upper() if value.isascii() and value.isalpha() else None


def user_agent(value: Any) -> str | None:
    """Give what a browser says of itself, cut to a bound, without unprintable characters."""
    if not isinstance(value, str):
        return None
    value = value[:USER_AGENT_CHARACTERS_MAX]
    if not value.isprintable():
        value = "".join(filter(str.isprintable, value))
    return value or None
