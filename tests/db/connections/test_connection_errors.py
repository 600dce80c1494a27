"""What the errors of networks, servers and poolers mean: refused, or unavailable for now."""

from __future__ import annotations

import errno
import socket

import asyncpg
import pytest

from db.connections.address import Host
from db.connections.connection_errors import error_of, failure_of
from db.errors import DatabaseRefused, DatabaseUnavailable


def raised(error: Exception, host: Host) -> DatabaseUnavailable:
    """What is raised where this error of the driver is the only one."""
    failure = failure_of(error, host, timeout_s=5)
    assert failure is not None
    return error_of([failure])


@pytest.mark.parametrize(
    ("said", "is_refused"),
    [
        ("Tenant or user not found", True),
        ("(ENOTFOUND) tenant/user postgres.ref not found", True),
        ("(EMAXCONNSESSION) max clients reached in session mode", False),
        ("(ECHECKOUTTIMEOUT) unable to check out connection from the pool", False),
        ("unexpected end of the world", False),
    ],
)
def test_what_supavisor_says_is_told_apart_by_its_text(said: str, *, is_refused: bool) -> None:
    error = asyncpg.InternalServerError(said)
    failure = raised(error, Host("db.example", 6543))
    assert isinstance(failure, DatabaseUnavailable)
    assert isinstance(failure, DatabaseRefused) is is_refused
    assert said in str(failure)


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_host_name_that_does_not_exist_is_refused(number: int) -> None:
    """A resolver that can't be asked says something else, see below."""
    failure = raised(socket.gaierror(number, "unknown"), Host("db.example"))
    assert isinstance(failure, DatabaseRefused)
    assert str(failure) == (
        "The database can't be used at db.example:5432: there is no host of this name"
    )


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"),
        OSError(errno.EHOSTUNREACH, "Connect call failed"),
        PermissionError(errno.EPERM, "a firewall says no"),
        FileNotFoundError(errno.ENOENT, "no socket yet"),
        TimeoutError(),
        ConnectionResetError(errno.ECONNRESET, "reset"),
    ],
)
def test_an_error_of_the_network_is_no_refusal(error: OSError) -> None:
    failure = raised(error, Host("db.example", 6000))
    assert type(failure) is DatabaseUnavailable
    assert "db.example:6000" in str(failure)
