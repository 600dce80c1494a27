"""Upgrades from both older generations: nothing is lost, whatever the old platform held."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from db.facts import Purchase, RefundTotal
from db.legacy.upgrade import upgrade
from db.release.generations import Generation
from tests.db.books import NOON, PRICE_LIST, SKU, Books
from tests.db.legacy.platforms import person, upgraded

if TYPE_CHECKING:
    from tests.clusters import Database
    from tests.db.legacy.platforms import Finished, Look

pytestmark = pytest.mark.requirement("G1", "G2")

# The old platform had gift types.
PRICES = PRICE_LIST.partition("insert into public.gift_types")[0]
FIRST, SECOND = Generation.FIRST, Generation.SECOND

# Purchases of person 7: one that cost nothing, one that cost fewer cents than its coins, and one of
# those refunded in part.
UNSAYABLE_REFUNDS = {
    FIRST: """
        insert into public.coin_purchases (id, user_id, coins, amount_cents, payment_id, status)
        values (5001, 7, 70, 0, 'pi_free', 'refunded'),
            (5002, 7, 70, null, 'pi_null', 'chargeback'),
            (5003, 7, 100, 1, 'pi_cheap', 'refunded')
    """,
    SECOND: f"""
        insert into public.coin_purchases
            (id, profile_id, coin_amount, amount_cents, provider_payment_id, status)
        values (5001, '{person(7)}', 70, 0, 'pi_free', 'refunded'),
            (5002, '{person(7)}', 70, null, 'pi_null', 'chargeback'),
            (5003, '{person(7)}', 100, 50, 'pi_cheap', 'confirmed');
        insert into public.coin_ledger (profile_id, amount, type, reference_id)
        values ('{person(7)}', 70, 'purchase', '5001'), ('{person(7)}', -70, 'refund', '5001'),
            ('{person(7)}', 100, 'purchase', '5003'), ('{person(7)}', -33, 'refund', '5003')
    """,
}


# Nothing is lost


def test_every_row_and_every_coin_is_accounted_for(
    finished: Finished, generation: Generation
) -> None:
    _, result = finished[generation]
    assert result.proof.breaches == {}
    assert [line.name for line in result.proof.lines if not line.holds] == []
    assert all(line.rows_before for line in result.proof.lines if line.rows_counted)


async def test_the_first_generations_balances_are_trusted(finished: Finished, look: Look) -> None:
    db = await look(finished[FIRST][0])
    rows = await db.fetch("select user_id, balance from legacy_first.coins")
    trusted: dict[int, int] = defaultdict(int)
    for row in rows:
        trusted[row["user_id"]] += row["balance"]
    for number in range(1, 41):
        balance = await db.fetchval(
            "select coin_balance from public.profiles where id = $1", person(number)
        )
        assert balance == trusted[number], number
    assert (
        await db.fetchval("select coin_balance from public.profiles where id = $1", person(11))
        == -250
    )


async def test_the_first_generations_streamers_have_what_gifts_earned_them(
    finished: Finished, look: Look
) -> None:
    db = await look(finished[FIRST][0])
    gifts = await db.fetch("select * from legacy_first.gifts where coins > 0")
    earned: dict[int, int] = defaultdict(int)
    for gift in gifts:
        if gift["sender_id"] != gift["recipient_id"]:
            earned[gift["recipient_id"]] += gift["coins"] * 7 // 10
    # Also by a gift of a user who has no profile now.
    assert any(gift["sender_id"] == 102 for gift in gifts)
    for number in range(1, 41):
        earnings = await db.fetchval(
            "select earnings_balance from public.profiles where id = $1", person(number)
        )
        assert earnings == earned[number], number


async def test_the_second_generations_ledger_is_trusted(finished: Finished, look: Look) -> None:
    db = await look(finished[SECOND][0])
    rows = await db.fetch("select * from legacy_second.coin_ledger where amount < 1e15")
    coins, earnings = defaultdict[object, int](int), defaultdict[object, int](int)
    for row in rows:
        account = earnings if row["type"] in ("gift_received", "payout") else coins
        account[row["profile_id"]] += row["amount"]
    for number in range(1, 31):
        profile = await db.fetchrow(
            "select coin_balance, earnings_balance from public.profiles where id = $1",
            person(number),
        )
        assert profile["coin_balance"] == coins[person(number)], number
        assert profile["earnings_balance"] == max(earnings[person(number)], 0), number


async def test_what_could_not_move_is_quarantined_with_its_reason_and_its_row(
    finished: Finished, look: Look
) -> None:
    database, result = finished[FIRST]
    found = {
        (why.table, why.reason): (why.rows, why.coins)
        for why in result.proof.reasons
        if why.fate == "quarantined"
    }
    assert found["users", "ambiguous_email"] == (3, 0)
    assert found["users", "no_auth_user"] == (1, 0)
    assert found["users", "no_email"] == (2, 0)
    assert found["coin_purchases", "duplicate_payment_id"] == (2, 1000)
    assert found["coin_purchases", "unknown_buyer"] == (3, 180)
    assert found["gifts", "self_gift"] == (1, 5)
    assert found["gifts", "unknown_sender"] == (2, 109)
    assert found["earnings", "unknown_recipient"] == (2, 76)
    db = await look(database)
    row = await db.fetchval(
        "select source_row ->> 'payment_id' from fleet.quarantine"
        " where source_table = 'coin_purchases' and source_key = '1002'"
    )
    assert row == "pi_dup"


async def test_rows_without_a_place_now_are_archived_whole(finished: Finished, look: Look) -> None:
    db = await look(finished[SECOND][0])
    boxes = await db.fetch(
        "select source_row - 'is_locked' as row from fleet.archived_rows"
        " where source_table = 'video_boxes' order by (source_row ->> 'position')::int"
    )
    assert [row["row"] for row in boxes] == [
        f'{{"position": {n}, "stream_id": {n}}}' for n in range(1, 13)
    ]
    assert (
        await db.fetchval(
            "select count(*) from fleet.archived_rows where source_table = 'box_viewers'"
        )
        == 30
    )


async def test_a_box_is_a_slot_within_1_to_12_and_a_note_beyond(
    finished: Finished, look: Look
) -> None:
    db = await look(finished[SECOND][0])
    rows = await db.fetch(
        """
        select o.box_position, g.slot_index, n.old_value
        from legacy_second.gifts as o join public.gifts as g using (id)
        left join fleet.upgrade_notes as n
            on n.note = 'slot_out_of_range' and n.source_key = o.id::text
        """
    )
    assert len(rows) > 100
    for row in rows:
        position = row["box_position"]
        if position is None or 1 <= position <= 12:
            assert (row["slot_index"], row["old_value"]) == (position, None)
        else:
            assert (row["slot_index"], row["old_value"]) == (None, str(position))


async def test_names_that_two_people_had_are_kept_for_one_and_noted_for_the_other(
    finished: Finished, look: Look
) -> None:
    db = await look(finished[FIRST][0])
    names = await db.fetch(
        "select id, username from public.profiles where id = any($1) order by 1",
        [person(2), person(3)],
    )
    assert [row["username"] for row in names] == ["user_2", None]
    assert (
        await db.fetchval("select old_value from fleet.upgrade_notes where note = 'username_taken'")
        == "user_2"
    )


async def test_who_signed_up_without_an_old_account_has_a_profile(
    finished: Finished, look: Look
) -> None:
    db = await look(finished[FIRST][0])
    assert (
        await db.fetchval("select coin_balance from public.profiles where id = $1", person(43)) == 0
    )


@pytest.mark.long
async def test_a_given_table_beats_e_mail_addresses(first: Database, look: Look) -> None:
    db = await look(first)
    await db.execute(
        "create table public.mapping (user_id integer, profile_id uuid);"
        f"insert into public.mapping values (101, '{person(41)}'), (102, '{person(43)}'),"
        f" (103, '{person(777)}'), (5, '{person(42)}'), (6, '{person(1)}'), (6, '{person(2)}')"
    )
    result = await upgrade(first.url(), FIRST, users_table="public.mapping")
    assert result.proof.holds
    rows = await db.fetch("select old_id::int, profile_id from fleet.upgraded_users")
    mapped = {row["old_id"]: row["profile_id"] for row in rows}
    assert (mapped[101], mapped[102], mapped[5]) == (person(41), person(43), person(42))
    assert mapped[7] == person(7)
    assert mapped.keys().isdisjoint({6, 103})


# What no key of the old tables prevented


@pytest.mark.long
async def test_a_refund_that_its_amount_can_not_say_leaves_balances_as_they_were(
    platform: Database, generation: Generation, look: Look
) -> None:
    db = await look(platform)
    await db.execute(UNSAYABLE_REFUNDS[generation])
    result = await upgraded(platform, generation)
    assert result.proof.breaches == {}
    assert result.proof.holds
    notes = await db.fetch(
        "select source_key, old_value from fleet.upgrade_notes"
        " where note = 'refund_beyond_its_amount' order by 1"
    )
    assert [tuple(row) for row in notes] == [("5001", "70"), ("5002", "70")] + [("5003", "33")] * (
        generation is SECOND
    )
    trusted = {
        FIRST: "select balance from legacy_first.coins where user_id = 7",
        SECOND: "select sum(amount) from legacy_second.coin_ledger"
        f" where profile_id = '{person(7)}' and type not in ('gift_received', 'payout')",
    }
    assert await Books(db).coins(person(7)) == await db.fetchval(trusted[generation])


@pytest.mark.long
async def test_of_rows_with_one_id_the_first_that_can_move_does(
    second: Database, look: Look
) -> None:
    db = await look(second)
    await db.execute(
        """
        alter table public.gift_types drop constraint gift_types_pkey;
        alter table public.coin_ledger drop constraint coin_ledger_pkey;
        alter table public.live_streams drop constraint live_streams_pkey cascade;
        """
        f"""
        insert into public.gift_types (code, coin_cost) values ('kite', null), ('kite', 5);
        insert into public.coin_ledger (id, profile_id, amount, type)
        select 9001, profile_id, amount, 'bonus' from (values
            ('{person(999)}'::uuid, 5), ('{person(2)}', 6), ('{person(3)}', 7), ('{person(2)}', 0)
        ) as b (profile_id, amount);
        insert into public.live_streams (id, profile_id) values
            (9001, null), (9001, '{person(2)}'), (9001, '{person(3)}');
        """
    )
    assert (await upgraded(second, SECOND)).proof.holds
    assert await db.fetchval("select coin_cost from public.gift_types where code = 'kite'") == 5
    key = "upgrade:second:ledger:9001"
    booked = "select amount from public.ledger_entries where idempotency_key = $1 and leg = 0"
    assert await db.fetchval(booked, key) in (6, 7)
    owner = "select profile_id from public.live_streams where id = 9001"
    assert await db.fetchval(owner) in (person(2), person(3))


# History lives on


def total(key: str, cumulative_minor: int) -> RefundTotal:
    """Return the event that so much of a payment was refunded in total."""
    return RefundTotal(payment_keys=[key], told_at=NOON, cumulative_minor=cumulative_minor)


async def test_a_refund_that_comes_after_the_upgrade_takes_the_coins_back(
    first: Database, look: Look
) -> None:
    await upgraded(first, FIRST)
    db = await look(first)
    books = Books(db)
    buyer = await db.fetchval(
        "select profile_id from public.coin_purchases where provider_payment_id = 'pi_5'"
    )
    before = await books.coins(buyer)
    await books.apply_one(total("pi_5", 104))
    assert await books.coins(buyer) == before - 105
    # A refund that the old platform had recorded already takes nothing more.
    refunded = await books.coins(person(5))
    await books.apply_one(total("pi_refunded", 90))
    assert await books.coins(person(5)) == refunded
    assert await books.breaches() == {}


@pytest.mark.long
async def test_a_part_that_was_refunded_before_is_not_taken_again(
    second: Database, look: Look
) -> None:
    await upgraded(second, SECOND)
    db = await look(second)
    books = Books(db)
    before = await books.coins(person(4))
    await books.apply_one(total("pi_partly", 330))
    assert await books.coins(person(4)) == before
    await books.apply_one(total("pi_partly", 1000))
    assert await books.coins(person(4)) == before - 67
    assert await books.breaches() == {}


@pytest.mark.long
async def test_a_payment_that_was_open_is_granted_when_its_event_comes(
    first: Database, look: Look
) -> None:
    await upgraded(first, FIRST)
    db = await look(first)
    await db.execute(PRICES)
    books = Books(db)
    before = await books.coins(person(5))
    outcome = await books.apply_one(
        Purchase(
            provider_payment_id="pi_pending",
            payment_keys=["pi_pending"],
            profile_id=person(5),
            sku=SKU,
            amount_minor=100,
            currency="usd",
            purchased_at=NOON,
            ip_address=None,
            country_code=None,
            user_agent=None,
        )
    )
    assert outcome.state == "applied"
    assert await books.coins(person(5)) == before + 100


async def test_new_ids_go_on_after_the_old_ones(finished: Finished, look: Look) -> None:
    db = await look(finished[FIRST][0])
    async with db.transaction():
        assert await db.fetchval(
            "select nextval('public.gifts_id_seq') > (select max(id) from public.gifts)"
        )


@pytest.mark.long
async def test_a_purchase_at_a_provider_that_is_none_of_ours_moves_as_the_apps(
    second: Database, look: Look
) -> None:
    db = await look(second)
    moved = await db.fetchval(
        "with p as (update public.coin_purchases set provider = ' PayPal' where id ="
        " (select min(id) from public.coin_purchases where status = 'confirmed') returning id)"
        " select id from p"
    )
    await db.execute(
        "update public.coin_purchases set provider = 'Stripe'"
        " where id = (select max(id) from public.coin_purchases where status = 'confirmed')"
    )
    result = await upgraded(second, SECOND)
    assert result.proof.breaches == {}
    assert result.proof.holds
    providers = await db.fetch("select distinct provider from public.coin_purchases order by 1")
    assert [row["provider"] for row in providers] == ["app", "stripe"]
    provider = "select provider from public.coin_purchases where id = $1"
    assert await db.fetchval(provider, moved) == "app"
    note = "select old_value from fleet.upgrade_notes where note = 'provider_unknown'"
    assert await db.fetchval(note) == "paypal"
