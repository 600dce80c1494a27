"""The console as a web application: its routes from the table, and what stands before each.

Opens the desk when the server starts it. An error of the database becomes a page that says so.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from db.connections.pool import expire_if_unfit, open_pool
from workers.console import assets
from workers.console.attempts import Attempts, UsedCodes
from workers.console.desk import Desk, MenuItem
from workers.console.feed import Feed
from workers.console.guard import Guard
from workers.console.outages import outage_of
from workers.console.rendering import make_environment
from workers.console.rights import Right
from workers.console.sign_in import entering
from workers.console.sign_in.proxied import recognize
from workers.console.sign_in.sessions import keep
from workers.console.table import ACTIONS, PAGES
from workers.console.visit import BadInput, NotFound, NotYours, Visit, read_fields, read_form, show
from workers.outage import Outage
from workers.processes import CONSOLE
from workers.serving.limits import ConnectionLimits
from workers.serving.repeats import Repeats
from workers.sign_in_links import PATH as LINK_PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from workers.console.table import Show
    from workers.settings import Settings

log = structlog.get_logger(__name__)

POOL_SIZE = 8
# Whoever looks at a page would rather be told than wait.
STATEMENT_TIMEOUT_S = 8.0
# Each person has a few, and one for the live numbers; a proxy has as many as people use at once.
CONNECTIONS_MAX = 500
# For headers and forms that are not answered yet; the process stays under 150 MB with them.
HELD_BYTES_MAX = 16 * 1024 * 1024


def make_app(settings: Settings, *, connections_max: int = CONNECTIONS_MAX) -> ASGIApp:
    """Return the application behind its guard."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with open_desk(settings) as desk:
            app.state.desk = desk
            limits = ConnectionLimits(
                # It has no metrics; its log says it.
                note_refused=lambda _: None,
                connections_max=connections_max,
                held_bytes_max=HELD_BYTES_MAX,
            )
            # In the server's own state, too, which ends the streams when it stops.
            yield {"desk": desk, "limits": limits}

    routes = [
        *(_route(page.path, page.right, page.show, "GET") for page in PAGES),
        *(_route(action.path, action.right, action.do, "POST") for action in ACTIONS),
        Route("/sign-in", _open(entering.show_form), methods=["GET"]),
        Route("/sign-in", _open(entering.sign_in), methods=["POST"]),
        Route(f"{LINK_PATH}/{{token}}", _open(entering.open_link), methods=["GET"]),
        Route("/healthz", lambda _: PlainTextResponse("ok\n"), methods=["GET"]),
        Mount(assets.PATH, assets.VersionedFiles(directory=assets.FOLDER)),
    ]
    handlers: Any = {HTTPStatus.NOT_FOUND: _unknown_page}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    # It would lead to the Host that a proxy wrote, by plain HTTP.
    app.router.redirect_slashes = False
    return Guard(app, origin=settings.console_origin)


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Open what pages use; close it in reverse order. The database may be unreachable."""
    async with AsyncExitStack() as closing:
        pool = await open_pool(
            settings.url_for(CONSOLE),
            application_name=CONSOLE.application_name,
            min_size=0,
            max_size=POOL_SIZE,
            command_timeout_s=STATEMENT_TIMEOUT_S,
        )
        closing.callback(pool.terminate)
        feed = Feed(pool, held_after=timedelta(minutes=settings.status_held_after_minutes))
        feed.start()
        closing.push_async_callback(feed.close)
        accounts, forwarded = entering.make_ways(settings)
        for way in (accounts, forwarded):
            if way is not None:
                closing.push_async_callback(way.close)
        yield Desk(
            pool=pool,
            settings=settings,
            templates=make_environment(),
            feed=feed,
            attempts=Attempts(),
            used_codes=UsedCodes(),
            refusals=Repeats(),
            sign_in_outage=Outage("sign_in_service", then="nobody can sign in with a password"),
            menu=[MenuItem(each.path, each.title, each.right) for each in PAGES if each.in_menu],
            accounts=accounts,
            forwarded=forwarded,
        )


def _route(path: str, right: Right, do: Show, method: str) -> Route:
    return Route(path, partial(_visit, right=right, do=do), methods=[method])


async def _visit(request: Request, *, right: Right, do: Show) -> Response:
    """Answer somebody who is signed in and has the right; send others to where they can sign in."""
    desk: Desk = request.app.state.desk
    visit = None
    try:
        person, begun = await recognize(desk, request)
        if person is None:
            return await entering.ask_to_sign_in(desk, request)
        # Also for a page that says what is wrong with its fields.
        visit = Visit(request=request, desk=desk, person=person)
        query = read_fields(request.url.query)
        form = await read_form(request) if request.method == "POST" else {}
        visit = replace(visit, query=query, form=form)
        response = await do(visit) if visit.may(right) else _refuse(visit, right)
        if begun is not None:
            keep(desk, response, begun)
    # Each error becomes a page: this is the edge.
    except Exception as error:  # noqa: BLE001
        return await _explain(desk, request, visit, error)
    return response


def _open(answer: Any) -> Any:
    """Wrap what anybody may open."""

    async def answered(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        try:
            response: Response = await answer(desk, request)
        except Exception as error:  # noqa: BLE001 - the edge
            return await _explain(desk, request, None, error)
        return response

    return answered


def _refuse(visit: Visit, right: Right) -> Response:
    person = visit.person
    lacking = visit.desk.settings.console_approval_aal
    is_factor = right is Right.APPROVE and person.aal < lacking
    why = (
        "Approving asks for a second factor: sign in again with the code of your app."
        if is_factor
        else f"This needs the right to {right}, and {person.name} is {person.role}."
    )
    return visit.page("problem.html", status=HTTPStatus.FORBIDDEN, title="Not yours", why=why)


async def _explain(desk: Desk, request: Request, visit: Visit | None, error: Exception) -> Response:
    """Return a page that says what is wrong, and what the person can do."""
    say = partial(show, desk, "problem.html", visit=visit)
    if isinstance(error, BadInput):
        return say(status=HTTPStatus.BAD_REQUEST, title="That can't be used", why=str(error))
    if isinstance(error, NotFound):
        return say(status=HTTPStatus.NOT_FOUND, title="Nothing here", why=str(error))
    if isinstance(error, NotYours):
        return say(status=HTTPStatus.FORBIDDEN, title="Not yours", why=str(error))
    await expire_if_unfit(desk.pool, error)
    found = outage_of(error, is_form=request.method == "POST")
    if found is not None:
        if not found.passes:
            log.error("page_failed", path=request.url.path, exc_info=error)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        response = say(status=status, title=found.title, why=found.why)
        response.headers["retry-after"] = "5"
        return response
    log.error("page_failed", path=request.url.path, exc_info=error)
    why = "This page failed. Its log line has the reason: page_failed."
    return say(status=HTTPStatus.INTERNAL_SERVER_ERROR, title="This page failed", why=why)


async def _unknown_page(request: Request, _error: Exception) -> Response:
    desk: Desk = request.app.state.desk
    why = f"There is no page {quote(request.url.path)[:80]}."
    return show(
        desk, "problem.html", visit=None, status=HTTPStatus.NOT_FOUND, title="No page", why=why
    )
