"""The SQL scripts of an upgrade, which lie beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection

LEGACY = Path(__file__).parent


async def run_script(connection: Connection, name: str) -> None:
    """Execute one script by its path below this folder, in the caller's transaction."""
    await connection.execute((LEGACY / name).read_text(encoding="utf-8"))
