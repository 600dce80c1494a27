"""One run of `coinfleet simulate`: prepares people and prices, delivers, waits, reads back.

Connects to the database as the schema's owner; sends its events over HTTP only, as a provider does.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

from db import reconciliation, simulation
from db.connections.explanations import explained_errors
from db.connections.pool import open_pool
from db.errors import CoinfleetError, DatabaseUnavailable
from db.release.generations import check_released
from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.stripe import Stripe
from workers.cli.progress import progress
from workers.cli.simulate.cases.mix import plan_cases, plan_tour
from workers.cli.simulate.delivery import Deliveries, deliver
from workers.cli.simulate.findings import Findings
from workers.cli.simulate.garbage import pick as pick_garbage
from workers.cli.simulate.heard import of_run
from workers.cli.simulate.http import Address, NoAnswer, is_ready
from workers.cli.simulate.mocks import Mocks
from workers.cli.simulate.plan import Balance, Outcome, Secrets
from workers.cli.simulate.prices import GIFT_TYPES, PACKAGES
from workers.cli.simulate.report import Stopwatch, show, show_next_steps
from workers.cli.simulate.scenario import Scenario
from workers.cli.simulate.stores.apple import signer_is_trusted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console
    from rich.progress import Progress

    from db.connections.pool import Pool
    from workers.cli.simulate.delivery import Delivery
    from workers.cli.simulate.heard import Message
    from workers.cli.simulate.plan import Plan, PlannedEvent
    from workers.settings import Settings

# If nothing changes for so long, the events that are still open count as stuck.
STUCK_AFTER_S = 60.0
# Often enough to look alive, seldom enough not to be the load.
POLL_EVERY_S = 0.1
STREAMERS_MAX = 50


class NotSimulated(CoinfleetError):
    """The run can't begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator asked for."""

    events: int
    rate_per_s: float | None
    seed: int
    duplicates: int
    shuffle: bool
    garbage: bool = False
    tour: bool = False


async def simulate(settings: Settings, options: Options, console: Console) -> bool:
    """Run it all and show it; return whether all is well. Raises CoinfleetError."""
    address = _address(settings)
    signing = _signing_secrets(settings)
    mocks = Mocks.of_fleet(settings)
    await _check_ready(address)
    # No idle connection is kept: asyncpg would log that it lost one.
    pool = await open_pool(
        str(settings.database_url), application_name="coinfleet simulate", min_size=0, max_size=2
    )
    try:
        with explained_errors():
            await check_released(pool, url=str(settings.database_url))
            after_id = await simulation.newest_event_id(pool)
            stores = _stores(settings, mocks)
            plan = await prepare_plan(pool, settings, options, stores)
            console.print(
                f"Run {plan.run}, seed {options.seed}: {len(plan):,} events to {address}",
                highlight=False,
            )
            if mocks is not None:
                await mocks.pay(plan.charged)
                await mocks.tell_apple(make() for make in plan.apple_notifications)
                if plan.google_sales:
                    signing = replace(signing, google=await mocks.sell(plan.google_sales))
            run = Run(
                pool,
                plan,
                options,
                address=address,
                signing=signing,
                after_id=after_id,
                mocks=mocks,
            )
            with progress(console) as bars:
                await run.deliver_all(bars)
                findings = await run.read_back(bars)
            held = await simulation.held_purchases(pool, [*plan.people])
    finally:
        pool.terminate()
    show(console, findings, run.watch, is_brief=options.tour)
    if options.tour:
        show_next_steps(console, held, is_heard=findings.heard is not None)
    return not findings.breaches


class Run:
    """One run: its plan, its deliveries so far, and the time they took."""

    def __init__(
        self,
        pool: Pool,
        plan: Plan,
        options: Options,
        *,
        address: Address,
        signing: Secrets,
        after_id: int,
        mocks: Mocks | None = None,
    ) -> None:
        self.watch = Stopwatch()
        self._pool = pool
        self._plan = plan
        self._options = options
        self._address = address
        self._signing = signing
        self._after_id = after_id
        self._mocks = mocks
        self._others = plan.unnamed_ids
        self._deliveries = Deliveries()

    async def deliver_all(self, bars: Progress) -> None:
        """Deliver all events and wait until they are settled."""
        first, rest = deliveries_in_order(self._plan, self._options)
        self.watch.lap()
        await self._deliver(first, "opening", bars)
        # Givers have their coins before they give, so that these gifts are never short of coins.
        await self._settle(bars)
        await self._deliver(rest, "delivering", bars)
        self.watch.delivering_s = self.watch.lap()
        await self._settle(bars)
        self.watch.settling_s = self.watch.lap()

    async def read_back(self, bars: Progress) -> Findings:
        """Read back what became of the events, the balances and the invariants."""
        bars.add_task("checking", total=None)
        found = await simulation.event_ends(
            self._pool, self._plan.run, after_id=self._after_id, others=self._others
        )
        balances = await simulation.balances(self._pool, [*self._plan.people])
        return Findings(
            plan=self._plan,
            deliveries=self._deliveries,
            outcomes={each.provider_event_id: Outcome(each.state, each.reason) for each in found},
            balances={person: Balance(*balance) for person, balance in balances.items()},
            invariants=await _check_invariants(self._pool),
            heard=await self._hear(bars),
        )

    async def _hear(self, bars: Progress) -> list[Message] | None:
        """Wait until the app has heard all, or nothing moves; return what it heard of the run."""
        if self._mocks is None or not self._mocks.hear:
            return None
        bar = bars.add_task("telling the app", total=None)
        seen, give_up_at = None, time.monotonic() + STUCK_AFTER_S
        while time.monotonic() < give_up_at:
            untold = await simulation.count_untold(self._pool)
            if untold == 0:
                break
            if untold != seen:
                seen, give_up_at = untold, time.monotonic() + STUCK_AFTER_S
            await asyncio.sleep(POLL_EVERY_S)
        bars.remove_task(bar)
        return of_run(self._plan, await self._mocks.heard())

    async def _deliver(self, events: Sequence[Delivery], title: str, bars: Progress) -> None:
        bar = bars.add_task(title, total=len(events))
        await deliver(
            events,
            address=self._address,
            secrets=self._signing,
            rate_per_s=self._options.rate_per_s,
            deliveries=self._deliveries,
            on_end=lambda: bars.advance(bar),
        )

    async def _settle(self, bars: Progress) -> None:
        """Wait until no event is pending, or nothing has moved for a minute."""
        bar = bars.add_task("settling", total=None)
        seen = None
        give_up_at = time.monotonic() + STUCK_AFTER_S
        while time.monotonic() < give_up_at:
            try:
                with explained_errors():
                    stored, pending = await simulation.count_pending(
                        self._pool,
                        self._plan.run,
                        after_id=self._after_id,
                        others=self._others,
                    )
            except DatabaseUnavailable:
                await asyncio.sleep(POLL_EVERY_S)
                continue
            bars.update(bar, total=stored, completed=stored - pending)
            if pending == 0:
                return
            if pending != seen:
                seen, give_up_at = pending, time.monotonic() + STUCK_AFTER_S
            await asyncio.sleep(POLL_EVERY_S)


