"""A person's correction of a balance: first what it would do, then the same with a confirmation.

It calls what `coinfleet adjust` calls. The confirmation carries the balance that the person saw.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.adjustments import AdjustmentRefused, correct
from db.errors import IdempotencyConflict, InsufficientCoins
from workers.console.pages.approvals.forms import (
    CONFLICT,
    StaleForm,
    read_digits,
    read_reason,
    refuse_own,
    refuse_stale,
)
from workers.console.pages.profiles.statement import find_holder
from workers.console.visit import BIGINT_MAX, BadInput

if TYPE_CHECKING:
    from starlette.responses import Response

    from db.adjustments import Adjustment
    from db.console.statement import Holder
    from workers.console.visit import Visit

KEY_MAX = 200


class _Tried(Exception):
    """Takes back what was tried."""


async def adjust(visit: Visit) -> Response:
    """Say what a correction would do; with `seen`, the balance that was shown, do it."""
    holder = await find_holder(visit)
    refuse_own(visit, holder.profile_id)
    reason, amount, key = read_reason(visit), _read_amount(visit), visit.form.get("key", "")
    if not key or len(key) > KEY_MAX:
        raise BadInput(f"A correction has a key of at most {KEY_MAX} characters.")
    seen = visit.form.get("seen")
    made: Adjustment | None = None
    status, fault = HTTPStatus.OK, ""
    try:
        async with visit.acting() as connection:
            made = await correct(
                connection,
                holder.profile_id,
                amount,
                who=visit.person.name,
                reason=reason,
                key=key,
            )
            _check(made, amount, seen)
    except _Tried:
        pass
    except StaleForm:
        status = CONFLICT
        fault = "Nothing was done: the balance has changed since you saw it. Look again."
    except InsufficientCoins:
        status = CONFLICT
        fault = "Nothing was done: the balance is less than what this would take."
    except IdempotencyConflict:
        status = CONFLICT
        fault = "Nothing was done: this key moved other coins before. Begin anew."
    except AdjustmentRefused as error:
        status, fault = HTTPStatus.BAD_REQUEST, f"Nothing was done: {error}."
    if seen is None or fault:
        return _page(visit, holder, made, amount, status=status, fault=fault)
    return visit.go_to(f"/profiles/{holder.profile_id}?{urlencode({'adjusted': key})}")


def _check(made: Adjustment, amount: int, seen: str | None) -> None:
    """Raise what takes it back: it was only tried, or the balance is not what the person saw."""
    if seen is None:
        raise _Tried
    refuse_stale(is_same=made.replayed or str(made.balance - amount) == seen)


def _page(
    visit: Visit,
    holder: Holder,
    made: Adjustment | None,
    amount: int,
    *,
    status: int,
    fault: str,
) -> Response:
    return visit.page(
        "adjust.html",
        status=status,
        title="Correct a balance",
        holder=holder,
        # Without one it can't be made, and the fault says why.
        made=made,
        amount=amount,
        typed=visit.form,
        fault=fault,
    )


def _read_amount(visit: Visit) -> int:
    """Return the coins to add, or with a minus to take. Raises BadInput."""
    text = visit.form.get("amount", "").replace("\N{MINUS SIGN}", "-")
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    coins = read_digits(rest)
    if coins is None:
        raise BadInput("An amount is whole coins in digits, with a minus to take coins.")
    if not 0 < coins <= BIGINT_MAX:
        raise BadInput("So many coins can't be moved.")
    return sign * coins
