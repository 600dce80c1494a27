"""Fixtures: what /metrics says before and after the cause of each alert."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import pytest_asyncio

from db.errors import DatabaseUnavailable
from db.health.vital_signs import read_vital_signs
from tests.db.books import PRICE_LIST
from tests.db.rolled_back import open_rolled_back
from tests.deploy.causes import CAUSES, HEALTHY, Stage
from workers.receiving.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from db.connections.pool import Connection
    from db.health.vital_signs import VitalSigns
    from tests.clusters import Cluster, Database
    from workers.queue.probe import QueueState


class Scrapes(NamedTuple):
    """What a web process answered before something happened, and after it."""

    before: str
    after: str


@pytest_asyncio.fixture(scope="module")
async def scrapes(cluster: Cluster, template: Database) -> AsyncIterator[dict[str, Scrapes]]:
    """By alert, what its cause does to /metrics."""
    database = await cluster.create(template.name)
    db = await open_rolled_back(database.url())
    found = {}
    for alert in CAUSES:
        transaction = db.transaction()
        await transaction.start()
        found[alert] = await _scrape_around(db, alert)
        await transaction.rollback()
    yield found
    db.terminate()
    await cluster.drop(database)


async def _scrape_around(db: Connection, alert: str) -> Scrapes:
    stage = Stage(db, Metrics(db))

    async def ask_queue() -> QueueState:
        return stage.queue

    stage.metrics.watch_queue(ask_queue)
    await db.execute(PRICE_LIST)
    await db.execute(HEALTHY)
    with _reading(stage):
        before = await stage.metrics.render()
        await CAUSES[alert](stage)
        after = await stage.metrics.render() if stage.is_scraped else b""
    return Scrapes(before.decode(), after.decode())


@contextmanager
def _reading(stage: Stage) -> Iterator[None]:
    """Read the database anew at each scrape, unless it is cut off."""

    async def read(_pool: object, *, timeout_s: float) -> VitalSigns:
        if not stage.can_read:
            raise DatabaseUnavailable("connection refused")
        return await read_vital_signs(stage.db, timeout_s=timeout_s)

    async def expire(_pool: object, _error: Exception) -> None:
        """There is no pool here."""

    name = "workers.receiving.metrics"
    with (
        patch(f"{name}.read_vital_signs", read),
        patch(f"{name}.expire_if_unfit", expire),
        patch(f"{name}.SNAPSHOT_AGE_MAX_S", 0),
    ):
        yield
