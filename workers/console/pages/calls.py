"""Outgoing calls: what is asked of providers and told to the app, and what of it was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.console.acting import acting_on
from db.console.call_list import (
    DEAD_MAX,
    STATES,
    count_calls_of,
    find_dead_ids,
    find_note_of,
    list_calls,
    list_calls_of,
    read_kinds,
)
from db.console.paging import PAGE_ROWS
from db.health.vital_signs import read_vital_signs
from db.operating.calls import BATCH_CALLS, replay_calls
from db.operating.replaying import Request
from db.outbox.deliveries import KIND as DELIVERIES
from db.outbox.deliveries import Order, read_pause, send_again
from workers.console.pages.links import links_of
from workers.console.visit import BadInput, read_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from db.console.call_list import ListedCall
    from workers.console.visit import Visit

# The fields of the filter, as they stand in the address.
FIELDS = ("state", "kind")
CHOSEN_MAX = 500
_CHOSEN = "call_"


async def show(visit: Visit) -> Response:
    """List the calls that the filter means, the newest first, and say what waits or is dead."""
    given = _given(visit.query)
    state = given.get("state")
    if state is not None and state not in STATES:
        raise BadInput(f"The state of a call is one of {', '.join(STATES)}.")
    before = visit.place("before")
    page = await list_calls(visit.pool, state=state, kind=given.get("kind"), before=before)
    signs = await read_vital_signs(visit.pool, timeout_s=5)
    dead = [each for each in signs.calls if each.state == "dead"]
    return visit.page(
        "calls.html",
        title="Outgoing calls",
        given=given,
        states=STATES,
        counts=signs.calls,
        dead=[each for each in dead if given.get("kind") in (None, each.kind)],
        **links_of(page, given, before=before),
        pause=await read_pause(visit.pool),
        deliveries=DELIVERIES,
    )


async def show_retried(visit: Visit) -> Response:
    """Tell what became of calls that a person had made again, read back from each of them."""
    actions = [read_id(each) for each in visit.query.get("actions", "").split(",") if each]
    if len(actions) > 2 * CHOSEN_MAX or None in actions:
        raise BadInput("`actions` are the numbers of notes, as the links have them.")
    counts: dict[str, int] = {}
    calls: list[ListedCall] = []
    for action_id in actions:
        assert action_id is not None  # noqa: S101 - see above
        for state, found in (await count_calls_of(visit.pool, action_id)).items():
            counts[state] = counts.get(state, 0) + found
        if len(calls) < PAGE_ROWS:
            calls += await list_calls_of(visit.pool, action_id)
    return visit.page(
        "calls_retried.html",
        title="Calls made again",
        counts=counts,
        calls=calls[:PAGE_ROWS],
        left=read_id(visit.query.get("left", "")) or 0,
        following=urlencode(_given(visit.query)),
    )


async def retry_chosen(visit: Visit) -> Response:
    """Have the calls that the form names made again."""
    call_ids = []
    for name in visit.form:
        if name.startswith(_CHOSEN):
            call_id = read_id(name.removeprefix(_CHOSEN))
            if call_id is None:
                raise BadInput("This form names what is no call.")
            call_ids.append(call_id)
    if not call_ids or len(call_ids) > CHOSEN_MAX:
        raise BadInput(f"Tick at least one call, and at most {CHOSEN_MAX}.")
    return await _retry(visit, sorted(call_ids), {"ids": sorted(call_ids)})


async def retry_dead(visit: Visit) -> Response:
    """Have all dead calls of a kind made again, if they are no more than those that were shown."""
    kind, seen = visit.form.get("kind", ""), read_id(visit.form.get("seen", ""))
    if not kind or seen is None:
        raise BadInput("This form does not say which calls, or how many you were shown.")
    call_ids = await find_dead_ids(visit.pool, kind)
    if len(call_ids) > seen:
        raise BadInput("Meanwhile more of them are dead than you were shown: look again.")
    if not call_ids:
        raise BadInput("None of them is dead any more.")
    return await _retry(visit, call_ids[:DEAD_MAX], {"kinds": [kind], "seen": seen})


async def _retry(visit: Visit, call_ids: Sequence[int], noted: dict[str, object]) -> Response:
    reason = visit.reason()
    person = visit.person.name
    kinds = await read_kinds(visit.pool, call_ids)
    messages = [call_id for call_id, kind in kinds.items() if kind == DELIVERIES]
    calls = [call_id for call_id, kind in kinds.items() if kind != DELIVERIES]
    notes = set()
    done = 0
    async with visit.pool.acquire() as connection:
        if messages:
            order = Order(typed_by=person, reason=reason, detail=noted)
            async with acting_on(connection, origin=visit.origin):
                sent, _ = await send_again(connection, messages, order)
            done += sent
            notes.add(await find_note_of(connection, messages))
        request = Request(typed_by=person, reason=reason, filter=noted)
        for at in range(0, len(calls), BATCH_CALLS):
            batch = calls[at : at + BATCH_CALLS]
            async with acting_on(connection, origin=visit.origin):
                skipped = await replay_calls(connection, batch, request)
            made = [call_id for call_id in batch if call_id not in skipped]
            done += len(made)
            if made:
                notes.add(await find_note_of(connection, made))
    told = {
        "actions": ",".join(str(note) for note in sorted(filter(None, notes))),
        "left": len(call_ids) - done,
        **_given(visit.form),
    }
    return visit.go_to(f"/calls/retried?{urlencode(told)}")


def _given(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the filter, as it stands in an address or a form."""
    return {name: fields[name] for name in FIELDS if fields.get(name)}
