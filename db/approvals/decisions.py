"""Held purchases: what waits for a person, what a decision would do, and the decision itself.

In a person's own session the database knows the person by the login; in the console's it takes
`who`, whom the console has verified. It lets nobody decide twice.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import asyncpg

from db.connections.address import Address
from db.connections.pool import open_connection
from db.connections.roles import NotReleased
from db.connections.servers import CONNECT_TIMEOUT_S
from db.errors import AccountFull, CoinfleetError, DatabaseRefused, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from db.connections.pool import Connection

# Whatever takes longer waits for a lock that somebody holds.
TIMEOUT_S = 30.0


class NotYours(DatabaseRefused):
    """The session's role may not decide what is held."""


class DecisionRefused(CoinfleetError):
    """What was asked for can't be decided like this; the message says what can."""


@dataclass(frozen=True, slots=True)
class Held:
    """A purchase that waits, or an event that is held without one (`purchase_id` is None)."""

    purchase_id: int | None
    event_id: int | None
    provider: str
    provider_payment_id: str | None
    reason: str
    profile_id: UUID | None
    amount: Decimal | None
    currency: str | None
    usd_amount: Decimal | None
    held_since: datetime
    age_s: float
    waits_for: Literal["decision", "second_approver", "refund"]
    approvals: Sequence[str]
    coin_amount: int | None = None
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A purchase with what a person needs to decide it."""

    purchase_id: int
    event_id: int | None
    provider: str
    provider_payment_id: str
    status: str
    hold_reason: str | None
    decision: str | None
    refund_requested: bool
    profile_id: UUID
    username: str | None
    coin_balance: int
    sku: str | None
    quantity: int
    coin_amount: int
    refunded_coins: int
    amount: Decimal | None
    currency: str | None
    usd_amount: Decimal | None
    refunded: Decimal | None
    package_coins: int | None
    package_price: Decimal | None
    package_currency: str | None
    is_granted_otherwise: bool
    purchase_limit_usd: Decimal
    approval_threshold_usd: Decimal
    second_approver_above_usd: Decimal | None
    country_code: str | None
    ip_address: str | None
    purchased_at: datetime
    held_since: datetime
    expires_at: datetime | None
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about a purchase."""

    verb: str
    outcome: str
    who: str
    reason: str
    coins: int | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision came to: `waits_for` is None once nothing is left to happen."""

    status: str
    decision: str | None
    waits_for: str | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a decision would do now: found by doing it and taking it back."""

    decided: Decided
    credited: int
    taken_back: int
    balance_after: int


@asynccontextmanager
async def deciding(url: str) -> AsyncIterator[Connection]:
    """Open a session of somebody who may decide.

    Raises NotYours, NotReleased where there is no schema, and DatabaseUnavailable.
    """
    connection = await open_connection(
        url, application_name="coinfleet purchases", command_timeout_s=TIMEOUT_S
    )
    try:
        row = await connection.fetchrow(
            "select session_user::text as who, current_database()::text as database,"
            " has_function_privilege(to_regprocedure("
            "'public.approve_coin_purchase(bigint, text, text, bigint)'), 'execute') as may"
        )
        assert row is not None  # noqa: S101 - one row, whatever is there
        address = Address.parse(url)
        if row["may"] is None:
            raise NotReleased(
                f"The database {row['database']} at {address} lacks the functions of this release:"
                " run `coinfleet migrate`, or correct the address"
            )
        if not row["may"]:
            raise NotYours(
                f"The database at {address} logged us in as {row['who']}, which may not decide what"
                " is held: set OPERATOR_DATABASE_URL to the address of a role that inherits"
                " coinfleet_operator"
            )
        yield connection
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def read_held(connection: Connection, *, limit: int) -> list[Held]:
    """Return what waits for a person, or for a refund that one asked for; the oldest first."""
    rows = await connection.fetch(
        "select purchase_id, event_id, provider, provider_payment_id, reason, profile_id, amount,"
        " currency, usd_amount, held_since, waits_for, approvals, coin_amount, sku,"
        " extract(epoch from clock_timestamp() - held_since)::float8 as age_s"
        " from fleet.held_purchases($1)",
        limit,
    )
    return [Held(**row) for row in rows]


async def read_purchase(connection: Connection, purchase_id: int) -> Look | None:
    """Return a purchase, held or not; None if there is none of this id."""
    columns = ", ".join(
        "host(ip_address) as ip_address" if name == "ip_address" else name
        for name in Look.__slots__
    )
    row = await connection.fetchrow(
        f"select {columns} from fleet.purchase_for_decision($1)",  # noqa: S608 -- names of ours
        purchase_id,
    )
    return Look(**row) if row else None


