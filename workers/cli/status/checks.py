"""Further questions of `coinfleet status` to the database, one per function, listed in CHECKS.

To add one, write a function that returns the faults (none if all is well) and append it to CHECKS;
the doctor shows what it finds, too. Each runs with the rights of the schema's owner or of the
console, and for a bounded time. One that fails is a fault, and the others still run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from db.connections.explanations import explained_errors
from db.connections.pool import Pool
from db.errors import CoinfleetError
from db.health.calls import (
    ParkedCall,
    read_dead_calls,
    read_failing_calls,
    read_untried_calls,
)
from db.health.refunds import MissingRefund, read_missing_refunds
from db.health.status import (
    HeldCount,
    awaited_standbys,
    is_read_only,
    read_double_grants,
    read_held_counts,
    read_passing_failures,
)
from db.release.catalog import find_differences
from workers.cli.status.confirmations import find_late
from workers.cli.status.disputes import find_due
from workers.cli.status.faults import Fault
from workers.cli.status.histories import find_missed
from workers.cli.status.inquiries import find_open_inquiries
from workers.cli.status.messages import find_untold
from workers.cli.status.rates import find_stale
from workers.cli.words import ago, counted, duration
from workers.settings import API_KEYS

# So many items of a list are named; the others are counted.
NAMED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a check may use; `now` is the database's time."""

    pool: Pool
    now: datetime
    held_after: timedelta


Check: TypeAlias = Callable[[CheckContext], Awaitable[list[Fault]]]


async def find_read_only_server(context: CheckContext) -> list[Fault]:
    """Return a fault if the server is read-only."""
    if not await is_read_only(context.pool):
        return []
    what = "the database is read-only: nothing is stored or applied; is this a standby?"
    return [Fault("database_read_only", what)]


async def find_lost_standby(context: CheckContext) -> list[Fault]:
    """Return a fault if commits wait for a synchronous standby that is not connected."""
    names = await awaited_standbys(context.pool)
    if names is None:
        return []
    line = (
        f"each commit waits for a synchronous standby (synchronous_standby_names = {names}) and"
        " none is connected: nothing is stored or applied until one connects, or until that setting"
        " is empty"
    )
    return [Fault("standby_awaited", line)]


async def find_held_money(context: CheckContext) -> list[Fault]:
    """Return a fault per reason for what is held for longer than STATUS_HELD_AFTER_MINUTES."""
    return [
        _held(held, now=context.now)
        for held in await read_held_counts(context.pool)
        # If its time is in the future, nobody knows for how long it has been held.
        if not timedelta(0) <= context.now - held.oldest_at <= context.held_after
    ]


def _held(held: HeldCount, *, now: datetime) -> Fault:
    worth = f" worth {held.worth_usd:,.2f} USD" if held.worth_usd else ""
    age = ago((now - held.oldest_at).total_seconds())
    which = f" (event {held.oldest_id})" if held.oldest_id is not None else ""
    return Fault(
        "held_long",
        f"held ({held.reason}): {counted(held.events, 'payment')}{worth}, the oldest{which} {age}:"
        " a person must decide",
        subject=f"event:{held.oldest_id}" if which else "",
    )


async def find_damaged_schema(context: CheckContext) -> list[Fault]:
    """Return what the database lost of this release, as after a restore, and what was added."""
    return [Fault("schema_damaged", line) for line in await find_damage(context.pool)]


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
            " make it by hand, as in db/migrations"
        )
    if gained:
        lines.append(
            f"somebody added to what the release made: {_few(gained)}:"
            " undo it by hand if it stays after `coinfleet migrate`"
        )
    return lines


