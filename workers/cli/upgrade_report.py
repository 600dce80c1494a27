"""Shows what an upgrade came to: before = after + set aside, and why rows were set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from db.upgrade_proof import Line, Proof
    from db.upgrades import Result


def show(console: Console, result: Result, *, dry_run: bool) -> None:
    """Print the proof, the reasons, then the verdict."""
    if result.was_done:
        console.print("Nothing to do: this database was upgraded. What was proved then:\n")
    console.print(_lines(result.proof))
    if result.proof.reasons:
        console.print()
        console.print(_reasons(result.proof))
    console.print()
    for line in _verdict(result, dry_run=dry_run):
        console.print(line, soft_wrap=True, highlight=False)


def _lines(proof: Proof) -> Table:
    table = Table(box=None, title="Before = after + archived + quarantined", title_justify="left")
    table.add_column("")
    for column in ("rows", "moved", "archived", "quarantined", "coins", "after", "set aside"):
        table.add_column(column, justify="right")
    table.add_column("")
    for line in proof.lines:
        table.add_row(*_cells(line), style=None if line.holds else "red")
    return table


def _cells(line: Line) -> tuple[str, ...]:
    has_rows, has_coins = line.rows_before is not None, line.coins_before is not None
    rows = (line.rows_before, line.rows_moved, line.rows_archived, line.rows_quarantined)
    coins = (line.coins_before, line.coins_after, line.coins_archived + line.coins_quarantined)
    return (
        line.name,
        *(_number(value) if has_rows else "" for value in rows),
        *(_number(value) if has_coins else "" for value in coins),
        "=" if line.holds else "≠",
    )


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _reasons(proof: Proof) -> Table:
    table = Table(box=None, title="Set aside, or moved with a note", title_justify="left")
    for column in ("table", "", "reason"):
        table.add_column(column)
    for column in ("rows", "coins"):
        table.add_column(column, justify="right")
    for why in proof.reasons:
        coins = _number(why.coins) if why.coins else ""
        table.add_row(why.table, why.fate, why.reason, _number(why.rows), coins)
    return table


def _verdict(result: Result, *, dry_run: bool) -> list[str]:
    proof = result.proof
    broken = [
        f"invariant {name} is broken by {rows:,} rows" for name, rows in proof.breaches.items()
    ]
    broken += [
        f"{line.name}: before is not after + set aside" for line in proof.lines if not line.holds
    ]
    if broken:
        return [
            *(f"[red]{fault}[/red]" for fault in broken),
            "Not finished: the doors stay closed. docs/upgrading.md says what to do.",
        ]
    proved = "Every row and every coin is accounted for; every invariant holds."
    if dry_run and not result.was_done:
        return [proved, "This was a dry run: nothing was changed."]
    return [proved]
