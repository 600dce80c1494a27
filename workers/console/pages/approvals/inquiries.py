"""What stores ask about refunds: the first deadline first, and a person's answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from db.approvals.decisions import DecisionRefused
from db.approvals.inquiries import Inquiry, answer_inquiry, read_open_inquiries
from db.errors import DecidedBefore, DecidedMeanwhile
from workers.cli.purchases.inquiries import BLOCKED, choices_of, known
from workers.console.pages.approvals.forms import (
    CONFLICT,
    StaleForm,
    read_reason,
    read_seen,
    refuse_stale,
)
from workers.console.rights import Right
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from starlette.responses import Response

    from db.connections.pool import Connection
    from workers.console.visit import Visit

# Few are open at once: a store asks about a purchase once, and takes an answer for a day at most.
SHOWN_MAX = 200


async def show(visit: Visit) -> Response:
    """List what is open."""
    return await _page(visit)


async def answer(visit: Visit) -> Response:
    """Answer one; the first answer counts, and can't be taken back."""
    number = visit.id_of("inquiry_id")
    reason, seen, choice = read_reason(visit), read_seen(visit), visit.form.get("choice", "")
    if not choice:
        raise BadInput("Choose what the store is told.")
    fault, status, call_id = "", CONFLICT, 0
    try:
        async with visit.acting() as connection:
            asked = await _asked(connection, number)
            refuse_stale(is_same=asked is None or memory(asked) == seen)
            # Of one that is open no more the function knows why.
            done = await answer_inquiry(
                connection,
                number,
                choice,
                reason=reason,
                typed_by=visit.origin,
                who=visit.person.name,
            )
            call_id = done.call_id
    except DecidedBefore:
        fault = "you have answered it before, and a store takes one answer"
    except DecidedMeanwhile:
        fault = "it was answered meanwhile, or its purchase was given back"
    except StaleForm:
        fault = "what is known of its purchase has changed since you opened the page"
    except DecisionRefused as error:
        fault, status = str(error), HTTPStatus.BAD_REQUEST
    if fault:
        fault = f"Question {number}: nothing was done; {fault}."
        return await _page(visit, status=status, fault=fault, number=number)
    return visit.go_to(f"/approvals/inquiries?answered={number}&call={call_id}")


def memory(asked: Inquiry) -> str:
    """Return what counts of a question, as a text to compare; spent coins change all the time."""
    return ";".join(
        str(each)
        for each in (
            asked.purchase_id,
            asked.status,
            asked.decision,
            asked.is_delivered,
            asked.refunded_coins,
            asked.deadline.isoformat(),
        )
    )


async def _asked(connection: Connection, number: int) -> Inquiry | None:
    found = await read_open_inquiries(connection, limit=10_000)
    return next((each for each in found if each.id == number), None)


async def _page(
    visit: Visit, *, status: int = HTTPStatus.OK, fault: str = "", number: int | None = None
) -> Response:
    found = await read_open_inquiries(visit.pool, limit=SHOWN_MAX)
    answered = visit.query.get("answered", "")
    asked = {str(each.id) for each in found}
    return visit.page(
        "inquiries.html",
        status=status,
        title="Stores ask",
        questions=[
            {
                "asked": each,
                "known": known(each),
                "seen": memory(each),
                "choices": choices_of(each.provider),
                "blocked": BLOCKED[each.blocked_by] if each.blocked_by else "",
                "is_late": each.ends_in_s < LATE_S,
            }
            for each in found
        ],
        is_cut=len(found) == SHOWN_MAX,
        fault=fault,
        number=number,
        typed=visit.form,
        # What is on the list waits for an answer, whatever the address says.
        answered=answered if answered.isdigit() and answered not in asked else "",
        call=call if (call := visit.query.get("call", "")).isdigit() else "",
        may_decide=visit.may(Right.APPROVE),
    )


# With so little time left, somebody should answer now.
LATE_S = 4 * 3_600.0
