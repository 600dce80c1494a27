"""Overview: first whether the fleet needs a person, then the numbers, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, PlainTextResponse

from schedules.timetable import TIMETABLE
from workers.cli.status.health import STATES, by_provider, by_state
from workers.console.rendering import render
from workers.version import release_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response

    from workers.cli.status.health import FleetHealth
    from workers.console.feed import Reading
    from workers.console.visit import Visit

# Where the events that a line of the verdict speaks of are listed, by how the line begins.
_LISTS = {
    "dead: ": "/events?state=dead",
    "no exchange rate ": "/approvals?reason=no_fx_rate",
    "given up: ": "/calls?state=dead",
    "missed: ": "/missed",
    "the history of ": "/missed",
    **{f"{schedule.name} ": f"/schedules?job={schedule.name}" for schedule in TIMETABLE},
}


async def show(visit: Visit) -> Response:
    """Show it all as of now."""
    reading = await visit.desk.feed.read()
    return visit.page("overview.html", title="Overview", **_values(reading))


async def stream(visit: Visit) -> Response:
    """Send the live part anew as often as it is read."""
    feed = visit.desk.feed
    if feed.is_full(visit.person.session_id):
        return PlainTextResponse("too many look already", 503)

    async def messages() -> AsyncIterator[ServerSentEvent]:
        async for reading in feed.watch(visit.person.session_id):
            html = render(visit.desk.templates, "_overview.html", **_values(reading))
            yield ServerSentEvent(data=html)

    return EventSourceResponse(messages(), headers={"cache-control": "no-store"}, ping=20)


async def rates(visit: Visit) -> Response:
    """Return the points of the chart: times, then received and finished events per second.

    Its header `x-reading` is the number of the newest reading, by which a page knows its age.
    """
    feed = visit.desk.feed
    points = list(feed.points)
    return JSONResponse(
        [
            [round(point.at, 1) for point in points],
            [round(point.received, 2) for point in points],
            [round(point.finished, 2) for point in points],
        ],
        headers={"x-reading": str(feed.latest.number)},
    )


def _values(reading: Reading) -> dict[str, Any]:
    """Return what the live part shows."""
    health, signs = reading.health, reading.signs
    counts = signs.events if signs else []
    return {
        "reading": reading,
        "health": health,
        "signs": signs,
        "attention": [(line, _list_of(line)) for line in health.attention] if health else [],
        "states": STATES,
        "events": by_state(counts),
        "events_by_provider": by_provider(counts),
        "reasons": {schedule.name: schedule.why for schedule in TIMETABLE},
        "oldest_held": _oldest_held(health),
        "version": release_version(),
        # What each worker runs; a web process's report is read with its version.
        "versions": {each.worker: each.detail.version for each in signs.workers} if signs else {},
    }


def _list_of(line: str) -> str:
    """Return where what a line speaks of is listed; empty if nowhere."""
    if line.startswith("held ("):
        return "/approvals"
    if " asks about " in line:
        return "/approvals/inquiries"
    if " takes evidence for " in line:
        return "/payments/disputes"
    if "to providers" in line:
        return "/calls?state=dead"
    return next((path for start, path in _LISTS.items() if line.startswith(start)), "")


def _oldest_held(health: FleetHealth | None) -> float | None:
    """Return for how many seconds the oldest held event has been held."""
    if health is None:
        return None
    ages = [health.checked_at - held.oldest_at for held in health.held_by_reason]
    return max(ages).total_seconds() if ages else None
