"""The queue: whether it answers, takes what is written, keeps it, and is reached safely.

The queue is only a doorbell, so nothing here loses money: what is wrong costs a second per event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import redis.asyncio

from tasks.findings import Finding, attention, broken, not_checked, ok
from workers.cli.doctor.certificates import check_certificate
from workers.cli.doctor.settings import is_local
from workers.queue.client import SOCKET_TIMEOUT_S
from workers.queue.probe import PROBE_KEY, PROBE_TTL_MS, REFUSALS, reason_of
from workers.settings.queue_address import server_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workers.cli.doctor.examining import Context

THEN = "workers look for events once per second meanwhile"
USED_MAX = 0.8
UNSET = not_checked("REDIS_URL is not set here", fix="run it where the processes run")
NOEVICTION = "noeviction"


async def check_queue(context: Context) -> list[Finding]:
    """Say whether the queue takes what is written."""
    url = context.settings.redis_url
    if url is None:
        return [UNSET]
    client = _client(url)
    try:
        await client.set(PROBE_KEY, "", px=PROBE_TTL_MS)
    except REFUSALS as error:
        what = f"the queue at {server_of(url)} refuses writes: {reason_of(error)}; {THEN}"
        return [broken(what, fix="correct REDIS_URL, the user's rights, or free memory there")]
    except (redis.RedisError, OSError) as error:
        what = f"the queue at {server_of(url)} is unreachable: {reason_of(error)}; {THEN}"
        return [broken(what, fix="start it, or correct REDIS_URL")]
    finally:
        await client.aclose()
    return [ok(f"the queue at {server_of(url)} takes what is written")]


async def check_memory(context: Context) -> list[Finding]:
    """Say what the queue does when its memory is full, and whether it keeps what it holds."""
    url = context.settings.redis_url
    if url is None:
        return [UNSET]
    client = _client(url)
    try:
        told: Mapping[str, Any] = await client.info("everything")
    except (redis.RedisError, OSError) as error:
        fix = "give the user the right `+info` (docs/deploying.md)"
        return [not_checked(f"the queue does not tell: {reason_of(error)}", fix=fix)]
    finally:
        await client.aclose()
    return [*_memory(told), *judge_persistence(told)]


def _memory(told: Mapping[str, Any]) -> Iterator[Finding]:
    policy, limit = told.get("maxmemory_policy"), int(told.get("maxmemory", 0))
    if policy is None:
        yield not_checked("the queue does not tell its memory policy")
    elif policy != NOEVICTION:
        yield attention(
            f"maxmemory-policy is {policy}: when memory is full, messages are dropped unseen",
            fix="`config set maxmemory-policy noeviction`, and in its configuration",
        )
    else:
        yield ok("maxmemory-policy is noeviction")
    if not limit:
        yield ok("no memory limit is set: the machine's is the limit")
    elif told.get("used_memory", 0) > limit * USED_MAX:
        yield attention(
            f"{told['used_memory'] / limit:.0%} of the queue's memory is used",
            fix="raise maxmemory, or see what else is stored there",
        )
    if told.get("role") == "slave":
        yield broken("REDIS_URL names a replica", fix="point it to the primary")


def judge_persistence(told: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is known of what it keeps, from its INFO."""
    if told.get("loading"):
        yield attention("the queue is loading its data", fix="wait; workers go on meanwhile")
    failed = [
        name
        for key, name in (("rdb_last_bgsave_status", "snapshot"), ("aof_last_write_status", "log"))
        if told.get(key, "ok") != "ok"
    ]
    if failed:
        yield attention(
            f"the queue's last {' and '.join(failed)} failed: it may refuse writes soon",
            fix="free its disk, or switch persistence off: coinfleet does not need it",
        )
    else:
        kept = "kept on disk" if told.get("aof_enabled") else "kept in memory, which is enough"
        yield ok(f"messages are {kept}: losing all of them loses no event")


async def check_tls(context: Context) -> list[Finding]:
    """Say whether the way to the queue is encrypted and proves the server."""
    url = context.settings.redis_url
    if url is None:
        return [UNSET]
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if parts.scheme == "unix" or (parts.scheme == "redis" and is_local(host)):
        return [ok("the queue is on this machine")]
    if parts.scheme != "rediss":
        what = f"ids of events go to {server_of(url)} in the clear, with the password"
        return [broken(what, fix="begin REDIS_URL with rediss://")]
    found = []
    if dict(parse_qsl(parts.query)).get("ssl_cert_reqs") in ("none", "optional"):
        fix = "remove ssl_cert_reqs from REDIS_URL"
        found.append(attention("TLS to the queue does not prove the server", fix=fix))
    return [*found, await check_certificate(host, parts.port or 6379, whose="the queue")]


def _client(url: str) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=SOCKET_TIMEOUT_S
    )
