"""`coinfleet doctor`: the options, the exit code, and where its settings come from."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from db.connections.pool import open_pool
from tasks.findings import broken
from workers.cli.doctor.elsewhere import all_checks
from workers.cli.doctor.examining import Check, Context, Examined, examine
from workers.cli.doctor.logins import APPLICATION
from workers.cli.doctor.report import as_json as to_json
from workers.cli.doctor.report import is_asked, is_healthy, show
from workers.cli.doctor.table import REACH
from workers.cli.doctor.threads import LooseThreads
from workers.cli.endings import NEEDS_A_PERSON, NOT_ASKED, CommandEnded
from workers.cli.env import read_known
from workers.cli.terminal import make_console, write
from workers.embedded import DataFolder, DataFolderUnusable
from workers.providers import build_providers
from workers.settings import Settings, SettingsFault, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

POOL_SIZE = 4
TIMEOUT_S = 5.0


def command(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
    is_whole: Annotated[
        bool, typer.Option("--all", help="Show what is well beside what is not.")
    ] = False,
) -> None:
    """Examine what the fleet stands on; each finding is told with its fix.

    Settings, logins and grants, poolers, TLS, clocks, disk, the queue,
    stranded work, what waits for a person, and with their keys the
    providers: Stripe's endpoint, Google's account and push subscription,
    and the way of a test notification, which Apple is asked to send. It
    changes nothing and shows no secret. docs/doctor.md says what the code
    of each finding in --json means.

    It looks at the settings of this environment, and at the fleet on the
    data folder. Run it where `web` and `worker` run: what is not set here
    is not checked, and does not count.

    Exit 0 if nothing is wrong, 1 if something needs a person, 2 if the
    database can't be asked or the settings can't be read.
    """
    examined = asyncio.run(_examine())
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(to_json(examined))).decode())
    else:
        show(make_console(), examined, is_whole=is_whole)
    raise CommandEnded(_exit_code(examined))


def _exit_code(examined: list[Examined]) -> int:
    if not is_asked(examined):
        return NOT_ASKED
    return 0 if is_healthy(examined) else NEEDS_A_PERSON


async def _examine() -> list[Examined]:
    asyncio.get_running_loop().set_default_executor(LooseThreads())
    try:
        folder = DataFolder(load_settings().coinfleet_data_dir)
        environment = read_known(folder)
        settings = Settings.model_validate(
            {name.lower(): value for name, value in environment.items()}
        )
    except SettingsFault as fault:
        return [_unreadable(fault.faults)]
    except DataFolderUnusable as error:
        return [_unreadable([str(error)])]
    return await examine_all(settings, environment)


def _unreadable(faults: list[str] | tuple[str, ...]) -> Examined:
    fix = "correct it: .env.example shows each setting with its form; then run this again"
    return Examined(
        check="settings",
        looks_at="can each setting be read?",
        findings=[broken("settings_unreadable", each, fix=fix) for each in faults],
    )


async def examine_all(settings: Settings, environment: Mapping[str, str]) -> list[Examined]:
    """Run every check that these settings allow."""
    async with AsyncExitStack() as closing:
        pool = None
        if settings.database_url is not None:
            pool = await open_pool(
                settings.database_url,
                application_name=APPLICATION,
                min_size=0,
                max_size=POOL_SIZE,
                command_timeout_s=TIMEOUT_S,
            )
            closing.callback(pool.terminate)
        providers = build_providers(settings)
        for each in providers.values():
            closing.push_async_callback(each.close)
        checks: list[Check] = all_checks(providers.values(), web_origin=settings.web_origin)
        context = Context(settings=settings, environment=environment, pool=pool)
        return await examine(checks, context, reach=REACH)
