"""How a session is set up: its name and its bounds, by the server or by a statement of ours.

What a pooler before the server takes, and what it refuses, is decided here and nowhere else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from db.connections.pooler import Pooling, SessionNeeded
from db.connections.servers import connect_to
from db.errors import NoSessionFree, raising_unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from db.connections.address import Address

# A batch of 500 takes well under a second; a statement that takes 30 won't succeed.
STATEMENT_TIMEOUT_MS = 30_000
# Row locks are held for one batch; five seconds of waiting means something is stuck.
LOCK_TIMEOUT_MS = 5_000
# A frozen process gives its row locks back after this. Code that holds a row on purpose for longer
# says so with `set local idle_in_transaction_session_timeout`.
IDLE_IN_TRANSACTION_MS = 60_000
# How soon a server process that waits for a lock notices that its client was killed.
CLIENT_CHECK_MS = 2_000
_SET = "select set_config(n, v, false) from unnest($1::text[], $2::text[]) as s (n, v)"


def session_settings(application_name: str) -> dict[str, str]:
    """Return the settings that each of our sessions starts with."""
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        "client_connection_check_interval": str(CLIENT_CHECK_MS),
        # Our statements run for microseconds to milliseconds; compiling one costs more.
        "jit": "off",
    }


def setup_options(
    address: Address, application_name: str, settings: Mapping[str, str]
) -> dict[str, Any]:
    """Return how a session at this address is set up, as options of `connect`.

    `settings` override those of session_settings. Raises SessionNeeded if there are any and the
    address is a transaction pooler's.
    """
    name = address.application_name or application_name
    all_settings = session_settings(name) | dict(settings)
    # The one setting that every pooler takes from a client that connects, and what an address adds.
    at_start = {"application_name": name}
    if address.options is not None:
        at_start["options"] = address.options
    match address.pooling:
        case Pooling.NONE:
            return {"settings": all_settings | at_start}
        case Pooling.SESSION:
            return {"settings": at_start, "then": all_settings}
        case Pooling.TRANSACTION:
            if settings:
                raise SessionNeeded
            # Without a cache no statement has a name, and each is parsed and run in one step.
            return {"settings": at_start, "statement_cache_size": 0}


async def connect(
    address: Address,
    _dsn: None = None,
    *,
    settings: Mapping[str, str],
    then: Mapping[str, str] | None = None,
    free_within_s: float | None = None,
    **options: Any,
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to a server of the address. It is given `settings` at once, and `then` afterwards.

    A session pooler accepts a client at once, and lets its first statement wait until a session is
    free. With `free_within_s` this waits no longer than that, and raises NoSessionFree.

    A pool calls it with an address of its own, `_dsn`, which is None. Raises what connect_to does.
    """
    connection = await connect_to(address, settings=settings, **options)
    if then:
        setting = asyncio.ensure_future(connection.execute(_SET, [*then], [*then.values()]))
        try:
            with raising_unavailable(place=address):
                await asyncio.wait({setting}, timeout=free_within_s)
                _raise_if_none_is_free(setting, address)
        except BaseException:
            # In this order: the pooler needn't be asked to cancel what ends with its client.
            connection.terminate()
            # Its error is read, so that the loop doesn't report it as never retrieved.
            setting.add_done_callback(lambda late: late.cancelled() or late.exception())
            setting.cancel()
            raise
    return connection


def _raise_if_none_is_free(setting: asyncio.Future[str], address: Address) -> None:
    """Raise what the first statement raised, and NoSessionFree if it is not answered yet."""
    if not setting.done():
        raise NoSessionFree(
            f"The pooler at {address} gives no session: all are in use, or the server is silent"
        )
    setting.result()
