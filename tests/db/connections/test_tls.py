"""TLS to the database: what each sslmode proves, with a CA of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import uvloop

from db.connections.pool import open_connection, open_pool
from db.errors import DatabaseRefused
from tests.servers.tls import Authority, needs_openssl, tls_before

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clusters import Database

pytestmark = needs_openssl


async def user_at(url: str) -> str:
    """Who is logged in at this address."""
    connection = await open_connection(url, application_name="test")
    user: str = await connection.fetchval("select session_user")
    connection.terminate()
    return user


@pytest.fixture
def url(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A worker's address, and a home without certificates."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return database.url("worker")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    folder = tmp_path / "ca"
    folder.mkdir()
    authority = Authority(folder)
    authority.make()
    return authority


@pytest.fixture
def tls_url(url: str, authority: Authority) -> Iterator[str]:
    """The worker's address where TLS is spoken."""
    with tls_before(url, authority.context()) as through:
        yield through


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
async def test_each_mode_of_tls_works_with_the_ca(
    tls_url: str, authority: Authority, mode: str
) -> None:
    query = f"sslmode={mode}&sslrootcert={authority.certificate}"
    assert await user_at(f"{tls_url}?{query}") == "coinfleet_worker"


async def test_without_a_ca_tls_is_required_and_no_certificate_is_checked(tls_url: str) -> None:
    assert await user_at(f"{tls_url}?sslmode=require") == "coinfleet_worker"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_certificate_of_another_ca_is_refused(
    tls_url: str, tmp_path: Path, mode: str
) -> None:
    other = Authority(tmp_path)
    other.make()
    query = f"sslmode={mode}&sslrootcert={other.certificate}"
    with pytest.raises(DatabaseRefused, match="its certificate is not trusted"):
        await user_at(f"{tls_url}?{query}")


async def test_the_systems_certificates_do_not_trust_a_ca_of_ones_own(tls_url: str) -> None:
    with pytest.raises(DatabaseRefused, match="its certificate is not trusted"):
        await user_at(f"{tls_url}?sslrootcert=system")


async def test_a_certificate_of_another_name_is_for_a_full_check_alone(
    url: str, authority: Authority
) -> None:
    with tls_before(url, authority.context("DNS:other.example")) as through:
        trusted = f"{through}?sslrootcert={authority.certificate}"
        with pytest.raises(DatabaseRefused, match="its certificate is not trusted"):
            await user_at(f"{trusted}&sslmode=verify-full")
        assert await user_at(f"{trusted}&sslmode=verify-ca") == "coinfleet_worker"


async def test_a_pool_connects_through_tls(tls_url: str, authority: Authority) -> None:
    query = f"sslmode=verify-full&sslrootcert={authority.certificate}"
    pool = await open_pool(f"{tls_url}?{query}", application_name="test", max_size=1)
    try:
        assert await pool.fetchval("select 1") == 1
    finally:
        pool.terminate()


def test_the_receivers_loop_connects_through_tls(tls_url: str, authority: Authority) -> None:
    """Uvloop has transports and sockets of its own."""
    query = f"sslmode=verify-full&sslrootcert={authority.certificate}&keepalives_idle=30"
    assert uvloop.run(user_at(f"{tls_url}?{query}")) == "coinfleet_worker"
