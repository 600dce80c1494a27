"""Stripe's list of events as its API gives it: filters, both directions of pages, 30 days."""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import QueryParams

KEPT_S = 30 * 24 * 3_600
TYPES_MAX = 20
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


class ListRefused(Exception):
    """The request is refused: an unknown event to go on from, or a parameter out of range."""


def list_events(
    events: Sequence[dict[str, Any]], asked: QueryParams, *, now_s: float
) -> dict[str, Any]:
    """Return a page of `events` (the oldest first) as the API lists them, the newest first.

    `starting_after` goes on to older events, `ending_before` to newer ones. Raises ListRefused.
    """
    limit = int(asked.get("limit", "10"))
    # types[]=a&types[]=b, or types[0]=a&types[1]=b, as Stripe's own library has it.
    types = [value for name, value in asked.multi_items() if name.startswith("types[")]
    if not 1 <= limit <= 100 or len(types) > TYPES_MAX:
        raise ListRefused
    kept = [event for event in reversed(events) if now_s - event["created"] < KEPT_S]
    found = [event for event in kept if _is_asked_for(event, asked, types)]
    if "ending_before" in asked:
        newer = found[: _place(kept, found, asked["ending_before"])]
        page, has_more = newer[-limit:], len(newer) > limit
    else:
        after = asked.get("starting_after")
        older = found[_place(kept, found, after, is_behind=True) :] if after else found
        page, has_more = older[:limit], len(older) > limit
    return {"object": "list", "url": "/v1/events", "data": page, "has_more": has_more}


def _is_asked_for(event: dict[str, Any], asked: QueryParams, types: Sequence[str]) -> bool:
    if types and event["type"] not in types:
        return False
    wildcard = asked.get("type")
    if wildcard and event["type"] != wildcard:
        group = wildcard.removesuffix("*")
        if group == wildcard or not event["type"].startswith(group):
            return False
    return all(
        compare(event["created"], int(asked[f"created[{name}]"]))
        for name, compare in _COMPARISONS.items()
        if f"created[{name}]" in asked
    )


def _place(
    kept: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    event_id: str,
    *,
    is_behind: bool = False,
) -> int:
    """Return where in `found` an event stands, or would stand if it were asked for."""
    places = {event["id"]: no for no, event in enumerate(kept)}
    if event_id not in places:
        raise ListRefused
    before = [event for event in found if places[event["id"]] < places[event_id]]
    is_there = any(event["id"] == event_id for event in found)
    return len(before) + (is_there and is_behind)
