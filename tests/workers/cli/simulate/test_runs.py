"""`coinfleet simulate`: what it plans, delivers and finds; tests/journeys runs all of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from db import reconciliation, simulation
from db.inbox.arrivals import store_arrivals
from tasks.payment_events import process_payment_events
from tasks.providers.app import App
from tasks.providers.stripe import Stripe
from tests.tasks.contexts import make_context
from tests.workers.cli.operators import coinfleet
from tests.workers.cli.simulate.plans import RULES, SECRETS, clean_findings, make_plan
from workers.cli.simulate import delivery as simulate_delivery
from workers.cli.simulate.cases.mix import GuardrailsTooTight
from workers.cli.simulate.delivery import Deliveries, deliver
from workers.cli.simulate.http import Address
from workers.cli.simulate.plan import Balance, Outcome, Plan, PlannedGift, PlannedPayment
from workers.cli.simulate.prices import GIFT_TYPES, PACKAGES
from workers.cli.simulate.run import Options, deliveries_in_order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from workers.cli.simulate.plan import PlannedEvent

OPTIONS = Options(events=10, rate_per_s=None, seed=1, duplicates=3, shuffle=False)


# The plan


@pytest.mark.parametrize("events", [1, 5, 99, 100, 101, 1_000])
def test_a_plan_has_exactly_the_events_asked_for(events: int) -> None:
    assert len(make_plan(events)) == events


def test_each_event_has_an_id_of_its_own_that_names_the_run() -> None:
    ids = make_plan(1_000, run="simabc").all_events
    assert len(ids) == 1_000
    assert all("simabc" in event_id for event_id in ids)


def test_the_same_seed_plans_the_same_cases() -> None:
    streams = {uuid4(): 1, uuid4(): 2}
    plans = [make_plan(500, seed=seed, streams=streams) for seed in (4, 4, 5)]
    planned = [[(each.event_id, each.outcomes) for each in plan.events] for plan in plans]
    assert planned[0] == planned[1] != planned[2]


def test_a_thousand_events_contain_every_hold_and_most_refusals() -> None:
    outcomes = {each for event in make_plan(1_000).events for each in event.outcomes}
    assert {reason for state, reason in outcomes if state == "held"} == {
        *("over_limit", "velocity", "needs_approval", "unknown_buyer"),
        *("unknown_product", "wrong_amount", "no_fx_rate"),
    }
    assert {reason for state, reason in outcomes if state == "rejected"} == {
        *("insufficient_coins", "unknown_recipient", "unknown_gift_type", "self_gift"),
        "livemode_mismatch",
    }


def test_nothing_that_a_plan_tells_happens_later_than_now() -> None:
    """An operator reads a dispute's age in `coinfleet status`; what it tells comes after it."""
    plan, now_s = make_plan(1_000), time.time()
    disputes = 0
    for event in plan.all_events.values():
        if event.provider != "stripe":
            continue
        told = json.loads(event.sign(SECRETS, at_s=now_s).body)
        about = told["data"]["object"]
        assert about.get("created", now_s) <= now_s, event.event_id
        assert told["created"] <= now_s, event.event_id
        if about["object"] == "dispute":
            disputes += 1
            assert told["created"] >= about["created"], event.event_id
    assert disputes


def test_guardrails_that_hold_ordinary_purchases_refuse_the_run() -> None:
    with pytest.raises(GuardrailsTooTight, match=r"\$299\.97"):
        make_plan(10, rules=replace(RULES, approval_threshold_usd=Decimal(100)))


def test_a_purchase_over_the_limit_is_not_planned_as_one_that_needs_approval() -> None:
    plan = make_plan(200, rules=replace(RULES, limit_usd=RULES.approval_threshold_usd))
    assert Outcome("held", "needs_approval") not in {
        outcome for event in plan.events for outcome in event.outcomes
    }


def test_a_reversal_takes_coins_in_proportion_and_rounds_down() -> None:
    payment = PlannedPayment(buyer=uuid4(), coins=100, paid_minor=99, reversed_minor=33)
    assert payment.coins_left == 100 - 33


def test_a_gift_moves_coins_only_if_it_was_applied() -> None:
    sender, recipient = uuid4(), uuid4()
    gift = PlannedGift(event_id="g", sender=sender, recipient=recipient, coins=10, streamer_share=7)
    plan = Plan("sim", people={sender: "sender", recipient: "recipient"}, gifts=[gift])
    assert plan.balances(set()) == {sender: Balance(), recipient: Balance()}
    assert plan.balances({"g"}) == {sender: Balance(-10, 0), recipient: Balance(0, 7)}


# Its deliveries


def test_copies_of_an_event_follow_it_and_those_of_the_opening_come_later() -> None:
    plan = make_plan(60)
    first, rest = deliveries_in_order(plan, OPTIONS)
    assert first == plan.opening
    assert rest[len(plan.opening) * 2 :][:3] == [plan.events[0]] * 3


