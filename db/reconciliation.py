"""Proofs of the books: a continuous one of new ledger entries, and a full one of everything.

They find and record violations. They correct none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from db.connections.pool import Connection, Pool

# One slice of the continuous proof takes well under a second.
SLICE_ENTRIES = 100_000
# An invariant reads a whole table; at ten million ledger entries that is minutes.
INVARIANT_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class SliceProof:
    """What one slice of the continuous proof covered and found; `detail` has the first few."""

    entries_checked: int
    violations: int
    detail: Mapping[str, Any]
    caught_up: bool


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that doesn't hold: how many rows break it, and the first few of them."""

    violations: int
    first_rows: list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ProofStatus:
    """What the proofs found. `violations` are counted until a full proof finds none any more."""

    violations: int
    last_full_at: datetime | None
    last_new_at: datetime | None
    detail: Mapping[str, Any]


async def prove_new_entries(
    database: Pool | Connection, *, limit: int = SLICE_ENTRIES
) -> SliceProof | None:
    """Prove about `limit` ledger entries after the last checkpoint, and move the checkpoint.

    None if the checkpoint is from another cluster, as after a restore: only a full proof sets a new
    one then.
    """
    row = await database.fetchrow("select * from fleet.prove_new_entries($1)", limit)
    if row is None:
        return None
    return SliceProof(
        row["entries_checked"], row["violations"], json.loads(row["detail"]), row["caught_up"]
    )


async def list_invariants(database: Pool | Connection) -> list[str]:
    """Return the names of the views that must have no row."""
    rows = await database.fetch(
        "select viewname from pg_catalog.pg_views where schemaname = 'invariants' order by 1"
    )
    return [row["viewname"] for row in rows]


async def find_breach(pool: Pool, invariant: str) -> Breach | None:
    """Read one invariant, in a transaction with a longer timeout; None if it holds."""
    quoted = await pool.fetchval("select quote_ident($1)", invariant)
    # The name comes from the catalogue.
    return await _read_breach(pool, f"invariants.{quoted}")


async def find_other_accounts(pool: Pool, accounts: Collection[str]) -> Breach | None:
    """Return the purchases that stand though their event is of no account of these; None if none.

    Like an invariant, but no view knows a setting of the workers.
    """
    return await _read_breach(pool, "fleet.grants_of_other_accounts($1)", sorted(accounts))


async def _read_breach(pool: Pool, source: str, *parameters: object) -> Breach | None:
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.execute(f"set local statement_timeout = '{INVARIANT_TIMEOUT_S}s'")
        row = await connection.fetchrow(
            f"""
            select count(*) as violations, jsonb_agg(to_jsonb(v) - 'no') filter (where v.no <= 5)
                as first_rows
            from (select i.*, row_number() over () as no from {source} as i) as v
            """,  # noqa: S608 - each source is named above
            *parameters,
            timeout=INVARIANT_TIMEOUT_S + 5,
        )
    if row is None or row["violations"] == 0:
        return None
    return Breach(row["violations"], json.loads(row["first_rows"]))


async def read_horizon(database: Pool | Connection) -> str:
    """Return the oldest transaction that still runs, as text: all older ones have ended."""
    horizon: str = await database.fetchval("select pg_snapshot_xmin(pg_current_snapshot())::text")
    return horizon


async def record_full_proof(
    database: Pool | Connection,
    *,
    started_at: datetime,
    horizon: str,
    breaches: Mapping[str, Breach],
) -> None:
    """Record a full proof. The continuous one goes on from `horizon`, which was read before it."""
    await database.execute(
        "select fleet.record_full_proof($1, $2::text::xid8, $3, $4::jsonb)",
        started_at,
        horizon,
        sum(breach.violations for breach in breaches.values()),
        json.dumps({name: breach.first_rows for name, breach in breaches.items()}),
    )


async def read_status(database: Pool | Connection) -> ProofStatus:
    """Return what the proofs found, as of now."""
    row = await database.fetchrow("select * from fleet.proof_status()")
    assert row is not None  # noqa: S101 - an aggregate always returns a row
    return ProofStatus(
        row["violations"], row["last_full_at"], row["last_new_at"], json.loads(row["detail"])
    )
