"""The steps of an upgrade in their order.

`stage` judges all old rows of a step: each moves, or is set aside with a reason. `copy` moves them
in batches. The steps' names are stored in fleet.upgrade_steps, and name the files of both folders.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Verb: TypeAlias = Literal["stage", "copy"]
# An account's opening entry comes before its history, and its closing entry after it.
PLAN: tuple[tuple[Verb, str], ...] = (
    ("stage", "people"),
    ("copy", "people"),
    ("stage", "streams"),
    ("copy", "streams"),
    ("stage", "gift_types"),
    ("copy", "gift_types"),
    ("stage", "purchases"),
    ("stage", "gifts"),
    ("stage", "movements"),
    ("stage", "openings"),
    ("copy", "openings"),
    ("copy", "purchases"),
    ("copy", "gifts"),
    ("copy", "movements"),
    ("stage", "closings"),
    ("copy", "closings"),
    ("stage", "follows"),
    ("copy", "follows"),
    ("stage", "links"),
    ("copy", "links"),
    ("stage", "messages"),
    ("copy", "messages"),
    ("stage", "leftovers"),
    ("copy", "leftovers"),
)
