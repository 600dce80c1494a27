"""A PostgreSQL server of a test file's own, which it may restart, spoil, and make a standby."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workers.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Mapping

# 8 KB pages of four transactions a byte, 32 pages a file.
TRANSACTIONS_A_FILE = 8_192 * 4 * 32
FILE_BYTES = 8_192 * 32


class OwnPostgres(EmbeddedPostgres):
    """The server; Cluster.make_template makes its roles."""

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(data_dir, settings=settings)
        self._first_settings = self._settings

    def set_up(self) -> None:
        """Change no passwords."""

    def is_ready(self) -> bool:
        """Return whether it accepts connections, as a standby, too."""
        lines = self._pid_file_lines()
        is_of_this_start = len(lines) >= 8 and lines[0] == str(self.pid)
        return is_of_this_start and lines[7].strip() in {"ready", "standby"}

    def restart_with(self, **settings: str) -> None:
        """Restart it, with these settings beside its first ones."""
        self._settings = {**self._first_settings, **settings}
        self.restart()

    def become_standby(self) -> None:
        """Restart it as a standby that waits for a log that nobody sends."""
        self.stop()
        self._write("standby.signal", b"")
        self.start()

    def become_primary(self) -> None:
        """Undo that."""
        self.stop()
        (self._cluster / "standby.signal").unlink()
        self.start()

    def freeze(self) -> None:
        """Suspend it and each of its sessions."""
        super().freeze()
        self._signal_children(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_children(signal.SIGCONT)
        super().thaw()

    def jump(self, *, files: int, log: int) -> None:
        """Restart it as if it had counted so many files of transactions, and written a log so far.

        `log` counts 4 GB each.
        """
        self.stop()
        self._write(f"pg_xact/{files:04X}", bytes(FILE_BYTES))
        subprocess.run(
            [
                *self._prefix(),
                self._binary("pg_resetwal"),
                f"--next-transaction-id={files * TRANSACTIONS_A_FILE}",
                f"--next-wal-file=00000001{log:08X}00000001",
                str(self._cluster),
            ],
            check=True,
            capture_output=True,
        )
        self.start()

    def _signal_children(self, wanted: signal.Signals) -> None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        for pid in map(int, children.split()):
            with suppress(ProcessLookupError):
                os.kill(pid, wanted)

    def _write(self, name: str, content: bytes) -> None:
        path = self._cluster / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        if self._account is not None:
            self._account.take_over(path)
