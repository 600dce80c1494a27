"""Sessions of the console in the database: who has one, how long, and under which name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from db.console.sessions import (
    Claimant,
    end_session,
    find_session,
    list_sessions,
    note_refused,
    open_session,
    read_payload,
    revoke_sessions,
)

if TYPE_CHECKING:
    from db.connections.pool import Connection

DAY_S = 86_400


def ann(**changes: Any) -> Claimant:
    told = {
        "subject": "supabase 1",
        "name": "ann@example.com",
        "role": "viewer",
        "aal": "aal1",
        "reads_payloads": False,
    }
    return Claimant(**told | changes)


def a_hash(no: int = 1) -> bytes:
    return bytes([no]) * 32


async def test_a_session_is_found_by_its_token_alone(db: Connection) -> None:
    assert await open_session(db, a_hash(), ann(), lasts_s=60) == "ann@example.com"
    found = await find_session(db, a_hash())
    assert found is not None
    assert (found.person, found.role, found.reads_payloads) == ("ann@example.com", "viewer", False)
    assert await find_session(db, a_hash(2)) is None


async def test_no_session_lasts_longer_than_a_day(db: Connection) -> None:
    await open_session(db, a_hash(), ann(), lasts_s=10 * DAY_S)
    left = await db.fetchval(
        "select extract(epoch from expires_at - clock_timestamp()) from fleet.console_sessions"
    )
    assert left <= DAY_S


@pytest.mark.parametrize(
    "changes",
    [{"role": "admin"}, {"aal": "aal3"}, {"name": "  "}, {"subject": ""}, {"subject": "a" * 301}],
    ids=str,
)
async def test_what_is_no_claim_begins_nothing(db: Connection, changes: dict[str, Any]) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await open_session(db, a_hash(), ann(**changes), lasts_s=60)


async def test_a_name_stays_with_its_subject_and_is_nobody_elses(db: Connection) -> None:
    await open_session(db, a_hash(1), ann(), lasts_s=60)
    renamed = ann(name="another@example.com")
    assert await open_session(db, a_hash(2), renamed, lasts_s=60) == "ann@example.com"
    other = ann(subject="supabase 2", name="ANN@example.com")
    name = await open_session(db, a_hash(3), other, lasts_s=60)
    assert name is not None
    assert name.startswith("ANN@example.com (")


async def test_a_claim_from_before_a_sign_out_begins_nothing(db: Connection) -> None:
    now = await db.fetchval("select extract(epoch from clock_timestamp())::float8")
    claim = ann(issued_s=now - 1)
    assert await open_session(db, a_hash(1), claim, lasts_s=60)
    await end_session(db, a_hash(1))
    assert await open_session(db, a_hash(2), claim, lasts_s=60) is None
    later = ann(issued_s=now + 60)
    assert await open_session(db, a_hash(3), later, lasts_s=60)


async def test_a_claim_of_a_clock_that_is_ahead_does_not_outlive_its_sign_out(
    db: Connection,
) -> None:
    now = await db.fetchval("select extract(epoch from clock_timestamp())::float8")
    claim = ann(issued_s=now + 9)
    assert await open_session(db, a_hash(1), claim, lasts_s=60)
    await end_session(db, a_hash(1))
    assert await open_session(db, a_hash(2), claim, lasts_s=60) is None
    assert await open_session(db, a_hash(3), ann(issued_s=now + 10), lasts_s=60)


async def test_a_session_of_a_clock_that_was_ahead_ends_when_it_is_set_right(
    db: Connection,
) -> None:
    await open_session(db, a_hash(), ann(), lasts_s=60)
    await db.execute(
        "update fleet.console_sessions set created_at = created_at + interval '2 days',"
        " expires_at = expires_at + interval '2 days'"
    )
    assert await find_session(db, a_hash()) is None


async def test_a_sign_out_by_a_clock_that_was_ahead_keeps_nobody_out_for_long(
    db: Connection,
) -> None:
    now = await db.fetchval("select extract(epoch from clock_timestamp())::float8")
    claim = ann(issued_s=now - 1)
    await open_session(db, a_hash(1), claim, lasts_s=60)
    await end_session(db, a_hash(1))
    await db.execute(
        "update fleet.console_sessions set revoked_at = revoked_at + interval '2 days'"
    )
    assert await open_session(db, a_hash(2), claim, lasts_s=60) is None
    later = ann(issued_s=now + 60)
    assert await open_session(db, a_hash(3), later, lasts_s=60)


async def test_revoking_ends_all_sessions_of_one_person_once(db: Connection) -> None:
    await open_session(db, a_hash(1), ann(), lasts_s=60)
    await open_session(db, a_hash(2), ann(), lasts_s=60)
    await open_session(db, a_hash(3), ann(subject="x", name="ben"), lasts_s=60)
    assert await revoke_sessions(db, " Ann@Example.com", by="me") == 2
    assert await revoke_sessions(db, "ann@example.com", by="me") == 0
    assert [each.person for each in await list_sessions(db)] == ["ben"]
    assert await find_session(db, a_hash(1)) is None


async def test_a_refused_sign_in_keeps_the_name_of_a_known_person_alone(db: Connection) -> None:
    await open_session(db, a_hash(1), ann(), lasts_s=60)
    for name in (" ANN@example.com", "stranger@example.com", ""):
        await note_refused(db, name, cause="code")
    rows = await db.fetch("select subject, cause from fleet.refused_sign_ins order by id")
    assert [tuple(row) for row in rows] == [
        ("supabase 1", "code"),
        (None, "code"),
        (None, "code"),
    ]


async def test_who_goes_on_guessing_fills_no_table(db: Connection) -> None:
    count = "select count(*) from fleet.refused_sign_ins"
    await db.execute(
        "insert into fleet.refused_sign_ins (cause) select 'code' from generate_series(1, 199)"
    )
    for _ in range(3):
        await note_refused(db, "", cause="code")
    assert await db.fetchval(count) == 200
    await db.execute("update fleet.refused_sign_ins set refused_at = now() - interval '61 min'")
    await note_refused(db, "", cause="code")
    assert await db.fetchval(count) == 201
    await db.execute("update fleet.refused_sign_ins set refused_at = now() - interval '31 days'")
    await db.execute("select fleet.trim_history()")
    assert await db.fetchval(count) == 0


async def test_a_payload_that_is_read_is_noted_and_one_that_is_gone_is_not(db: Connection) -> None:
    event_id = await db.fetchval(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256) values ('app', 'evt', 'x', '{}', '') returning id"
    )
    assert await read_payload(db, event_id, who="ann", reason=" why ") == b"{}"
    await db.execute("update fleet.inbox_events set payload = null")
    assert await read_payload(db, event_id, who="ann", reason="why") is None
    rows = await db.fetch("select typed_by, reason, event_ids from fleet.operator_actions")
    assert [tuple(row) for row in rows] == [("ann", "why", [event_id])]


async def test_nobody_reads_a_payload_without_saying_why(db: Connection) -> None:
    await db.execute(
        "insert into fleet.inbox_events (id, provider, provider_event_id, event_type, payload,"
        " payload_sha256) overriding system value values (7, 'app', 'evt', 'x', '{}', '')"
    )
    for who, reason in (("ann", "  "), (" ", "why")):
        with pytest.raises(asyncpg.CheckViolationError):
            await read_payload(db, 7, who=who, reason=reason)
