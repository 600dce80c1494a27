"""The audit log: what people did, from each table that keeps it, the newest first.

Read in pages that go on from a moment, each by an index on the time of its table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

PAGE_ROWS = 50
# Not the database's now: its clock may have been set back, and what people did is still to be seen.
_AFTER_ALL = datetime(9999, 1, 1, tzinfo=UTC)

# $1 and $2 are the moment and the key of the last row of the page before, $3 the number of rows.
# Keys make an order within one moment; a table's letter stands before its own key.
_PARTS = (
    """
    select a.acted_at as at, 'c' || lpad(a.id::text, 20, '0') collate "C" as key, a.action,
        case
            -- An answer or a release keeps the person as who, and from where as typed_by.
            when a.typed_by = a.origin then a.who
            else a.typed_by || case when a.who = session_user then '' else ' (' || a.who || ')' end
        end as who,
        a.reason,
        case
            when cardinality(a.event_ids) = 1 then 'event ' || a.event_ids[1]
            when cardinality(a.event_ids) > 1 then cardinality(a.event_ids) || ' events'
            when cardinality(a.call_ids) = 1 then 'call ' || a.call_ids[1]
            when cardinality(a.call_ids) > 1 then cardinality(a.call_ids) || ' calls'
            when a.detail ? 'purchase_id' then 'purchase ' || (a.detail ->> 'purchase_id')
            when jsonb_array_length(a.detail -> 'rates') = 1
            then (a.detail -> 'rates' -> 0 ->> 0) || ' ' || (a.detail -> 'rates' -> 0 ->> 1)
            when a.detail ? 'rates' then jsonb_array_length(a.detail -> 'rates') || ' rates'
            else coalesce(a.detail ->> 'job', '')
        end || coalesce(': ' || lower(replace(a.detail ->> 'choice', '_', '-')), '')
            as subject,
        case
            when cardinality(a.event_ids) = 1 then 'event:' || a.event_ids[1]
            when a.action = 'replay' then '/retried?actions=' || a.id
            when cardinality(a.call_ids) = 1 then 'call:' || a.call_ids[1]
            when cardinality(a.call_ids) > 1 then '/calls/retried?actions=' || a.id
            when a.detail ? 'purchase_id' then 'purchase:' || (a.detail ->> 'purchase_id')
        end as link,
        coalesce(a.origin, host(a.client_address)) as origin
    from fleet.operator_actions as a
    where a.acted_at <= $1
    """,
    """
    select d.decided_at as at, 'd' || lpad(d.id::text, 20, '0') collate "C" as key,
        d.verb || ': ' || replace(d.outcome, '_', ' ') as action, d.who, d.reason,
        case when d.purchase_id is null then 'event ' || d.event_id
            else 'purchase ' || d.purchase_id end as subject,
        'decision:' || d.id as link, d.origin
    from fleet.decisions as d
    where d.decided_at <= $1
    """,
    """
    select j.adjusted_at as at, ('a' || j.idempotency_key) collate "C" as key,
        'adjust' as action, j.who, j.reason, j.amount || ' coins of ' || j.profile_id as subject,
        'profile:' || j.profile_id as link, j.origin
    from fleet.adjustments as j
    where j.adjusted_at <= $1
    """,
    """
    select e.erased_at as at, 'e' || lpad(e.id::text, 20, '0') collate "C" as key,
        'erase' as action, e.requested_by as who, e.reason, 'profile ' || e.profile_id as subject,
        'profile:' || e.profile_id as link, null as origin
    from fleet.erasures as e
    where e.erased_at <= $1
    """,
    """
    select s.created_at as at, 's' || lpad(s.id::text, 20, '0') collate "C" as key,
        'sign in' as action, p.person as who, '' as reason,
        s.role || ', ' || s.aal as subject, null as link, s.origin
    from fleet.console_sessions as s
    join fleet.console_people as p on p.subject = s.subject
    where s.created_at <= $1
    """,
    """
    select s.revoked_at as at, 'o' || lpad(s.id::text, 20, '0') collate "C" as key,
        case when s.revoked_by = p.person then 'sign out' else 'revoke session' end as action,
        s.revoked_by as who, '' as reason,
        case when s.revoked_by = p.person then '' else 'of ' || p.person end as subject,
        null as link, s.ended_origin as origin
    from fleet.console_sessions as s
    join fleet.console_people as p on p.subject = s.subject
    where s.revoked_at <= $1
    """,
    """
    select r.refused_at as at, 'r' || lpad(r.id::text, 20, '0') collate "C" as key,
        'sign-in refused' as action, 'somebody' as who, replace(r.cause, '_', ' ') as reason,
        coalesce('as ' || p.person, 'with an address that never signed in') as subject,
        null as link, r.origin
    from fleet.refused_sign_ins as r
    left join fleet.console_people as p on p.subject = r.subject
    where r.refused_at <= $1
    """,
)


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did; `origin` is from where.

    `link` is what a search for its subject asks for, or the page that lists what it is of.
    """

    at: datetime
    key: str
    action: str
    who: str
    reason: str
    subject: str
    link: str | None
    origin: str | None


def part_queries() -> list[str]:
    """Return the query of each table's part of a page."""
    return [
        f"select * from ({part}) as t where (t.at, t.key) < ($1, $2)"  # noqa: S608 - constants
        " order by t.at desc, t.key desc limit $3"
        for part in _PARTS
    ]


async def list_deeds(
    database: Pool | Connection, *, before: tuple[datetime, str] | None = None
) -> list[Deed]:
    """Return up to PAGE_ROWS + 1 deeds before the one with this moment and key, or the newest."""
    at, key = before or (_AFTER_ALL, "~")
    rows = [
        row
        for query in part_queries()
        for row in await database.fetch(query, at, key, PAGE_ROWS + 1)
    ]
    found = sorted((Deed(*row) for row in rows), key=lambda each: (each.at, each.key))
    return found[::-1][: PAGE_ROWS + 1]
