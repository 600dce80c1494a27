"""An upgrade in a Supabase project, as `postgres`, which doesn't own the schema auth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio

from db.erasure import erase_profile
from db.legacy.upgrade import undo, upgrade
from db.release.generations import Generation
from tests.db.legacy.platforms import person

if TYPE_CHECKING:
    from tests.supabase.project import Project

pytestmark = [pytest.mark.requirement("G2"), pytest.mark.long]

PLATFORM = (Path(__file__).with_name("second.sql")).read_text()
# Besides the generation's own, a trigger with which every sign-up would fail after the upgrade.
HOOK = """
create schema hooks;
create function hooks.welcome() returns trigger language plpgsql security definer as $$
begin
    update public.profiles set greeting = 'hello' where id = new.id;
    return new;
end
$$;
alter table public.profiles add greeting text;
create trigger welcome before insert on auth.users for each row execute function hooks.welcome();
alter table public.profiles enable row level security;
"""
TRIGGERS = """
select tgname, pg_get_triggerdef(oid) from pg_trigger
where tgrelid = 'auth.users'::regclass and not tgisinternal order by 1
"""
SIGN_UP = "insert into auth.users (id) values ($1)"


@pytest_asyncio.fixture
async def old_project(project: Project) -> Project:
    """A project of the second generation."""
    async with project.connected() as postgres:
        await postgres.execute(PLATFORM)
        await postgres.execute(HOOK)
    return project


async def test_a_project_of_the_second_generation_is_upgraded_and_back(
    old_project: Project,
) -> None:
    async with old_project.connected() as postgres:
        before = await postgres.fetch(TRIGGERS)
        result = await upgrade(old_project.url(), Generation.SECOND)
        assert result.proof.holds
        await undo(old_project.url(), Generation.SECOND)
        assert await postgres.fetch(TRIGGERS) == before
        assert await postgres.fetchval("select count(*) from public.coin_ledger") > 400


@pytest.mark.long_but_first
@pytest.mark.parametrize("cleared", [False, True])
async def test_a_sign_up_after_an_upgrade_makes_a_profile_and_fires_no_old_trigger(
    old_project: Project, *, cleared: bool
) -> None:
    result = await upgrade(old_project.url(), Generation.SECOND)
    taken_off = [why for why in result.proof.reasons if why.reason == "trigger_taken_off"]
    assert [(why.table, why.rows) for why in taken_off] == [("auth.users", 2)]
    async with old_project.connected() as postgres:
        if cleared:
            await postgres.execute("drop schema legacy_second cascade")
        newcomers = [uuid4(), uuid4()]
        async with old_project.connected("supabase_auth_admin") as auth:
            for newcomer in newcomers:
                await auth.execute(SIGN_UP, newcomer)
        profiles = "select count(*) from public.profiles where id = any($1) and coin_seq = 0"
        assert await postgres.fetchval(profiles, newcomers) == 2


async def test_an_erasure_clears_the_old_tables_too_whatever_their_policies(
    old_project: Project,
) -> None:
    await upgrade(old_project.url(), Generation.SECOND)
    erasure = await erase_profile(old_project.url(), person(7), requested_by="me", reason="asked")
    assert erasure.cleared["old_rows"] > 0
    async with old_project.connected() as postgres:
        old_name = "select username from legacy_second.profiles where id = $1"
        assert await postgres.fetchval(old_name, person(7)) is None
