"""Reads the body of a request within bounds of size and time. Knows no answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive

# So much of a body that is too large is read, so that its sender reads the answer.
DISCARDED_BYTES_MAX = 4 * 1024 * 1024
# A provider, or a browser, sends the whole body at once; a slow sender is neither.
BODY_TIMEOUT_S = 10.0


class HungUp(Exception):
    """The sender closed the connection before its body was complete."""


class TooLarge(Exception):
    """The body is too large, or says so."""


class TooSlow(Exception):
    """The body did not come in time."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, bytes_max: int) -> bytes:
    """Return the body of at most `bytes_max`. Raises HungUp, TooLarge and TooSlow."""
    declares_too_much = _declared_bytes(headers) > bytes_max
    # A sender that waits before it sends the body need not send one that is refused anyway.
    if declares_too_much and b"expect" in headers:
        raise TooLarge
    try:
        body = await _read_parts(receive, bytes_max)
    except TimeoutError:
        raise (TooLarge if declares_too_much else TooSlow) from None
    if body is None:
        raise TooLarge
    return body


def _declared_bytes(headers: Mapping[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


async def _read_parts(receive: Receive, bytes_max: int) -> bytes | None:
    """Read the body, or None if it is too large, whatever its content-length said.

    Raises TimeoutError for a slow sender.
    """
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_TIMEOUT_S):
        while size <= DISCARDED_BYTES_MAX:
            message = await _next(receive)
            part: bytes = message.get("body", b"")
            size += len(part)
            if size <= bytes_max:
                parts.append(part)
            if not message.get("more_body"):
                break
    return b"".join(parts) if size <= bytes_max else None


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HungUp
    return message
