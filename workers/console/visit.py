"""One request for a page or an action, by somebody who is signed in: what it asks, what it gets.

A page takes a Visit and returns a response. It reads parameters here, so that hostile input has one
place to be refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, RedirectResponse

from db.console.acting import acting
from workers.console.origin import origin_of
from workers.console.rendering import render
from workers.console.rights import Right

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.responses import Response

    from db.connections.pool import Connection, Pool
    from workers.console.desk import Desk
    from workers.console.rights import Person

# No filter, id or reason is longer.
TEXT_MAX = 1_000
BIGINT_MAX = 2**63 - 1
FIELDS_MAX = 1_000


class BadInput(Exception):
    """What was typed or sent can't be used; the message is a sentence for the person."""


class NotYours(Exception):
    """Somebody else has to do this; the message is a sentence for the person."""


class NotFound(Exception):
    """Nothing has this id; the message is a sentence for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """`form` holds the fields of a POST, `query` those of the address; the last of a name counts.

    In both, texts are at most TEXT_MAX characters, hold no NUL, and end in something that is seen.
    """

    request: Request
    desk: Desk
    person: Person
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The sessions of coinfleet_console."""
        return self.desk.pool

    @property
    def origin(self) -> str:
        """From where the person acts."""
        return origin_of(self.desk, self.request)

    def acting(self) -> AbstractAsyncContextManager[Connection]:
        """Open a transaction in which the person acts: what is done keeps from where."""
        return acting(self.pool, origin=self.origin)

    def may(self, right: Right) -> bool:
        """Return whether the person has this right."""
        return self.person.may(right, approval_aal=self.desk.settings.console_approval_aal)

    def id_of(self, name: str) -> int:
        """Return an id in the path. Raises NotFound for what can be no id."""
        text = str(self.request.path_params[name])
        found = read_id(text)
        if found is None:
            raise NotFound(f"Nothing has the id {text[:40]}.")
        return found

    def place(self, name: str) -> int | None:
        """Return the id in the address from which a list goes on, or that it is about, if any.

        Raises BadInput.
        """
        text = self.query.get(name, "")
        found = read_id(text)
        if text and found is None:
            raise BadInput(f"`{name}` is a number, as the links have it.")
        return found

    def reason(self, name: str = "why") -> str:
        """Return why somebody does what the form asks for. Raises BadInput."""
        reason = self.form.get(name, "")
        if not reason:
            raise BadInput("Say why: it is noted in the audit log.")
        return reason

    def page(self, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """Return a page of this template."""
        return show(self.desk, template, visit=self, status=status, **values)

    def go_to(self, path: str) -> Response:
        """Return the answer to a form: the page at this path."""
        return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def show(
    desk: Desk, template: str, *, visit: Visit | None, status: int = HTTPStatus.OK, **values: Any
) -> Response:
    """Return a page; without a visit, one for somebody who is not signed in."""
    menu = [item for item in desk.menu if visit and visit.may(item.right)]
    html = render(
        desk.templates,
        template,
        visit=visit,
        person=visit.person if visit else None,
        path=visit.request.url.path if visit else "",
        menu=menu,
        test_mode=desk.test_mode,
        Right=Right,
        **values,
    )
    return HTMLResponse(html, status)


def read_fields(text: str) -> dict[str, str]:
    """Return the fields of a query or a form. Raises BadInput."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise BadInput("The fields of this form can't be read.") from None
    for _, value in pairs:
        if "\0" in value or len(value) > TEXT_MAX:
            raise BadInput(f"A field holds a NUL, or more than {TEXT_MAX} characters.")
    return {name: _trimmed(value) for name, value in pairs}


def _trimmed(text: str) -> str:
    """Return it without what nobody sees at its ends: blanks, and marks that come with a copy."""
    seen = [at for at, each in enumerate(text) if each.isprintable() and not each.isspace()]
    return text[seen[0] : seen[-1] + 1] if seen else ""


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, which the guard has bounded. Raises BadInput."""
    try:
        return read_fields((await request.body()).decode())
    except UnicodeDecodeError:
        raise BadInput("The form is no UTF-8.") from None


def read_id(text: str) -> int | None:
    """Return a bigint of ours; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return found if (found := int(text)) <= BIGINT_MAX else None
