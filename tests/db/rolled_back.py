"""A session that many tests use one after the other: what a test did is rolled back at its end.

A test of SQL saves the clone of a database this way and, what is more, cold plans and caches. A
statement that fails leaves the others alone, as it would outside of a transaction.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from db.connections.session_setup import session_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Plain = asyncpg.Connection[asyncpg.Record]
else:
    Plain = asyncpg.Connection

# What `transaction()` itself sends.
OF_TRANSACTIONS = ("begin", "savepoint", "release", "rollback")


class RolledBack(Plain):
    """A connection on which each statement outside a test's own transaction has a savepoint."""

    @asynccontextmanager
    async def rolled_back(self) -> AsyncIterator[None]:
        """Roll back what the block did, after its deferred constraints were checked."""
        transaction = self.transaction()
        await transaction.start()
        try:
            yield
            await super().execute("set constraints all immediate")
        finally:
            await transaction.rollback()

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if query.lower().startswith(OF_TRANSACTIONS):
            return await super().execute(query, *args, **options)
        async with self._savepoint():
            return await super().execute(query, *args, **options)

    async def executemany(self, *args: Any, **options: Any) -> None:
        async with self._savepoint():
            await super().executemany(*args, **options)

    async def fetch(self, *args: Any, **options: Any) -> Any:
        async with self._savepoint():
            return await super().fetch(*args, **options)

    async def fetchrow(self, *args: Any, **options: Any) -> Any:
        async with self._savepoint():
            return await super().fetchrow(*args, **options)

    async def fetchval(self, *args: Any, **options: Any) -> Any:
        async with self._savepoint():
            return await super().fetchval(*args, **options)

    @asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[None]:
        await super().execute("savepoint each")
        try:
            yield
        except asyncpg.PostgresError:
            await super().execute("rollback to savepoint each")
            raise
        finally:
            await super().execute("release savepoint each")


async def open_rolled_back(url: str) -> RolledBack:
    """Connect with the settings of our sessions, except the one that ends idle transactions."""
    settings = session_settings("tests") | {"idle_in_transaction_session_timeout": "0"}
    return await asyncpg.connect(url, connection_class=RolledBack, server_settings=settings)
