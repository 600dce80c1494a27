"""Sessions: a cookie with a random token, whose SHA-256 is a row of fleet.console_sessions.

The cookie says nothing else, so whoever is signed out or revoked is out at the next request. A
session lasts for SESSION_S and is not renewed: tokens of the sign-in service are not kept, which is
why nothing here refreshes one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import structlog

from db.console.acting import acting
from db.console.sessions import (
    Claimant,
    end_session,
    find_session,
    note_refused,
    open_session,
)
from workers.console.rights import Person
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from workers.console.desk import Desk

log = structlog.get_logger(__name__)

# A working day: whoever lost a role in the sign-in service is out by then, or at once by
# `coinfleet console revoke`.
SESSION_S = 8 * 3_600
_TOKEN_BYTES = 32
_TOKEN_LENGTH_MAX = 100


def cookie_name(desk: Desk) -> str:
    """Return the cookie's name; over TLS a browser then takes it from this host alone."""
    return "__Host-coinfleet" if desk.settings.is_console_secure else "coinfleet"


def hash_of(token: str) -> bytes:
    """Return what the database knows of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def name_of(email: str, otherwise: str) -> str:
    """Return the address, or `otherwise` if no eye could tell the address from another."""
    shown = email.strip()
    return shown if shown and shown.isprintable() else otherwise


async def begin(
    desk: Desk, claimant: Claimant, way: str, *, origin: str, former: str | None = None
) -> str | None:
    """Begin a session; return its token, or None if this claim was signed out since.

    It ends that of `former`, the token that the browser is about to forget.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    async with acting(desk.pool, origin=origin) as connection:
        person = await open_session(connection, hash_of(token), claimant, lasts_s=SESSION_S)
        if person is None:
            return None
        if former is not None:
            await end_session(connection, hash_of(former))
    log.info("signed_in", person=person, role=claimant.role, way=way, aal=claimant.aal)
    return token


async def note_refusal(desk: Desk, cause: str, *, origin: str, name: str = "") -> None:
    """Note for the audit log, and at most once a minute in the log, that nobody was signed in.

    A refusal without a name, which costs a stranger nothing, asks the database as seldom.
    """
    since_last_logged = desk.refusals.note(cause)
    if since_last_logged is not None:
        log.warning("sign_ins_refused", cause=cause, since_last_logged=since_last_logged)
    if name or since_last_logged is not None:
        async with acting(desk.pool, origin=origin) as connection:
            await note_refused(connection, name, cause=cause)


def keep(desk: Desk, response: Response, token: str) -> None:
    """Have the browser keep the token, until it is closed or the session ends."""
    response.set_cookie(
        cookie_name(desk),
        token,
        max_age=SESSION_S,
        path="/",
        secure=desk.settings.is_console_secure,
        httponly=True,
        samesite="strict",
    )


def forget(desk: Desk, response: Response) -> None:
    """Have the browser drop the token."""
    response.delete_cookie(
        cookie_name(desk),
        path="/",
        secure=desk.settings.is_console_secure,
        httponly=True,
        samesite="strict",
    )


def token_of(desk: Desk, cookies: Mapping[str, str]) -> str | None:
    """Return the token that a browser sent, if it may be one."""
    token = cookies.get(cookie_name(desk), "")
    return token if 0 < len(token) <= _TOKEN_LENGTH_MAX else None


async def find_person(desk: Desk, token: str | None) -> Person | None:
    """Return who has this token; None if nobody is signed in by it."""
    if token is None:
        return None
    found = await find_session(desk.pool, hash_of(token))
    if found is None:
        return None
    return Person(
        session_id=found.session_id,
        subject=found.subject,
        name=found.person,
        role=Role(found.role),
        aal=found.aal,
        reads_payloads=found.reads_payloads,
        expires_at=found.expires_at,
    )
