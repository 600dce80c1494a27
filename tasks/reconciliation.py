"""Reconciliation: proves that the books are right, new entries each minute and all at night.

A proof records what it finds and logs an error. It corrects nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db import reconciliation

if TYPE_CHECKING:
    from tasks.context import Context


async def prove_new_entries(ctx: Context) -> None:
    """Prove the ledger entries that were written since the last proof.

    Proves everything if the checkpoint is ahead of the ledger, as after a restore.
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
    """Check every invariant over all of the books, one after the other, and record the result."""
    started_at = datetime.now(UTC)
    horizon = await reconciliation.read_horizon(ctx.pool)
    breaches = {}
    for invariant in await reconciliation.list_invariants(ctx.pool):
        if breach := await reconciliation.find_breach(ctx.pool, invariant):
            breaches[invariant] = breach
    accounts = [each for provider in ctx.providers.values() for each in provider.accounts()]
    if breach := await reconciliation.find_other_accounts(ctx.pool, accounts):
        breaches["purchases_are_of_our_accounts"] = breach
    for invariant, breach in breaches.items():
        ctx.log.error(
            "invariant_broken",
            invariant=invariant,
            violations=breach.violations,
            first_rows=breach.first_rows,
        )
    await reconciliation.record_full_proof(
        ctx.pool, started_at=started_at, horizon=horizon, breaches=breaches
    )
