"""Errors that say that a server, or a pooler before it, can't be used or has no session left."""

from __future__ import annotations

import asyncpg
import pytest

from db.errors import (
    Fate,
    ReadOnlyServer,
    fate,
    is_out_of_sessions,
    is_server_unfit,
    is_transient,
)
from tests.db.errors.made_errors import told

SUPAVISOR_FULL = (
    "(EMAXCONNSESSION) max clients reached in session mode",
    "(EMAXCLIENTCONN) max client connections reached, limit: 200",
    "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms",
    "MaxClientsInSessionMode: max clients reached",
    "Max client connections reached",
)
SUPAVISOR_BROKEN = (
    "(EDBHANDLEREXITED) connection to database closed",
    "(ECIRCUITBREAKER) too many authentication errors",
    "DbHandler exited",
)


@pytest.mark.parametrize("message", [*SUPAVISOR_FULL, *SUPAVISOR_BROKEN])
def test_whatever_supavisor_says_is_transient(message: str) -> None:
    error = told("XX000", message, "FATAL")
    assert fate(error, is_alone=True) is Fate.TRANSIENT
    assert is_out_of_sessions(error) is (message in SUPAVISOR_FULL)
    assert is_server_unfit(error) is (message in SUPAVISOR_BROKEN)


def test_supavisors_unknown_tenant_is_a_wrong_address() -> None:
    assert not is_transient(told("XX000", "Tenant or user not found", "FATAL"))


@pytest.mark.parametrize(
    "message",
    ["query_wait_timeout", "no more connections allowed (max_client_conn)"],
)
def test_pgbouncer_without_a_connection_to_give_is_transient(message: str) -> None:
    error = told("08P01", message, "FATAL")
    assert is_transient(error)
    assert is_out_of_sessions(error)
    assert not is_server_unfit(error)


@pytest.mark.parametrize(
    "error",
    [
        told("25006", "cannot execute UPDATE in a read-only transaction"),
        told("57P01", severity="FATAL"),
        told("57P03", severity="FATAL"),
        told("3D000", severity="FATAL"),
        told("28000", severity="FATAL"),
        told("28P01", severity="FATAL"),
        told("55000", "database is not currently accepting connections", "FATAL"),
        told("42501", "permission denied for database", "FATAL"),
        # Whatever else a pooler says of them.
        *map(told, ("57P01", "57P02", "57P03", "3D000", "28000")),
        told("08006"),
        told("08P01", "server conn crashed?", "FATAL"),
        ReadOnlyServer(),
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.InterfaceError("connection is closed"),
    ],
    ids=str,
)
def test_what_says_that_a_server_serves_nobody_is_known(error: Exception) -> None:
    assert is_server_unfit(error)


@pytest.mark.parametrize(
    "sqlstate", ["23505", "40P01", "53100", "53300", "55P03", "57014", "42883"]
)
def test_what_says_nothing_against_the_server_expires_no_connection(sqlstate: str) -> None:
    assert not is_server_unfit(told(sqlstate))
