"""Connections at an address that a test writes itself."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from db.connections.pool import open_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection

CLOSED = "127.0.0.1:1"


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[Connection]:
    """A connection to this address."""
    connection = await open_connection(url, application_name="test", **settings)
    try:
        yield connection
    finally:
        connection.terminate()


def hosts_of(url: str, *hosts: str) -> str:
    """The address with these hosts in place of its own; {} is its own."""
    parts = urlsplit(url)
    account, _, own = parts.netloc.rpartition("@")
    netloc = f"{account}@{','.join(each.format(own) for each in hosts)}"
    return parts._replace(netloc=netloc).geturl()
