"""A real fleet to which incidents happen: its processes, its servers, and what they answer.

Refuses to play a process: `/metrics` is asked over HTTP. Time alone may be moved, by `age`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import httpx

from tests.conditions import eventually
from tests.deploy.monitoring import families
from tests.faults.fleets import SCHEDULER, WORKER, Fleet
from tests.faults.shop import PRICE_MINOR, sign_up
from tests.journeys.fleet_run import free_port
from tests.workers.cli.operators import coinfleet
from tests.workers.cli.simulate.plans import SECRETS
from workers.cli.simulate.events import stripe_webhook
from workers.cli.simulate.stripe import StripePayment, payment_intent_succeeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from db.connections.pool import Connection
    from tests.workers.processes import Process
    from workers.cli.simulate.events import Webhook
    from workers.embedded import EmbeddedPostgres, EmbeddedValkey
    from workers.mock_providers.app import MockApp
    from workers.mock_providers.stripe import StripeServer

WEBS = 2


class Seen(NamedTuple):
    """The scrapes before and after an incident, by web process."""

    before: dict[str, str]
    after: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Scene:
    """A fleet of two web processes, a worker and a scheduler, and all that they stand on."""

    fleet: Fleet
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    db: Connection
    superuser: Connection
    stripe: StripeServer
    app: MockApp
    providers: Mapping[str, str]
    """The worker's settings of the two."""
    webs: dict[str, Process] = field(default_factory=dict)
    """By their addresses."""
    worker: Process = field(init=False)
    scheduler: Process = field(init=False)
    buyers: list[UUID] = field(default_factory=list)

    async def begin(self) -> None:
        """Start the processes, and wait until all is well: everything has been done once."""
        self.buyers = [each.buyer for each in await sign_up(self.db, 12)]
        await self.db.execute("update fleet.settings set app_told_since = now()")
        self.worker = await self.fleet.start(WORKER, **self.providers)
        self.scheduler = await self.fleet.start(SCHEDULER)
        for _ in range(WEBS):
            await self.start_web()
        await self.shows("coinfleet_worker_report_age_seconds", lambda age: age < 60)
        await self.shows("coinfleet_history_age_seconds", lambda age: age < 60)
        for kind in ("new", "full"):
            await self.shows("coinfleet_proof_age_seconds", lambda age: age < 60, kind=kind)

    async def start_web(self, *, descriptors: int | None = None, **environment: str) -> str:
        """Start one more web process, which may open so many files; return its address."""
        port = free_port()
        web = await self.fleet.start_web(port, descriptors=descriptors, **environment)
        self.webs[f"127.0.0.1:{port}"] = web
        return f"127.0.0.1:{port}"

    async def scrape(self) -> dict[str, str]:
        """What each web process that answers says of itself and of the fleet."""
        found = {}
        async with httpx.AsyncClient() as client:
            for web in self.webs:
                try:
                    answer = await client.get(f"http://{web}/metrics")
                except httpx.TransportError:
                    continue
                found[web] = answer.raise_for_status().text
        return found

    async def shows(
        self, name: str, is_so: Callable[[float], bool], *, web: str | None = None, **labels: str
    ) -> None:
        """Wait until each web process, or this one, has a sample with these labels that is so."""

        async def do_all_show() -> bool:
            scrapes = await self.scrape()
            asked = scrapes.values() if web is None else [scrapes[web]]
            return all(
                any(
                    sample.name == name
                    and labels.items() <= sample.labels.items()
                    and is_so(sample.value)
                    for family in families(text)
                    for sample in family.samples
                )
                for text in asked
            )

        await eventually(do_all_show, poll_s=0.1)

    def buys(self, *, packages: int = 1) -> tuple[UUID, Webhook]:
        """Return a buyer, another at each call, and the signed event of what was paid."""
        buyer = self.buyers.pop()
        payment = StripePayment(
            key=buyer.hex,
            amount_minor=PRICE_MINOR * packages,
            created_s=int(time.time()),
            metadata={"profile_id": str(buyer), "sku": "coins", "quantity": str(packages)},
        )
        event = payment_intent_succeeded(payment)
        return buyer, stripe_webhook(event, secret=SECRETS.stripe, at_s=time.time())

    async def post(self, webhook: Webhook) -> int:
        """Send it to the first web process; return the status of the answer."""
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.post(
                f"http://{next(iter(self.webs))}{webhook.path}",
                content=webhook.body,
                headers=dict(webhook.headers),
            )
        return answer.status_code

    async def post_paid(self, *, packages: int = 1) -> UUID:
        """Have a purchase stored; return its buyer."""
        buyer, webhook = self.buys(packages=packages)
        assert await self.post(webhook) == httpx.codes.OK
        return buyer

    async def age(self, table: str, ago: str, *columns: str, where: str = "true") -> None:
        """Move times back. An incident has had its effect before; only its duration is made up."""
        moved = ", ".join(f"{each} = {each} - interval '{ago}'" for each in columns)
        status = await self.db.execute(f"update fleet.{table} set {moved} where {where}")
        assert status != "UPDATE 0", (table, where)

    async def is_true(self, query: str, *values: object) -> None:
        """Wait until the database says so."""
        await eventually(lambda: self.db.fetchval(query, *values))

    async def type(self, *words: str) -> None:
        """Type `coinfleet …` and why, which exits with 0."""
        code, said = await self._type(*words)
        assert code == 0, said

    async def run_job(self, job: str) -> None:
        """Have a worker do a job now, as an operator does: again, while a worker does it."""

        async def is_asked() -> bool:
            code, said = await self._type("schedules", "run", job)
            assert code in {0, 1}, said
            return code == 0

        await eventually(is_asked)

    async def _type(self, *words: str) -> tuple[int, str]:
        url = self.fleet.database.url()
        ended = await asyncio.to_thread(coinfleet, *words, "--reason", "a test", DATABASE_URL=url)
        return ended.returncode, ended.stdout + ended.stderr


async def play(
    scene: Scene, incidents: Mapping[str, Callable[[Scene], Awaitable[object]]]
) -> dict[str, Seen]:
    """Have the incidents happen one after the other; return what was seen around each."""
    seen = {}
    for alert, happen in incidents.items():
        before = await scene.scrape()
        try:
            await happen(scene)
        except AssertionError as error:
            raise AssertionError(f"{alert}: its cause had no effect") from error
        seen[alert] = Seen(before, await scene.scrape())
    return seen
