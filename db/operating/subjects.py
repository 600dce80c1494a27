"""What an id may mean: an event, a payment, a purchase, a gift, a person's decision and so on.

Each question reads an index. An id of a refund or a dispute means its payment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from db.connections.pool import Connection

Kind = Literal[
    "event", "payment", "purchase", "refund", "dispute", "gift", "profile", "stream", "decision",
    "call",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
BIGINT_MAX = 2**63 - 1
# Stands around an id where people write: quotes, brackets, the end of a sentence.
_AROUND = " \t\n\"'`()<>[]{},;.\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_NAMED = re.compile(rf"(?:held )?({'|'.join(KINDS)})\s*[ :#]\s*#?([0-9]+)", re.IGNORECASE)
# No id of a provider is longer.
LENGTH_MAX = 1_000
# A purchase token of Google's is longer, and whoever has it may submit it.
SHOWN_MAX = 80
# So many things with one id are named.
FOUND_MAX = 20

# $1 is the id, as a number.
BY_NUMBER: Mapping[Kind, str] = {
    "event": "select id, provider || ' ' || event_type from fleet.inbox_events where id = $1",
    "payment": "select payment_id, min(provider || ' ' || key) from fleet.payment_keys"
    " where payment_id = $1 group by payment_id",
    "purchase": "select id, provider || ' ' || provider_payment_id from public.coin_purchases"
    " where id = $1",
    "gift": "select id, quantity || ' ' || gift_type from public.gifts where id = $1",
    "decision": "select id, verb || ' by ' || who from fleet.decisions where id = $1",
    "call": "select id, kind || ' ' || state from fleet.provider_calls where id = $1",
    "stream": "select id, 'of ' || profile_id from public.live_streams where id = $1",
}
# $1 is the id, as it was typed; $2 are the providers: a name is unique per provider, and the
# indexes begin with that.
BY_NAME: Mapping[Kind, str] = {
    "event": "select id, provider || ' ' || event_type from fleet.inbox_events"
    " where provider = any($2) and provider_event_id = $1",
    "payment": "select payment_id, provider || ' ' || key from fleet.payment_keys"
    " where provider = any($2) and key = $1",
    "refund": "select payment_id, provider || ' ' || refund_id from fleet.refunds"
    " where provider = any($2) and refund_id = $1",
    "dispute": "select payment_id, provider || ' ' || dispute_id from fleet.disputes"
    " where provider = any($2) and dispute_id = $1",
}
# Asked only if nothing above has the id: a purchase and a gift also have the ids of their events.
BY_NAME_OF_ITS_EVENT: Mapping[Kind, str] = {
    "purchase": "select id, provider || ' ' || provider_payment_id from public.coin_purchases"
    " where provider_payment_id = $1 or provider_event_id = $1",
    "gift": "select id, quantity || ' ' || gift_type from public.gifts"
    " where provider_event_id = $1",
}
# A refund that we had made is known by its call until the provider tells of it.
BY_RESULT: Mapping[Kind, str] = {
    "call": "select id, kind || ' ' || state from fleet.provider_calls"
    " where id = any(array(select fleet.calls_of_refund($1)))"
}
BY_CALL: Mapping[Kind, str] = {
    "call": "select id, kind || ' ' || state from fleet.provider_calls where key = $1"
}
BY_UUID: Mapping[Kind, str] = {"profile": "select id, '' from public.profiles where id = $1"}


def shorten(name: str) -> str:
    """Return a name as it may be shown: of one that may be a secret token, its beginning."""
    return name if len(name) <= SHOWN_MAX else f"{name[:12]}… ({len(name)} characters)"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an id means: the key of its row, and words that tell it from others."""

    kind: Kind
    key: int | UUID
    hint: str


async def find_subjects(
    connection: Connection, typed: str, *, providers: Sequence[str]
) -> list[Subject]:
    """Return all that an id may mean, in the order of KINDS; none if nothing has it.

    `event:42` means only the event. What nothing has as it is typed is read as pages, commands and
    dashboards write it: `Purchase 42`, an id in quotes, the address of a payment.
    """
    found = await _find_typed(connection, typed, providers)
    if not found and (read := read_id(typed)) != typed:
        found = await _find_typed(connection, read, providers)
    return found


def read_id(typed: str) -> str:
    """Return the id in a text that was copied from a page, a message or a provider's dashboard."""
    text = typed.strip(_AROUND)
    if "://" in text:
        return text.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    named = _NAMED.fullmatch(text)
    return f"{named[1].lower()}:{named[2]}" if named else text


async def _find_typed(
    connection: Connection, typed: str, providers: Sequence[str]
) -> list[Subject]:
    kind, colon, rest = typed.partition(":")
    if colon and kind in KINDS:
        found = await _find(connection, rest, providers)
        return [each for each in found if each.kind == kind]
    return await _find(connection, typed, providers)


async def _find(connection: Connection, typed: str, providers: Sequence[str]) -> list[Subject]:
    if not typed or len(typed) > LENGTH_MAX or not _is_text(typed):
        return []
    found = await _ask(connection, BY_NAME, typed, providers)
    found += await _ask(connection, BY_CALL, typed)
    if not found:
        found = await _ask(connection, BY_NAME_OF_ITS_EVENT, typed)
        found += await _ask(connection, BY_RESULT, typed)
    if typed.isascii() and typed.isdigit() and len(typed) < 20 and int(typed) <= BIGINT_MAX:
        found += await _ask(connection, BY_NUMBER, int(typed))
    if (uuid := _as_uuid(typed)) is not None:
        found += await _ask(connection, BY_UUID, uuid)
    return sorted(set(found), key=lambda each: (KINDS.index(each.kind), str(each.key)))


async def _ask(
    connection: Connection, queries: Mapping[Kind, str], *values: object
) -> list[Subject]:
    return [
        Subject(kind, key, " ".join(map(shorten, hint.split(" "))))
        for kind, query in queries.items()
        for key, hint in await connection.fetch(f"{query} limit {FOUND_MAX}", *values)
    ]


def _is_text(typed: str) -> bool:
    """Whether PostgreSQL takes it as a text: a terminal may send bytes that are no UTF-8."""
    try:
        typed.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in typed


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
