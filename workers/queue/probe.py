"""Whether the queue answers and takes what is written, and what its errors mean in words."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from workers.queue.redis_clients import close_async_client, make_async_client

if TYPE_CHECKING:
    from collections.abc import Iterable

QueueState: TypeAlias = Literal["reachable", "refuses_writes", "unreachable"]

# Writing this key shows whether the queue takes writes; it is gone soon after.
PROBE_KEY = "dramatiq:probe"
PROBE_TTL_MS = 60_000
# What a doorbell's script does, each with a right of its own: a user may have some of them. There
# is no script of this name, and a server says so only to a user who may run scripts.
_SCRATCH_KEYS = tuple(f"{PROBE_KEY}.{number}" for number in range(3))
PROBE = (
    ("SET", PROBE_KEY, "", "PX", PROBE_TTL_MS),
    ("EVALSHA", "0" * 40, 0),
    ("ZADD", _SCRATCH_KEYS[0], 0, ""),
    ("HSET", _SCRATCH_KEYS[1], "", ""),
    ("RPUSH", _SCRATCH_KEYS[2], ""),
    ("DEL", *_SCRATCH_KEYS),
)
# The queue answers, and does not do what it is asked: no memory left, a failed save, a replica, a
# password or a right that is missing. Waiting alone doesn't cure it.
REFUSALS = (redis.ResponseError, redis.AuthenticationError, redis.exceptions.AuthorizationError)

# How redis-py writes each Sentinel before what it answered: a client with all its settings.
_SENTINEL_CLIENT = re.compile(r"<redis\..*?\)>\)>\)> - ")
# The place in one of Dramatiq's scripts where the error was raised.
_IN_SCRIPT = re.compile(r"\.? script: (\w+, )?on @\S+$")


def reason_of(error: Exception) -> str:
    """Return why the queue can't be used, in words for an operator."""
    text = str(error)
    if text.startswith("HELLO must be called with the client already authenticated"):
        return "it asks for a password, and the address has none (NOAUTH)"
    return _IN_SCRIPT.sub("", _SENTINEL_CLIENT.sub("", text)).rstrip(".")


def write_probe(client: redis.Redis) -> None:
    """Write and remove something, as a doorbell does. Raises what the queue answers to that."""
    pipeline = client.pipeline(transaction=False)
    for command in PROBE:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    _raise_refusal(pipeline.execute(raise_on_error=False))


async def probe_queue(client: redis.asyncio.Redis) -> QueueState:
    """Return how the queue is: whether it answers, and whether it takes what is written."""
    try:
        pipeline = client.pipeline(transaction=False)
        for command in PROBE:
            pipeline.execute_command(*command)
        _raise_refusal(await pipeline.execute(raise_on_error=False))
    except REFUSALS as error:
        if isinstance(error, redis.exceptions.ReadOnlyError):
            # A failover may have left us with a replica: the next probe connects anew, to the
            # server that has the name by then.
            await client.connection_pool.disconnect(inuse_connections=False)
        return "refuses_writes"
    except (redis.RedisError, OSError):  # TimeoutError is an OSError
        return "unreachable"
    return "reachable"


class RedisProbe:
    """Asks Redis or Valkey how it is, by a client that waits no longer than a probe."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._client = make_async_client(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # A probe asks for the state of now.
            retry=Retry(NoBackoff(), 0),
        )

    async def ask(self) -> QueueState:
        """Return how the queue is now."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await probe_queue(self._client)
        except TimeoutError:
            return "unreachable"

    async def close(self) -> None:
        """Close the connections."""
        await close_async_client(self._client)


def _raise_refusal(answers: Iterable[object]) -> None:
    """Raise the first refusal among the answers to the commands of `PROBE`."""
    for answer in answers:
        if isinstance(answer, redis.ResponseError) and not isinstance(answer, NoScriptError):
            raise answer
