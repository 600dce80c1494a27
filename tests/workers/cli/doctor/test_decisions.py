"""What `coinfleet doctor` finds that waits for a person, as `status` does, each with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tasks.findings import Verdict
from tests.db.books import PRICE_LIST, Books, Payment
from tests.provoking import case
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor.decisions import check_decisions
from workers.cli.status import checks as status_checks

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from workers.cli.status.checks import CheckContext
    from workers.cli.status.faults import Fault

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION
CALL = "insert into fleet.provider_calls (kind, key, {}) values ('{}', 'k', {})"
OLD = "now() - interval '20 minutes', now() - interval '20 minutes', 'ConnectError'"
INQUIRY = """
    with e as (
        insert into fleet.inbox_events
            (provider, provider_event_id, event_type, payload, payload_sha256, state, processed_at)
        values ('apple', 'n1', 'CONSUMPTION_REQUEST', '{{}}', '', 'applied', now()) returning id
    )
    insert into fleet.store_inquiries
        (provider, inquiry_id, event_id, store_app, asked_at, deadline)
    select 'apple', 'q1', id, 'app', now() - interval '9 hours', now() + interval '{}' from e
"""
READ = """
    insert into fleet.backfills
        (provider, is_scheduled, from_at, to_at, reached_at, worker, started_at, missed)
    values ('stripe', true, now(), now(), now() - interval '{}', 'w', now(), {}) returning id
"""
MISSED = f"""
    with b as ({READ.format("5 minutes", 1)}), e as (
        insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,
            payload_sha256, state, reason, processed_at)
        values ('stripe', 'evt_1', 'refund.updated', '{{}}', '', 'ignored', 'not_ours', now())
        returning id
    )
    insert into fleet.found_events
        (event_id, backfill_id, provider, event_type, made_at, found_at, is_missed)
    select e.id, b.id, 'stripe', 'refund.updated', now(), now(), true from e, b
"""
DISPUTE = """
    insert into fleet.disputes
        (provider, dispute_id, payment_id, amount_minor, told_at, status, currency, due_at)
    values ('stripe', 'dp_1', 1, 100, now(), '{}', '{}', now() + interval '{}')
