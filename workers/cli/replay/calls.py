"""`coinfleet replay calls`: has calls to providers made again, and tells what became of each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from db.health.workers import read_workers
from db.operating.calls import BATCH_CALLS, Call, find_calls, find_dead_calls, replay_calls
from db.operating.replaying import Request
from db.operating.sessions import owner_session
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.origin import origin
from workers.cli.terminal import make_console, print_lines, write
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from db.connections.pool import Connection

BIGINT_MAX = 2**63 - 1
# A call that fails for a cause of its own is dead after five attempts, within some 15 s.
WAIT_S = 60.0
_POLL_S = 0.5
# So many calls are named one by one.
NAMED_MAX = 20

_SKIPPED = {
    "in_hand": "in the hands of a worker just now",
    "done": "done already",
    "to_the_app": "to the app: use `coinfleet replay deliveries`",
    "unknown": "gone",
}


@dataclass(slots=True)
class Done:
    """What was done, or would be. The field names are the keys of `--json`."""

    dry_run: bool
    found: int
    worker_reports: bool | None = None
    calls: list[Call] = field(default_factory=list)
    """What was made again, as it was at the end."""
    skipped: dict[int, str] = field(default_factory=dict)
    kinds: Sequence[str] = ()
    """The kinds that were asked for; none are all."""

    @property
    def needs_a_person(self) -> bool:
        """Whether a call that was to be made again is not done."""
        return not self.dry_run and any(each.state != "done" for each in self.calls)


def command(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]…", help="These: our numbers, or their keys; else all dead."),
    ] = None,
    *,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Dead ones of this kind: stripe.refund.")
    ] = None,
    why: Annotated[
        str, typer.Option("--why", help="Why; kept for good. Needed unless --dry-run.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which, and change nothing.")
    ] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Follow them for so many seconds.")
    ] = WAIT_S,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Have calls to providers made again: all that are dead, or those with these ids.

    A refund is looked for at the provider first, so it is not made twice. What is done is left,
    but for a refund that failed after the provider had taken it. Exit 1 if one is not done at the
    end.
    """
    if ids and kinds:
        raise typer.BadParameter("say which in one way: by ids or --kind")
    if not (dry_run or why.strip()):
        raise typer.BadParameter("say why; it is kept for good", param_hint="'--why'")
    request = Request(
        typed_by=origin(),
        reason=why.strip() or "dry run",
        filter={"ids": ids or [], "kinds": kinds or []},
    )
    url = str(load_operator_settings().database_url)
    with one_line_errors():
        done = asyncio.run(_replay(url, request, ids or (), dry_run=dry_run, wait_s=wait_s))
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(done)).decode())
    else:
        print_lines(make_console(), _told(done))
    raise typer.Exit(code=NEEDS_A_PERSON if done.needs_a_person else 0)


async def _replay(
    url: str, request: Request, ids: Sequence[str], *, dry_run: bool, wait_s: float
) -> Done:
    async with owner_session(url, command="replay calls") as connection:
        found = await _find(connection, ids, request)
        done = Done(dry_run=dry_run, found=len(found), kinds=_kinds(request))
        if dry_run:
            done.calls = found
            return done
        call_ids = [call.call_id for call in found]
        for at in range(0, len(call_ids), BATCH_CALLS):
            batch = call_ids[at : at + BATCH_CALLS]
            done.skipped |= await replay_calls(connection, batch, request)
        if again := [call_id for call_id in call_ids if call_id not in done.skipped]:
            done.worker_reports = any(each.is_alive for each in await read_workers(connection))
            done.calls = await _follow(connection, again, wait_s if done.worker_reports else 0)
        return done


def _kinds(request: Request) -> Sequence[str]:
    kinds = request.filter["kinds"]
    return kinds if isinstance(kinds, list) else ()


async def _find(connection: Connection, ids: Sequence[str], request: Request) -> list[Call]:
    if not ids:
        return await find_dead_calls(connection, kinds=_kinds(request))
    numbers = [int(each) for each in ids if each.isascii() and each.isdigit()]
    found = await find_calls(
        connection, ids=[each for each in numbers if each <= BIGINT_MAX], keys=ids
    )
    if not found:
        raise CommandFailed("coinfleet: no call has such an id or key")
    return found


async def _follow(connection: Connection, call_ids: Sequence[int], wait_s: float) -> list[Call]:
    """Return the calls once none is pending, or when the time is over."""
    deadline = time.monotonic() + wait_s
    while True:
        calls = await find_calls(connection, ids=call_ids)
        is_pending = any(each.state == "pending" for each in calls)
        if not is_pending or time.monotonic() >= deadline:
            return calls
        await asyncio.sleep(_POLL_S)


def _told(done: Done) -> Iterator[str]:
    if not done.found:
        kinds = done.kinds
        yield f"No call of the kind {' or '.join(kinds)} is dead." if kinds else "No call is dead."
        return
    for skipped, calls in Counter(done.skipped.values()).items():
        yield f"Left as it is: {counted(calls, 'call')} {_SKIPPED[skipped]}."
    for (kind, state), calls in sorted(Counter((c.kind, c.state) for c in done.calls).items()):
        yield f"{kind}: {counted(calls, 'call')} {state}"
    if len(done.calls) <= NAMED_MAX:
        for call in done.calls:
            error = f" ({call.last_error})" if call.last_error else ""
            yield f"  call {call.call_id}: {call.state}{error}"
    if done.dry_run:
        yield "They would be made again. Nothing was changed."
    elif done.worker_reports is False:
        yield "No worker reports: the calls are pending until one runs."
    elif any(each.state == "pending" for each in done.calls):
        yield "Attempts go on: see `coinfleet status`."
