"""The search box: any id of ours or of a provider, and the story of what has it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from db.console.event_list import list_providers
from db.operating.subjects import find_subjects
from workers.cli.explain.words import heading
from workers.console.pages.story import tell_lines

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit

# What has a page of its own. An id of a refund or a dispute means its payment.
_PAGES = {
    "event": "/events",
    "payment": "/payments",
    "refund": "/payments",
    "dispute": "/payments",
    "purchase": "/approvals/purchases",
    "profile": "/profiles",
}


async def show(visit: Visit) -> Response:
    """Tell the story of the one thing with this id, or name all that have it."""
    typed = visit.query.get("id", "")
    if not typed:
        return visit.page("search.html", title="Search", typed="", found=[], heading="", lines=[])
    providers = await list_providers(visit.pool)
    async with visit.pool.acquire() as connection:
        found = await find_subjects(connection, typed, providers=providers)
    one = found[0] if len({(each.kind, each.key) for each in found}) == 1 else None
    # A profile's statement tells no story: `profile:` and its id asks for that.
    if one is not None and one.kind in _PAGES and typed != f"profile:{one.key}":
        return visit.go_to(f"{_PAGES[one.kind]}/{one.key}")
    named = [
        (heading(each), f"/search?id={quote(f'{each.kind}:{each.key}', safe='')}") for each in found
    ]
    return visit.page(
        "search.html",
        status=HTTPStatus.OK if found else HTTPStatus.NOT_FOUND,
        title="Search",
        typed=typed,
        found=[] if one else named,
        heading=heading(one) if one else "",
        lines=await tell_lines(visit.pool, one) if one else [],
    )
