"""A role that asks for another role's data is refused by the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.db.release.catalog_queries import API_ROLES

if TYPE_CHECKING:
    from tests.clusters import Login
    from tests.conftest import Connect, SignIn


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        ("web", "select payload from fleet.inbox_events"),
        ("web", "insert into fleet.inbox_events default values"),
        ("worker", "update public.profiles set coin_balance = 0"),
        ("worker", "insert into public.ledger_entries default values"),
        ("scheduler", "select coin_balance from public.profiles"),
        ("scheduler", "delete from fleet.inbox_events"),
    ],
)
async def test_each_process_is_refused_the_tables_themselves(
    connect: Connect, login: Login, statement: str
) -> None:
    process = await connect(login)
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        await process.execute(statement)
    assert caught.value.sqlstate == "42501"


@pytest.mark.parametrize("role", API_ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "select * from fleet.inbox_events",
        "update public.profiles set coin_balance = 1",
        "insert into public.ledger_entries default values",
        "truncate public.ledger_entries",
        "select public.update_coin_balance_via_ledger(gen_random_uuid(), 1, 'x', 'x')",
    ],
)
async def test_no_api_role_reaches_money_or_the_inbox(
    signed_in: SignIn, role: str, statement: str
) -> None:
    api = await signed_in(role=role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.execute(statement)
