"""Signing out: the session ends in the database, and the browser forgets its token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.sessions import end_session
from workers.console.sign_in import sessions

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    token = sessions.token_of(visit.desk, visit.request.cookies)
    if token is not None:
        async with visit.acting() as connection:
            await end_session(connection, sessions.hash_of(token))
    response = visit.go_to("/sign-in?out=1")
    sessions.forget(visit.desk, response)
    return response
