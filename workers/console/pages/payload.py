"""The payload of an event, for a person who may read payloads: each reading is noted with why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from db.console.sessions import read_payload
from workers.console.pages import events
from workers.console.visit import BadInput, NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the payload on the page of its event."""
    event_id = visit.id_of("event_id")
    reason = visit.form.get("reason", "")
    if not reason:
        raise BadInput("Say why you read this payload: it is noted in the audit log.")
    async with visit.acting() as connection:
        payload = await read_payload(connection, event_id, who=visit.person.name, reason=reason)
    if payload is None:
        raise NotFound(f"The payload of event {event_id} is not kept any more.")
    return await events.show_one(visit, payload=_readable(payload))


def _readable(payload: bytes) -> str:
    """Return it as people read it; JSON is indented, with its numbers as they were sent."""
    text = payload.decode("utf-8", "backslashreplace")
    try:
        # Numbers stay texts of their digits until they are written again.
        told = json.loads(text, parse_float=_Digits, parse_int=_Digits)
    except (ValueError, RecursionError):
        return text
    return _indented(told)


class _Digits(str):
    """The digits of a number, as they were sent."""

    __slots__ = ()


def _indented(told: object, indent: str = "") -> str:
    deeper = indent + "  "
    match told:
        case _Digits():
            return str(told)
        case dict() if told:
            rows = [
                f"{deeper}{json.dumps(name, ensure_ascii=False)}: {_indented(value, deeper)}"
                for name, value in told.items()
            ]
            return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
        case list() if told:
            rows = [deeper + _indented(value, deeper) for value in told]
            return "[\n" + ",\n".join(rows) + f"\n{indent}]"
        case _:
            return json.dumps(told, ensure_ascii=False)
