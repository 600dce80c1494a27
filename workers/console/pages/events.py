"""Events: a list that can be filtered and bookmarked, and the story of one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.console.event_list import PAGE_ROWS, EventFilter, list_events
from db.operating.subjects import Subject
from workers.cli.status.health import STATES
from workers.console.pages.story import tell_lines
from workers.console.times import read_time
from workers.console.visit import BadInput, NotFound, read_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from workers.console.visit import Visit

# The fields of the filter, as they stand in the address.
FIELDS = ("state", "provider", "type", "reason", "since", "until")


async def show(visit: Visit) -> Response:
    """List the events that the filter means, the newest first."""
    given = {name: visit.query[name] for name in FIELDS if visit.query.get(name)}
    before = _read_before(visit.query.get("before", ""))
    page = await list_events(visit.pool, read_filter(given), before=before)
    following = urlencode({**given, "before": page.before}) if page.before else ""
    return visit.page(
        "events.html",
        title="Events",
        given=given,
        states=STATES,
        providers=await _read_providers(visit),
        page=page,
        rows_max=PAGE_ROWS,
        is_first=before is None,
        first=urlencode(given),
        following=following,
    )


async def show_one(visit: Visit, *, payload: str | None = None) -> Response:
    """Tell the story of an event, with its payload if that is handed in."""
    event_id = visit.id_of("event_id")
    event = await visit.pool.fetchrow(
        "select e.id, e.provider, e.provider_event_id, e.event_type, e.state, e.reason, e.attempts,"
        " e.received_at, e.processed_at, e.last_error, fleet.has_payload(e.id) as has_payload"
        " from fleet.inbox_events as e where e.id = $1",
        event_id,
    )
    if event is None:
        raise NotFound(f"There is no event {event_id}.")
    subject = Subject("event", event_id, f"{event['provider']} {event['event_type']}")
    lines = await tell_lines(visit.pool, subject)
    return visit.page(
        "event.html", title=f"Event {event_id}", event=event, lines=lines, payload=payload
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


def _read_before(text: str) -> int | None:
    if not text:
        return None
    found = read_id(text)
    if found is None:
        raise BadInput("`before` is the id of an event.")
    return found


async def _read_providers(visit: Visit) -> list[str]:
    rows = await visit.pool.fetch(
        "select distinct c.provider from fleet.event_counts() as c order by c.provider"
    )
    return [row[0] for row in rows]
