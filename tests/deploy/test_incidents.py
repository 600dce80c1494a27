"""Each alert fires by its real cause: incidents of a real fleet, judged by Prometheus' engine.

test_alerts.py is the quick form, on a database alone.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.clusters import Cluster
from tests.conftest import NOT_DURABLE
from tests.deploy.incidents.events import EVENTS
from tests.deploy.incidents.jobs import JOBS, a_locked_row
from tests.deploy.incidents.machinery import FAKETIME, MACHINERY
from tests.deploy.incidents.scene import Scene, play
from tests.deploy.monitoring import rules
from tests.deploy.promtool import firing, judge, needs_promtool
from tests.faults.conftest import RestartablePostgres
from tests.faults.fleets import Fleet
from workers.embedded import EmbeddedValkey
from workers.mock_providers.app import MockApp, make_app
from workers.mock_providers.app_listener import SECRET
from workers.mock_providers.serving import serving
from workers.mock_providers.stripe import KEY, stripe_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from tests.clusters import Database
    from tests.deploy.incidents.scene import Seen

# An incident has the name of its alert; one that has two causes says behind a comma which it is.
INCIDENTS = {**MACHINERY, **EVENTS, **JOBS}
# An alert without an incident would stand here, with the reason.
NOT_MADE_TO_HAPPEN: dict[str, str] = {}


def test_each_alert_has_a_real_incident() -> None:
    happen = {alert_of(incident) for incident in INCIDENTS}
    assert happen | NOT_MADE_TO_HAPPEN.keys() == rules().keys()
    assert not happen & NOT_MADE_TO_HAPPEN.keys()


def alert_of(incident: str) -> str:
    """The name of the alert that an incident has to fire."""
    return incident.partition(",")[0]


@pytest.fixture(scope="module")
def postgres(server_folder: Path) -> Iterator[RestartablePostgres]:
    """A server that may be stopped."""
    server = RestartablePostgres(server_folder / "incidents", settings=NOT_DURABLE)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def template(postgres: RestartablePostgres) -> Database:
    """The migrated database of these tests; it is deleted with the server."""
    cluster = Cluster(postgres.superuser_url)
    try:
        return asyncio.run(cluster.make_template())
    finally:
        cluster.close()


@pytest.fixture
def valkey_server(server_folder: Path) -> Iterator[EmbeddedValkey]:
    """A queue that may be killed."""
    server = EmbeddedValkey(server_folder / "incidents")
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def scene(
    tmp_path: Path,
    postgres: RestartablePostgres,
    template: Database,
    valkey_server: EmbeddedValkey,
) -> AsyncIterator[Scene]:
    """A fleet that is well."""
    if not postgres.running:
        postgres.start()
    cluster = Cluster(postgres.superuser_url)
    database = await cluster.create(template.name)
    cluster.close()
    async with AsyncExitStack() as stack:
        stripe = await stack.enter_async_context(stripe_server())
        stripe.now_s = datetime.now(UTC).timestamp()
        app = MockApp(secrets=[SECRET])
        listening = await stack.enter_async_context(serving(make_app(app)))
        sessions = [
            await open_connection(database.url(login), application_name="test")
            for login in ("owner", "superuser")
        ]
        for each in sessions:
            stack.callback(each.terminate)
        found = Scene(
            fleet=Fleet(tmp_path, database, valkey_server.url, stack),
            postgres=postgres,
            valkey=valkey_server,
            db=sessions[0],
            superuser=sessions[1],
            stripe=stripe,
            app=app,
            providers={
                "STRIPE_API_KEY": KEY,
                "STRIPE_API_BASE": stripe.base,
                "APP_EVENTS_URL": f"{listening}/coins",
                "APP_EVENTS_SECRETS": SECRET,
            },
        )
        await found.begin()
        yield found


def judge_all(seen: Mapping[str, Seen], folder: Path) -> None:
    """Each alert fires after its incident; before it none but those of earlier incidents."""
    alerts = [alert_of(incident) for incident in seen]
    judge(
        [
            firing(alert, *around, happened=alerts[:number])
            for number, (alert, around) in enumerate(zip(alerts, seen.values(), strict=True))
        ],
        folder,
    )


@pytest.mark.long
@needs_promtool
async def test_each_alert_about_processes_and_servers_fires_by_its_cause(
    scene: Scene, tmp_path: Path
) -> None:
    needs_faketime = "CoinfleetClockSkewed"
    incidents = {
        alert: happen
        for alert, happen in MACHINERY.items()
        if FAKETIME is not None or alert != needs_faketime
    }
    judge_all(await play(scene, incidents), tmp_path)
    if FAKETIME is None:
        pytest.skip(f"all but {needs_faketime} fired: apt-get install faketime")


@pytest.mark.long
@needs_promtool
async def test_each_alert_about_events_books_jobs_and_calls_fires_by_its_cause(
    scene: Scene, tmp_path: Path
) -> None:
    seen = await play(scene, EVENTS)
    # The worker waits for the lock again and again; the jobs go on meanwhile.
    async with a_locked_row(scene):
        seen |= await play(scene, JOBS)
    judge_all(seen, tmp_path)
