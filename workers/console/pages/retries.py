"""Retries: one event, those that were chosen, or all that a filter means; then what became of them.

All that match is a page with the exact count first; its form carries the filter and what was seen.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from db.console.retries import (
    EVENTS_MAX,
    NAMED_MAX,
    TooMuchHistory,
    find_matches,
    read_outcome,
    retry,
)
from db.health.status import read_clock
from db.health.workers import read_workers
from db.operating.matching import Filter, Match
from db.operating.replaying import Request
from db.operating.trials import ask_trial, read_trial
from workers.cli.replay.report import SKIPPED
from workers.cli.status.health import STATES
from workers.console.pages.events import FIELDS, read_filter
from workers.console.visit import BadInput, read_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from db.console.retries import Retried
    from workers.console.visit import Visit

# A form of 500 events takes 10 KB.
CHOSEN_MAX = 500
ACTIONS_MAX = 100
# Ten thousand events take some seconds.
TRIAL_LATE_S = 60.0
# A worker that has just started reports, and tries, within seconds.
REPORT_LATE_S = 5.0
_CHOSEN = "event_"
_CHANGED = "Meanwhile more events match than you were shown. Nothing was retried; look again."


async def preview(visit: Visit, *, said: str = "") -> Response:
    """Say exactly how many events the filter means, and ask whether they are to be retried."""
    fields = visit.form if said else visit.query
    given = _given(fields)
    wants_all = fields.get("all") == "yes"
    is_asked = _is_narrow(given) or wants_all
    matches = await _find(visit, given) if is_asked else []
    by_state = Counter(match.state for match in matches if match.has_payload)
    tried = _mark([match for match in matches if match.has_payload])
    trial_id = read_id(fields.get("trial", ""))
    trial = None if trial_id is None else await read_trial(visit.pool, trial_id)
    has_worker = await _has_worker(visit)
    # While the page looks again by itself nothing can be typed there.
    is_trying = trial is not None and trial.finished_at is None
    if trial is not None and is_trying:
        age_s = (await read_clock(visit.pool) - trial.asked_at).total_seconds()
        is_trying = age_s < (TRIAL_LATE_S if has_worker else REPORT_LATE_S)
    return visit.page(
        "retry.html",
        status=HTTPStatus.CONFLICT if said else HTTPStatus.OK,
        title="Retry all that match",
        said=said,
        given=given,
        wants_all=wants_all,
        is_asked=is_asked,
        back=urlencode(given),
        again=urlencode(
            {
                **given,
                **({"all": "yes"} if wants_all else {}),
                "trial": trial_id,
                "tried": fields.get("tried", ""),
            }
        ),
        seen=len(matches),
        upto=max((match.event_id for match in matches), default=0),
        by_state=[(state, by_state[state]) for state in STATES if by_state[state]],
        readable=sum(by_state.values()),
        events_max=EVENTS_MAX,
        trial=trial,
        # Of another filter, or from before further events came or changed.
        is_of_others=fields.get("tried") != tried,
        has_worker=has_worker,
        is_trying=is_trying,
        trial_late_s=TRIAL_LATE_S,
        left_words=SKIPPED,
    )


async def try_matching(visit: Visit) -> Response:
    """Have a worker try what a retry of all that the filter means would do; show it there."""
    given = _given(visit.form)
    wants_all = visit.form.get("all") == "yes"
    address: dict[str, Any] = {**given, "all": "yes"} if wants_all else dict(given)
    if _is_narrow(given) or wants_all:
        matches = await _find(visit, given)
        readable = [match for match in matches if match.has_payload][:EVENTS_MAX]
        if readable:
            person = visit.person.name
            address["trial"] = await ask_trial(visit.pool, readable, typed_by=person)
            address["tried"] = _mark(readable)
    return visit.go_to(f"/retry?{urlencode(address)}")


def _mark(matches: Sequence[Match]) -> str:
    """Return what tells the events that one form retries from any others."""
    ids = ",".join(str(match.event_id) for match in matches[:EVENTS_MAX])
    return sha256(ids.encode()).hexdigest()[:16]


async def retry_matching(visit: Visit) -> Response:
    """Retry all that the filter means, if they are no more than those that were shown."""
    given = _given(visit.form)
    reason = visit.reason()
    if not (_is_narrow(given) or visit.form.get("all") == "yes"):
        raise BadInput("An empty filter means every event: say so, or choose a state or a reason.")
    seen, upto = read_id(visit.form.get("seen", "")), read_id(visit.form.get("upto", ""))
    if seen is None or upto is None:
        raise BadInput("This form does not say how many events you were shown.")
    matches = await _find(visit, given, upto=upto)
    if len(matches) > seen:
        return await preview(visit, said=_CHANGED)
    noted = {**given, "seen": seen, "upto": upto}
    readable = [match for match in matches if match.has_payload]
    done = await _retry(visit, readable, reason, noted)
    done.skipped |= {match.event_id: "no_payload" for match in matches if not match.has_payload}
    return _tell(visit, done, given, gone=seen - len(matches))


async def retry_chosen(visit: Visit) -> Response:
    """Retry the events that the form names, each if it is still in the state that was shown."""
    chosen = _chosen(visit.form)
    reason = visit.reason()
    if not chosen:
        raise BadInput("No event is chosen. Tick at least one.")
    done = await _retry(visit, chosen, reason, {"ids": [match.event_id for match in chosen]})
    return _tell(visit, done, _given(visit.form))


async def show(visit: Visit) -> Response:
    """Tell what became of retried events, read back from each of them."""
    action_ids = [read_id(each) for each in visit.query.get("actions", "").split(",") if each]
    if len(action_ids) > ACTIONS_MAX or None in action_ids:
        raise BadInput("`actions` are the numbers of notes, as the links have them.")
    outcome = await read_outcome(visit.pool, [each for each in action_ids if each is not None])
    skipped = [
        (int(count), SKIPPED[why])
        for why, _, count in (
            each.partition(":") for each in visit.query.get("left", "").split(",")
        )
        if why in SKIPPED and read_id(count)
    ]
    given = _given(visit.query)
    return visit.page(
        "retried.html",
        title="Retried",
        outcome=outcome,
        named_max=NAMED_MAX,
        has_worker=await _has_worker(visit),
        skipped=skipped,
        not_begun=read_id(visit.query.get("rest", "")) or 0,
        following=urlencode(given),
    )


async def _find(visit: Visit, given: Mapping[str, str], *, upto: int | None = None) -> list[Match]:
    page = read_filter(given)
    wanted = Filter(
        states=[page.state] if page.state else None,
        reasons=[page.reason] if page.reason else None,
        providers=[page.provider] if page.provider else None,
        types=[page.event_type] if page.event_type else None,
        since=page.since,
        until=page.until,
    )
    try:
        async with visit.pool.acquire() as connection:
            return await find_matches(connection, wanted, upto=upto)
    except TooMuchHistory:
        raise BadInput(
            "Those are more events than a page can look through: use `coinfleet replay`, or, for"
            " events that are settled, give a time from which to look."
        ) from None


async def _has_worker(visit: Visit) -> bool:
    return any(worker.is_alive for worker in await read_workers(visit.pool))


async def _retry(
    visit: Visit, matches: Sequence[Match], reason: str, noted: Mapping[str, object]
) -> Retried:
    request = Request(typed_by=visit.person.name, reason=reason, filter=noted)
    async with visit.pool.acquire() as connection:
        return await retry(connection, matches, request, origin=visit.origin)


def _tell(visit: Visit, done: Retried, given: Mapping[str, str], *, gone: int = 0) -> Response:
    """Lead to what became of them; `gone` were shown, and match no more."""
    left = Counter(done.skipped.values())
    if gone:
        left["changed"] += gone
    told: dict[str, Any] = {"actions": ",".join(map(str, done.action_ids)), **given}
    if left:
        told["left"] = ",".join(f"{why}:{events}" for why, events in left.items())
    if done.left:
        told["rest"] = done.left
    return visit.go_to(f"/retried?{urlencode(told)}")


def _given(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the filter, as it stands in an address or a form."""
    return {name: fields[name] for name in FIELDS if fields.get(name)}


def _is_narrow(given: Mapping[str, str]) -> bool:
    """Return whether the filter says which events, as `coinfleet replay` asks for."""
    return bool(given.get("state") or given.get("reason"))


def _chosen(form: Mapping[str, str]) -> list[Match]:
    """Return the events of a form, each with the state in which it was shown."""
    chosen = []
    for name, state in form.items():
        if not name.startswith(_CHOSEN):
            continue
        event_id = read_id(name.removeprefix(_CHOSEN))
        if event_id is None or state not in STATES:
            raise BadInput("This form names what is no event.")
        chosen.append(Match(event_id, state, has_payload=True))
    if len(chosen) > CHOSEN_MAX:
        raise BadInput(f"Choose at most {CHOSEN_MAX} events.")
    return sorted(chosen)
