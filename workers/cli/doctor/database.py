"""The database: whether it answers, its schema and grants, its clock, its room, what it promises.

Asks it alone, with the rights of the schema's owner or of the console.
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from db.connections.explanations import explained_errors
from db.connections.pool import result_or_abandon
from db.connections.roles import WrongRole, check_owner, check_process_role
from db.errors import CoinfleetError, raising_unavailable
from db.health.server import (
    read_open_transactions,
    read_password_ends,
    read_server,
    read_version,
)
from db.health.status import awaited_standbys, read_clock
from db.reconciliation import read_status
from db.release.catalog import find_differences
from db.release.compatibility import is_current
from tasks.findings import Finding, attention, broken, judge_clock, not_checked, ok
from workers.cli.doctor.certificates import judge_end
from workers.cli.words import counted
from workers.processes import CONSOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from db.connections.pool import Pool
    from db.health.server import Server
    from workers.cli.doctor.examining import Context

OWN_ADDRESS = "set DATABASE_URL to the address of the schema's owner"
MIGRATE = "run `coinfleet migrate`"
NOT_COMPARED = not_checked("what the last release made is not known here", fix=MIGRATE)
# PostgreSQL 15 to 18 are tested.
VERSION_MIN = 15
VERSION_TESTED = 18
# The server stops at 2,147 million; autovacuum freezes from 200 million on.
XID_AGE_ATTENTION = 1_000_000_000
XID_AGE_BROKEN = 1_800_000_000
SESSIONS_FULL = 0.9
# The server's SQLSTATE for it.
TOO_MANY_SESSIONS = "53300"
FEWER_SESSIONS = "raise max_connections, run fewer processes, or use a pooler"
# A report or a backup of a large database takes as long; nothing of ours does.
OPEN_AT_MOST_S = 3_600.0
TO_FIND_IT = (
    "see that a worker and a scheduler run: `coinfleet status`; if they do, end the transaction"
    " that has been open since: `select pid, usename, xact_start from pg_stat_activity where"
    " backend_xid is not null order by xact_start`, as a superuser, and `select * from"
    " pg_prepared_xacts`"
)
SLOT_BYTES = 1024**3
FREE_BYTES_ATTENTION = 5 * 1024**3
FREE_BYTES_BROKEN = 512 * 1024**2
NAMED_MAX = 5
# Before the bound of a check, which can't say what a database that is silent means.
WITHIN_S = 4.0


async def reach(context: Context) -> list[Finding]:
    """Say whether the database answers and holds a schema of ours; all that asks it waits for this.

    The verdict is `broken` exactly if nothing else can be asked.
    """
    if context.pool is None:
        return [not_checked("no database is known here", fix="set DATABASE_URL, or start a fleet")]
    try:
        asked = _read_version(context)
        version, is_released = await result_or_abandon(asked, after_s=WITHIN_S)
    except WrongRole as error:
        return [broken("release_not_owner", str(error), fix=OWN_ADDRESS)]
    except (CoinfleetError, TimeoutError) as error:
        is_silent = isinstance(error, TimeoutError)
        what = f"the database gives no answer within {WITHIN_S:g} s" if is_silent else str(error)
        if TOO_MANY_SESSIONS in what:
            return [broken("sessions_full", what, fix=FEWER_SESSIONS)]
        fix = "start it, or correct DATABASE_URL; nothing is lost meanwhile, providers send again"
        return [broken("database_away", what, fix=fix)]
    if not is_released:
        return [broken("no_schema", "the database holds no schema of coinfleet", fix=MIGRATE)]
    return [ok(f"PostgreSQL {version} answers")]


async def _read_version(context: Context) -> tuple[str, bool]:
    with explained_errors(), raising_unavailable():
        found = await read_version(context.database)
        url = context.settings.database_url
        if url is not None and not context.is_of_console:
            await _check_reader(context.database, url)
        return found


async def _check_reader(pool: Pool, url: str) -> None:
    """Raise WrongRole for a role that may read little of what is looked at, as web's.

    Each check would find that out by itself, and take it for damage.
    """
    try:
        await check_process_role(pool, CONSOLE, url=url)
    except WrongRole:
        await check_owner(pool, url=url)


async def check_schema(context: Context) -> list[Finding]:
    """Say whether the schema is this release's, and what was lost of it or added to it since."""
    found = []
    if not await is_current(context.database):
        found.append(
            broken("schema_of_other_release", "the schema is not this release's", fix=MIGRATE)
        )
    differences = await find_differences(context.database)
    if differences is None:
        return [*found, NOT_COMPARED]
    lost = [item for each in differences for item in each.lost if not _is_grant(item)]
    of_tables = [item for each in differences for item in each.lost_of_tables]
    gained = [item for each in differences for item in each.gained if not _is_grant(item)]
    if others := [item for item in lost if item not in of_tables]:
        found.append(
            broken(
                "objects_lost", f"the release made it and it is gone: {_few(others)}", fix=MIGRATE
            )
        )
    if of_tables:
        fix = "make it by hand, as db/migrations has it; no release makes it again"
        found.append(
            broken(
                "tables_damaged", f"tables lack what a migration made: {_few(of_tables)}", fix=fix
            )
        )
    if gained:
        fix = f"undo it by hand if it stays after `{MIGRATE.removeprefix('run `')}"
        found.append(attention("objects_added", f"somebody added: {_few(gained)}", fix=fix))
    return found or [ok("each object is as the release made it")]


