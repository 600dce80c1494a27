"""Signing in with a password and a code, at Supabase Auth. The form stands in entering.py.

Says the same of an unknown address and a wrong password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.sessions import Claimant
from tasks.sign_in.accounts import Cause, SignInRefused, SignInUnavailable
from workers.console.sign_in import sessions
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.console.desk import Desk

SAYINGS: Mapping[Cause, str] = {
    "credentials": "This address and this password do not belong together.",
    "needs_code": "This account has a second factor: type the password again, and the code.",
    "other_factor": "This account has a second factor that can't be asked for here: add an app"
    " that makes codes (TOTP) to it.",
    "code": "This code is not the one that your app shows now.",
    "no_role": "You have no role here: whoever owns the project gives one, as"
    " app_metadata.coinfleet_role.",
    "too_often": "Too many tries: wait a minute.",
}
UNAVAILABLE = "The sign-in service does not answer. Try again in some seconds."


class SignInFailed(Exception):
    """Nobody is signed in; the message is a sentence for the person."""


async def sign_in(desk: Desk, fields: Mapping[str, str], *, former: str | None) -> str:
    """Begin a session for whoever sent these fields; return its token. Raises SignInFailed.

    `former` is the token that the browser had.
    """
    email = fields.get("email", "")
    password = fields.get("password", "")
    if desk.accounts is None or not email or not password:
        raise SignInFailed(SAYINGS["credentials"])
    attempt = desk.attempts.begin(email)
    if attempt is None:
        raise SignInFailed(SAYINGS["too_often"])
    try:
        account = await desk.accounts.sign_in(
            email=email, password=password, code=fields.get("code", "").replace(" ", "")
        )
    except SignInRefused as refused:
        desk.sign_in_outage.end()
        if refused.cause not in ("credentials", "code"):
            desk.attempts.forgive(attempt)
        raise SignInFailed(SAYINGS[refused.cause]) from None
    except SignInUnavailable as error:
        desk.attempts.forgive(attempt)
        desk.sign_in_outage.begin("sign_in", reason=str(error))
        raise SignInFailed(UNAVAILABLE) from None
    desk.attempts.forgive(attempt)
    desk.sign_in_outage.end()
    if account.role not in set(Role):
        raise SignInFailed(SAYINGS["no_role"])
    claimant = Claimant(
        subject=f"supabase {account.user_id}",
        name=sessions.name_of(account.email, str(account.user_id)),
        role=account.role,
        aal=account.aal,
        reads_payloads=account.reads_payloads,
    )
    token = await sessions.begin(desk, claimant, "password", former=former)
    if token is None:
        raise SignInFailed(UNAVAILABLE)
    return token
