"""A payment that is held without a purchase: whose it is, or that it is rejected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from db.approvals import decisions
from db.approvals.decisions import Decision, DecisionRefused
from db.console.held_list import read_event_decisions, read_event_state, read_held_event
from db.errors import DecidedBefore, DecidedMeanwhile, UnknownProfile
from workers.cli.purchases.links import page_of
from workers.cli.purchases.words import dollars, money, told
from workers.console.pages.approvals.forms import (
    CONFLICT,
    StaleForm,
    read_reason,
    read_refund,
    read_seen,
    refuse_own,
    refuse_stale,
)
from workers.console.pages.approvals.held import REASONS
from workers.console.rights import Right
from workers.console.visit import BadInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from db.approvals.decisions import Held
    from db.connections.pool import Connection
    from workers.console.visit import Visit

Deed = Callable[["Connection"], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class View:
    """An event, what is held of it, and why it can't be rejected with or without a refund."""

    event_id: int
    state: str
    payment_id: int | None
    purchase_id: int | None
    held: Held | None
    made: Sequence[Decision]
    refund_refusal: str
    close_refusal: str

    @property
    def is_open(self) -> bool:
        """Whether somebody has to decide it."""
        return self.held is not None and self.held.waits_for != "refund"

    @property
    def seen(self) -> str:
        """What a form carries; the payment's name, too, for a restore may give a number again."""
        held = self.held
        told_of: tuple[object, ...] = ()
        if held:
            name = held.provider_payment_id
            told_of = (name, held.reason, held.amount, held.currency, held.profile_id)
        return ";".join(map(str, (len(self.made), self.state, *told_of)))


async def show(visit: Visit) -> Response:
    """Show an event that is held without a purchase, or what became of it."""
    return _page(visit, await _look(visit, visit.id_of("held_event_id")))


async def attribute(visit: Visit) -> Response:
    """Say whose payment it is; a worker judges it then by all rules."""
    event_id = visit.id_of("held_event_id")
    reason, typed = read_reason(visit), visit.form.get("profile_id", "")
    try:
        profile_id = UUID(typed)
    except ValueError:
        raise BadInput("A profile's id is a uuid, as the app shows it.") from None
    refuse_own(visit, profile_id)

    async def do(connection: Connection) -> object:
        return await decisions.attribute_event(
            connection, event_id, profile_id=profile_id, reason=reason, who=visit.person.name
        )

    return await _decide(visit, event_id, do)


async def reject(visit: Visit) -> Response:
    """Reject it, with or without a refund as the form says."""
    event_id = visit.id_of("held_event_id")
    reason, is_refunded = read_reason(visit), read_refund(visit)

    async def do(connection: Connection) -> object:
        return await decisions.reject_event(
            connection,
            event_id,
            reason=reason,
            without_refund=not is_refunded,
            who=visit.person.name,
        )

    return await _decide(visit, event_id, do)


async def _decide(visit: Visit, event_id: int, do: Deed) -> Response:
    seen = read_seen(visit)
    fault, status = "", CONFLICT
    try:
        async with visit.acting() as connection:
            found = await _view(connection, event_id)
            refuse_stale(is_same=found.seen == seen)
            await do(connection)
    except DecidedBefore:
        fault = "Nothing was done: you have decided it before, and nobody decides twice."
    except (StaleForm, DecidedMeanwhile):
        found = await _look(visit, event_id)
        what = "; ".join(map(told, found.made)) or f"its event is {found.state}"
        fault = f"Nothing was done. Since you opened the page: {what}."
    except UnknownProfile:
        fault, status = "Nothing was done: no profile has this id.", HTTPStatus.BAD_REQUEST
    except DecisionRefused as error:
        fault, status = f"Nothing was done: {error}.", HTTPStatus.BAD_REQUEST
    if fault:
        return _page(visit, await _look(visit, event_id), status=status, fault=fault)
    return visit.go_to(f"/approvals/events/{event_id}?done=1")


async def _look(visit: Visit, event_id: int) -> View:
    async with visit.pool.acquire() as connection:
        found = await _view(connection, event_id)
        if not found.is_open:
            return found
        refusals = [
            await _refusal(connection, event_id, without_refund=without, who=visit.person.name)
            for without in (False, True)
        ]
    return View(
        found.event_id,
        found.state,
        found.payment_id,
        found.purchase_id,
        found.held,
        found.made,
        *refusals,
    )


async def _view(connection: Connection, event_id: int) -> View:
    event = await read_event_state(connection, event_id)
    if event is None:
        raise NotFound(f"There is no event {event_id}.")
    state, payment_id, purchase_id = event
    held = await read_held_event(connection, event_id) if state == "held" else None
    made = await read_event_decisions(connection, event_id)
    return View(event_id, state, payment_id, purchase_id, held, made, "", "")


async def _refusal(connection: Connection, event_id: int, *, without_refund: bool, who: str) -> str:
    """Return why it can't be rejected so; empty if it can. It is tried and taken back."""
    try:
        await decisions.foresee_event(connection, event_id, without_refund=without_refund, who=who)
    except (DecidedBefore, DecidedMeanwhile):
        return "it was decided before"
    except DecisionRefused as error:
        return str(error)
    return ""


def _page(visit: Visit, found: View, *, status: int = HTTPStatus.OK, fault: str = "") -> Response:
    held = found.held
    name = held.provider_payment_id if held else None
    link = None
    if held and name:
        link = page_of(held.provider, name, is_live=visit.desk.settings.stripe_livemode)
    return visit.page(
        "held_event.html",
        status=status,
        title=f"Held event {found.event_id}",
        found=found,
        held=held,
        why=REASONS.get(held.reason, held.reason) if held else "",
        fault=fault,
        typed=visit.form,
        is_done=bool(visit.query.get("done")),
        decided=[told(each) for each in found.made],
        paid=money(held.amount, held.currency) if held else "",
        worth=dollars(held.usd_amount) if held else "",
        provider_page=link,
        may_decide=visit.may(Right.APPROVE),
    )
