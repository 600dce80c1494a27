"""TLS to the queue: which certificates are trusted, by what the address says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio
from structlog.testing import capture_logs

from tasks import PROCESS_PAYMENT_EVENTS
from tests.servers.tls import Authority, needs_openssl, tls_before
from workers.queue.doorbell import Bell
from workers.queue.probe import probe_queue

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    folder = tmp_path / "ca"
    folder.mkdir()
    authority = Authority(folder)
    authority.make()
    return authority


async def is_reached(url: str) -> tuple[bool, str]:
    """Whether a ring gets through, and what a probe says."""
    bell = Bell(url)
    with capture_logs() as logs:
        await asyncio.to_thread(bell.ring, PROCESS_PAYMENT_EVENTS)
    bell.close()
    async with redis.asyncio.Redis.from_url(url) as client:
        return not logs, await probe_queue(client)


@needs_openssl
@pytest.mark.parametrize(
    ("query", "is_trusted"),
    [
        ("ssl_ca_certs={ca}", True),
        ("ssl_ca_certs={ca}&ssl_check_hostname=true&ssl_cert_reqs=required", True),
        ("ssl_cert_reqs=none", True),
        ("ssl_ca_certs={ca}&ssl_check_hostname=false", True),
        ("", False),
    ],
)
async def test_tls_works_with_the_ca_that_the_address_names(
    redis_url: str, authority: Authority, query: str, *, is_trusted: bool
) -> None:
    with tls_before(redis_url, authority.context()) as through:
        url = f"{through}?{query.format(ca=authority.certificate)}".removesuffix("?")
        expected = (True, "reachable") if is_trusted else (False, "unreachable")
        assert await is_reached(url) == expected


@needs_openssl
async def test_a_certificate_of_another_name_is_not_trusted_unless_one_says_so(
    redis_url: str, authority: Authority
) -> None:
    with tls_before(redis_url, authority.context("DNS:other.example")) as through:
        trusted = f"{through}?ssl_ca_certs={authority.certificate}"
        assert await is_reached(trusted) == (False, "unreachable")
        assert await is_reached(f"{trusted}&ssl_check_hostname=false") == (True, "reachable")
