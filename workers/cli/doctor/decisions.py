"""What waits for a person: held and dead work, missed events, refunds, disputes, messages.

Finds what `coinfleet status` finds, by the same questions, and says what to type. Asks the database
alone; what other checks here look at is left to them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.health.status import read_clock
from db.release.compatibility import is_current
from tasks.findings import Finding, attention, broken, not_checked, ok
from workers.cli.status.checks import (
    CheckContext,
    find_damaged_schema,
    find_lost_standby,
    find_read_only_server,
    find_untried_calls,
    run_checks,
)

if TYPE_CHECKING:
    from workers.cli.doctor.examining import Context
    from workers.cli.status.faults import Fault

# Whose own rows say more of it: `schema`, `server` and `calls`.
ELSEWHERE = (find_damaged_schema, find_lost_standby, find_read_only_server, find_untried_calls)
# What does not go on by itself, and where money or a message is lost meanwhile.
BROKEN = frozenset(
    {"calls_dead", "messages_dead", "app_told_nothing", "granted_twice", "refund_missing"}
)
# Of the faults that `status` tells without a remedy, by code.
FIXES = {
    "held_long": "`coinfleet purchases held` lists them; `approve` or `reject` each, or in the"
    " console on the page Approvals",
    "event_fails": "remove the cause: `coinfleet explain event:ID` says more",
    "call_fails": "remove the cause: `coinfleet explain call:ID` says more",
    "confirmation_late": "see that `worker` has that store's keys; `coinfleet purchases held` lists"
    " those without a buyer",
    "history_unread": "see that `worker` has that provider's keys and that missed_events is run:"
    " `coinfleet schedules list`",
    "dispute_due": "answer it at the provider: the console's page Disputes links each",
    "inquiry_late": "see `coinfleet purchases inquiries`, and answer the next ones in time",
    "messages_not_taken": "mend what the app's address answers; then `coinfleet replay deliveries`",
    "check_failed": "remove that cause, then run this again",
}


async def check_decisions(context: Context) -> list[Finding]:
    """Say what waits for a person, as `coinfleet status` does."""
    if not await is_current(context.database):
        return [not_checked("the database is not this release's", fix="see `schema`")]
    asked = CheckContext(
        pool=context.database,
        now=await read_clock(context.database),
        held_after=timedelta(minutes=context.settings.status_held_after_minutes),
    )
    found = [_judged(each) for each in await run_checks(asked, but=ELSEWHERE)]
    return found or [ok("nothing waits for a person")]


def _judged(fault: Fault) -> Finding:
    judge = broken if fault.code in BROKEN else attention
    return judge(fault.code, fault.what, fix=fault.fix or FIXES[fault.code], subject=fault.subject)
