"""One purchase on the desk: why it is held, what each decision would do, and the decisions.

The person who is signed in decides. Nothing is done that the person did not see: see view.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from db.approvals import decisions
from db.approvals.decisions import DecisionRefused
from db.console.statement import read_erased_at
from db.errors import DecidedBefore, DecidedMeanwhile, NoPrice
from db.operating.subjects import Subject, shorten
from workers.cli.purchases.links import page_of
from workers.cli.purchases.words import NO_PRICE, dollars, money, prospect, story, told
from workers.console.pages.approvals.forms import (
    CONFLICT,
    StaleForm,
    read_reason,
    read_refund,
    read_seen,
    refuse_own,
    refuse_stale,
)
from workers.console.pages.approvals.view import PARTIAL, View, is_same, memory, read_coins, view
from workers.console.pages.story import tell_lines
from workers.console.rights import Right
from workers.console.visit import BIGINT_MAX, BadInput, NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from db.approvals.decisions import Decided
    from db.connections.pool import Connection
    from workers.cli.purchases.outlook import Prospect
    from workers.console.visit import Visit

Deed = Callable[["Connection"], Awaitable["Decided"]]


async def show(visit: Visit) -> Response:
    """Show a purchase, held or not."""
    return await _page(visit, await _look(visit, visit.id_of("purchase_id")))


async def approve(visit: Visit) -> Response:
    """Approve it, for as many coins as the form says or the package has."""
    purchase_id = visit.id_of("purchase_id")
    reason, seen, typed = read_reason(visit), read_seen(visit), visit.form.get("coins", "")
    try:
        coins = read_coins(typed)
    except ValueError:
        raise BadInput("Coins are written in digits.") from None
    if coins is not None and not 0 < coins <= BIGINT_MAX:
        raise BadInput("So many coins can't be credited.")

    async def do(connection: Connection) -> Decided:
        return await decisions.approve(
            connection, purchase_id, reason=reason, coins=coins, who=visit.person.name
        )

    return await _decide(visit, purchase_id, do, seen=seen, names_coins=coins is not None)


async def reject(visit: Visit) -> Response:
    """Reject it, with or without a refund as the form says."""
    purchase_id = visit.id_of("purchase_id")
    reason, is_refunded = read_reason(visit), read_refund(visit)
    seen = visit.form.get("seen_refund" if is_refunded else "seen_close")
    if not seen:
        raise BadInput("This form lacks what you saw: open its page again.")

    async def do(connection: Connection) -> Decided:
        return await decisions.reject(
            connection,
            purchase_id,
            reason=reason,
            without_refund=not is_refunded,
            who=visit.person.name,
        )

    return await _decide(visit, purchase_id, do, seen=seen)


async def _decide(
    visit: Visit, purchase_id: int, do: Deed, *, seen: str, names_coins: bool = False
) -> Response:
    """Decide, and compare what it came to with what the person saw; undo it if that differs."""
    try:
        async with visit.acting() as connection:
            look = await decisions.read_purchase(connection, purchase_id)
            if look is None:
                raise NotFound(f"There is no purchase {purchase_id}.")
            refuse_own(visit, look.profile_id)
            made = await decisions.read_decisions(connection, purchase_id)
            done = await decisions.see(connection, purchase_id, await do(connection))
            erased_at = await read_erased_at(connection, look.profile_id)
            found = memory(look, made, done, erased_at=erased_at)
            refuse_stale(is_same=is_same(seen, found, names_coins=names_coins))
    except (StaleForm, DecidedBefore, DecidedMeanwhile) as error:
        now = await _look(visit, purchase_id)
        return await _page(visit, now, status=CONFLICT, fault=_meanwhile(now, seen, error))
    except NoPrice:
        now = await _look(visit, purchase_id)
        return await _page(visit, now, status=CONFLICT, fault=f"Nothing was done: {NO_PRICE}.")
    except DecisionRefused as error:
        now = await _look(visit, purchase_id)
        fault = f"Nothing was done: {error}."
        return await _page(visit, now, status=HTTPStatus.BAD_REQUEST, fault=fault)
    return visit.go_to(f"/approvals/purchases/{purchase_id}?done=1")


def _meanwhile(found: View, seen: str, error: Exception) -> str:
    """Say what happened between the page that the person saw and the form."""
    made = found.outlook.decisions
    if isinstance(error, DecidedBefore):
        return "Nothing was done: you have decided it before, and nobody decides twice."
    known = seen.partition(";")[0]
    later = made[int(known) :] if known.isascii() and known.isdigit() and len(known) < 9 else made
    if later:
        what = "; ".join(map(told, later))
    elif not found.is_open:
        what = story(found.look, made)
    elif found.erased_at is not None:
        what = "its buyer was erased, or what the decision does has changed. It stands below"
    else:
        what = "what the decision does has changed. It stands below as it is now"
    return f"Nothing was done. Since you opened the page: {what}."


async def _look(visit: Visit, purchase_id: int) -> View:
    async with visit.pool.acquire() as connection:
        return await view(connection, purchase_id, who=visit.person.name)


async def _page(
    visit: Visit, found: View, *, status: int = HTTPStatus.OK, fault: str = ""
) -> Response:
    look = found.look
    return visit.page(
        "purchase.html",
        status=status,
        title=f"Purchase {look.purchase_id}",
        found=found,
        look=look,
        fault=fault,
        typed=visit.form,
        is_done=bool(visit.query.get("done")),
        decided=[told(each) for each in found.outlook.decisions],
        own=_own(found, visit.person.name),
        is_buyer=visit.person.is_holder_of(look.profile_id),
        approving=_said("approve", found.outlook.approve, found),
        rejecting=_said("reject", found.outlook.reject, found),
        closing=_said("reject", found.close, found),
        is_partial=look.hold_reason in PARTIAL,
        paid=money(look.amount, look.currency),
        worth=dollars(look.usd_amount),
        refunded=money(look.refunded, look.currency) if look.refunded else "",
        payment_name=shorten(look.provider_payment_id),
        provider_page=page_of(
            look.provider,
            look.provider_payment_id,
            is_live=visit.desk.settings.stripe_livemode,
        ),
        may_decide=visit.may(Right.APPROVE),
        lines=await tell_lines(visit.pool, Subject("purchase", look.purchase_id, "")),
    )


def _own(found: View, name: str) -> str:
    """Return what this person has decided; empty if nothing."""
    made = [each for each in found.outlook.decisions if each.who.lower() == name.lower()]
    return told(made[-1]) if made else ""


def _said(verb: str, found: Prospect | None, view_of: View) -> dict[str, Any]:
    """Return what a decision would do, or why it can't be taken."""
    if found is None:
        return {"does": "", "refusal": ""}
    if found.foreseen is None:
        return {"does": "", "refusal": found.refusal or ""}
    return {"does": prospect(verb, found.foreseen, view_of.look), "refusal": ""}
