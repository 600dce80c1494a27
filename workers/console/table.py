"""PAGES and ACTIONS: every page and every form of the console, with the right that each asks for.

A page is shown by GET and changes nothing. An action is a form, sent by POST. The tests try each
row as each role. What anybody may open (sign-in, static files, health) stands in application.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from workers.console.pages import (
    audit,
    calls,
    doctor,
    events,
    missed,
    overview,
    payload,
    retries,
    schedules,
    search,
    streams,
)
from workers.console.pages.approvals import frozen, held, held_event, inquiries, purchase
from workers.console.pages.payments import disputes, listing, payment
from workers.console.pages.profiles import adjusting, download, statement
from workers.console.rights import Right
from workers.console.sign_in import leaving

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit

Show: TypeAlias = "Callable[[Visit], Awaitable[Response]]"


@dataclass(frozen=True, slots=True)
class Page:
    """A page. `path` may have parameters, as /events/{event_id}."""

    path: str
    title: str
    right: Right
    show: Show
    in_menu: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """A form that is sent to `path`; `do` returns where to go then, or a page that says more."""

    path: str
    right: Right
    do: Show


PAGES: tuple[Page, ...] = (
    Page("/", "Overview", Right.LOOK, overview.show, in_menu=True),
    Page("/live", "Live numbers", Right.LOOK, overview.stream),
    Page("/rates", "Events per second", Right.LOOK, overview.rates),
    Page("/approvals", "Approvals", Right.LOOK, held.show, in_menu=True),
    Page("/approvals/purchases/{purchase_id}", "Purchase", Right.LOOK, purchase.show),
    Page("/approvals/events/{held_event_id}", "Held event", Right.LOOK, held_event.show),
    Page("/approvals/inquiries", "Stores ask", Right.LOOK, inquiries.show),
    Page("/approvals/frozen", "Frozen", Right.LOOK, frozen.show),
    Page("/payments", "Payments", Right.LOOK, listing.show, in_menu=True),
    # Before the payments by number, which would take its path.
    Page("/payments/disputes", "Disputes", Right.LOOK, disputes.show),
    Page("/payments/{payment_id}", "Payment", Right.LOOK, payment.show),
    Page("/profiles/{profile_id}", "Statement", Right.LOOK, statement.show),
    Page("/profiles/{profile_id}/statement.csv", "Statement as a file", Right.LOOK, download.show),
    Page("/events", "Events", Right.LOOK, events.show, in_menu=True),
    Page("/events/{event_id}", "Event", Right.LOOK, events.show_one),
    Page("/retry", "Retry all that match", Right.OPERATE, retries.preview),
    Page("/retried", "Retried", Right.LOOK, retries.show),
    Page("/calls", "Calls", Right.LOOK, calls.show, in_menu=True),
    Page("/calls/retried", "Calls made again", Right.LOOK, calls.show_retried),
    Page("/missed", "Missed events", Right.LOOK, missed.show, in_menu=True),
    Page("/streams", "Streams", Right.LOOK, streams.show, in_menu=True),
    Page("/schedules", "Schedules", Right.LOOK, schedules.show, in_menu=True),
    Page("/search", "Search", Right.LOOK, search.show),
    Page("/doctor", "Doctor", Right.OPERATE, doctor.show, in_menu=True),
    Page("/audit", "Audit log", Right.LOOK, audit.show, in_menu=True),
)
ACTIONS: tuple[Action, ...] = (
    Action("/approvals/purchases/{purchase_id}/approve", Right.APPROVE, purchase.approve),
    Action("/approvals/purchases/{purchase_id}/reject", Right.APPROVE, purchase.reject),
    Action("/approvals/purchases/{purchase_id}/release", Right.APPROVE, frozen.let_go),
    Action("/approvals/events/{held_event_id}/attribute", Right.APPROVE, held_event.attribute),
    Action("/approvals/events/{held_event_id}/reject", Right.APPROVE, held_event.reject),
    Action("/approvals/inquiries/{inquiry_id}/answer", Right.APPROVE, inquiries.answer),
    Action("/profiles/{profile_id}/adjust", Right.APPROVE, adjusting.adjust),
    Action("/events/{event_id}/payload", Right.READ_PAYLOADS, payload.show),
    Action("/events/retry", Right.OPERATE, retries.retry_chosen),
    Action("/retry/try", Right.OPERATE, retries.try_matching),
    Action("/retry", Right.OPERATE, retries.retry_matching),
    Action("/calls/retry", Right.OPERATE, calls.retry_chosen),
    Action("/calls/retry-dead", Right.OPERATE, calls.retry_dead),
    Action("/schedules/pause", Right.OPERATE, schedules.pause),
    Action("/schedules/resume", Right.OPERATE, schedules.resume),
    Action("/schedules/run", Right.OPERATE, schedules.run),
    Action("/sign-out", Right.LOOK, leaving.sign_out),
)