async def read_decisions(connection: Connection, purchase_id: int) -> list[Decision]:
    """Return what people decided about a purchase, in order."""
    rows = await connection.fetch(
        "select verb, outcome, who, reason, coins, decided_at from fleet.purchase_decisions($1)",
        purchase_id,
    )
    return [Decision(**row) for row in rows]


async def approve(
    connection: Connection,
    purchase_id: int,
    *,
    reason: str,
    coins: int | None = None,
    who: str | None = None,
) -> Decided:
    """Approve a held purchase as the person whose session this is, or as `who`.

    Raises DecidedBefore, DecidedMeanwhile, NoPrice, DecisionRefused.
    """
    with refusals():
        row = await connection.fetchrow(
            "select status, decision, waits_for"
            " from public.approve_coin_purchase($1, coalesce($4, session_user::text), $2, $3)",
            purchase_id,
            reason,
            coins,
            who,
        )
    assert row is not None  # noqa: S101 -- or it had been refused
    return Decided(**row)


async def reject(
    connection: Connection,
    purchase_id: int,
    *,
    reason: str,
    without_refund: bool = False,
    who: str | None = None,
) -> Decided:
    """Reject a held purchase as the person whose session this is, or as `who`.

    Raises DecidedBefore, DecidedMeanwhile, DecisionRefused.
    """
    with refusals():
        row = await connection.fetchrow(
            "select status, decision, waits_for"
            " from public.reject_coin_purchase($1, coalesce($4, session_user::text), $2, $3)",
            purchase_id,
            reason,
            without_refund,
            who,
        )
    assert row is not None  # noqa: S101 -- or it had been refused
    return Decided(**row)


async def attribute_event(
    connection: Connection,
    event_id: int,
    *,
    profile_id: UUID,
    reason: str,
    who: str | None = None,
) -> str:
    """Say whose payment a held event tells of; return the event's state then.

    Raises UnknownProfile, DecidedBefore, DecidedMeanwhile, DecisionRefused.
    """
    with refusals():
        state: str = await connection.fetchval(
            "select state"
            " from public.attribute_held_event($1, $2, coalesce($4, session_user::text), $3)",
            event_id,
            profile_id,
            reason,
            who,
        )
    return state


async def reject_event(
    connection: Connection,
    event_id: int,
    *,
    reason: str,
    without_refund: bool = False,
    who: str | None = None,
) -> str | None:
    """Reject a payment that is held without a purchase; return what it waits for.

    Raises DecidedBefore, DecidedMeanwhile, DecisionRefused.
    """
    with refusals():
        waits_for: str | None = await connection.fetchval(
            "select waits_for"
            " from public.reject_held_event($1, coalesce($4, session_user::text), $2, $3)",
            event_id,
            reason,
            without_refund,
            who,
        )
    return waits_for


async def foresee(
    connection: Connection,
    look: Look,
    verb: Literal["approve", "reject"],
    *,
    without_refund: bool = False,
    who: str | None = None,
) -> Foreseen:
    """Decide, look, and take it back: in a transaction that is rolled back.

    Raises what the decision raises.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        if verb == "approve":
            decided = await approve(connection, look.purchase_id, reason="dry run", who=who)
        else:
            decided = await reject(
                connection,
                look.purchase_id,
                reason="dry run",
                without_refund=without_refund,
                who=who,
            )
        return await see(connection, look.purchase_id, decided)
    finally:
        await transaction.rollback()


async def see(connection: Connection, purchase_id: int, decided: Decided) -> Foreseen:
    """Return what a decision has done, in the transaction that did it."""
    after = await read_purchase(connection, purchase_id)
    assert after is not None  # noqa: S101 -- it was decided
    return Foreseen(
        decided=decided,
        credited=after.coin_amount if decided.decision == "approved" else 0,
        taken_back=after.refunded_coins,
        balance_after=after.coin_balance,
    )


async def foresee_event(
    connection: Connection, event_id: int, *, without_refund: bool, who: str | None = None
) -> str | None:
    """Reject a payment that is held without a purchase, and take it back; see reject_event."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        return await reject_event(
            connection, event_id, reason="dry run", without_refund=without_refund, who=who
        )
    finally:
        await transaction.rollback()


@contextmanager
def refusals() -> Iterator[None]:
    """Raise the class of a refusal in place of the driver's error."""
    try:
        yield
    except asyncpg.InvalidParameterValueError as error:
        raise DecisionRefused(str(error)) from error
    except asyncpg.PostgresError as error:
        refused = refusal(error)
        if isinstance(refused, AccountFull):
            raise DecisionRefused(
                "the buyer's account can't hold so many coins: reject it"
            ) from error
        if refused:
            raise refused from error
        raise
