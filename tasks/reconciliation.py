"""Reconciliation: the books proved again and again, entry by entry as they grow and whole at night.

A proof records what it finds and raises an alarm; it corrects nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db import reconciliation

if TYPE_CHECKING:
    from tasks.context import Context


async def prove_new_entries(ctx: Context) -> None:
    """Prove the ledger entries written since the last proof; cost follows what is new.

    Proves everything instead when the checkpoint is of no use, as after a restore.
    """
    while not ctx.stopping.is_set():
        proof = await reconciliation.prove_new_entries(ctx.pool)
        if proof is None:
            ctx.log.warning("proof_checkpoint_ahead", then="full proof")
            await prove_everything(ctx)
            return
        if proof.violations:
            ctx.log.error("ledger_breach", violations=proof.violations, found=dict(proof.detail))
        if proof.caught_up:
            return


async def prove_everything(ctx: Context) -> None:
    """Read every invariant over the whole of the books, one after the other."""
    started_at = datetime.now(UTC)
    horizon = await reconciliation.read_horizon(ctx.pool)
    breaches = {}
    for invariant in await reconciliation.list_invariants(ctx.pool):
        breach = await reconciliation.find_breach(ctx.pool, invariant)
        if breach:
            breaches[invariant] = breach
            ctx.log.error(
                "invariant_broken",
                invariant=invariant,
                violations=breach.violations,
                first_rows=breach.first_rows,
            )
    await reconciliation.record_full_proof(
        ctx.pool, started_at=started_at, horizon=horizon, breaches=breaches
    )
