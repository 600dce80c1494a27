"""The proof of an upgrade: before = after + set aside, row by row and coin by coin.

Before is read from the old tables, after from the current ones, and what was set aside from
fleet.quarantine and fleet.archived_rows; how the rows got there plays no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.legacy.scripts import LEGACY

if TYPE_CHECKING:
    from pathlib import Path

    from db.connections.pool import Connection


class Line(msgspec.Struct, frozen=True):
    """One old table, or one kind of coins. None where there is nothing to count."""

    name: str
    rows_before: int | None
    rows_moved: int | None
    rows_archived: int
    rows_quarantined: int
    coins_before: int | None
    coins_after: int | None
    coins_archived: int
    coins_quarantined: int
    rows_counted: int | None

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing was made."""
        return self._rows_hold and self._coins_hold

    @property
    def _rows_hold(self) -> bool:
        if self.rows_before is None or self.rows_moved is None:
            return True
        # Counted while everybody was locked out, and again now.
        return self.rows_before == (
            self.rows_moved + self.rows_archived + self.rows_quarantined
        ) and self.rows_counted in (None, self.rows_before)

    @property
    def _coins_hold(self) -> bool:
        if self.coins_before is None or self.coins_after is None:
            return True
        return self.coins_before == (
            self.coins_after + self.coins_archived + self.coins_quarantined
        )


class Reason(msgspec.Struct, frozen=True):
    """How many rows of a table were set aside, or noted, for one reason."""

    table: str
    fate: str
    reason: str
    rows: int
    coins: int


class Proof(msgspec.Struct, frozen=True):
    """All lines, the reasons behind what was set aside, and each broken invariant."""

    lines: list[Line]
    reasons: list[Reason]
    breaches: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether the upgrade may finish."""
        return all(line.holds for line in self.lines) and not self.breaches


def encode(proof: Proof) -> str:
    """Return a proof as JSON."""
    return msgspec.json.encode(proof).decode()


def decode(text: str) -> Proof:
    """Read a proof back."""
    return msgspec.json.decode(text, type=Proof)


async def prove(connection: Connection) -> Proof:
    """Count everything again, and read every invariant."""
    lines = await _rows(connection, LEGACY / "proof_lines.sql")
    reasons = await _rows(connection, LEGACY / "proof_reasons.sql")
    return Proof(
        msgspec.convert(lines, type=list[Line]),
        msgspec.convert(reasons, type=list[Reason]),
        await _breaches(connection),
    )


async def _rows(connection: Connection, query: Path) -> list[dict[str, str | int | None]]:
    """Run a query of counts; sums are numeric there and whole numbers here."""
    return [
        {
            key: value if value is None or isinstance(value, str) else int(value)
            for key, value in row.items()
        }
        for row in await connection.fetch(query.read_text())  # noqa: ASYNC240 -- small
    ]


async def _breaches(connection: Connection) -> dict[str, int]:
    views = await connection.fetch(
        "select viewname::text as name from pg_views where schemaname = 'invariants' order by 1"
    )
    found = {}
    for view in views:
        # Ours: the name of a file of db/invariants.
        rows = await connection.fetchval(f"select count(*) from invariants.{view['name']}")  # noqa: S608
        if rows:
            found[view["name"]] = rows
    return found