def test_shuffling_loses_no_delivery() -> None:
    plan = make_plan(60)
    _, rest = deliveries_in_order(plan, OPTIONS)
    _, shuffled = deliveries_in_order(plan, replace(OPTIONS, shuffle=True))
    assert shuffled != rest
    assert Counter(each.event_id for each in shuffled) == Counter(each.event_id for each in rest)


@asynccontextmanager
async def receiver(*answers: int) -> AsyncIterator[Address]:
    """A receiver that gives these answers in turn, then 200; at 0 it closes the connection."""
    left = deque(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            status = left.popleft() if left else 200
            if not status:
                break
            writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n\r\nok" % status)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Address(*server.sockets[0].getsockname())
    server.close()


async def deliver_to(address: Address, events: Sequence[PlannedEvent]) -> Deliveries:
    """Deliver the events."""
    deliveries = Deliveries()
    await deliver(
        events,
        address=address,
        secrets=SECRETS,
        rate_per_s=None,
        deliveries=deliveries,
        on_end=lambda: None,
    )
    return deliveries


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without a pause."""
    monkeypatch.setattr(simulate_delivery, "FIRST_PAUSE_S", 0)


@pytest.mark.parametrize("answer", [503, 502, 429, 408, 0])
@pytest.mark.usefixtures("at_once")
async def test_a_delivery_is_repeated_until_it_is_acknowledged(answer: int) -> None:
    (event,) = make_plan(1).events
    async with receiver(answer, answer) as address:
        deliveries = await deliver_to(address, [event])
    assert (deliveries.delivered, deliveries.retried) == (1, 2)
    assert deliveries.acknowledged == {event.event_id}


@pytest.mark.parametrize("answer", [400, 409, 413, 500])
async def test_a_delivery_that_is_refused_for_good_is_not_repeated(answer: int) -> None:
    (event,) = make_plan(1).events
    async with receiver(answer) as address:
        deliveries = await deliver_to(address, [event])
    assert deliveries.refused == {answer: 1}
    assert (deliveries.ended, deliveries.retried, deliveries.acknowledged) == (1, 0, set())


@pytest.mark.usefixtures("at_once")
async def test_deliveries_to_an_unreachable_receiver_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulate_delivery, "GIVE_UP_AFTER_S", 0)
    async with receiver() as address:
        pass
    deliveries = await deliver_to(address, make_plan(3).events)
    assert (deliveries.given_up, deliveries.acknowledged) == (3, set())


async def test_everything_is_delivered_at_a_given_rate_too() -> None:
    plan = make_plan(5)
    deliveries = Deliveries()
    async with receiver() as address:
        await deliver(
            plan.events,
            address=address,
            secrets=SECRETS,
            rate_per_s=1_000,
            deliveries=deliveries,
            on_end=lambda: None,
        )
    assert deliveries.acknowledged == {event.event_id for event in plan.events}


# Its findings


def test_a_run_that_went_as_planned_has_no_breach() -> None:
    assert clean_findings(make_plan(300)).breaches == []


def test_an_acknowledged_event_that_is_not_stored_is_a_breach() -> None:
    plan = make_plan(1)
    (event_id,) = plan.all_events
    (breach, *_) = clean_findings(plan, outcomes={}).breaches
    assert breach == f"1 event acknowledged and then not in the inbox: {event_id}"


def test_an_event_that_nobody_acknowledged_is_a_breach() -> None:
    deliveries = Deliveries(refused=Counter({400: 5}))
    breaches = clean_findings(make_plan(5), deliveries=deliveries).breaches
    assert breaches[0].startswith("5 events never acknowledged: ")
    assert breaches[1] == "answered 400: 5 times"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome("pending"), "1 event still pending: "),
        (Outcome("dead", "failed"), "1 event dead: "),
        (Outcome("held", "over_limit"), "1 event ended otherwise than planned: "),
        (Outcome("applied", "duplicate_payment"), "1 event ended otherwise than planned: "),
    ],
    ids=str,
)
def test_an_event_with_an_unplanned_outcome_is_a_breach(outcome: Outcome, expected: str) -> None:
    plan = make_plan(1)
    findings = clean_findings(plan)
    outcomes = dict.fromkeys(findings.outcomes, outcome)
    (breach, *_) = clean_findings(plan, outcomes=outcomes, balances=findings.balances).breaches
    assert breach.startswith(expected)


def test_a_balance_that_was_not_sent_is_a_breach() -> None:
    plan = make_plan(1)
    findings = clean_findings(plan)
    rich = {person: Balance(coins + 1) for person, (coins, _) in findings.balances.items()}
    (breach,) = clean_findings(plan, balances=rich).breaches
    assert breach.startswith("3 balances wrong: simtest-streamer-1 has 1 coins")


def test_a_broken_invariant_is_a_breach() -> None:
    (breach,) = clean_findings(make_plan(1), invariants={"accounts_have_no_gaps": 2}).breaches
    assert breach == "invariant accounts_have_no_gaps is broken: 2 rows"


# The plan against the real books


@pytest.mark.long_but_first
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_cases_end_as_planned_in_any_order(
    pool: Pool, web_pool: Pool, worker_pool: Pool, seed: int
) -> None:
    plan = await prepare_plan(pool, seed=seed)
    options = replace(OPTIONS, seed=seed, shuffle=seed > 1)
    for events in deliveries_in_order(plan, options):
        for batch in in_batches(events, seed=seed):
            await store(web_pool, batch)
            await process_payment_events(make_context(worker_pool, batch_size=50))
    ends = await simulation.event_ends(pool, plan.run, after_id=0)
    balances = await simulation.balances(pool, [*plan.people])
    findings = clean_findings(
        plan,
        outcomes={end.provider_event_id: Outcome(end.state, end.reason) for end in ends},
        balances={person: Balance(*balance) for person, balance in balances.items()},
        invariants={
            name: await reconciliation.find_breach(pool, name) is not None
            for name in await reconciliation.list_invariants(pool)
        },
    )
    assert findings.breaches == []
    assert len(ends) == len(plan)


async def prepare_plan(pool: Pool, *, seed: int) -> Plan:
    """Add the people of a run and plan it, on a fleet that also sells in other currencies."""
    await pool.execute(
        "insert into public.fx_rates (currency, usd_per_unit)"
        " select c, 1.1 from unnest(array['eur', 'gbp', 'jpy', 'chf']) as c"
    )
    await simulation.put_price_list(pool, [*PACKAGES.values()], GIFT_TYPES, provider=Stripe.name)
    streamers = [uuid4(), uuid4()]
    await simulation.add_people(pool, {streamer: f"s{streamer}" for streamer in streamers})
    streams = await simulation.open_streams(pool, streamers)
    plan = make_plan(400, seed=seed, streams=streams, rules=await simulation.purchase_rules(pool))
    others = {person: name for person, name in plan.people.items() if person not in streams}
    await simulation.add_people(pool, others)
    return plan


def in_batches(events: Sequence[PlannedEvent], *, seed: int) -> list[Sequence[PlannedEvent]]:
    """Cut deliveries into batches of 1 to 200."""
    random, batches = Random(seed), []
    while events:
        size = random.randint(1, 200)
        batches.append(events[:size])
        events = events[size:]
    return batches


async def store(web_pool: Pool, events: Sequence[PlannedEvent]) -> None:
    """Store the deliveries as the receiver does."""
    providers = {
        Stripe.name: Stripe(webhook_secrets=[SECRETS.stripe]),
        App.name: App(webhook_secrets=[SECRETS.app]),
    }
    arrivals = []
    for event in events:
        webhook = event.sign(SECRETS, at_s=time.time())
        headers = {name.lower().encode(): each.encode() for name, each in webhook.headers.items()}
        verify = providers[event.provider].verify
        arrivals.append(verify(webhook.body, headers, now_s=time.time()))
    await store_arrivals(web_pool, arrivals)


async def test_a_second_price_list_corrects_changed_prices(pool: Pool, db: Connection) -> None:
    await simulation.put_price_list(pool, [*PACKAGES.values()], GIFT_TYPES, provider=Stripe.name)
    await db.execute("update public.coin_packages set coin_amount = 1")
    await simulation.put_price_list(pool, [*PACKAGES.values()], GIFT_TYPES, provider=Stripe.name)
    rows = await db.fetch("select sku, coin_amount from public.coin_packages")
    assert {row["sku"]: row["coin_amount"] for row in rows} == {
        sku: package.coins for sku, package in PACKAGES.items()
    }


# The command


async def test_a_real_database_is_refused_without_consent(
    database: Database, db: Connection
) -> None:
    result = await asyncio.to_thread(coinfleet, "simulate", DATABASE_URL=database.url())
    assert result.returncode == 2
    assert "--yes-make-test-users" in result.stderr
    assert result.stderr.count("\n") == 1
    assert await db.fetchval("select count(*) from auth.users") == 0


def test_a_real_database_needs_secrets_too() -> None:
    result = coinfleet(
        "simulate", "--yes-make-test-users", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x"
    )
    assert result.returncode == 2
    assert result.stderr.startswith("coinfleet: STRIPE_WEBHOOK_SECRETS and APP_WEBHOOK_SECRETS")


async def test_a_fleet_that_does_not_answer_is_reported_in_one_line(database: Database) -> None:
    async with receiver() as address:
        pass
    result = await asyncio.to_thread(
        coinfleet,
        "simulate",
        "--yes-make-test-users",
        DATABASE_URL=database.url(),
        PORT=str(address.port),
        STRIPE_WEBHOOK_SECRETS=SECRETS.stripe,
        APP_WEBHOOK_SECRETS=SECRETS.app,
    )
    assert result.returncode == 2
    assert result.stderr == f"coinfleet: nothing answers at {address}: is the fleet running?\n"
