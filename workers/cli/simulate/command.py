"""`coinfleet simulate`: a day of payments and gifts in seconds, and whether the books bore it."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from db import reconciliation, simulation
from db.connections.explanations import explained_errors
from db.connections.pool import open_pool
from db.errors import CoinfleetError, DatabaseUnavailable
from db.legacy.generations import check_released
from tasks.providers.stripe import Stripe
from workers.cli.endings import CommandFailed, failed
from workers.cli.simulate.delivery import Address, Deliveries, NoAnswer, deliver, is_ready
from workers.cli.simulate.findings import Findings
from workers.cli.simulate.plan import Balance, Ending, Secrets
from workers.cli.simulate.report import Stopwatch, progress, show
from workers.cli.simulate.scene import GIFT_TYPES, PACKAGES, Stage
from workers.cli.simulate.stories import tell
from workers.cli.terminal import make_console
from workers.operator_settings import load_operator_settings, uses_embedded_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import Progress

    from db.connections.pool import Pool
    from workers.cli.simulate.plan import Plan, PlannedEvent
    from workers.settings import Settings

# How long nothing may move before what is still open counts as stuck.
PATIENCE_S = 60.0
# Often enough to look alive, seldom enough not to be the load.
LOOK_EVERY_S = 0.1
STREAMERS_MAX = 50
INTERRUPTED = 130


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


def command(
    *,
    events: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to send.")] = 1000,
    rate: Annotated[
        float, typer.Option(min=0, help="Deliveries per second; 0 is as fast as it goes.")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(help="Repeat the mix of an earlier run.", show_default="random")
    ] = None,
    duplicates: Annotated[
        int, typer.Option(min=1, max=100, help="Deliver each event so many times.")
    ] = 1,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Deliver in any order.")] = False,
    yes_make_test_users: Annotated[
        bool,
        typer.Option(
            "--yes-make-test-users",
            help="Allow it on a real database: its people, streams and price list stay there.",
        ),
    ] = False,
) -> None:
    """Send signed purchases, refunds, disputes and gifts; check what became of each coin.

    Some must be refused, and some held for a person; the held ones stay so.

    Exit 1 on any breach: an event lost, stuck or misjudged, a wrong balance, a broken invariant.
    """
    options = Options(
        events=events,
        rate_per_s=rate or None,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        duplicates=duplicates,
        shuffle=shuffle,
    )
    settings = load_operator_settings()
    if not (yes_make_test_users or uses_embedded_database(settings)):
        sys.exit(
            "coinfleet: this would make test users, streams and prices in a real database;"
            " say --yes-make-test-users if that is meant"
        )
    try:
        clean = asyncio.run(simulate(settings, options, make_console()))
    except NotSimulated as error:
        raise CommandFailed(f"coinfleet: {error}") from error
    except CoinfleetError as error:
        raise failed(error) from error
    except KeyboardInterrupt:
        sys.stderr.write("coinfleet: interrupted; nothing was checked\n")
        sys.exit(INTERRUPTED)
    raise typer.Exit(code=not clean)


async def simulate(settings: Settings, options: Options, console: Console) -> bool:
    """Run it all and show it; gives whether nothing was breached. Raises CoinfleetError."""
    address = _address(settings)
    signing = _signing_secrets(settings)
    await _check_ready(address)
    # No connection is kept open for its own sake: asyncpg would log that it lost one.
    pool = await open_pool(
        str(settings.database_url), application_name="coinfleet simulate", min_size=0, max_size=2
    )
    try:
        with explained_errors():
            await check_released(pool, url=str(settings.database_url))
            after_id = await simulation.newest_event_id(pool)
            plan = await _set_the_stage(pool, settings, options)
            console.print(
                f"Run {plan.run}, seed {options.seed}: {len(plan):,} events to {address}",
                highlight=False,
            )
            run = Run(pool, plan, options, address=address, signing=signing, after_id=after_id)
            with progress(console) as bars:
                await run.play(bars)
                findings = await run.find(bars)
    finally:
        pool.terminate()
    show(console, findings, run.watch)
    return not findings.breaches


class Run:
    """One run in progress."""

    def __init__(
        self,
        pool: Pool,
        plan: Plan,
        options: Options,
        *,
        address: Address,
        signing: Secrets,
        after_id: int,
    ) -> None:
        self.watch = Stopwatch()
        self._pool = pool
        self._plan = plan
        self._options = options
        self._address = address
        self._signing = signing
        self._after_id = after_id
        self._deliveries = Deliveries()

    async def play(self, bars: Progress) -> None:
        """Deliver everything and wait until it has settled."""
        first, rest = deliveries_in_order(self._plan, self._options)
        self.watch.lap()
        await self._deliver(first, "opening", bars)
        # Whoever gives has seen their coins: gifts of the opening's coins are never short.
        await self._settle(bars)
        await self._deliver(rest, "delivering", bars)
        self.watch.delivering_s = self.watch.lap()
        await self._settle(bars)
        self.watch.settling_s = self.watch.lap()

    async def find(self, bars: Progress) -> Findings:
        """Read back what became of the run."""
        bars.add_task("checking", total=None)
        ends = await simulation.event_ends(self._pool, self._plan.run, after_id=self._after_id)
        balances = await simulation.balances(self._pool, [*self._plan.people])
        return Findings(
            plan=self._plan,
            deliveries=self._deliveries,
            ends={end.provider_event_id: Ending(end.state, end.reason) for end in ends},
            balances={person: Balance(*balance) for person, balance in balances.items()},
            invariants=await _check_invariants(self._pool),
        )

    async def _deliver(self, events: Sequence[PlannedEvent], title: str, bars: Progress) -> None:
        bar = bars.add_task(title, total=len(events))
        await deliver(
            events,
            address=self._address,
            secrets=self._signing,
            rate_per_s=self._options.rate_per_s,
            so_far=self._deliveries,
            on_end=lambda: bars.advance(bar),
        )

    async def _settle(self, bars: Progress) -> None:
        """Wait until no event is pending, or nothing has moved for a minute."""
        bar = bars.add_task("settling", total=None)
        seen = None
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            try:
                with explained_errors():
                    stored, pending = await simulation.count_pending(
                        self._pool, self._plan.run, after_id=self._after_id
                    )
            except DatabaseUnavailable:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            bars.update(bar, total=stored, completed=stored - pending)
            if pending == 0:
                return
            if pending != seen:
                seen, give_up_at = pending, time.monotonic() + PATIENCE_S
            await asyncio.sleep(LOOK_EVERY_S)


def deliveries_in_order(
    plan: Plan, options: Options
) -> tuple[list[PlannedEvent], list[PlannedEvent]]:
    """Give what is delivered before all else, and what is delivered then.

    Copies of an event follow it at once, or are anywhere when shuffled; those of an opening event
    come with the rest.
    """
    copies = options.duplicates
    rest = plan.opening * (copies - 1) + [event for event in plan.events for _ in range(copies)]
    if options.shuffle:
        Random(options.seed).shuffle(rest)  # noqa: S311 - repeatable, not secret
    return plan.opening, rest


async def _set_the_stage(pool: Pool, settings: Settings, options: Options) -> Plan:
    """Make the people, their streams and the price list, and plan what happens."""
    run = f"sim{secrets.token_hex(3)}"
    await simulation.put_price_list(pool, [*PACKAGES.values()], GIFT_TYPES, provider=Stripe.name)
    number = max(2, min(STREAMERS_MAX, options.events // 100))
    streamers = {uuid4(): f"{run}-streamer-{nth}" for nth in range(1, number + 1)}
    await simulation.add_people(pool, streamers)
    stage = Stage(
        run,
        random=Random(options.seed),  # noqa: S311 - repeatable, not secret
        rules=await simulation.purchase_rules(pool),
        streams=await simulation.open_streams(pool, [*streamers]),
        livemode=settings.stripe_livemode,
        started_s=int(time.time()),
    )
    plan = tell(stage, events=options.events)
    others = {person: name for person, name in plan.people.items() if person not in streamers}
    await simulation.add_people(pool, others)
    return plan


async def _check_invariants(pool: Pool) -> dict[str, int]:
    """Give each invariant's number of rows; all are 0 while the books are right."""
    breaches = {
        name: await reconciliation.find_breach(pool, name)
        for name in await reconciliation.list_invariants(pool)
    }
    return {name: breach.violations if breach else 0 for name, breach in breaches.items()}


def _address(settings: Settings) -> Address:
    host = settings.hosts[0]
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - asked, not bound
    return Address("127.0.0.1" if everywhere else host, settings.port)


def _signing_secrets(settings: Settings) -> Secrets:
    if not (settings.stripe_webhook_secrets and settings.app_webhook_secrets):
        raise NotSimulated(
            "STRIPE_WEBHOOK_SECRETS and APP_WEBHOOK_SECRETS must be set here as they are for web"
        )
    return Secrets(settings.stripe_webhook_secrets[0], settings.app_webhook_secrets[0])


async def _check_ready(address: Address) -> None:
    try:
        ready = await is_ready(address)
    except NoAnswer as error:
        raise NotSimulated(f"nothing answers at {address}: is the fleet running?") from error
    if not ready:
        raise NotSimulated(f"the fleet at {address} isn't ready; `coinfleet status` says why")
