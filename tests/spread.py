"""Which tests the processes of `-n` take, and when.

The tests of a file share a process, for they share a database. Those that start processes mostly
wait for them, the others mostly compute: taken in turn, they leave no processor idle, neither while
all wait nor at the end, when one has long tests left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xdist.remote import Producer

# These share servers of their own, which take seconds to start.
TOGETHER = "tests/faults/"
LONGEST = (TOGETHER, "tests/journeys/")
WAITING = (*LONGEST, "tests/deploy/", "tests/workers/")
# A file with as few tests has long ones.
FEW = 3


class Spread(LoadFileScheduling):
    """Gives out one file after the other, and the tests that share servers as one."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Spread | None:
    """Keep the order of the tests with `--dist loadfile`."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return Spread(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files in each process, all alike."""
    if not hasattr(config, "workerinput"):
        return
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    sizes = {name: len(tests) for name, tests in files.items()}
    items[:] = [item for name in in_turn(sizes) for item in files[name]]


def in_turn(sizes: dict[str, int]) -> Sequence[str]:
    """Return the files, each with so many tests, in the order in which they are taken."""

    def turn(name: str) -> tuple[bool, bool, int]:
        return not name.startswith(LONGEST), sizes[name] > FEW, -sizes[name]

    kinds: dict[bool, list[str]] = {True: [], False: []}
    for name in sorted(sizes, key=turn):
        kinds[name.startswith(WAITING)].append(name)
    # Both kinds are used up at the same time.
    share = {
        name: place / len(names) for names in kinds.values() for place, name in enumerate(names)
    }
    return sorted(share, key=share.__getitem__)
