"""`coinfleet rates set|list|import`: what other currencies are worth in US dollars."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from db.operating.rates import (
    Rate,
    RatesRefused,
    RatesSet,
    find_faults,
    read_newest_rates,
    set_rates,
)
from db.operating.sessions import owner_session
from workers.cli.endings import CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.origin import origin
from workers.cli.rates.reading import RateUnreadable, read_file, read_number
from workers.cli.terminal import make_console, print_lines, print_rows, write
from workers.cli.times import read_time
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.operating.rates import NewestRate

group = typer.Typer(
    no_args_is_help=True,
    help="Set and list what other currencies are worth in US dollars.",
)

# So many purchases are named; the others are counted.
NAMED_MAX = 10

Why = Annotated[str, typer.Option("--why", help="Why; kept with the rates.")]
Unusual = Annotated[
    bool,
    typer.Option("--unusual", help="Accept less than half or more than twice the rate before."),
]


@group.command("set")
def set_one(
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="Three letters: eur.")],
    usd_per_unit: Annotated[
        str,
        typer.Argument(metavar="USD_PER_UNIT", help="US dollars per unit: 1.0843 for a euro."),
    ],
    *,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="The time of the rate, in UTC; default: now.")
    ] = None,
    why: Why = "a new rate",
    unusual: Unusual = False,
) -> None:
    """Set the rate of a currency.

    The newest rate of at most 7 days counts; older ones stay as they are. Says which held purchases
    are judged again by it.
    """
    try:
        rate = Rate(
            currency.strip().lower(),
            read_number(usd_per_unit),
            read_time(as_of) if as_of is not None else None,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    done = _run([(0, rate)], [], action="rates set", why=why, unusual=unusual)
    as_said = f", as of {_written(rate.as_of)}" if rate.as_of else ""
    write(f"{rate.currency}: a unit is worth {rate.usd_per_unit} US dollars{as_said}")
    _show(done)


@group.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV: currency,usd_per_unit or currency,usd_per_unit,as_of.",
        ),
    ],
    *,
    why: Why = "rates of a file",
    unusual: Unusual = False,
) -> None:
    """Set the rates of a file: all of them, or none if one has a fault.

    Every fault is named with its line.
    """
    try:
        rates, faults = read_file(file)
    except RateUnreadable as error:
        raise CommandFailed(f"coinfleet: {file}: {error}") from error
    except OSError as error:
        raise CommandFailed(f"coinfleet: {file} can't be read ({error.strerror})") from error
    done = _run(rates, faults, action="rates import", why=why, unusual=unusual)
    write(f"{counted(done.stored, 'new rate')} of {len(rates):,} in {file}")
    _show(done)


@group.command("list")
def show_rates(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Show the newest rate of each currency, and whether it counts."""
    with one_line_errors():
        rates = asyncio.run(_read(str(load_operator_settings().database_url)))
    if as_json:
        write(msgspec.json.format(msgspec.json.encode({"rates": rates})).decode())
        return
    if not rates:
        write("There is no rate. US dollars need none.")
        return
    rows = [
        (
            [
                each.currency,
                f"{each.usd_per_unit:f}",
                _written(each.as_of),
                "yes" if each.counts else "no: older than 7 days",
            ],
            "" if each.counts else "red",
        )
        for each in rates
    ]
    print_rows(make_console(), ["Rate", "US dollars per unit", "as of", "counts"], rows)


async def _read(url: str) -> list[NewestRate]:
    async with owner_session(url, command="rates") as connection:
        return await read_newest_rates(connection)


def _run(
    rates: Sequence[tuple[int, Rate]],
    faults: Sequence[tuple[int, str]],
    *,
    action: str,
    why: str,
    unusual: bool,
) -> RatesSet:
    """Store the rates of these lines; end the command with all faults in one message."""
    if not why.strip():
        raise typer.BadParameter("must say why", param_hint="'--why'")
    lines = [line for line, _ in rates]
    found = list(faults)

    async def run() -> RatesSet | None:
        url = str(load_operator_settings().database_url)
        async with owner_session(url, command="rates") as connection:
            only = [rate for _, rate in rates]
            if found:
                others = await find_faults(connection, only, allow_unusual=unusual)
                found.extend((lines[no - 1], fault) for no, fault in others)
                return None
            try:
                return await set_rates(
                    connection,
                    only,
                    allow_unusual=unusual,
                    action=action,
                    typed_by=origin(),
                    reason=why,
                )
            except RatesRefused as refused:
                found.extend((lines[no - 1], fault) for no, fault in refused.faults)
                return None

    with one_line_errors():
        done = asyncio.run(run())
    if done is None:
        said = [f"line {line}: {fault}" if line else fault for line, fault in sorted(found)]
        raise CommandFailed("\n".join(["coinfleet: nothing was stored:", *said]))
    return done


def _show(done: RatesSet) -> None:
    """Say what is judged again, and what still waits."""
    ready = [hold.purchase_id for hold in done.holds if hold.has_rate]
    waiting = [hold.purchase_id for hold in done.holds if not hold.has_rate]
    lines = []
    if ready:
        are = "is" if len(ready) == 1 else "are"
        lines.append(
            f"{counted(len(ready), 'purchase')} held as no_fx_rate {are} judged again within a"
            f" minute, if a worker runs: {_few(ready)}"
        )
    if waiting:
        lines.append(
            f"{counted(len(waiting), 'purchase')} held as no_fx_rate still without a rate of the"
            f" last 7 days: {_few(waiting)}"
        )
    if not done.holds:
        lines.append("No purchase is held for want of it.")
    print_lines(make_console(), lines)


def _few(purchase_ids: Sequence[int]) -> str:
    named = ", ".join(map(str, purchase_ids[:NAMED_MAX]))
    more = len(purchase_ids) - NAMED_MAX
    return f"{named} and {more:,} more" if more > 0 else named


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
