"""What `coinfleet doctor` finds at the queue, and at the address that providers know."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tasks.findings import Verdict
from tests.provoking import case, noted
from tests.servers.tls import Authority, needs_openssl, tls_before
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor.providers import check_console_address, check_public_address
from workers.cli.doctor.queue import check_memory, check_queue, check_tls
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION

# What a doorbell does.
RIGHTS = ("+set", "+evalsha", "+zadd", "+hset", "+rpush", "+del")


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    """The queue, as its operator meets it; afterwards it is as before."""
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory*")
        yield client
        client.execute_command("replicaof", "no", "one")
        for name in ("maxmemory-policy", "maxmemory"):
            client.config_set(name, before[name])  # type: ignore[index]
        client.execute_command("acl", "deluser", "weak")


async def test_a_queue_that_works_is_well(redis_url: str) -> None:
    given = context(redis_url=redis_url)
    for check in (check_queue, check_memory, check_tls):
        assert {each.verdict for each in await check(given)} == {Verdict.OK}


async def test_a_queue_that_answers_is_not_away_because_the_machine_is_busy(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each step of other checks took longer than the queue is waited for."""
    monkeypatch.setattr("workers.cli.doctor.queue.SOCKET_TIMEOUT_S", 0.2)
    loop, over = asyncio.get_running_loop(), threading.Event()

    def keep_the_loop() -> None:
        if not over.wait(0.3):
            loop.call_soon(keep_the_loop)

    loop.call_soon(keep_the_loop)
    given = context(redis_url=redis_url)
    queue, memory = await asyncio.gather(check_queue(given), check_memory(given))
    over.set()
    assert {each.verdict for each in (*queue, *memory)} == {Verdict.OK}


async def test_without_an_address_nothing_is_checked() -> None:
    for check in (check_queue, check_memory, check_tls):
        assert {each.verdict for each in await check(context())} == {Verdict.NOT_CHECKED}


@pytest.mark.provokes("queue_unreachable", "queue_refuses")
async def test_a_queue_that_is_away_or_refuses_is_found(
    redis_url: str, server: redis.Redis
) -> None:
    away = context(redis_url="redis://:secret-word@127.0.0.1:1")
    verdict, what = await found(check_queue, away)
    assert (verdict, "127.0.0.1:1 is unreachable" in what) == (BROKEN, True)
    assert "secret-word" not in what
    (unknown,) = await check_memory(away)
    assert (unknown.verdict, unknown.fix) == (Verdict.NOT_CHECKED, "see `queue`")
    wrong_one = context(redis_url=redis_url.replace("redis://:", "redis://:wrong"))
    verdict, what = await found(check_queue, wrong_one)
    assert (verdict, "refuses writes" in what) == (BROKEN, True)


async def test_a_user_who_may_not_ask_is_no_finding(redis_url: str, server: redis.Redis) -> None:
    server.execute_command("acl", "setuser", "weak", "on", ">weakpassword", "~*", *RIGHTS)
    place = redis_url.rpartition("@")[2]
    given = context(redis_url=f"redis://weak:weakpassword@{place}")
    assert {each.verdict for each in await check_queue(given)} == {Verdict.OK}
    (unknown,) = await check_memory(given)
    assert (unknown.verdict, "`+info`" in unknown.fix) == (Verdict.NOT_CHECKED, True)


@pytest.mark.provokes("queue_evicts")
async def test_a_queue_that_drops_messages_is_found(redis_url: str, server: redis.Redis) -> None:
    server.config_set("maxmemory-policy", "allkeys-lru")
    verdict, what = await found(check_memory, context(redis_url=redis_url))
    assert (verdict, what.startswith("maxmemory-policy is allkeys-lru")) == (ATTENTION, True)


@pytest.mark.provokes("queue_memory_full")
async def test_a_queue_whose_memory_is_nearly_full_is_found(
    redis_url: str, server: redis.Redis
) -> None:
    server.config_set("maxmemory", str(int(server.info("memory")["used_memory"] * 1.05)))  # type: ignore[index]
    verdict, what = await found(check_memory, context(redis_url=redis_url))
    assert (verdict, what.endswith("of the queue's memory is used")) == (ATTENTION, True)


@pytest.mark.provokes("queue_is_replica", "queue_refuses")
async def test_a_replica_is_found(redis_url: str, server: redis.Redis) -> None:
    server.execute_command("replicaof", "127.0.0.1", "1")
    given = context(redis_url=redis_url)
    assert (BROKEN, "REDIS_URL names a replica") in wrong(await check_memory(given))
    verdict, what = await found(check_queue, given)
    assert (verdict, "refuses writes" in what) == (BROKEN, True)


