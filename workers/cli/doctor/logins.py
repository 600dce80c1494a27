"""Each process's address: who is logged in there, which pooler answers, and what TLS proves.

One session per address, side by side, for all three. The addresses of other machines' processes are
not known here unless they are set.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from db.connections.address import Address
from db.connections.inspection import Login, inspect
from db.connections.pool import result_or_abandon
from db.connections.pooler import PoolerUndeclared, Pooling
from db.connections.tls import asks_for_tls
from db.errors import CoinfleetError
from tasks.findings import Finding, attention, broken, not_checked, ok
from workers.cli.doctor.certificates import judge_end
from workers.cli.doctor.settings import is_local_host
from workers.processes import PROCESSES, RELEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.cli.doctor.examining import Context
    from workers.processes import Process

WITHIN_S = 4.0
APPLICATION = "coinfleet doctor"


async def _each(
    context: Context,
    look: Callable[[Process, Address, Login], Iterator[Finding]],
    *,
    tells: str = "",
) -> list[Finding]:
    """Return what `look` finds of each process whose address is known.

    Why one can't be looked at is told by the check that `tells` findings of that code; others name
    the process.
    """
    unseen = []

    async def one(process: Process) -> list[Finding]:
        url: str | None = getattr(context.settings, process.address.lower())
        if url is None:
            return []
        seen = await context.once(process.address, lambda: _look(process, url))
        if isinstance(seen, Login):
            return list(look(process, Address.parse(url), seen))
        if seen.code == tells:
            return [seen]
        unseen.append(process.name)
        return []

    found = [each for part in await asyncio.gather(*map(one, PROCESSES.values())) for each in part]
    if unseen:
        what = f"not logged in as {', '.join(unseen)}"
        found.append(not_checked(what, fix="see `logins` and `poolers`: they say why"))
    return [*found, *_unknown(context)]


def _unknown(context: Context) -> Iterator[Finding]:
    """Yield which processes' addresses are not set here."""
    names = [
        process.address
        for process in PROCESSES.values()
        if getattr(context.settings, process.address.lower()) is None
    ]
    if names and not context.is_of_console:
        fix = "run `coinfleet doctor` with the settings of those processes, too"
        yield not_checked(f"not set here: {', '.join(names)}", fix=fix)


async def _look(process: Process, url: str) -> Login | Finding:
    try:
        asked = inspect(url, role=process.role, application_name=APPLICATION, within_s=WITHIN_S)
        return await result_or_abandon(asked, after_s=WITHIN_S)
    except PoolerUndeclared:
        return broken(
            "pooler_unnamed",
            f"{process.name}: a pooler answers at {process.address}, which does not say so",
            fix="add ?pooler=transaction to the address, or ?pooler=session if it gives sessions",
        )
    except (CoinfleetError, TimeoutError) as error:
        return broken(
            "login_refused",
            f"{process.name} can't log in: {error}",
            fix=f"correct {process.address}, or the role",
        )


async def check_roles(context: Context) -> list[Finding]:
    """Say whether each process logs in as its own role, which may do its work and no more."""
    return await _each(context, judge_role, tells="login_refused")


def judge_role(process: Process, _address: Address, login: Login) -> Iterator[Finding]:
    """Yield what is wrong with who is logged in."""
    name, user = process.name, login.user
    if login.is_superuser:
        yield broken(
            "login_of_superuser",
            f"{name} logs in as {user}, a superuser: whoever has its password owns the machine",
            fix=f"set {process.address} to the address of {_wanted(process)}",
        )
    elif process is RELEASE:
        yield from _judge_owner(login)
    elif login.is_role is False and not login.is_owner:
        yield broken(
            "login_of_other_role",
            f"{name} logs in as {user}, which is not {process.role}",
            fix=f"set {process.address} to the address of {process.role}",
        )
    elif login.is_owner:
        yield attention(
            "login_of_owner",
            f"{name} logs in as {user}, which owns the schema: its password is worth everything",
            fix=f"set {process.address} to the address of {process.role}",
        )
    else:
        yield ok(f"{name} logs in as {user}")


def _wanted(process: Process) -> str:
    return "the schema's owner, no superuser" if process is RELEASE else process.role


def _judge_owner(login: Login) -> Iterator[Finding]:
    if login.is_owner is False:
        yield broken(
            "release_not_owner",
            f"release logs in as {login.user}, which does not own the schema",
            fix="set DATABASE_URL to the address of the schema's owner",
        )
    elif not login.may_create_roles:
        yield broken(
            "owner_creates_no_roles",
            f"release logs in as {login.user}, which may not create roles",
            fix=f"as a superuser, `alter role {login.user} createrole`",
        )
    else:
        yield ok(f"release logs in as {login.user}, the schema's owner")


async def check_poolers(context: Context) -> list[Finding]:
    """Say whether each address names the pooler that answers there."""
    return await _each(context, judge_pooler, tells="pooler_unnamed")


def judge_pooler(process: Process, address: Address, login: Login) -> Iterator[Finding]:
    """Yield whether the pooler is the one that the address names."""
    name, kind = process.name, address.pooling
    if process is RELEASE and kind is Pooling.TRANSACTION:
        yield broken(
            "release_through_pooler",
            "release: DATABASE_URL is a transaction pooler's, and a release needs a whole session",
            fix="use the server's direct address there (on Supabase port 5432)",
        )
    elif kind is Pooling.NONE and login.is_pooled:
        yield broken(
            "pooler_unnamed",
            f"{name}: a pooler answers at {process.address}, which does not say so: prepared"
            " statements and settings of sessions get lost",
            fix="add ?pooler=transaction to the address, or ?pooler=session if it gives sessions",
        )
    elif kind is Pooling.TRANSACTION and not login.is_pooled:
        yield attention(
            "pooler_not_there",
            f"{name}: {process.address} says pooler=transaction, and the server itself answers:"
            " statements are prepared anew each time",
            fix="remove ?pooler= from the address",
        )
    elif kind is Pooling.NONE:
        yield ok(f"{name}: the server itself answers")
    else:
        yield ok(f"{name}: a {kind} pooler, as its address says")


async def check_tls(context: Context) -> list[Finding]:
    """Say whether each way to the database is encrypted and proves the server."""
    return await _each(context, judge_tls)


def judge_tls(process: Process, address: Address, login: Login) -> Iterator[Finding]:
    """Yield whether the way there is encrypted and proves the server."""
    name, mode = process.name, address.tls.get("sslmode", "")
    proves = mode in ("verify-ca", "verify-full") or address.tls.get("sslrootcert") == "system"
    if all(map(is_local_host, address.hosts)):
        yield ok(f"{name}: the database is on this machine")
    elif not login.uses_tls:
        yield broken(
            "database_in_clear",
            f"{name}: passwords and payments go to {address} in the clear",
            fix=f"add sslmode=verify-full&sslrootcert=… to {process.address}",
        )
    elif not proves:
        allows = "" if asks_for_tls(address.tls) else ", and may fall back to none"
        yield attention(
            "database_unproved",
            f"{name}: TLS to {address} does not prove the server (sslmode={mode or 'prefer'})"
            f"{allows}",
            fix=f"add sslmode=verify-full&sslrootcert=… to {process.address}",
        )
    else:
        yield ok(f"{name}: TLS proves {address}")
    what = f"{name}: the certificate of {address}"
    ends_at = login.certificate_ends_at
    if (end := judge_end(what, ends_at, login.now, code="certificate_ends")) is not None:
        yield end
