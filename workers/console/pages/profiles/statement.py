"""A profile's statement: what it has, and its entries with the balance after each."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

from db.console.statement import (
    ACCOUNTS,
    KINDS,
    EntryFilter,
    Holder,
    list_entries,
    read_correction,
    read_holder,
)
from workers.console.pages.links import links_of
from workers.console.rights import Right
from workers.console.times import read_time
from workers.console.visit import BadInput, NotFound, read_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from workers.console.visit import Visit

# The fields of the filter, as they stand in the address.
FIELDS = ("account", "kind", "since", "until")


async def show(visit: Visit) -> Response:
    """Show a page of the statement."""
    holder = await find_holder(visit)
    given = read_given(visit)
    before = visit.place("before")
    page = await list_entries(visit.pool, holder.profile_id, read_filter(given), before=before)
    return visit.page(
        "statement.html",
        title="Statement",
        holder=holder,
        given=given,
        account=given.get("account", ACCOUNTS[0]),
        kinds=KINDS,
        rows=[(each, _link(each.key)) for each in page.rows],
        **links_of(page, given, before=before),
        # A form that is sent twice moves coins once.
        key=new_key(),
        may_adjust=visit.may(Right.APPROVE),
        # Read back: a link may say anything.
        corrected=await read_correction(
            visit.pool, holder.profile_id, visit.query.get("adjusted", "")
        ),
    )


def new_key() -> str:
    """Return a key under which a correction is made at most once."""
    return f"console:{secrets.token_hex(12)}"


async def find_holder(visit: Visit) -> Holder:
    """Return the profile in the path. Raises NotFound."""
    text = str(visit.request.path_params["profile_id"])
    try:
        profile_id = UUID(text)
    except ValueError:
        raise NotFound(f"No profile has the id {text[:40]}.") from None
    holder = await read_holder(visit.pool, profile_id)
    if holder is None:
        raise NotFound(f"No profile has the id {profile_id}.")
    return holder


def read_given(visit: Visit) -> dict[str, str]:
    """Return the fields of the filter that are filled in."""
    return {name: visit.query[name] for name in FIELDS if visit.query.get(name)}


def read_filter(given: Mapping[str, str]) -> EntryFilter:
    """Return the filter. Raises BadInput."""
    wanted = given.get("account", ACCOUNTS[0])
    account = next((each for each in ACCOUNTS if each == wanted), None)
    if account is None:
        raise BadInput(f"An account is one of {', '.join(ACCOUNTS)}.")
    return EntryFilter(
        account=account,
        kind=given.get("kind"),
        since=read_time(given.get("since")),
        until=read_time(given.get("until")),
    )


def _link(key: str) -> str:
    """Return where the cause of an entry is told; empty if its key does not say."""
    cause, _, rest = key.partition(":")
    if cause == "purchase":
        return f"/search?id={quote(rest.partition(':')[2], safe='')}"
    if cause == "gift":
        return f"/search?id={quote(rest, safe='')}"
    number = rest.partition(":")[0]
    if cause == "reversal" and read_id(number) is not None:
        return f"/approvals/purchases/{number}"
    return ""
