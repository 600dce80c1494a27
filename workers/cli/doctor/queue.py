"""The queue: whether it answers, takes what is written, keeps it, and is reached safely.

The queue is only a doorbell, so nothing here loses money: what is wrong costs a second per event.
It is asked on a thread: the other checks keep the event loop, on a busy machine for longer than the
queue is waited for, and a queue that answers would be called unreachable.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.findings import Finding, attention, broken, not_checked, ok
from workers.cli.doctor.certificates import check_certificate
from workers.cli.doctor.settings import is_local
from workers.queue.client import SOCKET_TIMEOUT_S
from workers.queue.opening import open_broker
from workers.queue.probe import REFUSALS, reason_of, write_probe
from workers.queue.redis_clients import (
    SENTINEL,
    make_client,
    sentinels_of,
)
from workers.settings import SettingsFault
from workers.settings.queue_address import server_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workers.cli.doctor.examining import Context
    from workers.settings import Settings

THEN = "workers look for events once per second meanwhile"
USED_MAX = 0.8
UNSET = not_checked(
    "neither REDIS_URL nor BROKER_URL is set here", fix="run it where the processes run"
)
NOEVICTION = "noeviction"
# By what an address begins with: what it begins with over TLS.
OVER_TLS = {"redis": "rediss://", "amqp": "amqps://"}
PORTS = {"rediss": 6379, "amqps": 5671}


class Trouble(NamedTuple):
    """What keeps the queue from taking what is written: a finding's code, and its words."""

    code: Literal["queue_refuses", "queue_unreachable"]
    what: str
    reason: str


async def check_queue(context: Context) -> list[Finding]:
    """Say whether the queue takes what is written."""
    url, setting = context.settings.queue_url, _setting(context.settings)
    if url is None:
        return [UNSET]
    server = f"the queue at {server_of(url)}"
    try:
        find = _trouble_of_rabbitmq if _is_rabbitmq(url) else _trouble_of_redis
        trouble = await asyncio.to_thread(find, url)
    except SettingsFault as fault:
        return [
            broken(
                "queue_client_missing",
                "; ".join(fault.faults),
                fix="install it here, and where processes run",
            )
        ]
    if trouble is None:
        return [ok(f"{server} takes what is written")]
    code, what, reason = trouble
    fix = f"start it, correct {setting} or the user's rights, or free memory there"
    return [broken(code, f"{server} {what}: {reason}; {THEN}", fix=fix)]


def _trouble_of_redis(url: str) -> Trouble | None:
    """Return what is wrong with it and why; None if it takes what is written."""
    client = _client(url)
    try:
        write_probe(client)
    except REFUSALS as error:
        return Trouble("queue_refuses", "refuses writes", reason_of(error))
    except (redis.RedisError, OSError) as error:
        return Trouble("queue_unreachable", "is unreachable", reason_of(error))
    finally:
        client.close()
    return None


def _trouble_of_rabbitmq(url: str) -> Trouble | None:
    broker = open_broker(url, middleware=[])
    try:
        refusal = broker.write_refusal()
    except broker.troubles as error:
        return Trouble("queue_unreachable", "is unreachable", broker.reason_of(error))
    finally:
        broker.close()
    if refusal is None:
        return None
    return Trouble("queue_refuses", "refuses writes", refusal)


async def check_memory(context: Context) -> list[Finding]:
    """Say what the queue does when its memory is full, and whether it keeps what it holds."""
    url, setting = context.settings.queue_url, _setting(context.settings)
    if url is None:
        return [UNSET]
    if _is_rabbitmq(url):
        return [ok("RabbitMQ drops nothing when its memory is full: it lets senders wait")]
    try:
        told = await asyncio.to_thread(_info, url)
    except REFUSALS as error:
        fix = "give the user the right `+info` (docs/deploying.md)"
        return [not_checked(f"the queue does not tell: {reason_of(error)}", fix=fix)]
    except (redis.RedisError, OSError) as error:
        what = f"the queue does not answer: {reason_of(error)}"
        return [not_checked(what, fix="see `queue`")]
    return [*_memory(told, setting), *judge_persistence(told)]


