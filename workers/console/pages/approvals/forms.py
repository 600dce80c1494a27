"""What every form of the desk carries, and the answer to one that came too late."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from workers.console.visit import BadInput, NotYours

if TYPE_CHECKING:
    from uuid import UUID

    from workers.console.visit import Visit

REASON_MAX = 500
# A bigint with its separators.
DIGITS_MAX = 26
_DIGITS = re.compile(
    r"[0-9]+|[0-9]{1,3}([, \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}])[0-9]{3}(\1[0-9]{3})*"
)
CONFLICT = HTTPStatus.CONFLICT


class StaleForm(Exception):
    """What the person saw is not what is there now, so nothing was done."""


def refuse_own(visit: Visit, profile_id: UUID) -> None:
    """Let nobody decide about coins of their own. Raises NotYours."""
    if visit.person.is_holder_of(profile_id):
        raise NotYours("Nothing was done: this is your own profile, so somebody else decides.")


def read_reason(visit: Visit) -> str:
    """Return why somebody decides. Raises BadInput."""
    reason = visit.form.get("reason", "")
    if not reason:
        raise BadInput("Say why: the reason is kept with the decision for good.")
    if len(reason) > REASON_MAX:
        raise BadInput(f"A reason has at most {REASON_MAX} characters.")
    return reason


def read_digits(text: str) -> int | None:
    """Return a number of digits, which may stand in groups of three; None for anything else.

    `1,5` is not 15: half of the world writes decimals so, and coins have none.
    """
    if len(text) > DIGITS_MAX or not _DIGITS.fullmatch(text):
        return None
    return int(re.sub(r"\D", "", text))


def read_seen(visit: Visit) -> str:
    """Return what the person saw when the form was made. Raises BadInput."""
    seen = visit.form.get("seen")
    if not seen:
        raise BadInput("This form lacks what you saw: open its page again.")
    return seen


def read_refund(visit: Visit) -> bool:
    """Return whether a rejected payment is refunded. Raises BadInput."""
    refund = visit.form.get("refund")
    if refund not in ("yes", "no"):
        raise BadInput("Say whether the payment is refunded.")
    return refund == "yes"


def refuse_stale(*, is_same: bool) -> None:
    """Raise StaleForm unless what the person saw is what is there."""
    if not is_same:
        raise StaleForm
