"""What strangers type, and which fields a page or a form reads."""

from __future__ import annotations

import pytest

from tests.workers.console.conftest import HOSTILE
from workers.console import application, visit

TYPED = [
    HOSTILE,
    "\0",
    "\ud800",
    "a" * 5_000,
    "%00",
    "-1",
    "9" * 30,
    "1; drop table fleet.inbox_events",
    "../../etc/passwd",
    "٤٢",
    "2026-13-45T99:99",
    "2026-12-02T09:05",
    "0001-01-01T00:00+14:00 x y",
    "9999-12-31T23:59-14:00 1 1",
    " ",
]
# The first two; the others are long.
SOME_TYPED = [*TYPED[:2], *(pytest.param(each, marks=pytest.mark.long) for each in TYPED[2:])]


def quoted(typed: str) -> str:
    """Write it as a browser does in an address or a form, whatever it is."""
    return "".join(f"%{byte:02x}" for byte in typed.encode("utf-8", "surrogatepass"))


class Asked:
    """Collects the names of the fields that pages read, while a test goes on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        self._original = visit.read_fields
        patch.setattr(application, "read_fields", self._read)
        patch.setattr(visit, "read_fields", self._read)

    def _read(self, text: str) -> dict[str, str]:
        return _Fields(self._original(text), self.names)


class _Fields(dict[str, str]):
    """Fields that note which of them is asked for."""

    def __init__(self, fields: dict[str, str], names: set[str]) -> None:
        super().__init__(fields)
        self._names = names

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self._names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self._names.add(name)
        return super().__getitem__(name)