def _few(items: list[str]) -> str:
    more = len(items) - NAMED_MAX
    return "; ".join(items[:NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")


async def find_double_grants(context: CheckContext) -> list[Fault]:
    """Return a fault per payment that was granted twice, until a person closes it."""
    return [
        Fault(
            "granted_twice",
            f"granted twice: purchases {' and '.join(map(str, grant.purchase_ids))} are one payment"
            f" ({counted(grant.coins, 'coin')} in all)",
            "close it with"
            f" select fleet.close_double_grant({grant.purchase_ids[-1]}, true, 'who', 'why');",
        )
        for grant in await read_double_grants(context.pool)
    ]


# A passing cause has passed by then.
FAILING_AFTER = timedelta(minutes=15)


async def find_failing_events(context: CheckContext) -> list[Fault]:
    """Return a fault per event that fails for a cause that should have passed by now."""
    return [
        Fault(
            "event_fails",
            f"event {failing.event_id} ({failing.provider}) has been failing for"
            f" {duration(failing.failing_s)}: {failing.error}; attempts go on",
            subject=f"event:{failing.event_id}",
        )
        for failing in await read_passing_failures(context.pool, longer_than=FAILING_AFTER)
    ]


# A worker looks for calls each second.
UNTRIED_AFTER = timedelta(minutes=1)
_MAKE_AGAIN = "`coinfleet replay calls {} --why WHY`"


async def find_dead_calls(context: CheckContext) -> list[Fault]:
    """Return a fault for calls to providers that are not made any more."""
    dead = await read_dead_calls(context.pool)
    if dead is None:
        return []
    calls, oldest = dead
    waits = f", for which event {oldest.event_id} waits" if oldest.event_id else ""
    fault = Fault(
        "calls_dead",
        f"dead: {counted(calls, 'call')} to providers, the oldest with id {oldest.id}"
        f" ({oldest.kind}: {oldest.last_error}){waits}",
        f"remove the cause, then have it made again: {_MAKE_AGAIN.format(oldest.id)}",
        subject=f"call:{oldest.id}",
    )
    return [fault]


async def find_failing_calls(context: CheckContext) -> list[Fault]:
    """Return a fault per call that fails for a cause that should have passed by now."""
    failing = await read_failing_calls(context.pool, longer_than=FAILING_AFTER)
    more = len(failing) - NAMED_MAX
    found = [_failing_call(each) for each in failing[:NAMED_MAX]]
    if more > 0:
        found.append(Fault("call_fails", f"{counted(more, 'more call')} like that"))
    return found


def _failing_call(call: ParkedCall) -> Fault:
    return Fault(
        "call_fails",
        f"call {call.id} ({call.kind}) has been failing for {duration(call.failing_s)}:"
        f" {call.last_error}; attempts go on",
        subject=f"call:{call.id}",
    )


async def find_untried_calls(context: CheckContext) -> list[Fault]:
    """Return a fault per provider to whom calls wait that no worker makes."""
    return [
        Fault(
            "calls_untried",
            f"calls to {waiting.provider}: {waiting.calls:,} untried, the oldest for"
            f" {duration(waiting.oldest_s)}, because no worker can make them",
            f"set {' and '.join(_keys(waiting.provider))} for `worker`",
        )
        for waiting in await read_untried_calls(context.pool, longer_than=UNTRIED_AFTER)
    ]


def _keys(provider: str) -> list[str]:
    return sorted(name for name in API_KEYS if name.startswith(f"{provider.upper()}_"))


# A bank takes days to pay back, and Stripe a minute to say that it has begun.
UNREFUNDED_AFTER = timedelta(days=1)


async def find_missing_refunds(context: CheckContext) -> list[Fault]:
    """Return a fault per payment that a person rejected and whose money does not go back."""
    missing = await read_missing_refunds(context.pool, longer_than=UNREFUNDED_AFTER)
    return [_missing_refund(each) for each in missing]


def _missing_refund(missing: MissingRefund) -> Fault:
    what = f"event {missing.event_id}"
    if missing.purchase_id:
        what = f"purchase {missing.purchase_id} ({counted(missing.coins or 0, 'coin')})"
    again = _MAKE_AGAIN.format(missing.call_id)
    match missing.call_state:
        case "done" if missing.refund_status:
            why = f"refund {missing.refund_id} is {missing.refund_status}"
            remedy = f"pay it back by hand at {missing.provider}, or have it made again: {again}"
        case "done":
            refund = f"refund {missing.refund_id}" if missing.refund_id else "the call for it"
            why = f"{missing.provider} took {refund} and has told of no refund"
            remedy = "look it up there; an event of the refund closes it"
        case "dead":
            why = f"call {missing.call_id} is dead ({missing.call_error})"
            remedy = f"pay it back by hand at {missing.provider}, or have it made again: {again}"
        case _:
            error = f" ({missing.call_error})" if missing.call_error else ""
            why = f"call {missing.call_id} waits to be made{error}"
            remedy = f"remove the cause; `coinfleet explain call:{missing.call_id}` tells more"
    told = f"{what} was rejected {ago(missing.age_s)} and is not refunded: {why}"
    return Fault("refund_missing", told, remedy, subject=f"call:{missing.call_id}")


async def find_late_confirmations(context: CheckContext) -> list[Fault]:
    """Return a fault for purchases that a store refunds, or whose buyers cannot buy again."""
    return await find_late(context.pool)


async def find_questions_of_stores(context: CheckContext) -> list[Fault]:
    """Return a fault per store that asks about refunds."""
    return await find_open_inquiries(context.pool, now=context.now)


async def find_missed_webhooks(context: CheckContext) -> list[Fault]:
    """Return what webhooks did not bring, and what is not looked for any more."""
    return await find_missed(context.pool, now=context.now)


async def find_stale_rates(context: CheckContext) -> list[Fault]:
    """Return which currencies that are paid in have no rate that counts."""
    return await find_stale(context.pool, now=context.now)


async def find_due_disputes(context: CheckContext) -> list[Fault]:
    """Return a fault per provider that waits for evidence, if its time is nearly over."""
    return await find_due(context.pool, now=context.now)


async def find_untold_app(context: CheckContext) -> list[Fault]:
    """Return what the app is not told although it should be."""
    return await find_untold(context.pool)


CHECKS: tuple[Check, ...] = (
    find_read_only_server,
    find_lost_standby,
    find_held_money,
    find_damaged_schema,
    find_failing_events,
    find_double_grants,
    find_dead_calls,
    find_failing_calls,
    find_untried_calls,
    find_missing_refunds,
    find_late_confirmations,
    find_missed_webhooks,
    find_questions_of_stores,
    find_due_disputes,
    find_untold_app,
    find_stale_rates,
)


async def run_checks(context: CheckContext, *, but: Collection[Check] = ()) -> list[Fault]:
    """Return the faults that all checks find, in their order, but those left out."""
    return [fault for check in CHECKS if check not in but for fault in await _run(check, context)]


async def _run(check: Check, context: CheckContext) -> list[Fault]:
    try:
        with explained_errors():
            return await check(context)
    except CoinfleetError as error:
        return [Fault("check_failed", f"{check.__name__.replace('_', ' ')}: {error}")]
