"""Who decides: people by their login, the console by whom it names, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.clusters import LOGINS
from tests.db.approvals.decisions import FIRST, GRANTED, approve, hold, set_rules
from tests.db.books import Payment

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn
    from tests.db.approvals.conftest import Person
    from tests.db.books import Books

pytestmark = pytest.mark.requirement("C7", "H10")

CALLS = [
    "select public.approve_coin_purchase(1, 'ann', 'why')",
    "select public.reject_coin_purchase(1, 'ann', 'why')",
    "select public.attribute_held_event(1, gen_random_uuid(), 'ann', 'why')",
    "select public.reject_held_event(1, 'ann', 'why')",
    "select public.release_coin_purchase(1, 'ann', 'why')",
    "select * from fleet.open_freezes()",
    "select * from fleet.held_purchases()",
    "select * from fleet.open_inquiries()",
    "select fleet.answer_inquiry(1, 'decline', 'ann', 'why')",
    "select * from fleet.purchase_for_decision(1)",
    "select * from fleet.purchase_decisions(1)",
    "select fleet.reject_purchase(1, 'ann', 'why', true)",
    "insert into fleet.decisions (verb) values ('approve')",
]


async def who_decided(books: Books) -> list[str]:
    """Those who decided, in order."""
    rows = await books.db.fetch("select who from fleet.decisions order by id")
    return [row["who"] for row in rows]


async def waiting(books: Books) -> int:
    """A purchase that needs two people."""
    await set_rules(books.db, second_above=1)
    return await hold(books, Payment().worth(await books.profile(), 30_000), "needs_approval")


async def test_a_person_is_known_by_the_login(books: Books, person: Person) -> None:
    purchase_id = await waiting(books)
    ann, ben = await person("ann"), await person("ben")
    # Whatever name is passed, and whichever role is taken on.
    await ann.execute("set role coinfleet_operator")
    assert await approve(ann, purchase_id, "ben") == FIRST
    with pytest.raises(asyncpg.PostgresError) as caught:
        await approve(ann, purchase_id, "somebody else")
    assert caught.value.sqlstate == "CF011"
    assert await approve(ben, purchase_id) == GRANTED
    assert await who_decided(books) == ["coinfleet_ann", "coinfleet_ben"]


async def test_the_operators_own_login_and_the_owner_are_one_person_each(
    books: Books, connect: Connect
) -> None:
    purchase_id = await waiting(books)
    operator = await connect("operator")
    assert await approve(operator, purchase_id, "ann") == FIRST
    with pytest.raises(asyncpg.PostgresError):
        await approve(operator, purchase_id, "ben")
    assert await approve(books.db, purchase_id, "ann") == GRANTED
    assert await who_decided(books) == ["coinfleet_operator", "coinfleet_owner"]


async def test_the_console_says_who_decides(books: Books, connect: Connect) -> None:
    purchase_id = await waiting(books)
    console = await connect("console")
    assert await approve(console, purchase_id, " Ann ") == FIRST
    with pytest.raises(asyncpg.PostgresError) as caught:
        await approve(console, purchase_id, "ann")
    assert caught.value.sqlstate == "CF011"
    assert await approve(console, purchase_id, "ben") == GRANTED
    assert await who_decided(books) == ["Ann", "ben"]


@pytest.mark.long_but_first
@pytest.mark.parametrize("who", [None, "", "  ", "a" * 201, "Expiry"])
async def test_the_console_names_somebody(books: Books, connect: Connect, who: str | None) -> None:
    purchase_id = await waiting(books)
    console = await connect("console")
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await approve(console, purchase_id, who)  # type: ignore[arg-type]


@pytest.mark.parametrize("login", sorted(set(LOGINS) - {"console"}))
async def test_no_process_decides(connect: Connect, login: str) -> None:
    await refuses_all(await connect(login), CALLS)


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_no_api_role_decides(signed_in: SignIn, role: str) -> None:
    await refuses_all(await signed_in(role=role), CALLS)


@pytest.mark.parametrize("login", ["operator", "console"])
async def test_who_decides_moves_no_coins_otherwise(connect: Connect, login: str) -> None:
    await refuses_all(
        await connect(login),
        [
            *CALLS[-2:],
            "select public.update_coin_balance_via_ledger(gen_random_uuid(), 1, 'a', 'b')",
            "select public.process_coin_purchase(gen_random_uuid(), 'app', 'e', 'p', 1, 1)",
            "select * from public.coin_purchases",
            "select * from fleet.inbox_events",
            "update public.coin_purchases set decision = 'approved'",
        ],
    )


async def refuses_all(connection: Connection, statements: list[str]) -> None:
    """Each is refused for want of the right."""
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
