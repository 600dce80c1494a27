"""An address with several hosts: which is used, and what is said if none is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from db.connections import host_order, servers
from db.connections.pool import open_connection
from db.errors import DatabaseRefused, DatabaseUnavailable
from tests.db.connections.reaching import CLOSED, connected, hosts_of

if TYPE_CHECKING:
    from tests.clusters import Database


@pytest.mark.parametrize("hosts", [(CLOSED, "{}"), ("{}", CLOSED), (CLOSED, CLOSED, "{}")])
async def test_the_first_host_that_accepts_is_used(url: str, hosts: tuple[str, ...]) -> None:
    async with connected(hosts_of(url, *hosts)) as connection:
        assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_silent_host_does_not_use_up_the_next_ones_time(url: str) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        several = hosts_of(url, f"127.0.0.1:{port}", "{}")
        async with connected(f"{several}?connect_timeout=1") as connection:
            assert await connection.fetchval("select 1") == 1
        with pytest.raises(DatabaseUnavailable, match=f"127.0.0.1:{port}: no answer within 1 s"):
            await open_connection(
                f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=1", application_name="test"
            )


async def test_a_caller_that_waits_less_than_a_silent_host_takes_gets_to_the_next_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first host of the address froze, or its machine is gone."""
    monkeypatch.setattr(host_order, "SILENT_FROM_S", 0.0)
    asked = asyncio.Semaphore(0)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.release()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        several = hosts_of(url, f"127.0.0.1:{port}", "{}")
        given_up = asyncio.create_task(open_connection(several, application_name="test"))
        await asked.acquire()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        for _ in range(2):
            async with connected(several) as connection:
                assert await connection.fetchval("select 1") == 1
        assert asked.locked(), "the silent host was asked again, ahead of one that answers"
        # It is asked once no other is left, and counts again once it answers.
        pending = asyncio.create_task(
            open_connection(hosts_of(url, f"127.0.0.1:{port}", CLOSED), application_name="test")
        )
        await asked.acquire()
        pending.cancel()


async def test_a_host_that_answers_again_stands_in_its_place_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_order, "SILENT_FROM_S", 0.0)
    closed = hosts_of(url, CLOSED)
    with pytest.raises(DatabaseUnavailable):
        await open_connection(closed, application_name="test")
    assert servers.host_order.silent
    monkeypatch.setattr(host_order, "SILENT_FROM_S", 60.0)
    with pytest.raises(DatabaseUnavailable):
        await open_connection(closed, application_name="test")
    assert not {host for host in servers.host_order.silent if host.port == 1}


async def test_of_several_hosts_one_that_takes_no_writes_is_passed_over(
    database: Database, url: str
) -> None:
    async with connected(database.url("superuser")) as superuser:
        await superuser.execute(
            f"alter role coinfleet_worker in database {database.name}"
            " set default_transaction_read_only = on"
        )
    with pytest.raises(DatabaseUnavailable, match="takes no writes"):
        await open_connection(hosts_of(url, "{}", "{}"), application_name="test")
    # Alone it is used as before: it may be in the middle of a failover.
    async with connected(url) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_hosts_that_are_all_unreachable_are_all_named(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as failure:
        await open_connection(hosts_of(url, CLOSED, "127.0.0.1:2"), application_name="test")
    assert str(failure.value) == (
        "The database can't be reached at 127.0.0.1:1: Connection refused;"
        " at 127.0.0.1:2: Connection refused"
    )
    assert not isinstance(failure.value, DatabaseRefused)


@pytest.mark.parametrize("query", ["", "?sslmode=prefer"])
async def test_a_host_whose_name_is_gone_is_passed_over(url: str, query: str) -> None:
    """The name of a removed machine is removed too, and then the other hosts are needed."""
    for hosts in [("gone.invalid:5432", "{}"), ("gone.invalid:5432", CLOSED, "{}")]:
        async with connected(hosts_of(url, *hosts) + query) as connection:
            assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_host_that_is_no_postgresql_is_passed_over(url: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"H")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        async with connected(hosts_of(url, f"127.0.0.1:{port}", "{}")) as connection:
            assert await connection.fetchval("select 1") == 1


async def test_unknown_hosts_are_refused_unless_another_host_may_come_back(url: str) -> None:
    with pytest.raises(DatabaseRefused) as refusal:
        await open_connection(
            hosts_of(url, "gone.invalid:1", "gone.invalid:2"), application_name="test"
        )
    assert str(refusal.value) == (
        "The database can't be used at gone.invalid:1: there is no host of this name;"
        " at gone.invalid:2: there is no host of this name"
    )
    for hosts in [("gone.invalid:1", CLOSED), (CLOSED, "gone.invalid:1")]:
        with pytest.raises(DatabaseUnavailable) as failure:
            await open_connection(hosts_of(url, *hosts), application_name="test")
        assert not isinstance(failure.value, DatabaseRefused)
        assert "at gone.invalid:1: there is no host of this name" in str(failure.value)
        assert f"at {CLOSED}: Connection refused" in str(failure.value)
