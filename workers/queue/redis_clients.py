"""Clients of Redis or Valkey: of one server, or of the one that Sentinel names now."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

SENTINEL_PORT = 26379
# The parameters of an address that name Sentinel's part of it; redis-py doesn't know them.
SENTINEL = "sentinel"
SENTINEL_PASSWORD = "sentinel_password"  # noqa: S105 -- a parameter's name
# What redis-py would convert in an address of one server.
_NUMBERS = ("db", "protocol")
_FLAGS = ("socket_keepalive", "ssl_check_hostname")


def make_client(url: str, **options: Any) -> redis.Redis:
    """Return a client that blocks, with these options of redis-py; it connects to nothing yet."""
    found = _by_sentinel(url)
    if found is None:
        return redis.Redis.from_url(url, **options)
    places, name, asking, told = found
    sentinel = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        places, sentinel_kwargs=options | asking
    )
    client: redis.Redis = sentinel.master_for(  # type: ignore[no-untyped-call]
        name, **options | told
    )
    return client


def make_async_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client for a loop, with these options of redis-py; it connects to nothing yet."""
    found = _by_sentinel(url)
    if found is None:
        return redis.asyncio.Redis.from_url(url, **options)
    places, name, asking, told = found
    sentinel = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        places, sentinel_kwargs=options | asking
    )
    client: redis.asyncio.Redis = sentinel.master_for(name, **options | told)
    return client


def close_client(client: redis.Redis) -> None:
    """Close the client's connections, and those to the Sentinels that it asked."""
    client.close()
    for each in _asked_by(client):
        each.close()


async def close_async_client(client: redis.asyncio.Redis) -> None:
    """Close the client's connections, and those to the Sentinels that it asked."""
    # It was given its pool, so it doesn't close that by itself.
    await client.aclose(close_connection_pool=True)
    for each in _asked_by(client):
        await each.aclose()


def _asked_by(client: Any) -> list[Any]:
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    return [] if manager is None else list(manager.sentinels)


def sentinels_of(url: str) -> list[tuple[str, int]]:
    """Return host and port of each server that the address names."""
    hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    parts = [urlsplit(f"//{host}") for host in hosts]
    return [(part.hostname or "localhost", part.port or SENTINEL_PORT) for part in parts]


def _by_sentinel(
    url: str,
) -> tuple[list[tuple[str, int]], str, dict[str, Any], dict[str, Any]] | None:
    """Return the Sentinels, the name to ask for, and what they and the server are told."""
    parts = urlsplit(url)
    parameters: dict[str, Any] = dict(parse_qsl(parts.query))
    name = parameters.pop(SENTINEL, None)
    if name is None:
        return None
    account = parts.netloc.rpartition("@")[0]
    user, _, password = account.partition(":")
    told: dict[str, Any] = {"ssl": parts.scheme == "rediss"} if parts.scheme == "rediss" else {}
    if user:
        told["username"] = unquote(user)
    if password:
        told["password"] = unquote(password)
    if parts.path.strip("/"):
        told["db"] = int(parts.path.strip("/"))
    sentinel_password = parameters.pop(SENTINEL_PASSWORD, None)
    for key, value in parameters.items():
        if key in _NUMBERS:
            told[key] = int(value)
        elif key in _FLAGS:
            told[key] = value.lower() in {"true", "1", "yes"}
        else:
            told[key] = value
    asking = {key: value for key, value in told.items() if key.startswith("ssl")}
    if sentinel_password is not None:
        asking["password"] = sentinel_password
    return sentinels_of(url), name, asking, told