async def check_grants(context: Context) -> list[Finding]:
    """Say which rights the roles lost since the release, and which they got beside it."""
    differences = await find_differences(context.database)
    if differences is None:
        return [NOT_COMPARED]
    lost = [item for each in differences for item in each.lost if _is_grant(item)]
    gained = [item for each in differences for item in each.gained if _is_grant(item)]
    found = []
    if lost:
        found.append(broken("rights_lost", f"rights are gone: {_few(lost)}", fix=MIGRATE))
    if gained:
        by_hand = "; ".join(map(_undone, gained[:NAMED_MAX]))
        found.append(
            broken(
                "rights_added",
                f"somebody was given more than db/policies says: {_few(gained)}",
                fix=f"{MIGRATE}; if it stays, by hand: {by_hand}",
            )
        )
    return found or [ok("each role has the rights of db/policies and no other")]


def _undone(item: str) -> str:
    """Return the statement that undoes a grant, or what to do."""
    matched = re.fullmatch(r"grant (.+) to (\S+)", item)
    return f"`revoke {matched[1]} from {matched[2]}`" if matched else f"undo `{item}`"


def _is_grant(item: str) -> bool:
    return item.startswith(("grant ", "role ", "setting of role ", "policy ", "owner "))


def _few(items: list[str]) -> str:
    more = len(items) - NAMED_MAX
    return "; ".join(items[:NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")


async def check_clock(context: Context) -> list[Finding]:
    """Compare this machine's clock with the database's."""
    before = datetime.now(UTC)
    there = await read_clock(context.database)
    after = datetime.now(UTC)
    return [judge_clock(before + (after - before) / 2, there, whose="the database's")]


async def check_server(context: Context) -> list[Finding]:
    """Say whether what the server acknowledges is on disk, and whether it has a future."""
    server = await read_server(context.database)
    found = list(_durability(server))
    if names := await awaited_standbys(context.database):
        found.append(
            broken(
                "standby_awaited",
                f"each commit waits for a standby ({names}) and none is connected",
                fix="connect one, or empty synchronous_standby_names",
            )
        )
    return [*found, *_future(server)] or [ok(_version(server))]


def _version(server: Server) -> str:
    return f"PostgreSQL {server.version_num // 10_000}: what it acknowledges is on disk"


def _durability(server: Server) -> Iterator[Finding]:
    if server.is_read_only:
        yield broken(
            "database_read_only",
            "the server takes no writes: a standby, or default_transaction_read_only",
            fix="point the addresses to the primary",
        )
    for name in ("fsync", "full_page_writes"):
        if server.settings.get(name) == "off":
            yield broken(
                "not_durable",
                f"{name} is off: a crash of the machine loses or damages acknowledged payments",
                fix=f"`alter system set {name} = on`, then `select pg_reload_conf()`",
            )


def _future(server: Server) -> Iterator[Finding]:
    major = server.version_num // 10_000
    if major < VERSION_MIN:
        yield broken(
            "postgres_too_old",
            f"PostgreSQL {major} is too old",
            fix=f"upgrade to {VERSION_MIN} or newer",
        )
    if major > VERSION_TESTED:
        yield attention(
            "postgres_untested",
            f"PostgreSQL {major} is newer than what coinfleet was tested with ({VERSION_TESTED})",
            fix="try the release on a copy first",
        )
    if server.settings.get("autovacuum") == "off":
        yield attention(
            "autovacuum_off",
            "autovacuum is off: tables grow, and the server stops one day",
            fix="`alter system set autovacuum = on`, then `select pg_reload_conf()`",
        )
    if server.xid_age > XID_AGE_ATTENTION:
        judge = broken if server.xid_age > XID_AGE_BROKEN else attention
        yield judge(
            "transaction_ids_short",
            f"{server.xid_age:,} transactions are not frozen; the server stops at 2,147,483,648",
            fix="end long transactions and unused slots, then `vacuum (freeze)`",
        )


async def check_sessions(context: Context) -> list[Finding]:
    """Say whether the server has sessions left."""
    server = await read_server(context.database)
    told = f"{server.sessions:,} of {server.sessions_max:,} sessions are used"
    if server.sessions >= server.sessions_max * SESSIONS_FULL:
        found = [attention("sessions_full", told, fix=FEWER_SESSIONS)]
    else:
        found = [ok(told)]
    return [*found, *[each async for each in _open_transactions(context)]]


async def _open_transactions(context: Context) -> AsyncIterator[Finding]:
    for each in await read_open_transactions(context.database, longer_than_s=OPEN_AT_MOST_S):
        yield attention(
            "transaction_open",
            f"a transaction has been open since {each.since:%Y-%m-%d %H:%M}Z: {each.who}; proofs"
            " and leaderboards wait for it if it writes, and replaced rows fill the disk",
            fix=f"end it: `{each.ends_by}`",
        )


async def check_passwords(context: Context) -> list[Finding]:
    """Say which passwords end soon: a process whose password has ended can't log in anew."""
    now = await read_clock(context.database)
    ends = await read_password_ends(context.database)
    found = [
        judge_end(f"the password of {role}", at, now, code="password_ends")
        for role, at in ends.items()
    ]
    return [each for each in found if each] or [ok("no role's password ends within three weeks")]


async def check_disk(context: Context) -> list[Finding]:
    """Say how much room there is, as far as that can be known."""
    server = await read_server(context.database)
    found = [
        attention(
            "slot_keeps_log",
            f"the replication slot {name} is unused and keeps {_size(kept)} of the log",
            fix=f"connect its reader, or `select pg_drop_replication_slot('{name}')`",
        )
        for name, kept in server.slots_behind.items()
        if kept > SLOT_BYTES
    ]
    size = _size(server.database_bytes)
    folder = context.settings.coinfleet_data_dir
    if not (folder / "postgres").is_dir():
        why = f"the database has {size}; a server does not tell how much room its disk has"
        return [*found, not_checked(why, fix="have the disk watched where the server runs")]
    free = shutil.disk_usage(folder).free
    told = f"the database has {size}, and {_size(free)} are free on the disk of {folder}"
    if free >= FREE_BYTES_ATTENTION:
        return [*found, ok(told)]
    judge = broken if free < FREE_BYTES_BROKEN else attention
    return [*found, judge("disk_full", told, fix="free space; a full disk stops every purchase")]


def _size(number: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if number < 1024:
            return f"{number:,.0f} {unit}"
        number /= 1024
    return f"{number:,.1f} GB"


async def check_books(context: Context) -> list[Finding]:
    """Say whether the proofs run, and whether they found anything."""
    proofs = await read_status(context.database)
    now = await read_clock(context.database)
    found = []
    if proofs.last_full_at is None and proofs.last_new_at is None:
        return [not_checked("no proof was made yet", fix="start a worker and a scheduler")]
    if proofs.violations:
        found.append(
            broken(
                "books_violated",
                f"the proofs found {counted(proofs.violations, 'violation')} in the books",
                fix="look at `coinfleet status --json` (drift), and at the views in `invariants`",
            )
        )
    for name, at, within in (
        ("new entries", proofs.last_new_at, timedelta(minutes=15)),
        ("all entries", proofs.last_full_at, timedelta(days=2)),
    ):
        if at is not None and now - at > within:
            what = f"{name} were last proved at {at:%Y-%m-%d %H:%M}Z"
            found.append(attention("proofs_late", what, fix=TO_FIND_IT))
    return found or [ok("the proofs found no violation")]
