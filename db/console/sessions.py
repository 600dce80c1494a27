"""Sessions of the console, and the one way by which it reads a payload.

Who somebody is has been verified by the caller. Tokens come in as SHA-256 only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session that is good now."""

    session_id: int
    subject: str
    person: str
    role: str
    aal: str
    reads_payloads: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Somebody whom a way of signing in has verified.

    `subject` tells people apart for ever, `name` is how they are shown. `issued_s` is when the
    token that says so was issued, in seconds since 1970, if one may come back.
    """

    subject: str
    name: str
    role: str
    aal: str
    reads_payloads: bool
    issued_s: float | None = None


async def open_session(
    pool: Pool | Connection, token_hash: bytes, claimant: Claimant, *, lasts_s: int
) -> str | None:
    """Begin a session; return the name under which the person acts.

    None, and no session, if a session of this person was ended after the token was issued.
    """
    person: str | None = await pool.fetchval(
        "select fleet.open_console_session($1, $2, $3, $4, $5, $6, $7, $8)",
        token_hash,
        claimant.subject,
        claimant.name,
        claimant.role,
        claimant.aal,
        claimant.reads_payloads,
        lasts_s,
        claimant.issued_s,
    )
    return person


async def find_session(pool: Pool | Connection, token_hash: bytes) -> ConsoleSession | None:
    """Return the session with this token if it is good now."""
    row = await pool.fetchrow("select * from fleet.console_session($1)", token_hash)
    return None if row is None else ConsoleSession(*row)


async def find_ended(pool: Pool | Connection, session_ids: Sequence[int]) -> frozenset[int]:
    """Return those of these sessions that are over."""
    rows = await pool.fetch(
        "select id from unnest($1::bigint[]) as asked (id) where not exists ("
        " select from fleet.console_sessions as s where s.id = asked.id"
        " and s.revoked_at is null and s.expires_at > clock_timestamp())",
        session_ids,
    )
    return frozenset(row["id"] for row in rows)


async def end_session(pool: Pool | Connection, token_hash: bytes) -> None:
    """End the session with this token, if there is one."""
    await pool.execute("select fleet.end_console_session($1)", token_hash)


async def note_refused(pool: Pool | Connection, name: str, *, cause: str) -> None:
    """Note that somebody could not sign in under this name, and why, for the audit log."""
    await pool.execute("select fleet.note_refused_sign_in($1, $2)", name, cause)


async def revoke_sessions(connection: Connection, person: str, *, by: str) -> int:
    """End all sessions of a person, as the schema's owner; return how many there were."""
    ended: int = await connection.fetchval(
        "select fleet.revoke_console_sessions($1, $2)", person, by
    )
    return ended


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that goes on, as its owner lists it."""

    person: str
    role: str
    aal: str
    created_at: datetime
    last_seen_at: datetime


async def list_sessions(connection: Connection) -> list[LiveSession]:
    """Return the sessions that are good now, the newest first."""
    rows = await connection.fetch(
        "select p.person, s.role, s.aal, s.created_at, s.last_seen_at"
        " from fleet.console_sessions as s join fleet.console_people as p on p.subject = s.subject"
        " where s.revoked_at is null and s.expires_at > clock_timestamp()"
        # None lasts longer than a day.
        " and s.created_at > (select clock_timestamp() - interval '2 days')"
        " order by s.created_at desc, s.id desc"
    )
    return [LiveSession(*row) for row in rows]


async def read_payload(
    pool: Pool | Connection, event_id: int, *, who: str, reason: str
) -> bytes | None:
    """Return an event's payload, with a note of who read it and why; None if it is gone."""
    payload: bytes | None = await pool.fetchval(
        "select fleet.payload_of($1, $2, $3)", event_id, who, reason
    )
    return payload