def _memory(told: Mapping[str, Any], setting: str) -> Iterator[Finding]:
    policy, limit = told.get("maxmemory_policy"), int(told.get("maxmemory", 0))
    if policy is None:
        yield not_checked("the queue does not tell its memory policy")
    elif policy != NOEVICTION:
        yield attention(
            "queue_evicts",
            f"maxmemory-policy is {policy}: when memory is full, messages are dropped unseen",
            fix="`config set maxmemory-policy noeviction`, and in its configuration",
        )
    else:
        yield ok("maxmemory-policy is noeviction")
    if not limit:
        yield ok("no memory limit is set: the machine's is the limit")
    elif told.get("used_memory", 0) > limit * USED_MAX:
        yield attention(
            "queue_memory_full",
            f"{told['used_memory'] / limit:.0%} of the queue's memory is used",
            fix="raise maxmemory, or see what else is stored there",
        )
    if told.get("role") == "slave":
        yield broken(
            "queue_is_replica", f"{setting} names a replica", fix="point it to the primary"
        )


def judge_persistence(told: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is known of what it keeps, from its INFO."""
    if told.get("loading"):
        yield attention(
            "queue_loading", "the queue is loading its data", fix="wait; workers go on meanwhile"
        )
    failed = [
        name
        for key, name in (("rdb_last_bgsave_status", "snapshot"), ("aof_last_write_status", "log"))
        if told.get(key, "ok") != "ok"
    ]
    if failed:
        yield attention(
            "queue_saves_fail",
            f"the queue's last {' and '.join(failed)} failed: it may refuse writes soon",
            fix="free its disk, or switch persistence off: coinfleet does not need it",
        )
    else:
        kept = "kept on disk" if told.get("aof_enabled") else "kept in memory, which is enough"
        yield ok(f"messages are {kept}: losing all of them loses no event")


async def check_tls(context: Context) -> list[Finding]:
    """Say whether the way to the queue is encrypted and proves the server."""
    url, setting = context.settings.queue_url, _setting(context.settings)
    if url is None:
        return [UNSET]
    parts = urlsplit(url)
    places = _places(url)
    in_the_clear = parts.scheme in OVER_TLS
    if parts.scheme == "unix" or (in_the_clear and all(is_local(host) for host, _ in places)):
        return [ok("the queue is on this machine")]
    if in_the_clear:
        what = f"ids of events go to {server_of(url)} in the clear, with the password"
        return [
            broken("queue_in_clear", what, fix=f"begin {setting} with {OVER_TLS[parts.scheme]}")
        ]
    found = []
    if dict(parse_qsl(parts.query)).get("ssl_cert_reqs") in ("none", "optional"):
        fix = f"remove ssl_cert_reqs from {setting}"
        found.append(
            attention("queue_unproved", "TLS to the queue does not prove the server", fix=fix)
        )
    certificates = (
        check_certificate(
            host, port, whose="the queue" if len(places) == 1 else f"the queue's {host}:{port}"
        )
        for host, port in places
    )
    return [*found, *await asyncio.gather(*certificates)]


def _setting(settings: Settings) -> str:
    """Return which setting names the queue."""
    return "REDIS_URL" if settings.broker_url is None else "BROKER_URL"


def _is_rabbitmq(url: str) -> bool:
    return url.startswith("amqp")


def _places(url: str) -> list[tuple[str, int]]:
    """Return host and port of each server that the address names."""
    parts = urlsplit(url)
    if SENTINEL in dict(parse_qsl(parts.query)):
        return sentinels_of(url)
    return [(parts.hostname or "localhost", parts.port or PORTS.get(parts.scheme, 0))]


def _info(url: str) -> Mapping[str, Any]:
    client = _client(url)
    try:
        told: Mapping[str, Any] = client.info("everything")
    finally:
        client.close()
    return told


def _client(url: str) -> redis.Redis:
    """Return a client that tries once: a check asks for the state of now, and is bounded."""
    return make_client(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
