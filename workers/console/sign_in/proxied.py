"""People whom an identity-aware proxy has signed in: its token comes with each request.

The token is verified each time, and the session is ours: it can be ended, and says who did what.
A new token of the same person with another role begins another session.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from db.console.sessions import Claimant
from tasks.sign_in.refusals import KeysUnavailable, NotSignedIn
from workers.console.origin import origin_of
from workers.console.sign_in import sessions
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from starlette.requests import Request

    from workers.console.desk import Desk
    from workers.console.rights import Person

SUBJECT = "proxy "


async def recognize(desk: Desk, request: Request) -> tuple[Person | None, str | None]:
    """Return who sends this request, and the token of a session that was begun for it."""
    token = sessions.token_of(desk, request.cookies)
    person = await sessions.find_person(desk, token)
    origin = origin_of(desk, request)
    claimant = await _claimant_of(desk, request, origin=origin)
    if claimant is None:
        # A session that a proxy vouched for is good only as long as it does.
        is_vouched = person is not None and person.subject.startswith(SUBJECT)
        return (None if is_vouched else person), None
    if person is not None and _is_of(person, claimant):
        return person, None
    begun = await sessions.begin(desk, claimant, "proxy", origin=origin)
    return (await sessions.find_person(desk, begun)), begun


def _is_of(person: Person, claimant: Claimant) -> bool:
    held = (person.subject, person.role, person.aal, person.reads_payloads)
    claimed = (claimant.subject, claimant.role, claimant.aal, claimant.reads_payloads)
    return held == claimed


async def _claimant_of(desk: Desk, request: Request, *, origin: str) -> Claimant | None:
    """Return whom the proxy's token names; None if there is no good one."""
    header = desk.settings.console_jwt_header
    if desk.forwarded is None or header is None:
        return None
    token = request.headers.get(header, "").removeprefix("Bearer ").strip()
    if not token:
        return None
    try:
        found = await desk.forwarded.read(token, now_s=time.time())
    except NotSignedIn as refused:
        await sessions.note_refusal(desk, f"proxy_{refused.cause}", origin=origin)
        return None
    except KeysUnavailable:
        return None
    if found.role not in set(Role):
        await sessions.note_refusal(desk, "proxy_no_role", origin=origin)
        return None
    return Claimant(
        subject=f"{SUBJECT}{found.subject}",
        name=sessions.name_of(found.email, found.subject),
        role=found.role,
        aal=found.aal,
        reads_payloads=found.reads_payloads,
        issued_s=found.issued_s,
    )
