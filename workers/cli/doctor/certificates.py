"""When the certificate of a server ends. Who made it is proved by whoever connects, not here."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

from db.connections.inspection import end_of_certificate
from tasks.findings import Finding, attention, broken, not_checked, ok

ENDS_SOON = timedelta(days=21)
CONNECT_S = 3.0


async def check_certificate(host: str, port: int, *, whose: str) -> Finding:
    """Connect once, and say when the certificate ends."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    except (OSError, TimeoutError) as error:
        return not_checked(f"the certificate of {whose} can't be read ({type(error).__name__})")
    tls = writer.get_extra_info("ssl_object")
    ends_at = end_of_certificate(tls.getpeercert(binary_form=True))
    writer.transport.abort()
    # The socket is closed in the loop's next round.
    await asyncio.sleep(0)
    what = f"the certificate of {whose}"
    ending = judge_end(what, ends_at, datetime.now(UTC), code="certificate_ends")
    return ending or ok(f"TLS to {whose}")


def judge_end(what: str, at: datetime | None, now: datetime, *, code: str) -> Finding | None:
    """Return a finding of this code if this has ended or ends soon."""
    if at is None or at - now > ENDS_SOON:
        return None
    if at <= now:
        return broken(code, f"{what} ended at {at:%Y-%m-%d %H:%M}Z", fix="renew it now")
    return attention(code, f"{what} ends at {at:%Y-%m-%d %H:%M}Z", fix="renew it before that")
