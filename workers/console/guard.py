"""The guard around every page: security headers, forms of our own pages only, bounded forms.

Knows neither people nor pages. A form counts if the browser says that it comes from the same
origin (`Sec-Fetch-Site`), or, where a browser does not say that (plain HTTP), if its `Origin` is
ours: CONSOLE_ORIGIN, else the Host of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from workers.serving.body import HungUp, TooLarge, TooSlow, read_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
SAFE = frozenset({"GET", "HEAD"})
METHODS = frozenset({"GET", "HEAD", "POST"})
# The largest form selects 500 events; their ids take 10 KB.
BODY_BYTES_MAX = 65_536
FORM = "application/x-www-form-urlencoded"


class Guard:
    """Wraps the application. `origin` is CONSOLE_ORIGIN, if people open the console by a proxy."""

    def __init__(self, app: ASGIApp, *, origin: str | None) -> None:
        self._app = app
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on and add the headers to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refuse(scope["method"], Headers(scope=scope))
        if refusal is None and scope["method"] not in SAFE:
            form = await _read_form(scope, receive)
            if form is None:
                return
            if isinstance(form, bytes):
                receive = _handing_on(form, receive)
            else:
                refusal = form
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _refuse(self, method: str, headers: Headers) -> PlainTextResponse | None:
        if method not in METHODS:
            return PlainTextResponse("This method is not used here.", 405)
        if method in SAFE:
            return None
        if not is_from_here(headers, origin=self._origin):
            return PlainTextResponse(
                "Refused: this form was sent by another site. If a proxy stands before the"
                " console, set CONSOLE_ORIGIN to the address that people open.",
                403,
            )
        if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return PlainTextResponse("Refused: this is not a form.", 415)
        if not headers.get("content-length", "").isdigit():
            return PlainTextResponse("Refused: the form's length is missing.", 411)
        return None


def is_from_here(headers: Headers, *, origin: str | None) -> bool:
    """Return whether a page of ours sent this request, as far as the browser says."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    sent = headers.get("origin")
    if sent is None:
        return False
    if origin is not None:
        return sent == origin
    try:
        return urlsplit(sent).netloc == headers.get("host", "")
    except ValueError:
        return False


async def _read_form(scope: Scope, receive: Receive) -> bytes | PlainTextResponse | None:
    """Return the form, or the answer to one that is refused; None if nobody waits for one."""
    closing = {"connection": "close"}
    try:
        return await read_body(dict(scope["headers"]), receive, bytes_max=BODY_BYTES_MAX)
    except TooLarge:
        return PlainTextResponse("Refused: the form is too large.", 413, closing)
    except TooSlow:
        return PlainTextResponse("Refused: the form did not come in time.", 408, closing)
    except HungUp:
        return None


def _handing_on(form: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands on this form, then whatever comes."""
    is_read = False

    async def handing_on() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": form, "more_body": False}

    return handing_on
