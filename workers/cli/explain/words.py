"""The lines of a story: one per happening, with its time, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from db.operating.stories import Story
    from db.operating.subjects import Subject


def heading(subject: Subject) -> str:
    """Return what the id means: event 42: stripe charge.refunded."""
    return f"{subject.kind} {subject.key}" + (f": {subject.hint}" if subject.hint else "")


def lines(story: Story) -> Iterator[str]:
    """Return the lines of a story, the oldest first, then what holds now."""
    if story.left or story.is_cut:
        yield "… what is older is left out"
    for each in story.happenings:
        said = SAYINGS[each.what](each.detail)
        yield f"{_time(each.at)}  {said}" if each.at else f"now{' ' * 18}{said}"
    if not story.happenings:
        yield "Nothing has happened yet."


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z "


def _event(d: Mapping[str, Any]) -> str:
    state = d["state"] + (f" ({d['reason']})" if d["reason"] else "")
    when = f" at {d['processed_at']:%H:%M:%S}" if d["processed_at"] else ""
    tries = f", after {counted(d['attempts'], 'attempt')}" if d["attempts"] > 1 else ""
    error = f"; last error: {_first_word(d['last_error'])}" if d["last_error"] else ""
    gone = "" if d["has_payload"] else "; its payload is gone"
    return (
        f"event {d['id']} came: {d['provider']} {d['event_type']} {d['provider_event_id']};"
        f" it is {state}{when}{tries}{error}{gone}"
    )


def _first_word(error: str) -> str:
    """Return the SQLSTATE or the class of an error; the rest may quote values."""
    return error.split(":", 1)[0].split(" ", 1)[0]


def _money(d: Mapping[str, Any], minor: int) -> str:
    """Return an amount as people write it; as it was told, if its currency is unknown."""
    if d["amount"] is None:
        return f"{minor:,} in minor units"
    return f"{d['amount']:,} {d['currency'].upper()}"


def _purchase(d: Mapping[str, Any]) -> str:
    paid = "" if d["amount_minor"] is None else f" for {_money(d, d['amount_minor'])}"
    sku = f" ({d['quantity'] or 1} x {d['sku']})" if d["sku"] else ""
    held = f", held: {d['hold_reason']}" if d["hold_reason"] else ""
    decided = f", {d['decision']}" if d["decision"] else ""
    back = f", {d['refunded_coins']:,} of them taken back" if d["refunded_coins"] else ""
    return (
        f"purchase {d['id']} of {d['profile_id']}: {counted(d['coin_amount'] or 0, 'coin')}{sku}"
        f"{paid}; it is {d['status']}{held}{decided}{back}"
    )


def _grant(d: Mapping[str, Any]) -> str:
    return f"purchase {d['id']} was granted: {counted(d['coin_amount'], 'coin')}"


def _refund(d: Mapping[str, Any]) -> str:
    undone = " and came to nothing" if d["undone_at"] else ""
    amount = _money(d, d["amount_minor"])
    return f"refund {d['refund_id']} of {amount}: {d['status']}{undone}"


def _dispute(d: Mapping[str, Any]) -> str:
    is_asked = d["due_at"] and (d["status"] or "").endswith("needs_response")
    due = f", to be answered by {_time(d['due_at']).strip()}" if is_asked else ""
    return f"dispute {d['dispute_id']} of {_money(d, d['amount_minor'])}: {d['status']}{due}"


def _freeze(d: Mapping[str, Any]) -> str:
    what = f"{d['source'].replace('_', ' ')} {d['source_id']} froze the payment's coins"
    if d["released_at"] is None:
        return f"{what}: they can't be spent"
    why = f", because “{d['release_reason']}”" if d["release_reason"] else ""
    return f"{what} until {_time(d['released_at']).strip()}: released by {d['released_by']}{why}"


def _entry(d: Mapping[str, Any]) -> str:
    verb = "gets" if d["amount"] > 0 else "loses"
    who = d["profile_id"] or d["account"]
    what = "coins" if d["account"] == "coins" or not d["profile_id"] else d["account"]
    after = f"; {what} are {d['balance_after']:,} then" if d["balance_after"] is not None else ""
    amount = (
        counted(abs(d["amount"]), "coin") if what == "coins" else f"{abs(d['amount']):,} {what}"
    )
    return f"entry {d['id']}: {who} {verb} {amount} ({d['reason']}){after}"


def _decision(d: Mapping[str, Any]) -> str:
    coins = f" for {counted(d['coins'], 'coin')}" if d["coins"] else ""
    buyer = f" to {d['profile_id']}" if d["profile_id"] else ""
    held = f" (held: {d['hold_reason']})"
    outcome = d["outcome"].replace("_", " ")
    return (
        f"decision {d['id']}: {d['who']} said {d['verb']}{coins}{buyer}{held}, because"
        f" “{d['reason']}”: {outcome}"
    )


def _call(d: Mapping[str, Any]) -> str:
    done = f" at {d['finished_at']:%Y-%m-%d %H:%M:%S}Z" if d["finished_at"] else ""
    again = ""
    if d["state"] == "pending":
        again = f"; next attempt {d['next_attempt_at']:%Y-%m-%d %H:%M:%S}Z"
    error = f"; last failure: {d['last_error']}" if d["last_error"] else ""
    return (
        f"call {d['id']} {d['kind']}: {d['state']}{done} after"
        f" {counted(d['attempts'], 'attempt')}{error}{again}"
    )


def _message(d: Mapping[str, Any]) -> str:
    return f"the app is told, {d['key']}: {_call(d)}"


def _gift(d: Mapping[str, Any]) -> str:
    stream = f" on stream {d['stream_id']}" if d["stream_id"] else ""
    return (
        f"gift {d['id']}: {d['sender_id']} gave {d['recipient_id']} {d['quantity']} x"
        f" {d['gift_type']}{stream}: {counted(d['coin_amount'], 'coin')}, of them"
        f" {d['streamer_revenue']:,} for the streamer"
    )


def _store(d: Mapping[str, Any]) -> str:
    back = f", {d['reversed_milli_percent'] / 1000:g} % of it reversed"
    said = [
        f"{d['provider']} ({d['store_app']}) says: {counted(d['quantity'], 'item')}",
        back if d["reversed_milli_percent"] else "",
        ", a test that cost nothing" if d["is_sandbox"] else "",
        ", acknowledged" if d["is_acknowledged"] else "",
        ", consumed" if d["is_consumed"] else "",
    ]
    return "".join(said)


def _voided(d: Mapping[str, Any]) -> str:
    items = counted(d["voided_quantity"], "item") if d["voided_quantity"] else "the whole"
    return f"{items} of the purchase went back, as a record of the store says"


def _inquiry(d: Mapping[str, Any]) -> str:
    why = f" ({d['reason']})" if d["reason"] else ""
    test = ", of a test that cost nothing" if d["is_sandbox"] else ""
    return (
        f"{d['provider']} asked about the purchase{why}{test}, question {d['id']}: it wants an"
        " answer until"
        f" {_time(d['deadline']).strip()}"
    )


def _answer(d: Mapping[str, Any]) -> str:
    said = d["choice"].lower().replace("_", "-")
    return f"{d['who']} answered {said}, because “{d['reason']}” ({d['typed_by']})"


def _stream(d: Mapping[str, Any]) -> str:
    now = "ended" if d["ended_at"] else "published" if d["is_published"] else "not published"
    viewers = counted(d["active_viewer_count"], "viewer")
    recent = counted(d["recent_gift_coins"], "coin")
    return f"stream {d['id']} of {d['profile_id']}: {now}, {viewers}, {recent} of recent gifts"


def _balance(d: Mapping[str, Any]) -> str:
    frozen = f" ({d['frozen_coins']:,} of them frozen)" if d["frozen_coins"] else ""
    return (
        f"{d['profile_id']} has {counted(d['coin_balance'], 'coin')}{frozen} and"
        f" {d['earnings_balance']:,} earned, after {d['coin_seq']:,} and"
        f" {d['earnings_seq']:,} entries"
    )


def _joined(d: Mapping[str, Any]) -> str:
    end = f"; {d['closed_by']} closed it: “{d['closed_reason']}”" if d["closed_at"] else ""
    return f"purchase {d['id']} turned out to be of this payment{end}"


def _found(d: Mapping[str, Any]) -> str:
    missed = "missed: no webhook had brought it" if d["is_missed"] else "before its webhook"
    return f"event {d['id']} was found in {d['provider']}'s history, {missed}"


def _replay(d: Mapping[str, Any]) -> str:
    return f"{d['typed_by']} had {counted(d['events'], 'event')} replayed: “{d['reason']}”"


def _replayed_call(d: Mapping[str, Any]) -> str:
    again = f"{counted(d['calls'], 'call')} made"
    if d["action"] == "replay deliveries":
        again = f"{counted(d['calls'], 'message')} to the app sent"
    return f"{d['typed_by']} had {again} again: “{d['reason']}”"


def _adjustment(d: Mapping[str, Any]) -> str:
    return f"{d['who']} corrected the balance by {d['amount']:+,} coins: “{d['reason']}”"


SAYINGS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "answer": _answer,
    "adjustment": _adjustment,
    "balance": _balance,
    "call": _call,
    "decision": _decision,
    "dispute": _dispute,
    "entry": _entry,
    "erased": lambda d: f"erased at the request of {d['requested_by']}: “{d['reason']}”",
    "event": _event,
    "foreign": lambda _: "the payment is another product's, not ours",
    "found": _found,
    "freeze": _freeze,
    "gift": _gift,
    "grant": _grant,
    "inquiry": _inquiry,
    "joined": _joined,
    "message": _message,
    "name": lambda d: f"a name of the payment: {d['provider']} {d['key']}",
    "purchase": _purchase,
    "refund": _refund,
    "refunded_so_far": lambda d: f"{_money(d, d['refund_total_minor'])} refunded in all",
    "replay": _replay,
    "replayed_call": _replayed_call,
    "signed_up": lambda d: f"{d['profile_id']} signed up",
    "store": _store,
    "stream": _stream,
    "voided": _voided,
}
