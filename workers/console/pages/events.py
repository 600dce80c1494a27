"""Events: a list that can be filtered and bookmarked, and the story of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.event_list import EventFilter, list_events, list_providers, read_event
from db.console.held_list import read_event_state
from db.operating.subjects import Subject
from workers.cli.status.health import STATES
from workers.console.pages.links import links_of
from workers.console.pages.story import tell_lines
from workers.console.times import read_time
from workers.console.visit import BadInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from workers.console.visit import Visit

# The fields of the filter, as they stand in the address.
FIELDS = ("state", "provider", "type", "reason", "since", "until")


async def show(visit: Visit) -> Response:
    """List the events that the filter means, the newest first."""
    given = {name: visit.query[name] for name in FIELDS if visit.query.get(name)}
    before = visit.place("before")
    page = await list_events(visit.pool, read_filter(given), before=before)
    return visit.page(
        "events.html",
        title="Events",
        given=given,
        states=STATES,
        providers=await list_providers(visit.pool),
        **links_of(page, given, before=before),
    )


async def show_one(visit: Visit, *, payload: str | None = None) -> Response:
    """Tell the story of an event, with its payload if that is handed in."""
    event_id = visit.id_of("event_id")
    found = await read_event(visit.pool, event_id)
    if found is None:
        raise NotFound(f"There is no event {event_id}.")
    event, has_payload, trace_id = found
    subject = Subject("event", event_id, f"{event.provider} {event.event_type}")
    lines = await tell_lines(visit.pool, subject)
    kin = await read_event_state(visit.pool, event_id)
    _, payment_id, purchase_id = kin or ("", None, None)
    return visit.page(
        "event.html",
        title=f"Event {event_id}",
        event=event,
        has_payload=has_payload,
        trace_id=trace_id,
        payment_id=payment_id,
        purchase_id=purchase_id,
        lines=lines,
        payload=payload,
    )


def read_filter(given: Mapping[str, str]) -> EventFilter:
    """Return the filter. Raises BadInput."""
    state = given.get("state")
    if state is not None and state not in STATES:
        raise BadInput(f"A state is one of {', '.join(STATES)}.")
    return EventFilter(
        state=state,
        provider=given.get("provider"),
        event_type=given.get("type"),
        reason=given.get("reason"),
        since=read_time(given.get("since")),
        until=read_time(given.get("until")),
    )
