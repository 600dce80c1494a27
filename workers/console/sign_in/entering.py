"""The ways in: the form, a link, a proxy's header; and where somebody is sent who came without.

Who may not come in is told what to do, and never which part of the proof was wrong.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from starlette.responses import PlainTextResponse, RedirectResponse

from tasks.sign_in.accounts import Accounts
from tasks.sign_in.forwarded import ForwardedTokens
from tasks.sign_in.keys import PublicKeys
from workers.console.origin import origin_of
from workers.console.sign_in import links, passwords, sessions
from workers.console.visit import read_fields, read_form, show

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from workers.console.desk import Desk
    from workers.settings import Settings

log = structlog.get_logger(__name__)

_NEXT_MAX = 500
WITHOUT_A_WAY = (
    "set SUPABASE_URL and SUPABASE_ANON_KEY, or CONSOLE_JWT_HEADER, CONSOLE_JWKS_URL and"
    " CONSOLE_JWT_AUDIENCE"
)


def make_ways(settings: Settings) -> tuple[Accounts | None, ForwardedTokens | None]:
    """Return what the settings name; say so if nobody can sign in."""
    accounts = forwarded = None
    if settings.supabase_url and settings.supabase_anon_key:
        accounts = Accounts(settings.supabase_url, settings.supabase_anon_key)
    if settings.console_jwks_url and settings.console_jwt_audience:
        keys = PublicKeys(settings.console_jwks_url)
        forwarded = ForwardedTokens(keys, audience=settings.console_jwt_audience)
    if not (accounts or forwarded or settings.console_link_secret):
        log.warning("nobody_can_sign_in", then=WITHOUT_A_WAY)
    return accounts, forwarded


async def ask_to_sign_in(desk: Desk, request: Request) -> Response:
    """Answer somebody who is not signed in."""
    if request.method != "GET":
        return show(
            desk,
            "problem.html",
            visit=None,
            status=HTTPStatus.UNAUTHORIZED,
            title="You are signed out",
            why="Nothing was changed. Sign in, and do it again.",
        )
    if request.headers.get("accept", "").startswith("text/event-stream"):
        return PlainTextResponse("signed out", HTTPStatus.UNAUTHORIZED)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    suffix = "" if path == "/" else f"?next={quote(path[:_NEXT_MAX], safe='')}"
    return RedirectResponse(f"/sign-in{suffix}", HTTPStatus.SEE_OTHER)


async def show_form(desk: Desk, request: Request) -> Response:
    """Show how one can sign in."""
    query = read_fields(request.url.query)
    return _form(desk, is_out="out" in query, following=safe_path(query.get("next", "")))


async def sign_in(desk: Desk, request: Request) -> Response:
    """Sign in with a password, and go on to where somebody wanted to go."""
    fields = await read_form(request)
    following = safe_path(fields.get("next", ""))
    origin = origin_of(desk, request)
    former = sessions.token_of(desk, request.cookies)
    try:
        token = await passwords.sign_in(desk, fields, origin=origin, former=former)
    except passwords.SignInFailed as failed:
        if failed.cause is not None:
            name = fields.get("email", "")
            await sessions.note_refusal(desk, failed.cause, origin=origin, name=name)
        return _form(
            desk,
            following=following,
            status=HTTPStatus.FORBIDDEN,
            fault=str(failed),
            email=fields.get("email", ""),
        )
    response = RedirectResponse(following, HTTPStatus.SEE_OTHER)
    sessions.keep(desk, response, token)
    return response


async def open_link(desk: Desk, request: Request) -> Response:
    """Sign in with a link of `coinfleet up`."""
    response = await links.open_link(desk, request)
    if response is not None:
        return response
    await sessions.note_refusal(desk, "link", origin=origin_of(desk, request))
    return _form(
        desk,
        following="/",
        status=HTTPStatus.FORBIDDEN,
        fault="This link is not one of the fleet that runs now: each start prints new ones."
        " `coinfleet console links` prints them again.",
    )


def safe_path(text: str) -> str:
    """Return a path of ours to go on to; the overview for anything else."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_ours and text.isprintable() and "\\" not in text else "/"


def _form(
    desk: Desk,
    *,
    following: str,
    status: int = HTTPStatus.OK,
    fault: str = "",
    is_out: bool = False,
    email: str = "",
) -> Response:
    return show(
        desk,
        "sign_in.html",
        visit=None,
        status=status,
        following=following,
        fault=fault,
        is_out=is_out,
        email=email,
        has_form=desk.accounts is not None,
        has_links=desk.settings.console_link_secret is not None,
    )
