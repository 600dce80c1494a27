"""Signing in by a link that `coinfleet up` printed: for a fleet on this machine.

Nobody has a name there, so each role is one person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from db.console.sessions import Claimant
from workers.console.origin import origin_of
from workers.console.rendering import render
from workers.console.sign_in import sessions
from workers.sign_in_links import Role, read_link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from workers.console.desk import Desk


async def open_link(desk: Desk, request: Request) -> Response | None:
    """Sign in whoever opens a link; return None if it is no good one."""
    secret = desk.settings.console_link_secret
    role = read_link(request.path_params["token"], secret) if secret else None
    if role is None:
        return None
    claimant = Claimant(
        subject=f"link {role}",
        name=f"{role} of this machine",
        role=role,
        aal="aal1",
        reads_payloads=role is Role.APPROVER,
    )
    token = await sessions.begin(
        desk,
        claimant,
        "link",
        origin=origin_of(desk, request),
        former=sessions.token_of(desk, request.cookies),
    )
    if token is None:
        return None
    # A page, not a redirect: a browser that came from elsewhere would not send the cookie along.
    response = HTMLResponse(
        render(desk.templates, "signed_in.html", person=None, test_mode=desk.test_mode, menu=())
    )
    sessions.keep(desk, response, token)
    return response
