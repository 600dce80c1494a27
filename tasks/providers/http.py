"""HTTP to a provider: one client per provider, with bounds on everything that an answer may be.

Knows no provider. Follows no redirect, reads no proxy from the environment, and logs nothing. An
error names what happened, never an address, a header or a body.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import TYPE_CHECKING

import httpx

from tasks.providers.base_address import check_base_address
from tasks.providers.calls import ProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# For a whole exchange. httpx counts between two reads only, so a server that sends a byte now and
# then would keep a call for ever.
TIMEOUT_S = 20.0
# The largest answer that we ask for, a list of 100 refunds, has about 100 KB.
ANSWER_BYTES_MAX = 1_048_576
# A number above this is a time, in milliseconds since 1970 as Apple gives it; as seconds it would
# be 30 years.
CLOCK_MS_FROM = 1_000_000_000
# The one coding that we ask for, and decode no further than the bound. httpx decodes whole whatever
# it receives at once, and 64 KB may become 64 MB.
CODING = "gzip"
_WITH_GZIP_HEADER = zlib.MAX_WBITS | 16


class AnswerTooLarge(ProviderUnreachable):
    """The answer is larger than we read; one to a smaller question may not be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer, whole and not yet read."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """How long the provider wants us to wait; None if it does not say."""
        return read_retry_after(self.headers.get("retry-after"), now_s=time.time())

    @property
    def dated_at(self) -> datetime | None:
        """When it was sent, by the provider's clock; None if it does not say."""
        try:
            at = parsedate_to_datetime(self.headers.get("date", ""))
        except (ValueError, OverflowError):
            return None
        return at.astimezone(UTC)


class HttpApi:
    """Sends requests to one provider, at most `requests_per_s` on average.

    With `reads_only_bytes` no more of an answer's body is read, and its status counts however long
    the body is. Belongs to one event loop; close it there. Raises ValueError for a base address
    that is neither https nor loopback.

        api = HttpApi("https://api.stripe.com", headers={…}, requests_per_s=20)
        answer = await api.send("GET", "/v1/refunds?payment_intent=pi_1")
    """

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str],
        requests_per_s: float,
        timeout_s: float = TIMEOUT_S,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        reads_only_bytes: int | None = None,
    ) -> None:
        self._base = check_base_address(base)
        self._headers = {"accept-encoding": CODING, **headers}
        self._interval_s = 1 / requests_per_s
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max
        self._reads_only_bytes = reads_only_bytes
        self._next_at = 0.0
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Return the answer, whatever its status.

        Raises ProviderUnreachable if there is none within the time limit, if it is too large
        (AnswerTooLarge), and if it is a redirect.
        """
        await self._turn()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._exchange(method, path, headers or {}, body)
        except TimeoutError:
            raise ProviderUnreachable("no answer in time") from None
        except httpx.HTTPError as error:
            # From None: its message may name the address, its request has our key.
            raise ProviderUnreachable(type(error).__name__) from None
        if 300 <= answer.status < 400:
            raise ProviderUnreachable(f"{answer.status}: a redirect")
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base,
                headers=self._headers,
                verify=_tls(),
                # The time limit of the whole exchange is the only one.
                timeout=None,  # noqa: S113
                follow_redirects=False,
                trust_env=False,
            )
        async with self._client.stream(
            method, path, headers=dict(headers), content=body
        ) as response:
            return Answer(response.status_code, response.headers, await self._read(response))

    async def _read(self, response: httpx.Response) -> bytes:
        """Return the body, decoded, or with `reads_only_bytes` its beginning as it was sent."""
        received = bytearray()
        if self._reads_only_bytes:
            async for part in response.aiter_raw():
                received += part
                if len(received) >= self._reads_only_bytes:
                    break
            return bytes(received)
        decode = _decoder(response.headers.get("content-encoding", ""))
        async for part in response.aiter_raw():
            received += decode(part, self._answer_bytes_max + 1 - len(received))
            if len(received) > self._answer_bytes_max:
                raise AnswerTooLarge("the answer is too large")
        return bytes(received)

    async def _turn(self) -> None:
        """Wait for this request's turn."""
        now = time.monotonic()
        at = max(now, self._next_at)
        self._next_at = at + self._interval_s
        if at > now:
            await asyncio.sleep(at - now)


@cache
def _tls() -> ssl.SSLContext:
    """Return what all clients of this process share: to read the CAs takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)


def _decoder(coding: str) -> Callable[[bytes, int], bytes]:
    """Return what decodes the next part of a body to at most so many bytes, which is never 0.

    Raises ProviderUnreachable for a coding that nobody asked for.
    """
    match coding.strip().lower():
        case "" | "identity":
            return lambda part, bytes_max: part[:bytes_max]
        case "gzip":
            return partial(_unzip, zlib.decompressobj(_WITH_GZIP_HEADER))
    raise ProviderUnreachable("the answer has a coding that nobody asked for")


def _unzip(decoder: zlib._Decompress, part: bytes, bytes_max: int) -> bytes:
    try:
        return decoder.decompress(part, bytes_max)
    except zlib.error:
        raise ProviderUnreachable("the answer can't be decoded") from None


def read_retry_after(value: str | None, *, now_s: float) -> float | None:
    """Return how many seconds a Retry-After asks for, at least 0; None if there is none to read.

    It is a number of seconds, a date of HTTP, or, from Apple, a time in milliseconds since 1970.
    """
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        try:
            number = parsedate_to_datetime(value).timestamp() - now_s
        except (ValueError, OverflowError):
            return None
    else:
        if number >= CLOCK_MS_FROM:
            number = number / 1_000 - now_s
    # A number that is none, "nan", is not equal to itself.
    return max(number, 0.0) if number == number else None  # noqa: PLR0124
