"""What happens to events and calls while all processes live.

In this order on one fleet: what an incident leaves behind is none of the next one's business.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from db.simulation import Package
from tests.conditions import eventually
from tests.faults.shop import Purchase
from tests.workers.cli.simulate.plans import SECRETS
from workers.cli.simulate.events import stripe_webhook
from workers.cli.simulate.sale import Sale
from workers.cli.simulate.stores import apple
from workers.mock_providers.stripe import Payment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tests.deploy.incidents.scene import Scene

# Each costs a dollar, and one purchase may be worth 50,000.
OVER_THE_LIMIT = 60_000
TOO_OLD_S = 600
STATE = "select state = '{state}' from fleet.inbox_events where provider_event_id = $1"
IS_APPLIED, IS_DEAD, IS_HELD = (STATE.format(state=each) for each in ("applied", "dead", "held"))
REFUSE_ONE = """
create function public.refuse_one() returns trigger language plpgsql as $$
begin
    raise exception 'a defect' using errcode = 'P0001';
end
$$;
create trigger refuse_one before insert on public.coin_purchases
for each row when (new.profile_id = '{buyer}') execute function public.refuse_one();
"""


async def apply_late(scene: Scene) -> None:
    """The worker hangs for a while, as a machine without memory does."""
    scene.worker.signal(signal.SIGSTOP)
    buyer = await scene.post_paid()
    await scene.age("inbox_events", "2 minutes", "received_at")
    scene.worker.signal(signal.SIGCONT)
    await scene.is_true(IS_APPLIED, event_of(buyer))
    await scene.shows("coinfleet_received_to_applied_seconds_bucket", lambda n: n > 0, le="+Inf")


async def fail_one_event(scene: Scene) -> None:
    """A trigger refuses it each time; nobody waits for the pauses between its attempts."""
    buyer = scene.buyers[-1]
    await scene.superuser.execute(REFUSE_ONE.format(buyer=buyer))
    await scene.post_paid()

    async def is_dead() -> bool:
        await scene.db.execute(
            "update fleet.inbox_events set next_attempt_at = now()"
            " where state = 'pending' and attempts > 0 and next_attempt_at > now()"
        )
        found: bool = await scene.db.fetchval(IS_DEAD, event_of(buyer))
        return found

    await eventually(is_dead, poll_s=0.1)
    await scene.shows("coinfleet_events_dead", lambda n: n == 1)


async def deliver_old_signatures(scene: Scene) -> None:
    """Something between Stripe and the fleet keeps webhooks back, or a clock is wrong."""
    for number in range(6):
        event = {"id": f"evt_{number}", "object": "event"}
        webhook = stripe_webhook(event, secret=SECRETS.stripe, at_s=time.time() - TOO_OLD_S)
        assert await scene.post(webhook) == httpx.codes.BAD_REQUEST


async def buy_over_the_limit(scene: Scene) -> None:
    buyer = await scene.post_paid(packages=OVER_THE_LIMIT)
    await scene.is_true(IS_HELD, event_of(buyer))
    await scene.age("inbox_events", "31 minutes", "received_at", where="state = 'held'")
    await scene.shows("coinfleet_held_oldest_seconds", lambda age: age > 1_800, reason="over_limit")


async def be_asked_by_apple(scene: Scene) -> None:
    sale = Sale(
        key=uuid4().hex,
        package=Package("coins", 100, 100),
        quantity=1,
        buyer=scene.buyers.pop(),
        at_s=int(time.time()),
    )
    asked = {"consumption_reason": "UNSATISFIED_WITH_PURCHASE"}
    for kind, told in (("ONE_TIME_CHARGE", {}), ("CONSUMPTION_REQUEST", asked)):
        webhook = apple.notification(sale, kind, event_id=str(uuid4()), **told)
        assert await scene.post(webhook) == httpx.codes.OK
    await scene.is_true("select exists (select from fleet.store_inquiries)")
    await scene.age("store_inquiries", "10 hours", "asked_at", "deadline")
    await scene.shows(
        "coinfleet_store_inquiry_ends_seconds", lambda left: left < 10_800, provider="apple"
    )


async def miss_an_event(scene: Scene) -> None:
    """It is an hour old and in Stripe's list alone; the fleet has read that list for two hours."""
    await scene.age(
        "backfills", "2 hours", "from_at", "to_at", "started_at", "reached_at", "begins_at"
    )
    scene.stripe.wait(hours=-1)
    charge = {"id": "ch_missed", "object": "charge", "payment_intent": "pi_missed"}
    scene.stripe.tell("charge.succeeded", charge)
    scene.stripe.wait(hours=1)
    await scene.run_job("missed_events")
    await scene.shows("coinfleet_missed_event_age_seconds", lambda age: age < 60, provider="stripe")


async def be_refused_a_refund(scene: Scene) -> None:
    """Stripe knows nothing of the payment, so the call is refused for good."""
    await reject_purchase(scene, is_known=False)
    await scene.shows(
        "coinfleet_provider_calls", lambda n: n == 1, kind="stripe.refund", state="dead"
    )


async def find_stripe_away(scene: Scene) -> None:
    scene.stripe.faults = ["unavailable"] * 1_000
    await reject_purchase(scene, is_known=True)
    await scene.is_true(
        "select exists (select from fleet.provider_calls where state = 'pending'"
        " and kind = 'stripe.refund' and last_error is not null)"
    )
    await scene.age("provider_calls", "16 minutes", "created_at", where="state = 'pending'")
    await scene.shows(
        "coinfleet_provider_call_oldest_seconds",
        lambda age: age > 900,
        kind="stripe.refund",
        state="pending",
    )


async def be_told_that_the_app_is_gone(scene: Scene) -> None:
    scene.app.always = "gone"
    await scene.post_paid()
    await scene.shows("coinfleet_provider_calls_paused_seconds", lambda s: s > 0)


def event_of(buyer: UUID) -> str:
    """The id of the event that reports what this buyer has paid."""
    return Purchase(buyer).event_id


async def reject_purchase(scene: Scene, *, is_known: bool) -> None:
    """Have a person reject a held purchase, of whose payment Stripe knows or not."""
    buyer = await scene.post_paid(packages=OVER_THE_LIMIT)
    if is_known:
        scene.stripe.payments[f"pi_{buyer.hex}"] = Payment(OVER_THE_LIMIT * 100)
    query = "select id::text from public.coin_purchases where profile_id = $1"
    await scene.is_true(query, buyer)
    purchase = await scene.db.fetchval(query, buyer)
    await scene.type("purchases", "reject", purchase)


EVENTS: dict[str, Callable[[Scene], Awaitable[object]]] = {
    "CoinfleetSlow": apply_late,
    "CoinfleetSignaturesRefused, stale": deliver_old_signatures,
    "CoinfleetEventHeld": buy_over_the_limit,
    "CoinfleetStoreAsks": be_asked_by_apple,
    "CoinfleetEventsDead": fail_one_event,
    "CoinfleetMissedEvents": miss_an_event,
    "CoinfleetCallsDead": be_refused_a_refund,
    "CoinfleetCallsPaused": be_told_that_the_app_is_gone,
    "CoinfleetCallsWait": find_stripe_away,
}