def deliveries_in_order(plan: Plan, options: Options) -> tuple[list[PlannedEvent], list[Delivery]]:
    """Return the deliveries that come first, and the others.

    Copies of an event follow it directly, or come anywhere if shuffled. The first deliveries are
    one per opening event; further copies of these are among the others, and so is garbage.
    """
    copies = options.duplicates
    rest: list[Delivery] = [*plan.opening * (copies - 1)]
    rest += [event for event in plan.events for _ in range(copies)]
    random = Random(options.seed)  # noqa: S311 - repeatable, not secret
    if options.shuffle:
        random.shuffle(rest)
    if options.garbage:
        for garbage in pick_garbage(random, len(rest)):
            rest.insert(random.randrange(len(rest)), garbage)
    return plan.opening, rest


async def prepare_plan(
    pool: Pool, settings: Settings, options: Options, stores: Collection[str] = ()
) -> Plan:
    """Write the price list, users and streams to the database; return the plan of the events."""
    run = f"sim{secrets.token_hex(3)}"
    for seller in (Stripe.name, *stores):
        await simulation.put_price_list(pool, [*PACKAGES.values()], GIFT_TYPES, provider=seller)
    number = max(2, min(STREAMERS_MAX, options.events // 100))
    streamers = {uuid4(): f"{run}-streamer-{nth}" for nth in range(1, number + 1)}
    await simulation.add_people(pool, streamers)
    scenario = Scenario(
        run,
        random=Random(options.seed),  # noqa: S311 - repeatable, not secret
        rules=await simulation.purchase_rules(pool),
        streams=await simulation.open_streams(pool, [*streamers]),
        livemode=settings.stripe_livemode,
        started_s=int(time.time()),
        # In one order, so that a seed repeats its run.
        stores=sorted(stores),
    )
    plan = plan_tour(scenario) if options.tour else plan_cases(scenario, events=options.events)
    others = {person: name for person, name in plan.people.items() if person not in streamers}
    await simulation.add_people(pool, others)
    return plan


async def _check_invariants(pool: Pool) -> dict[str, int]:
    """Return each invariant's number of rows; all are 0 while the books are right."""
    breaches = {
        name: await reconciliation.find_breach(pool, name)
        for name in await reconciliation.list_invariants(pool)
    }
    return {name: breach.violations if breach else 0 for name, breach in breaches.items()}


def _stores(settings: Settings, mocks: Mocks | None) -> set[str]:
    """Return the stores whose events can be signed here."""
    # Clients that submit purchases must be signed in.
    if not settings.supabase_jwt_secret:
        return set()
    stores = {Apple.name} if signer_is_trusted(settings.apple_root_certificates) else set()
    # What Google tells means nothing without a Google that answers.
    if mocks is not None and mocks.sells_for_google and settings.google_packages:
        stores.add(Google.name)
    return stores


def _address(settings: Settings) -> Address:
    host = settings.hosts[0]
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - connected to, not bound
    return Address("127.0.0.1" if everywhere else host, settings.port)


def _signing_secrets(settings: Settings) -> Secrets:
    if not (settings.stripe_webhook_secrets and settings.app_webhook_secrets):
        raise NotSimulated(
            "STRIPE_WEBHOOK_SECRETS and APP_WEBHOOK_SECRETS must be set here as they are for web"
        )
    return Secrets(
        settings.stripe_webhook_secrets[0],
        settings.app_webhook_secrets[0],
        sign_in=settings.supabase_jwt_secret or "",
        audience=settings.supabase_jwt_audience,
    )


async def _check_ready(address: Address) -> None:
    try:
        ready = await is_ready(address)
    except NoAnswer as error:
        raise NotSimulated(f"nothing answers at {address}: is the fleet running?") from error
    if not ready:
        raise NotSimulated(f"the fleet at {address} isn't ready; `coinfleet status` says why")
