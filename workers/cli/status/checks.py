"""What else `coinfleet status` asks the database: one question a function, all listed in CHECKS.

To add a line under attention, write a function that returns the lines to show (none if all is
well) and append it to CHECKS. Each runs with the schema owner's rights and a bounded time; one that
fails is itself a line, and the others are still asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from db.connections.explanations import explained_errors
from db.connections.pool import Pool
from db.errors import CoinfleetError
from db.health.status import (
    awaited_standbys,
    is_read_only,
    read_double_grants,
    read_held_counts,
    read_passing_failures,
)
from db.release.catalog import find_differences
from workers.cli.words import ago, counted, duration

# So many of a list are named, and the others counted.
FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a check may use; `now` is the database's time."""

    pool: Pool
    now: datetime
    held_after: timedelta


Check: TypeAlias = Callable[[Asked], Awaitable[list[str]]]


async def find_read_only_server(asked: Asked) -> list[str]:
    """Tell of a server that takes no writes."""
    if not await is_read_only(asked.pool):
        return []
    return ["the database is read-only: nothing is stored or applied; is this a standby?"]


async def find_lost_standby(asked: Asked) -> list[str]:
    """Tell of commits that wait for a synchronous standby which is not there."""
    names = await awaited_standbys(asked.pool)
    if names is None:
        return []
    line = (
        f"each commit waits for a synchronous standby (synchronous_standby_names = {names}) and"
        " none is connected: nothing is stored or applied until one is, or until that setting is"
        " emptied"
    )
    return [line]


async def find_held_money(asked: Asked) -> list[str]:
    """Tell what waits for a decision for longer than STATUS_HELD_AFTER_MINUTES, by reason."""
    return [
        f"held ({held.reason}): {counted(held.events, 'event')}"
        + (f" worth {held.worth_usd:,.2f} USD" if held.worth_usd else "")
        + f", the oldest (id {held.oldest_id}) {ago((asked.now - held.oldest_at).total_seconds())}:"
        " a person decides"
        for held in await read_held_counts(asked.pool)
        # One that is dated ahead has been held for nobody knows how long.
        if not timedelta(0) <= asked.now - held.oldest_at <= asked.held_after
    ]


async def find_damaged_schema(asked: Asked) -> list[str]:
    """Tell what was lost of what the release made, as after a restore, and what was added."""
    return await find_damage(asked.pool)


async def find_damage(pool: Pool) -> list[str]:
    """Return a line for what is lost, one for what tables lost, and one for what is added."""
    differences = await find_differences(pool) or []
    of_tables = [item for difference in differences for item in difference.lost_of_tables]
    lost = [item for difference in differences for item in difference.lost if item not in of_tables]
    gained = [item for difference in differences for item in difference.gained]
    lines = []
    if lost:
        lines.append(
            f"the database lacks what the release made: {_few(lost)}: run `coinfleet migrate`"
        )
    if of_tables:
        lines.append(
            f"tables lack what a migration made: {_few(of_tables)}: no release makes it again;"
            " make it by hand, as db/migrations has it"
        )
    if gained:
        lines.append(
            f"somebody added to what the release made: {_few(gained)}:"
            " undo it by hand if it stays after `coinfleet migrate`"
        )
    return lines


def _few(items: list[str]) -> str:
    more = len(items) - FEW
    return "; ".join(items[:FEW]) + (f" and {more:,} more" if more > 0 else "")


async def find_double_grants(asked: Asked) -> list[str]:
    """Tell of payments that were granted twice, until a person closes each."""
    return [
        f"granted twice: purchases {' and '.join(map(str, grant.purchase_ids))} are one payment"
        f" ({counted(grant.coins, 'coin')} in all): close it with"
        f" select fleet.close_double_grant({grant.purchase_ids[-1]}, true, 'who', 'why');"
        for grant in await read_double_grants(asked.pool)
    ]


# What passes has passed by then.
FAILING_AFTER = timedelta(minutes=15)


async def find_failing_events(asked: Asked) -> list[str]:
    """Tell which events fail for a cause that should have passed, and of what."""
    return [
        f"event {failing.event_id} ({failing.provider}) has been failing for"
        f" {duration(failing.failing_s)}: {failing.error}; it is tried on"
        for failing in await read_passing_failures(asked.pool, longer_than=FAILING_AFTER)
    ]


CHECKS: tuple[Check, ...] = (
    find_read_only_server,
    find_lost_standby,
    find_held_money,
    find_damaged_schema,
    find_failing_events,
    find_double_grants,
)


async def ask_checks(asked: Asked) -> list[str]:
    """Return the lines of all checks, in their order."""
    return [line for check in CHECKS for line in await _ask(check, asked)]


async def _ask(check: Check, asked: Asked) -> list[str]:
    try:
        with explained_errors():
            return await check(asked)
    except CoinfleetError as error:
        return [f"{check.__name__.replace('_', ' ')}: {error}"]