"""
IN_EUROS = DISPUTE.format("won", "eur", "5 hours")
RATE = "insert into public.fx_rates values ('eur', 1.08, now() - interval '6 days')"


@pytest_asyncio.fixture
async def books(session: Connection) -> Books:
    """Books with a price list."""
    await session.execute(PRICE_LIST)
    return Books(session)


async def test_where_nothing_waits_all_is_well(session: Connection) -> None:
    (finding,) = await check_decisions(context(session))
    assert finding.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("cause", "verdict", "said"),
    [
        case(
            "call_fails",
            CALL.format("created_at, first_attempt_at, last_error", "stripe.refund", OLD),
            ATTENTION,
            "(stripe.refund) has been failing for 20 min: ConnectError",
        ),
        case(
            "messages_dead",
            CALL.format("state, last_error", "app.deliver", "'dead', '500'"),
            BROKEN,
            "given up: 1 message to the app, the oldest k (500)",
        ),
        case(
            "messages_not_taken",
            CALL.format("created_at, first_attempt_at, last_error", "app.deliver", OLD),
            ATTENTION,
            "1 message to the app not taken, the oldest (k) for 20 min: ConnectError",
        ),
        case(
            "messages_untried",
            CALL.format("created_at", "app.deliver", "now() - interval '5 minutes'"),
            ATTENTION,
            "1 message to the app untried, the oldest for 5 min",
        ),
        case(
            "confirmation_late",
            CALL.format("created_at", "google.consume", "now() - interval '12 minutes'"),
            ATTENTION,
            "no consumption at google: 1 purchase, the oldest for 12 min",
        ),
        case(
            "dispute_due",
            DISPUTE.format("needs_response", "usd", "5 hours"),
            ATTENTION,
            "stripe takes evidence for 1 dispute for less than 3 days",
        ),
        case("inquiry_open", INQUIRY.format("2 hours"), ATTENTION, "apple asks about 1 refund"),
        case(
            "inquiry_late",
            INQUIRY.format("-1 hour")
            + "; insert into fleet.provider_calls (kind, key, request, state, result, finished_at)"
            " values ('apple.answer_consumption', 'coinfleet:consumption:q1', '{}', 'done',"
            """ '{"note": "too_late"}', now())""",
            ATTENTION,
            "apple was not answered in time about 1 refund",
        ),
        case("events_missed", MISSED, ATTENTION, "missed: 1 event of stripe within a day"),
        case(
            "history_unread",
            READ.format("2 days", 0),
            ATTENTION,
            "the history of stripe is read only up to 2 d ago",
        ),
        case("rates_gone", IN_EUROS, ATTENTION, "no exchange rate of the last 7 days: eur (none)"),
        case("rates_old", f"{IN_EUROS}; {RATE}", ATTENTION, "exchange rates older than 5 days"),
    ],
)
async def test_what_status_tells_is_a_finding(
    session: Connection, cause: str, verdict: Verdict, said: str
) -> None:
    await session.execute(cause)
    how, what = await found(check_decisions, context(session))
    assert (how, said in what) == (verdict, True), what


@pytest.mark.provokes("calls_dead")
async def test_a_call_that_a_provider_refuses_for_good_is_broken(session: Connection) -> None:
    call_id = await session.fetchval(
        CALL.format("request", "stripe.refund", "'{}'") + " returning id"
    )
    claimed = "select * from fleet.claim_provider_calls('w', array['stripe.refund'], 9, 9, 90)"
    await session.execute(claimed)
    await session.execute("select fleet.fail_provider_call($1, 1, '404', 'refused')", call_id)
    (finding,) = await check_decisions(context(session))
    assert finding.verdict is BROKEN
    assert finding.what.startswith("dead: 1 call to providers, the oldest with id")
    assert finding.subject == f"call:{call_id}"
    assert f"`coinfleet replay calls {call_id} --why WHY`" in finding.fix
    wrong([finding])


@pytest.mark.provokes("app_told_nothing")
async def test_an_app_that_wants_no_messages_is_broken(session: Connection) -> None:
    call_id = await session.fetchval(
        CALL.format("request", "app.deliver", "'{}'") + " returning id"
    )
    claimed = "select * from fleet.claim_provider_calls('w', array['app.deliver'], 9, 9, 90)"
    await session.execute(claimed)
    await session.execute("select fleet.pause_provider_calls($1, 1, '410: no')", call_id)
    verdict, what = await found(check_decisions, context(session))
    assert (verdict, what) == (
        BROKEN,
        "the app is told nothing for 0 s (410: no): 1 message waiting",
    )


@pytest.mark.provokes("held_long")
async def test_a_purchase_that_is_held_for_too_long_is_told_with_its_age(books: Books) -> None:
    payment = Payment()
    await books.apply_one(payment.worth(await books.profile(), 25_001))
    # An event is aged by its row: nobody waits in a test.
    await books.db.execute(
        "update fleet.inbox_events set received_at = clock_timestamp() - interval '44 minutes',"
        " processed_at = clock_timestamp() - interval '44 minutes'"
    )
    verdict, what = await found(check_decisions, context(books.db))
    assert (verdict, "44 min ago: a person must decide" in what) == (ATTENTION, True), what
    patient = context(books.db, status_held_after_minutes=60)
    assert wrong(await check_decisions(patient)) == []


@pytest.mark.provokes("event_fails")
async def test_an_event_that_fails_for_a_cause_that_should_have_passed(books: Books) -> None:
    (event_id,) = await books.receive(Payment().not_ours())
    await books.db.execute(
        "select fleet.set_event_aside($1, '53100', '53100: No space left on device', true)",
        event_id,
    )
    await books.db.execute(
        "update fleet.set_aside_events set failing_since = failing_since - interval '16 minutes'"
    )
    (finding,) = await check_decisions(context(books.db))
    assert (finding.verdict, finding.subject) == (ATTENTION, f"event:{event_id}")
    wrong([finding])


@pytest.mark.provokes("granted_twice")
async def test_a_payment_that_was_granted_twice_is_broken(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer, payment_keys=[payment.intent]))
    other = payment.bought(buyer, provider_payment_id="cs_1", payment_keys=["cs_1"])
    await books.apply_one(other)
    await books.apply_one(payment.refund(1, payment_keys=[payment.intent, "cs_1"]))
    verdict, what = await found(check_decisions, context(books.db))
    assert (verdict, what.startswith("granted twice: purchases")) == (BROKEN, True)


@pytest.mark.provokes("refund_missing")
async def test_a_rejection_whose_money_does_not_go_back_is_broken(books: Books) -> None:
    payment = Payment()
    await books.apply_one(payment.worth(await books.profile(), 25_001))
    purchase_id = (await books.purchase(payment))["id"]
    await books.db.execute("select public.reject_coin_purchase($1, 'ann', 'why')", purchase_id)
    await books.db.execute(
        "update fleet.provider_calls set state = 'done', finished_at = now(), result = $1",
        f'{{"refund_id": "{payment.refund(1).refund_id}"}}',
    )
    for status in ("pending", "failed"):
        await books.apply_one(payment.refund(2_500_100, status=status))
    verdict, what = await found(check_decisions, context(books.db))
    assert (verdict, "was rejected" in what) == (BROKEN, True)


@pytest.mark.provokes("check_failed")
async def test_a_question_that_cannot_be_asked_is_a_finding_and_the_others_go_on(
    session: Connection,
) -> None:
    await session.execute("drop function fleet.stale_rates(timestamptz)")
    await session.execute(CALL.format("state, last_error", "app.deliver", "'dead', '500'"))
    findings = await check_decisions(context(session))
    assert {each.code for each in findings} == {"check_failed", "messages_dead"}
    wrong(findings)


async def test_each_question_of_status_has_a_finding_with_a_fix(session: Connection) -> None:
    """A new question of `status` is one of the doctor's, too, unless another row has it."""
    asked = []

    async def find_something(given: CheckContext) -> list[Fault]:
        asked.append(given)
        return []

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(status_checks, "CHECKS", (*status_checks.CHECKS, find_something))
        await check_decisions(context(session))
    assert len(asked) == 1
