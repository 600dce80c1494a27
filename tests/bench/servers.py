"""The servers of a run: the embedded ones, with the fleet's settings, on data of the run.

COINFLEET_TEST_DATABASE_URL (a superuser's) and COINFLEET_TEST_REDIS_URL name others to use.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.books import APP_SECRET, STRIPE_SECRET, open_books
from tests.clusters import Cluster
from workers.embedded import EmbeddedPostgres, EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.bench.books import Books
    from tests.clusters import Database


class Servers:
    """A PostgreSQL and a Valkey; every benchmark gets a database and a queue of its own."""

    def __init__(self, cluster: Cluster, redis_url: str) -> None:
        self._cluster = cluster
        self._redis_url = redis_url
        self._template: Database | None = None
        self._queues = 0

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Make a database with this release's schema; it is dropped at the end."""
        if self._template is None:
            self._template = await self._cluster.make_template()
        database = await self._cluster.create(self._template.name)
        try:
            yield database
        finally:
            await self._cluster.drop(database)

    @asynccontextmanager
    async def books(self, *, users: int) -> AsyncIterator[Books]:
        """Make a database with users in it."""
        async with self.database() as database, open_books(database, users=users) as books:
            yield books

    async def close(self) -> None:
        """Drop the template."""
        if self._template is not None:
            await self._cluster.drop(self._template)

    def environment(self, books: Books) -> dict[str, str]:
        """Return the settings of a fleet on these books, with an empty queue of its own."""
        self._queues += 1
        return {
            **books.database.addresses(),
            "REDIS_URL": f"{self._redis_url.rpartition('/')[0]}/{self._queues}",
            "STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
            "APP_WEBHOOK_SECRETS": APP_SECRET,
        }


@contextmanager
def open_servers(folder: Path) -> Iterator[Servers]:
    """Start servers whose data lies below `folder`, unless others are named."""
    named = (
        os.environ.get("COINFLEET_TEST_DATABASE_URL"),
        os.environ.get("COINFLEET_TEST_REDIS_URL"),
    )
    if all(named):
        yield Servers(Cluster(str(named[0])), str(named[1]))
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix="servers-") as data:
        postgres, valkey = EmbeddedPostgres(Path(data)), EmbeddedValkey(Path(data))
        try:
            postgres.start()
            valkey.start()
            yield Servers(cluster := Cluster(postgres.superuser_url), valkey.url)
            cluster.close()
        finally:
            valkey.stop()
            postgres.stop()
