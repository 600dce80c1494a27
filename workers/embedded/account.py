"""Which user a child process runs as, and that it never outlives its parent; setpriv sees to both.

PostgreSQL refuses to run as root, so root starts the servers as `nobody`. The data may lie below a
folder that only root may enter, such as a clone in /root. No mode of such a folder is changed: the
server gets the one capability that lets it pass.
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

    def take_over(self, path: Path) -> None:
        """Make the user the owner of this one file or folder."""
        os.chown(path, self.uid, self.gid)


def server_account() -> Account | None:
    """Return the user that the servers run as; None is the user of this process."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def child_prefix(*, death_signal: DeathSignal) -> list[str]:
    """Return the words before a command by which it gets this signal when its parent dies.

    For the kernel the parent is the thread that started the process: start it from the main thread.
    Raises ServersUnavailable.
    """
    return [_setpriv(), "--pdeathsig", death_signal, "--"]


def server_prefix(
    account: Account | None, *, death_signal: DeathSignal, paths: list[Path]
) -> list[str]:
    """Return the same for a server, which runs as this user and must have access to these paths."""
    if account is None:
        return child_prefix(death_signal=death_signal)
    command = [_setpriv(), "--reuid", str(account.uid), "--regid", str(account.gid)]
    command += ["--clear-groups"]
    if any(_is_closed(path) for path in paths):
        # Without the last option access(2) ignores the capability, and initdb calls it on its own
        # program.
        command += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        command += ["--securebits=+no_setuid_fixup"]
    return [*command, "--pdeathsig", death_signal, "--"]


def _is_closed(path: Path) -> bool:
    """Return whether a folder above this path can be entered by its owner or group only."""
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise ServersUnavailable("setpriv is missing: install the package util-linux")
    return found
