"""A project's public keys: fetched when they are needed, and kept while they can't be fetched.

However many requests need a key, at most one fetch is under way, and one for an id that nobody has
is made at most once a minute. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import msgspec
import structlog

from tasks.providers.calls import CallFailed
from tasks.providers.http import HttpApi
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.sign_in.refusals import KeysUnavailable, NotSignedIn
from tasks.sign_in.signatures import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.providers.http import Answer

log = structlog.get_logger(__name__)

# A sender who waits is told 503 after this.
FETCH_TIMEOUT_S = 5.0
# Keys are used for as long as their Cache-Control says, within these bounds.
FRESH_S_DEFAULT, FRESH_S_MIN, FRESH_S_MAX = 600.0, 60.0, 3_600.0
# Keys that can't be fetched again are used for a day, so that an outage signs nobody out.
KEPT_S_MAX = 86_400.0
# After a failure senders are refused for this long before the next fetch.
FAILED_PAUSE_S = 5.0
# Tokens that name an unknown key make us fetch no more often than this.
UNKNOWN_PAUSE_S = 60.0
# A project has a key in use, one in standby and a few that were revoked.
KEYS_MAX = 32
RSA_BITS_MIN = 2_048

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])")


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


_KEY_SET = msgspec.json.Decoder(_KeySet)


class PublicKeys:
    """The keys of a JSON Web Key Set at `url`, by their ids."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self._path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._api = HttpApi(
            f"{parts.scheme}://{parts.netloc}",
            headers={"accept": "application/json"},
            requests_per_s=1,
            timeout_s=FETCH_TIMEOUT_S,
        )
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._fetched_at = float("-inf")
        self._fresh_until = float("-inf")
        self._tried_at = float("-inf")
        self._is_failing = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> Key:
        """Return the key of this id.

        Raises NotSignedIn for an id that no key has, and KeysUnavailable if there may be such a key
        and the set can't be fetched now.
        """
        if kid is None:
            raise NotSignedIn("unreadable")
        now = self._clock()
        if now - self._fetched_at > KEPT_S_MAX:
            await self._fetch(after_s=FAILED_PAUSE_S)
        elif now > self._fresh_until:
            self._begin_fetch(after_s=FAILED_PAUSE_S)
        if kid not in self._keys:
            await self._fetch(after_s=UNKNOWN_PAUSE_S)
        found = self._keys.get(kid)
        if found is not None:
            return found
        if self._is_failing:
            raise KeysUnavailable
        raise NotSignedIn("no_match")

    async def close(self) -> None:
        """Close the connection."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        await self._api.close()

    async def _fetch(self, *, after_s: float) -> None:
        """Wait for a fetch; begin one if the last is so long ago. Raises KeysUnavailable."""
        self._begin_fetch(after_s=after_s)
        if self._fetching is not None:
            # Whoever gives up waiting leaves it to the others.
            await asyncio.shield(self._fetching)
        if self._clock() - self._fetched_at > KEPT_S_MAX:
            raise KeysUnavailable

    def _begin_fetch(self, *, after_s: float) -> None:
        is_under_way = self._fetching is not None and not self._fetching.done()
        if not is_under_way and self._clock() - self._tried_at > after_s:
            self._tried_at = self._clock()
            self._fetching = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        """Replace the keys. Logs an outage once, and its end."""
        try:
            answer = await self._api.send("GET", self._path)
            self._keys = _read_keys(answer)
        except (CallFailed, KeysUnavailable) as error:
            if not self._is_failing:
                log.warning(
                    "sign_in_keys_unreachable",
                    reason=str(error),
                    then="keys that are known count for a day; other tokens are answered 503",
                )
            self._is_failing = True
            return
        if self._is_failing:
            log.info("sign_in_keys_back")
        self._is_failing = False
        self._fetched_at = self._clock()
        self._fresh_until = self._fetched_at + _fresh_s(answer.headers.get("cache-control", ""))


def _read_keys(answer: Answer) -> dict[str, Key]:
    """Return the keys that may verify a token. Raises KeysUnavailable."""
    if answer.status != 200:
        raise KeysUnavailable(f"answered {answer.status}")
    try:
        told = _KEY_SET.decode(answer.body)
    except UNREADABLE_ERRORS:
        raise KeysUnavailable("the answer is no JSON Web Key Set") from None
    found = ((each.get("kid"), _read_key(each)) for each in told.keys[:KEYS_MAX])
    return {kid: key for kid, key in found if isinstance(kid, str) and key is not None}


def _read_key(told: Mapping[str, Any]) -> Key | None:
    """Return a key with the one algorithm that its type is for; None for any other.

    A shared secret (`oct`) is never taken from a public place.
    """
    algorithm = {("EC", "P-256"): "ES256", ("RSA", None): "RS256"}.get(
        (str(told.get("kty")), told.get("crv"))
    )
    if algorithm is None or told.get("alg", algorithm) != algorithm:
        return None
    if told.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(dict(told), algorithm).key
    # Whatever is wrong with one key, the others count.
    except Exception:  # noqa: BLE001
        return None
    if algorithm == "RS256" and key.key_size < RSA_BITS_MIN:
        return None
    return Key(algorithm, key)


def _fresh_s(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control.lower())
    told_s = float(found[1]) if found else FRESH_S_DEFAULT
    return min(max(told_s, FRESH_S_MIN), FRESH_S_MAX)
