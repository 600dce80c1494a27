"""Reads values of providers' events so that PostgreSQL accepts them.

A value that decides about money has a type, which msgspec checks while it decodes. A value that
only adds to it is read leniently by these functions: one that makes no sense is left out.
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
# The end of the year 9999, the last of `datetime`.
EPOCH_SECONDS_MAX = 253_402_300_799
# The longest address is "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".
IP_ADDRESS_CHARACTERS_MAX = 45

Identifier = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,255}\Z")]
Currency = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z]{3}\Z")]

# What msgspec raises on hostile bytes: its own errors and UnicodeDecodeError are ValueErrors, and a
# thousand nested arrays raise RecursionError.
UNREADABLE_ERRORS = (ValueError, RecursionError)


def rejected(reason: str, detail: str | None = None) -> Verdict:
    """Return a refusal that is final; `detail` is an id that a person needs to know."""
    return Verdict(state="rejected", reason=reason, detail=detail)


def malformed() -> Verdict:
    """Return the refusal of an event that does not have the provider's shape."""
    return rejected("malformed")


def ignored(
    reason: str, payment_keys: list[str] | None = None, half: Half | None = None
) -> Verdict:
    """Return that an event changes nothing; `payment_keys` names a payment that isn't ours.

    `half` is what the event adds if another event shows that the payment is ours after all.
    """
    keys = payment_keys or None
    return Verdict(state="ignored", reason=reason, payment_keys=keys, half=half if keys else None)


def storable(value: Any, levels: int) -> Any:
    """Return a JSON value as PostgreSQL can store it: without the character NUL.

    Raises ValueError for one of more levels.
    """
    if levels == 0:
        raise ValueError("too many levels")
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [storable(each, levels - 1) for each in value]
        case dict():
            return {
                name.replace("\0", ""): storable(each, levels - 1) for name, each in value.items()
            }
        case _:
            return value


def as_object(value: Any) -> dict[str, Any]:
    """Return a JSON object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def identifier(value: Any) -> str | None:
    """Return an id; the value is the id, or the object that has it, if Stripe expanded it."""
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= IDENTIFIER_CHARACTERS_MAX:
        return None
    return value if value.isascii() and value.isprintable() else None


def amount(value: Any) -> int:
    """Return an amount in minor units, and 0 for anything that is not one."""
    return value if type(value) is int and 0 <= value <= AMOUNT_MAX else 0


def moment(epoch_s: Any) -> datetime | None:
    """Return a time from seconds since 1970, or None if there is no such time."""
    if type(epoch_s) is not int or not 0 <= epoch_s <= EPOCH_SECONDS_MAX:
        return None
    return datetime.fromtimestamp(epoch_s, UTC)


def ip_address(value: Any) -> str | None:
    """Return an address that PostgreSQL's inet accepts, so without a scope id, or None."""
    if not isinstance(value, str) or len(value) > IP_ADDRESS_CHARACTERS_MAX or "%" in value:
        return None
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return None


def country_code(value: Any) -> str | None:
    """Return an ISO 3166 code in upper case, or None."""
    if not isinstance(value, str) or len(value) != COUNTRY_CODE_LETTERS:
        return None
    return value.upper() if value.isascii() and value.isalpha() else None


def user_agent(value: Any) -> str | None:
    """Return a browser's name of itself, cut to a limit and without unprintable characters."""
    if not isinstance(value, str):
        return None
    value = value[:USER_AGENT_CHARACTERS_MAX]
    if not value.isprintable():
        value = "".join(filter(str.isprintable, value))
    return value or None
