"""The audit log: everything that people did, once, in the order of time, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from db.console import audit
from db.console.audit import list_deeds

if TYPE_CHECKING:
    import pytest

    from db.connections.pool import Connection

PERSON = "00000000-0000-4000-8000-000000000001"
DEEDS = f"""
insert into auth.users (id) values ('{PERSON}');
insert into fleet.operator_actions (action, typed_by, reason, event_ids, acted_at)
select 'replay', 'ann', 'why ' || n, array[n], now() - n * interval '1 s'
from generate_series(1, 40) n;
-- Of one moment, as of one transaction.
insert into fleet.operator_actions (action, typed_by, reason, acted_at)
select 'rates set', 'ben', 'rate ' || n, now() - interval '1 h' from generate_series(1, 30) n;
insert into fleet.adjustments (idempotency_key, profile_id, amount, who, reason, adjusted_at)
select 'key ' || n, '{PERSON}', n, 'cleo', 'adjusted ' || n, now() - n * interval '1 min'
from generate_series(1, 40) n;
insert into fleet.erasures (profile_id, requested_by, reason, counts, erased_at)
values ('{PERSON}', 'dora', 'erased', '{{}}', now() - interval '2 h');
insert into fleet.console_people (subject, person) values ('x', 'eve');
insert into fleet.console_sessions
    (token_hash, subject, role, aal, reads_payloads, created_at, expires_at, origin)
values (sha256('x'), 'x', 'viewer', 'aal2', false, now() - interval '3 h', now(), 'here');
insert into fleet.console_sessions
    (token_hash, subject, role, aal, reads_payloads, created_at, expires_at, revoked_at, revoked_by,
     ended_origin)
select sha256(n::text::bytea), 'x', 'viewer', 'aal1', false, now() - n * interval '4 h', now(),
    now() - n * interval '4 h' + interval '1 min', case n when 1 then 'eve' else 'fay' end,
    case n when 1 then 'there' end
from generate_series(1, 2) n;
insert into fleet.refused_sign_ins (refused_at, subject, cause, origin)
values (now() - interval '5 h', 'x', 'used_code', 'there'),
    (now() - interval '6 h', null, 'credentials', 'there');
"""


@pytest_asyncio.fixture
async def log(db: Connection) -> Connection:
    """A log in which much happened."""
    await db.execute(DEEDS)
    return db


async def test_each_deed_is_told_once_however_the_pages_are_cut(
    log: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (1_000, 7):
        monkeypatch.setattr(audit, "PAGE_ROWS", rows)
        found, before = [], None
        while True:
            page = (await list_deeds(log, before=before))[:rows]
            found += page
            if len(page) < rows:
                break
            before = (page[-1].at, page[-1].key)
        assert len(found) == len({deed.key for deed in found}) == 40 + 30 + 40 + 1 + 3 + 2 + 2
        assert [deed.at for deed in found] == sorted((deed.at for deed in found), reverse=True)


async def test_a_deed_says_who_what_and_why(log: Connection) -> None:
    deeds = {deed.reason: deed for deed in await list_deeds(log)}
    first = deeds["why 1"]
    assert (first.who, first.action, first.subject, first.link) == (
        "ann",
        "replay",
        "event 1",
        "event:1",
    )


async def test_a_deed_of_the_console_is_its_persons_whatever_role_it_had(db: Connection) -> None:
    here = "console, 10.0.0.7"
    await db.execute(
        "insert into fleet.operator_actions (action, who, typed_by, reason, origin) values"
        " ('replay', 'another_role', 'fay', 'a retry', $1),"
        " ('purchases answer', 'gus', $1, 'an answer', $1)",
        here,
    )
    deeds = {deed.reason: (deed.who, deed.origin) for deed in await list_deeds(db)}
    assert deeds == {"a retry": ("fay (another_role)", here), "an answer": ("gus", here)}


async def test_it_tells_who_came_in_who_left_who_was_put_out_and_who_was_refused(
    log: Connection,
) -> None:
    since = await log.fetchval("select now() - interval '2 h'")
    deeds = await list_deeds(log, before=(since, "~"))
    found = {(each.action, each.who, each.subject, each.reason, each.origin) for each in deeds}
    assert found >= {
        ("sign in", "eve", "viewer, aal2", "", "here"),
        ("sign out", "eve", "", "", "there"),
        ("revoke session", "fay", "of eve", "", None),
        ("sign-in refused", "somebody", "as eve", "used code", "there"),
        (
            "sign-in refused",
            "somebody",
            "with an address that never signed in",
            "credentials",
            "there",
        ),
    }
