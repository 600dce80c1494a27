"""What a page says of a database that can't be asked: what is wrong, and what became of a form.

It says nothing of an error that is none of the database's.
"""

from __future__ import annotations

from dataclasses import dataclass

from db.errors import describe, is_server_unfit, is_transient, sqlstate_of

# What is locked, deadlocked, or took too long.
_BUSY = frozenset({"55P03", "40P01", "40001", "57014"})
_NO_WRITES = frozenset({"25006"})
# A schema, table, column or function that there is not: a release that did not run, or is half way.
_LACKING = frozenset({"3F000", "42P01", "42703", "42883"})
# Also where no form was sent: whoever looks is afraid for the money first.
_NOTHING_LOST = "Nothing is lost: what is not stored is sent again by its provider."
_LOOK = "Your form may have counted or not: open its page again and look before you send it anew."


@dataclass(frozen=True, slots=True)
class Outage:
    """What is wrong, as a title and sentences; `passes` unless a person has to do something."""

    title: str
    why: str
    passes: bool = True


def outage_of(error: BaseException, *, is_form: bool) -> Outage | None:
    """Return what to say of this error; None if the database is not the cause."""
    sqlstate = sqlstate_of(error)
    told = describe(error)
    if sqlstate in _LACKING:
        return Outage(
            "The database has another schema",
            f"It lacks what this page asks for ({told}): the release did not run there, or is half"
            " way. `coinfleet status` names what is lacking, `coinfleet migrate` makes it.",
            passes=False,
        )
    if not (is_transient(error) or is_server_unfit(error)):
        return None
    if sqlstate in _NO_WRITES:
        title = "The database takes no writes"
        what = f"It is a standby, or read-only ({told})."
    elif sqlstate in _BUSY:
        title = "The database is busy"
        what = f"Somebody else has what this needs, or it took too long ({told})."
    else:
        title = "The database is unreachable"
        what = f"The database does not answer ({told})."
    then = _LOOK if is_form else f"{_NOTHING_LOST} Try again in some seconds."
    return Outage(title, f"{what} {then}")
