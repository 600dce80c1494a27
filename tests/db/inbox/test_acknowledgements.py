"""Whatever somebody is told is on disk by then: each function that a person or the app calls.

What a worker or a scheduler writes is answered to nobody. After a crash it is done again, or it is
in the ledger, which commits durably by itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest_asyncio

from db.facts import StoreInquiry
from tests.db.approvals.decisions import set_rules
from tests.db.books import NOON, Books, Payment
from tests.db.books import PRICE_LIST as STRIPES_PRICE_LIST
from tests.db.release.catalog_queries import EXECUTABLE, FUNCTIONS, functions, rows
from tests.db.stores.sales import PRICE_LIST as STORES_PRICE_LIST
from tests.db.stores.sales import Sale

if TYPE_CHECKING:
    from db.connections.pool import Connection

# Each is called in a transaction of its own, which is rolled back.
CALLS = """
fleet.adjust_balance('{buyer}', 5, 'ann', 'why', 'key')
fleet.answer_inquiry({inquiry}, 'decline', 'ann', 'why')
fleet.close_double_grant({granted_twice}, false, 'ann', 'why')
fleet.close_id_conflict({conflict}, 'ann', 'why')
fleet.close_other_account({granted}, 'ann', 'why')
fleet.configure(1, 1, 1, 1)
fleet.configure_app_events(true)
fleet.configure_consent(false)
fleet.configure_decisions(1, 1)
fleet.configure_stores('grant', '{{}}', 1)
fleet.end_console_session('\\x01')
fleet.erase_profile('{buyer}', 'ann', 'why')
fleet.pause_schedule('job', 'ann', 'why')
fleet.payload_of({event}, 'ann', 'why')
fleet.replay_calls('{{}}', 'ann', 'why', '{{}}')
fleet.replay_deliveries('{{}}', 'ann', 'why', '{{}}')
fleet.replay_events('{{}}', '{{}}', 'ann', 'why', '{{}}')
fleet.resume_schedule('job', 'ann', 'why')
fleet.revoke_console_sessions('ann', 'bea')
fleet.run_schedule('job', 'ann', 'why')
fleet.set_rates('{{eur}}', '{{1.1}}', array[now()], true, now())
fleet.store_events('{{stripe}}', '{{evt}}', '{{t}}', '{{x}}', '{{x}}', '{{pending}}', '{{null}}')
fleet.store_traced_events(
    '{{stripe}}', '{{evt}}', '{{t}}', '{{x}}', '{{x}}', '{{pending}}', '{{null}}', '{{null}}'
)
public.approve_coin_purchase({held}, 'ann', 'why')
public.attribute_held_event({event}, '{buyer}', 'ann', 'why')
public.process_coin_purchase('{buyer}', 'stripe', 'evt', 'pi', 100, 1.00)
public.process_coin_purchase('{buyer}', 'stripe', 'evt', 'pi', 100, 30000)
public.process_gift('{streamer}', 'rose', 'key')
public.reject_coin_purchase({held}, 'ann', 'why')
public.reject_held_event({event}, 'ann', 'why')
public.release_coin_purchase({held}, 'ann', 'why')
public.update_coin_balance_via_ledger('{buyer}', 5, 'gift of the house', 'key')
"""
NOT_ACKNOWLEDGING = {
    **dict.fromkeys(
        ("fleet.backfill_statuses", "fleet.passing_failures", "fleet.vital_signs"), "only reads"
    ),
    **dict.fromkeys(
        (
            "fleet.console_session",
            "fleet.report_web",
            "public.update_viewer_heartbeat",
            "public.update_viewer_heartbeats",
        ),
        "a sign of life: the next one says more",
    ),
    **dict.fromkeys(
        (
            "fleet.count_gifts",
            "fleet.make_profiles",
            "fleet.mend_sequences",
            "fleet.record_catalog",
            "fleet.revoke_functions",
        ),
        "a step of a release, which does whatever is missing",
    ),
    "fleet.ask_trial": "changes nothing: it is asked for again",
    "fleet.note_refused_sign_in": "nobody is told that it was noted",
    "fleet.open_console_session": "whoever has lost it signs in again",
}


@pytest_asyncio.fixture
async def named(db: Connection) -> dict[str, object]:
    """What the calls name: each can be decided, closed or answered."""
    # Not the fixture, which would find the payment that is granted twice.
    books = Books(db)
    await db.execute(STRIPES_PRICE_LIST)
    await db.execute(STORES_PRICE_LIST)
    buyer, streamer = await books.profile(coins=1_000), await books.profile()
    await set_rules(db, second_above=1)
    await db.execute("select fleet.configure_consent(true)")
    (event,) = await books.receive(Payment().bought(None, buyer_unreadable=True))
    by_intent, clashing, sale = Payment(), Payment(), Sale("apple")
    buy = "select public.process_coin_purchase($1, $2, $3, $4, 100, 1.00)"
    for provider, name, payment in (
        ("stripe", "evt_by_charge", by_intent.charge),
        ("stripe", "evt_by_intent", by_intent.intent),
        ("app", "evt_by_app", clashing.intent),
    ):
        await db.execute(buy, buyer, provider, name, payment)
    (conflict,) = await books.receive(clashing.bought(buyer))
    asked_at = await db.fetchval("select clock_timestamp()")
    await books.apply(
        Payment().bought(buyer),
        Payment().worth(buyer, 30_000),
        by_intent.bought(buyer),
        sale.sold(buyer),
        StoreInquiry(
            payment_keys=[sale.name],
            inquiry_id=sale.name,
            store_app=sale.app,
            asked_at=asked_at,
            deadline=asked_at.replace(year=NOON.year + 10),
            reason="OTHER",
            told=sale.reversed(0, asked_at),
        ),
    )
    found = await db.fetchrow(
        "select"
        " (select id from public.coin_purchases where requires_approval) as held,"
        " (select min(purchase_id) from fleet.joined_purchases) as granted_twice,"
        " (select min(cp.id) from public.coin_purchases as cp join fleet.inbox_events as e"
        " using (provider, provider_event_id) where cp.provider = 'stripe'"
        " and cp.granted_at is not null) as granted,"
        " (select id from fleet.store_inquiries) as inquiry"
    )
    assert found is not None
    return {"buyer": buyer, "streamer": streamer, "event": event, "conflict": conflict, **found}


def called() -> list[tuple[str, str]]:
    """Return the name of each function that is called, and the call."""
    calls = re.split(r"\n(?=\w)", CALLS.strip())
    return [(call.partition("(")[0], call) for call in calls]


async def commits_with(db: Connection, call: str, claims: str) -> str:
    """Return the setting with which a transaction would commit that began without durability."""
    transaction = db.transaction()
    await transaction.start()
    try:
        await db.execute(
            "select set_config('synchronous_commit', 'off', true),"
            " set_config('request.jwt.claims', $1, true)",
            claims,
        )
        await db.execute(f"select {call}")
        found: str = await db.fetchval("select current_setting('synchronous_commit')")
        return found
    finally:
        await transaction.rollback()


async def test_whatever_is_acknowledged_is_on_disk(
    db: Connection, named: dict[str, object]
) -> None:
    claims = json.dumps({"role": "authenticated", "sub": str(named["buyer"])})
    found = {call: await commits_with(db, call.format_map(named), claims) for _, call in called()}
    assert {call for call, setting in found.items() if setting != "on"} == set()


async def test_each_function_that_somebody_calls_acknowledges_or_says_why_not(
    db: Connection,
) -> None:
    granted = await rows(db, EXECUTABLE)
    code = await functions(db)
    writing = f"""
        select name from ({FUNCTIONS}) as f
        where provolatile = 'v' and (
            select prorettype <> 'trigger'::regtype from pg_proc as p where p.oid = f.oid
        )
    """
    answering = set()
    for (name,) in await rows(db, writing):
        callers = {role for role, function in granted if function == name}
        # The owner's: granted to nobody, and no part of another function.
        is_owners = not callers and not any(
            f"{name}(" in text for other, text in code.items() if other != name
        )
        if is_owners or callers - {"coinfleet_worker", "coinfleet_scheduler"}:
            answering.add(name)
    known = {name for name, _ in called()} | NOT_ACKNOWLEDGING.keys()
    assert answering - known == set()
    # The one of these that other functions call as well.
    assert known - answering == {"public.update_coin_balance_via_ledger"}
