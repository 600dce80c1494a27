"""How far ahead of the right time a clock was."""

from __future__ import annotations

from datetime import timedelta

import pytest

AHEAD = pytest.mark.parametrize(
    "ahead", [timedelta(minutes=20), timedelta(hours=5), timedelta(days=365)], ids=str
)
