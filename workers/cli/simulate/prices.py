"""What the simulated platform sells: coin packages and gift types."""

from __future__ import annotations

from db.simulation import GiftType, Package

HANDFUL = Package("sim-handful", coins=100, amount_minor=99)
VAULT = Package("sim-vault", coins=13_000, amount_minor=99_99)
PACKAGES = {
    package.sku: package
    for package in (
        HANDFUL,
        Package("sim-pouch", coins=550, amount_minor=4_99),
        Package("sim-chest", coins=1_200, amount_minor=9_99),
        VAULT,
    )
}
ROSE = GiftType("sim-rose", "Rose", coins=1, streamer_share_bps=7_000)
CAKE = GiftType("sim-cake", "Cake", coins=25, streamer_share_bps=7_000)
# A share that doesn't divide evenly, so that rounding is seen.
CROWN = GiftType("sim-crown", "Crown", coins=499, streamer_share_bps=6_550)
GIFT_TYPES = (ROSE, CAKE, CROWN)
