"""Shows the result of an upgrade: before = after + set aside, and why rows were set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.terminal import print_lines, print_rows

if TYPE_CHECKING:
    from rich.console import Console

    from db.legacy.proof import Line, Proof
    from db.legacy.upgrade import Result


def show(console: Console, result: Result, *, dry_run: bool) -> None:
    """Print the proof, the reasons, then the verdict."""
    if result.was_done:
        console.print("Nothing to do: this database is upgraded already. The proof of that time:\n")
    _show_lines(console, result.proof)
    if result.proof.reasons:
        console.print()
        _show_reasons(console, result.proof)
    console.print()
    for line in _verdict(result, dry_run=dry_run):
        console.print(line, soft_wrap=True, highlight=False)


def _show_lines(console: Console, proof: Proof) -> None:
    print_lines(console, ["Before = after + archived + quarantined"])
    counts = ("rows", "moved", "archived", "quarantined", "coins", "after", "set aside")
    rows = [(_cells(line), "" if line.holds else "red") for line in proof.lines]
    print_rows(console, ["", *counts, "proof"], rows)


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


def _show_reasons(console: Console, proof: Proof) -> None:
    print_lines(console, ["Set aside, or moved with a note"])
    rows = [
        (why.table, why.fate, why.reason, _number(why.rows), _number(why.coins or None))
        for why in proof.reasons
    ]
    print_rows(console, ["table", "fate", "reason", "rows", "coins"], [(row, "") for row in rows])


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
            "Not finished: access stays closed. docs/upgrading.md says what to do.",
        ]
    proved = "Every row and every coin is accounted for; every invariant holds."
    if dry_run and not result.was_done:
        return [proved, "This was a dry run: nothing was changed."]
    return [proved]
