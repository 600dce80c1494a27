"""As whom a process runs, and that it never outlives who started it. All of it is setpriv's work.

As root the servers run as `nobody`: PostgreSQL refuses root. The data may lie under a folder that
only root may enter (a clone in /root); nothing above the data folder is changed for that, the
server gets the one capability that lets it through.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

DeathSignal: TypeAlias = Literal["KILL", "QUIT"]


class EmbeddedServerError(Exception):
    """The embedded servers can't do what was asked; the message is one line for a person."""


class ServersUnavailable(EmbeddedServerError):
    """Something that the embedded servers need isn't installed."""


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user that root starts the servers as."""

    uid: int
    gid: int

    def give(self, path: Path) -> None:
        """Make the user the owner of this one file or folder."""
        os.chown(path, self.uid, self.gid)


def server_account() -> Account | None:
    """Whom the servers run as; None is whoever runs this process."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def tethered(*, death_signal: DeathSignal) -> list[str]:
    """What to put before a command so that it gets this signal when its parent dies.

    The kernel's parent is the thread that started it: start processes from the main thread only.
    """
    return [_setpriv(), "--pdeathsig", death_signal, "--"]


def tethered_as_server(
    account: Account | None, *, death_signal: DeathSignal, paths: list[Path]
) -> list[str]:
    """As `tethered`, as the servers' user, who must be able to reach these paths."""
    if account is None:
        return tethered(death_signal=death_signal)
    command = [_setpriv(), "--reuid", str(account.uid), "--regid", str(account.gid)]
    command += ["--clear-groups"]
    if any(_is_closed(path) for path in paths):
        # access(2) asks with the capabilities dropped unless the fix-up is off, and initdb calls it
        # on its own binary.
        command += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        command += ["--securebits=+no_setuid_fixup"]
    return [*command, "--pdeathsig", death_signal, "--"]


def _is_closed(path: Path) -> bool:
    """Whether some folder on the way to this path lets nobody but its owner or group through."""
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise ServersUnavailable("setpriv is missing: install the package util-linux")
    return found
