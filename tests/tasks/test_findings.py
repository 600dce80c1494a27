"""What a finding is, and how far clocks may differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.findings import Verdict, judge_clock

NOW = datetime(2026, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "said"),
    [
        (0, Verdict.OK, "agrees with Stripe's"),
        (-5, Verdict.OK, "agrees with Stripe's"),
        (6, Verdict.ATTENTION, "is 6 s ahead of Stripe's"),
        (-6, Verdict.ATTENTION, "is 6 s behind Stripe's"),
        (60, Verdict.ATTENTION, "is 60 s ahead of Stripe's"),
        (-61, Verdict.BROKEN, "is 61 s behind Stripe's"),
    ],
)
def test_a_clock_that_is_off_needs_a_person(ahead_s: int, verdict: Verdict, said: str) -> None:
    finding = judge_clock(NOW + timedelta(seconds=ahead_s), NOW, whose="Stripe's")
    assert (finding.verdict, finding.what) == (verdict, f"this machine's clock {said}")
    assert bool(finding.fix) == (verdict is not Verdict.OK)
