"""An upgrade inside a Supabase project: as its `postgres`, who owns neither auth nor its users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from db.erasure import erase_profile
from db.generations import Generation
from db.upgrades import undo, upgrade
from tests.db.platforms import person

if TYPE_CHECKING:
    from tests.supabase.project import Project

PLATFORM = (Path(__file__).parent / "legacy" / "second.sql").read_text()


async def test_a_project_of_the_second_generation_is_upgraded_and_back(project: Project) -> None:
    async with project.connected() as postgres:
        await postgres.execute(PLATFORM)
        await postgres.execute("alter table public.profiles enable row level security")
        trigger = await postgres.fetch(
            "select pg_get_triggerdef(oid) from pg_trigger where tgname = 'on_auth_user_created'"
        )
        result = await upgrade(project.url(), Generation.SECOND)
        assert result.proof.holds
        # Whoever signs up now gets a profile of the current kind.
        newcomer = uuid4()
        async with project.connected("supabase_auth_admin") as auth:
            await auth.execute("insert into auth.users (id) values ($1)", newcomer)
        assert (
            await postgres.fetchval("select coin_seq from public.profiles where id = $1", newcomer)
            == 0
        )
        # Whoever is erased leaves the old tables too, policies or not.
        erasure = await erase_profile(project.url(), person(7), requested_by="me", reason="asked")
        assert erasure.cleared["old_rows"] > 0
        old_name = "select username from legacy_second.profiles where id = $1"
        assert await postgres.fetchval(old_name, person(7)) is None
        await undo(project.url(), Generation.SECOND)
        assert trigger == await postgres.fetch(
            "select pg_get_triggerdef(oid) from pg_trigger where tgname = 'on_auth_user_created'"
        )
        assert await postgres.fetchval("select count(*) from public.coin_ledger") > 400
