"""`coinfleet purchases frozen|release`: whose coins can't be spent, and a person's release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from db.approvals.decisions import DecisionRefused
from db.approvals.freezes import Frozen, Released, read_frozen
from db.approvals.freezes import release as release_purchase
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed
from workers.cli.origin import origin
from workers.cli.purchases.asking import ask, write_json
from workers.cli.purchases.words import moment
from workers.cli.terminal import make_console, print_lines, print_rows, width_of, wrapped
from workers.cli.words import ago, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from db.connections.pool import Connection

SHOWN = 100
HEADER = ("Frozen", "coins", "buyer", "since", "ends", "by")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def list_frozen(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most so many.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """List the purchases whose coins can't be spent now, and what freezes them; the oldest first.

    Nothing of it waits for a person: Stripe ends it, or a warning ends after 120 days.
    """
    found = ask(lambda connection: read_frozen(connection, limit=limit))
    if as_json:
        write_json({"frozen": found})
    else:
        _show(make_console(), found, is_cut=len(found) == limit)


def release(
    purchase: Annotated[
        int, typer.Argument(metavar="ID", help="The purchase's id, as `frozen` shows it.")
    ],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept for good, so name nobody in it.")],
    as_json: AsJson = False,
) -> None:
    """Release a frozen purchase for good: its coins can be spent at once.

    Only a warning, review or inquiry that is new freezes it again. Exit 1 if nothing was frozen.
    """
    if not reason.strip():
        raise typer.BadParameter("must say why", param_hint="'--reason'")

    async def work(connection: Connection) -> Released:
        try:
            return await release_purchase(connection, purchase, reason=reason, typed_by=origin())
        except DecisionRefused as error:
            raise CommandFailed(f"coinfleet: {error}") from error

    done = ask(work)
    if as_json:
        write_json(done)
    else:
        console = make_console()
        print_lines(console, wrapped(_said(done), width=width_of(console), indent="  "))
    if not done.released:
        raise typer.Exit(code=NEEDS_A_PERSON)


def _show(console: Console, found: Sequence[Frozen], *, is_cut: bool) -> None:
    if not found:
        print_lines(console, ["nothing is frozen"])
        return
    print_rows(console, HEADER, [(_row(each), "") for each in found])
    if is_cut:
        print_lines(console, [f"There may be more than these {len(found)}: see --limit."])


def _row(each: Frozen) -> list[str]:
    return [
        str(each.purchase_id),
        f"{each.coins:,}",
        str(each.profile_id),
        ago(each.age_s),
        f"at the latest {moment(each.ends_at)}" if each.ends_at else "when Stripe says so",
        ", ".join(each.sources),
    ]


def _said(done: Released) -> str:
    if not done.released:
        return f"Nothing of purchase {done.purchase_id} is frozen."
    coins = counted(done.coins, "coin")
    return (
        f"Purchase {done.purchase_id} is released from {', '.join(done.released)}:"
        f" {coins} can be spent now."
    )
