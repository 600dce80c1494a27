"""The session of an operator's command: as the schema's owner, on a database of this project."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from db.connections.explanations import explained_errors
from db.connections.pool import open_connection
from db.connections.servers import CONNECT_TIMEOUT_S
from db.release.generations import check_released

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection


@asynccontextmanager
async def owner_session(url: str, *, command: str) -> AsyncIterator[Connection]:
    """Open a session as the schema's owner; close it when the block ends.

    Raises WrongRole, NotReleased, DatabaseUnavailable.
    """
    with explained_errors():
        connection = await open_connection(url, application_name=f"coinfleet {command}")
        try:
            await check_released(connection, url=url)
            yield connection
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
