"""HERE and SETTINGS: what `coinfleet doctor` looks at without the queue or a provider, a row each.

HERE are those that the console runs too: they ask the database, or read its settings. This module
imports no queue and no provider; elsewhere.py does, and joins all rows.
"""

from __future__ import annotations

from functools import partial

from workers.cli.doctor import arrivals, database, decisions, logins, settings, work
from workers.cli.doctor.examining import Check

_asks = partial(Check, asks_database=True)
REACH = Check("database", "does the database answer, with a schema of ours?", database.reach)
HERE: tuple[Check, ...] = (
    _asks("schema", "is each object as this release made it?", database.check_schema),
    _asks("grants", "has each role its rights, and no other?", database.check_grants),
    _asks("passwords", "does a role's password end soon?", database.check_passwords),
    _asks("server", "is on disk what it acknowledges?", database.check_server),
    _asks("sessions", "are sessions of the server left?", database.check_sessions),
    _asks("disk", "is there room?", database.check_disk),
    _asks("clock", "do the clocks agree?", database.check_clock),
    _asks("proofs", "are the books right?", database.check_books),
    _asks("processes", "who reports?", work.check_processes),
    _asks("schedules", "is each job run?", work.check_schedules),
    _asks("calls", "is each call to a provider made?", work.check_calls),
    _asks("events", "is an event dead, or not applied?", work.check_events),
    _asks("trials", "is each replay that people want tried?", work.check_trials),
    _asks("decisions", "does anything wait for a person?", decisions.check_decisions),
    _asks("arrivals", "did each provider ever tell us anything?", arrivals.check_arrivals),
    _asks("refusals", "can what providers tell be used?", arrivals.check_refusals),
    Check("logins", "is each process logged in as its own role?", logins.check_roles),
    Check("poolers", "does each address name the pooler there?", logins.check_poolers),
    Check("database TLS", "is the way to the database safe?", logins.check_tls),
    Check("sign-in", "can people sign in to the console, safely?", settings.check_people),
)
SETTINGS: tuple[Check, ...] = (
    Check("settings", "would each process start?", settings.check_needs),
    Check("mode", "does anything for tests count in earnest?", settings.check_mode),
    Check("secrets", "is a secret too short, or used twice?", settings.check_secrets),
)
