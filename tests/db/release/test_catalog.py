"""The schema by its catalog: rules that every object keeps, today's and tomorrow's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from db.release.schema import Kind, expected, login_roles
from tests.clusters import DECIDERS, LOGINS
from tests.db.release.catalog_queries import (
    API_ROLES,
    COIN_COLUMNS,
    COLUMN_RIGHTS,
    EXECUTABLE,
    FOREIGN_KEYS_WITHOUT_INDEX,
    FUNCTIONS,
    OPEN_COLUMNS,
    OPEN_FUNCTIONS,
    OPEN_TABLES,
    OURS,
    POLICIES,
    RELATIONS,
    SEQUENCE_RIGHTS,
    TABLE_RIGHTS,
    UNCOMMENTED,
    USER_COLUMNS_WITHOUT_PROFILE,
    functions,
    rows,
)

if TYPE_CHECKING:
    from db.connections.pool import Connection


# Functions that build statements at run time, so that reading their text proves nothing.
DYNAMIC_FUNCTIONS = {
    "fleet.erase_sign_in",
    # Asks each table for its newest number.
    "fleet.mend_sequences",
    "fleet.revoke_functions",
}
# What reads by a time that its caller names, and writes nothing.
READS_BY_TIME = {
    ("coinfleet_console", "fleet.held_page"),
    ("coinfleet_console", "fleet.late_confirmations"),
    ("coinfleet_console", "fleet.passing_failures"),
    ("coinfleet_console", "fleet.stale_rates"),
}


def files(kind: Kind) -> dict[str, str]:
    """Return the text of each file of a kind, by its name."""
    return {file.name: file.text for file in expected() if file.kind is kind}


async def test_every_function_pins_its_search_path(db: Connection) -> None:
    # With an empty path a client's temporary types are found first; with pg_temp last, never.
    pinned = """array['search_path="", pg_temp']"""
    loose = f"select name from ({FUNCTIONS}) f where not proconfig @> {pinned}"
    missing = f"select name from ({FUNCTIONS}) f where proconfig is null"
    assert await rows(db, f"{loose} union {missing}") == set()


async def test_every_function_stands_in_a_file_of_its_name(db: Connection) -> None:
    names = [row["name"] for row in await db.fetch(FUNCTIONS)]
    assert sorted(names) == sorted(files(Kind.FUNCTION))


async def test_every_view_stands_in_a_file_of_its_name(db: Connection) -> None:
    views = {row["name"] for row in await db.fetch(RELATIONS) if row["kind"] in "vm"}
    invariants = {f"invariants.{name}" for name in files(Kind.INVARIANT)}
    assert views == files(Kind.VIEW).keys() | invariants


async def test_no_invariant_is_broken_in_a_new_database(db: Connection) -> None:
    for name in files(Kind.INVARIANT):
        assert await db.fetch(f"select * from invariants.{name}") == []


@pytest.mark.requirement("B3")
async def test_every_table_view_function_and_schema_has_a_comment(db: Connection) -> None:
    assert await rows(db, UNCOMMENTED) == set()


def test_a_function_with_its_owners_rights_says_why() -> None:
    for name, text in files(Kind.FUNCTION).items():
        is_definer = re.search(r"^security definer$", text, flags=re.MULTILINE)
        assert bool(is_definer) == text.startswith("-- Definer: "), name


async def test_api_roles_may_execute_a_short_list_and_everybody_nothing(db: Connection) -> None:
    granted = await rows(db, EXECUTABLE)
    assert {
        (role, name) for role, name in granted if role in (*API_ROLES, "public")
    } == OPEN_FUNCTIONS


async def test_only_workers_may_call_what_takes_a_time(db: Connection) -> None:
    timed = f"""
        select name from ({FUNCTIONS}) f join pg_proc p using (oid)
        where exists (
            select from unnest(coalesce(proallargtypes, proargtypes::oid[]))
                with ordinality t(type, n)
            where format_type(type, null) ~ '^(time|date|interval)'
                and coalesce(proargmodes[n], 'i') in ('i', 'b', 'v')
        )
    """
    names = {name for (name,) in await rows(db, timed)}
    calls = {call for call in await rows(db, EXECUTABLE) if call[1] in names}
    assert {role for role, _ in calls - READS_BY_TIME} <= {"coinfleet_worker"}


async def test_only_our_roles_execute_and_no_process_more_than_its_policy(db: Connection) -> None:
    granted = await rows(db, EXECUTABLE)
    for process in (*LOGINS, *DECIDERS):
        policy = files(Kind.POLICY)[process]
        listed = set(re.findall(r"^grant execute on function ([a-z0-9_.]+)", policy, re.MULTILINE))
        assert {name for role, name in granted if role == f"coinfleet_{process}"} == listed
    roles = {role for role, _ in granted}
    assert roles <= {*API_ROLES, *login_roles()}


async def test_each_role_has_the_listed_rights_to_whole_tables_and_no_other(db: Connection) -> None:
    assert await rows(db, TABLE_RIGHTS) == OPEN_TABLES


@pytest.mark.requirement("F")
async def test_each_role_has_the_listed_rights_to_columns_and_no_other(db: Connection) -> None:
    found = {tuple(row)[:3]: set(row["columns"]) for row in await db.fetch(COLUMN_RIGHTS)}
    assert found == OPEN_COLUMNS


async def test_no_role_has_a_right_to_a_sequence(db: Connection) -> None:
    assert await rows(db, SEQUENCE_RIGHTS) == set()


async def test_each_operation_on_a_table_has_one_policy_per_role(db: Connection) -> None:
    policies = [
        (table, command, role)
        for table, _, command, roles, *_ in await db.fetch(POLICIES)
        for role in roles
    ]
    assert len(policies) == len(set(policies))
    assert {command for _, command, _ in policies} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert {role for _, _, role in policies} == {"anon", "authenticated", "coinfleet_console"}
    assert {command for _, command, role in policies if role == "coinfleet_console"} == {"SELECT"}


async def test_each_policy_asks_for_the_user_once_per_statement(db: Connection) -> None:
    for table, name, _, _, using, check, permissive in await db.fetch(POLICIES):
        for rule in filter(None, (using, check)):
            once = re.sub(r"\( ?select auth\.uid\(\) as uid\)", "", rule.lower())
            assert "uid()" not in once, f"{name} on {table}: {rule}"
        assert permissive == "PERMISSIVE"


async def test_each_table_of_the_api_has_a_policy_in_a_file_of_its_name(db: Connection) -> None:
    tables = {row["name"] for row in await db.fetch(RELATIONS) if row["name"].startswith("public.")}
    assert {table for table, *_ in await db.fetch(POLICIES)} == tables
    assert {name for name in files(Kind.POLICY) if "." in name} == tables


@pytest.mark.requirement("F")
async def test_row_level_security_is_on_for_every_public_table(db: Connection) -> None:
    unsafe = f"""
        select name from ({RELATIONS}) r
        where name like 'public.%' and kind in ('r', 'p') and not relrowsecurity
    """
    assert await rows(db, unsafe) == set()


async def test_every_foreign_key_is_indexed(db: Connection) -> None:
    assert await rows(db, FOREIGN_KEYS_WITHOUT_INDEX) == set()


@pytest.mark.requirement("B1")
async def test_every_user_is_a_uuid_that_references_profiles(db: Connection) -> None:
    assert await rows(db, USER_COLUMNS_WITHOUT_PROFILE) == set()


@pytest.mark.requirement("B4")
async def test_every_coin_quantity_is_a_bigint(db: Connection) -> None:
    columns = dict(row for row in await db.fetch(COIN_COLUMNS))
    assert len(columns) > 10
    assert set(columns.values()) == {"bigint"}


async def test_every_time_has_its_zone(db: Connection) -> None:
    naive = f"""
        select table_schema, table_name, column_name from information_schema.columns
        where table_schema in {OURS} and data_type = 'timestamp without time zone'
    """
    assert await rows(db, naive) == set()


@pytest.mark.requirement("C1")
async def test_exactly_one_function_inserts_ledger_entries(db: Connection) -> None:
    writes = re.compile(
        r"(insert into|merge into|update|delete from|copy) (only )?public\.ledger_entries"
    )
    found = {name: writes.findall(source) for name, source in (await functions(db)).items()}
    assert {name for name, verbs in found.items() if verbs} == {"fleet.post_ledger"}
    assert [verb for verb, _ in found["fleet.post_ledger"]] == ["insert into"]


@pytest.mark.requirement("C1", "C2", "E")
async def test_exactly_one_function_updates_a_balance(db: Connection) -> None:
    updates = re.compile(
        r"(?:update|merge into) (?:only )?public\.profiles\b(.*?)(?:\bwhere\b|;|$)"
    )
    inserts = re.compile(r"insert into public\.profiles\b(.*?)(?:;|$)")
    balances = re.compile(r"\b(coin_balance|earnings_balance)\b(\s*=|,|\))")
    writers = {
        name
        for name, source in (await functions(db)).items()
        for text in updates.findall(source) + inserts.findall(source)
        if balances.search(text)
    }
    assert writers == {"fleet.post_ledger"}


async def test_no_function_hides_what_it_writes_in_a_dynamic_statement(db: Connection) -> None:
    dynamic = {
        name for name, source in (await functions(db)).items() if re.search(r"\bexecute\b", source)
    }
    assert dynamic == DYNAMIC_FUNCTIONS


async def test_no_role_of_the_fleet_has_a_right_over_the_server(db: Connection) -> None:
    mighty = """
        select rolname::text from pg_roles
        where rolname ~ '^coinfleet_' and (rolsuper or rolcreatedb or rolreplication)
        union all
        select rolname::text from pg_roles
        where rolname = any($1)
            and (rolcreaterole or rolbypassrls)
    """
    assert await rows(db, mighty, login_roles()) == set()


async def test_what_is_joined_to_a_batch_says_that_it_returns_few_rows(db: Connection) -> None:
    # By default a function is planned for 1,000: enough to join a table whole, at each batch.
    planned = await rows(
        db,
        "select p.proname, p.prorows from pg_proc as p where p.pronamespace = 'fleet'::regnamespace"
        " and p.proretset and p.prolang = (select oid from pg_language where lanname = 'sql')"
        " and p.proargnames @> '{p_payment_ids}' and p.prorows > 10",
    )
    assert planned == set()
