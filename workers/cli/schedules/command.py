"""`coinfleet schedules list|pause|resume|run`: the timetable, and what a person may want of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from db.operating.replaying import read_now
from db.operating.schedules import REFUSALS, Verb, do, read_pauses
from db.operating.sessions import owner_session
from db.ticks import read_schedules
from schedules.timetable import TIMETABLE
from workers.cli.endings import NEEDS_A_PERSON, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.origin import origin
from workers.cli.schedules.words import said
from workers.cli.status.jobs import judge_jobs
from workers.cli.terminal import make_console, print_lines, print_rows, write
from workers.cli.words import ago, duration

if TYPE_CHECKING:
    from datetime import datetime

    from db.operating.schedules import Done
    from workers.cli.status.jobs import Job

group = typer.Typer(
    no_args_is_help=True,
    help="List the jobs of the timetable; pause one, resume it, or have it done now.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A job, as `list` names it.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept for good.")]


@group.command("list")
def show_list(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Show each job: how often it runs, when it was done, and who paused it and why."""
    url = str(load_operator_settings().database_url)
    with one_line_errors():
        jobs, now = asyncio.run(_read(url))
    if as_json:
        write(msgspec.json.format(msgspec.json.encode({"schedules": jobs})).decode())
        return
    console = make_console()
    rows = [
        (
            [job.job, duration(job.every_s), _last_done(job, now), f"{job.missed:,}"],
            "red" if job.overdue or job.outcome == "failed" else "",
        )
        for job in jobs
    ]
    print_rows(console, ["Schedules", "every", "last done", "missed"], rows)
    for job in jobs:
        if pause := job.paused:
            age = duration((now - pause.paused_at).total_seconds())
            line = f"{job.job} has been paused for {age} by {pause.paused_by}: {pause.reason}"
            print_lines(console, [line])


@group.command("pause")
def pause(name: Name, *, reason: Why) -> None:
    """Begin no run of a job until it is resumed. A run that a worker has begun is finished.

    Nothing is lost: the first run after the pause does what has come together. Exit 1 if the job
    is paused already.
    """
    _do(Verb.PAUSE, name, reason)


@group.command("resume")
def resume(name: Name, *, reason: Why) -> None:
    """End the pause of a job: it runs at its next time. Exit 1 if it is not paused."""
    _do(Verb.RESUME, name, reason)


@group.command("run")
def run(name: Name, *, reason: Why) -> None:
    """Have a worker do a job once, now, also while it is paused; its timetable stays as it is.

    `list` shows when it is done. Exit 1 if a worker does it at this moment, or no scheduler has
    ever fired it.
    """
    _do(Verb.RUN, name, reason)


def _do(verb: Verb, name: str, reason: str) -> None:
    if name not in (names := [each.name for each in TIMETABLE]):
        message = f"no job {name}: it is one of {', '.join(names)}"
        raise typer.BadParameter(message, param_hint="'NAME'")
    if not reason.strip():
        raise typer.BadParameter("say why; it is kept for good", param_hint="'--reason'")
    url = str(load_operator_settings().database_url)
    with one_line_errors():
        done = asyncio.run(_ask(url, verb, name, reason))
    write(said(done, name))
    raise typer.Exit(code=NEEDS_A_PERSON if done in REFUSALS else 0)


async def _ask(url: str, verb: Verb, name: str, reason: str) -> Done:
    async with owner_session(url, command="schedules") as connection:
        return await do(connection, verb, name, typed_by=origin(), reason=reason)


async def _read(url: str) -> tuple[list[Job], datetime]:
    async with owner_session(url, command="schedules") as connection:
        now = await read_now(connection)
        timetable = {schedule.name: schedule.every_s for schedule in TIMETABLE}
        statuses = await read_schedules(connection)
        return judge_jobs(timetable, statuses, await read_pauses(connection), now=now), now


def _last_done(job: Job, now: datetime) -> str:
    if job.last_done_at is None:
        return "never"
    return ago((now - job.last_done_at).total_seconds())
