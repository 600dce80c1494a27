"""`coinfleet simulate`: sends signed events and checks what became of them.

The options and the exit code; run.py does the work.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import Annotated

import typer

from db.errors import CoinfleetError
from workers.cli.endings import INTERRUPTED, CommandFailed, failed
from workers.cli.operator_settings import load_operator_settings, uses_embedded_database
from workers.cli.simulate.run import NotSimulated, Options, simulate
from workers.cli.terminal import make_console


def command(
    *,
    events: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to send.")] = 1000,
    rate: Annotated[
        float, typer.Option(min=0, help="Deliveries per second; 0: as fast as possible.")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(help="Repeat the mix of an earlier run.", show_default="random")
    ] = None,
    duplicates: Annotated[
        int, typer.Option(min=1, max=100, help="How often to deliver each event.")
    ] = 1,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Deliver in random order.")] = False,
    garbage: Annotated[
        bool, typer.Option("--garbage", help="Also send what strangers send, between the events.")
    ] = False,
    tour: Annotated[
        bool, typer.Option("--tour", help="Send one of each case, and hold two for you to decide.")
    ] = False,
    yes_make_test_users: Annotated[
        bool,
        typer.Option(
            "--yes-make-test-users",
            help="Allow it on a real database: the test users, streams and prices stay there.",
        ),
    ] = False,
) -> None:
    """Send signed purchases, refunds, disputes and gifts; check what became of every coin.

    Some events must be refused, and some purchases are held for a person; those stay held.

    Exit 1 if anything is wrong: an event that is lost, stuck or judged otherwise than planned, a
    wrong balance, a broken invariant. Exit 2 if the run can't begin.
    """
    options = Options(
        events=events,
        rate_per_s=rate or None,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        duplicates=duplicates,
        shuffle=shuffle,
        garbage=garbage,
        tour=tour,
    )
    settings = load_operator_settings()
    if not (yes_make_test_users or uses_embedded_database(settings)):
        sys.exit(
            "coinfleet: this would make test users, streams and prices in a real database;"
            " if that is intended, add --yes-make-test-users"
        )
    try:
        clean = asyncio.run(simulate(settings, options, make_console()))
    except NotSimulated as error:
        raise CommandFailed(f"coinfleet: {error}") from error
    except CoinfleetError as error:
        raise failed(error) from error
    except KeyboardInterrupt:
        sys.stderr.write("coinfleet: interrupted; nothing was checked\n")
        sys.exit(INTERRUPTED)
    raise typer.Exit(code=not clean)
