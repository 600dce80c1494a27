"""What each parameter of an address does on a real server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from db.connections.pool import open_pool
from tests.db.connections.reaching import connected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Database


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=prefer",
        "connect_timeout=10",
        "connect_timeout=0",
        "gssencmode=disable",
        "sslmode=disable",
        "sslmode=prefer",
        "sslmode=allow",
        "target_session_attrs=read-write",
        "target_session_attrs=primary",
        "target_session_attrs=any",
        "keepalives=0",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3",
        "tcp_user_timeout=30000",
        "client_encoding=utf8",
        "fallback_application_name=other",
        "supa=base-pooler.x",
        "passfile=/nonexistent/pgpass",
        "sslmode=disable&sslrootcert=/nonexistent/ca",
        "options=-c work_mem=7MB",
    ],
)
async def test_an_ordinary_parameter_works(url: str, query: str) -> None:
    async with connected(f"{url}?{query}") as connection:
        assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_session_is_named_as_its_address_says(url: str) -> None:
    async with connected(f"{url}?application_name=shop%201") as connection:
        assert await connection.fetchval("show application_name") == "shop 1"


async def test_options_reach_the_server_and_our_bounds_stay(url: str) -> None:
    options = quote("-c work_mem=7MB -c statement_timeout=0")
    async with connected(f"{url}?options={options}") as connection:
        assert await connection.fetchval("show work_mem") == "7MB"
        assert await connection.fetchval("show statement_timeout") == "30s"


async def test_the_kernel_watches_a_connection_as_its_address_says(url: str) -> None:
    async with connected(f"{url}?keepalives_idle=30&keepalives_count=3") as connection:
        found: Any = connection._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    async with connected(f"{url}?keepalives=0") as connection:
        found = connection._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


async def test_a_password_is_found_in_a_file(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text("*:*:*:coinfleet_worker:test\n")
    file.chmod(0o600)
    url = database.url("worker").replace(":test@", "@")
    async with connected(f"{url}?passfile={file}") as connection:
        assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_pool_takes_the_same_parameters(url: str) -> None:
    query = "connect_timeout=10&application_name=shop&target_session_attrs=read-write"
    pool = await open_pool(f"{url}?{query}", application_name="test", max_size=1)
    try:
        assert await pool.fetchval("show application_name") == "shop"
    finally:
        pool.terminate()