@pytest.mark.provokes("queue_client_missing")
async def test_a_queue_whose_client_is_not_installed_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As without the extra `rabbitmq`: no module of that name can be imported."""
    for name in [each for each in sys.modules if each.startswith(("pika", "workers.queue.rabbit"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pika", None)
    verdict, what = await found(check_queue, context(broker_url="amqp://u:p@127.0.0.1:1/"))
    assert verdict is BROKEN
    assert "BROKER_URL" in what, what


@pytest.mark.provokes("queue_in_clear")
async def test_the_way_to_a_queue_elsewhere_is_encrypted() -> None:
    given = context(redis_url="redis://:secret-word@queue.example.com")
    verdict, what = await found(check_tls, given)
    assert (verdict, "in the clear" in what, "secret-word" in what) == (BROKEN, True, False)


@pytest.mark.parametrize(
    ("setting", "url", "server", "begins"),
    [
        (
            "REDIS_URL",
            "redis://:secret-word@{}:1,{}:2/0?sentinel=main",
            "main of {}:1,{}:2",
            "redis",
        ),
        ("BROKER_URL", "amqp://fleet:secret-word@{}:1/", "{}:1", "amqp"),
    ],
    ids=["sentinel", "rabbitmq"],
)
async def test_a_queue_of_each_kind_is_examined_under_the_name_of_its_setting(
    setting: str, url: str, server: str, begins: str
) -> None:
    away = context(**{setting.lower(): url.replace("{}", "127.0.0.1")})
    (finding,) = await check_queue(away)
    told = f"{server.replace('{}', '127.0.0.1')} is unreachable"
    assert (finding.verdict, told in finding.what, setting in finding.fix) == (BROKEN, True, True)
    assert "secret-word" not in finding.what
    assert [each.verdict for each in await check_tls(away)] == [Verdict.OK]
    elsewhere = context(**{setting.lower(): url.replace("{}", "queue.example.com")})
    (finding,) = await check_tls(elsewhere)
    assert (finding.verdict, finding.fix) == (BROKEN, f"begin {setting} with {begins}s://")


@needs_openssl
@pytest.mark.provokes("queue_unproved", "certificate_ends")
async def test_the_certificate_of_a_queue_is_read(redis_url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make()
    with tls_before(redis_url, authority.context()) as through:
        given = context(redis_url=f"{through}?ssl_cert_reqs=none")
        said = {what: how for how, what in wrong(await check_tls(given))}
    assert said.pop("TLS to the queue does not prove the server") is ATTENTION
    ((ends, verdict),) = said.items()
    assert (verdict, ends.startswith("the certificate of the queue ends at")) == (ATTENTION, True)
    (unread,) = await check_tls(context(redis_url="rediss://:x@127.0.0.1:1"))
    assert unread.verdict is Verdict.NOT_CHECKED


@asynccontextmanager
async def answering(status: int, **headers: str) -> AsyncIterator[str]:
    """A server that answers so."""
    app = Starlette(routes=[Route("/{path:path}", lambda _: Response(b"", status, headers))])
    async with serving(app) as base:
        yield base


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        case(
            "address_redirects", 301, BROKEN, "answers 301: a redirect, which no provider follows"
        ),
        (405, None, ""),
        case("address_not_ours", 404, BROKEN, "answers 404, and not as our `web` does"),
        case("address_not_ours", 200, BROKEN, "answers 200, and not as our `web` does"),
    ],
)
async def test_the_address_that_providers_know_leads_to_web(
    status: int, verdict: Verdict | None, said: str
) -> None:
    async with answering(status, location="/elsewhere") as base:
        findings = wrong(await check_public_address(context(web_origin=base)))
    assert [(how, said in what) for how, what in findings] == ([(verdict, True)] if verdict else [])


async def test_an_address_that_nobody_answers_at_is_not_checked() -> None:
    for given in (context(), context(web_origin="http://127.0.0.1:1")):
        findings = await check_public_address(given)
        assert {each.verdict for each in findings} == {Verdict.NOT_CHECKED}


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        case("address_not_ours", 404, BROKEN),
        case("address_redirects", 301, BROKEN),
        (200, Verdict.OK),
    ],
)
async def test_the_address_that_people_open_leads_to_the_console(
    status: int, verdict: Verdict
) -> None:
    (unset,) = await check_console_address(context())
    assert unset.verdict is Verdict.NOT_CHECKED
    async with answering(status, location="/elsewhere") as base:
        (finding,) = noted(await check_console_address(context(console_origin=base)))
    assert (finding.verdict, base in finding.what) == (verdict, True)


@needs_openssl
@pytest.mark.provokes("certificate_ends")
async def test_the_certificate_of_web_is_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make()
    async with answering(405) as base:
        with tls_before(base, authority.context()) as through:
            origin = f"https://127.0.0.1:{urlsplit(through).port}"
            findings = wrong(await check_public_address(context(web_origin=origin)))
    assert [(how, "ends at" in what) for how, what in findings] == [(ATTENTION, True)]
