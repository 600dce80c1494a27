"""Signing in with a password and a code, at Supabase Auth. The form stands in entering.py.

Says the same of an unknown address and a wrong password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.sessions import Claimant
from tasks.sign_in.accounts import AAL_WITH_CODE, Cause, SignInRefused, SignInUnavailable
from workers.console.sign_in import sessions
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.sign_in.accounts import Account
    from workers.console.desk import Desk

SAYINGS: Mapping[Cause, str] = {
    "credentials": "This address and this password do not belong together.",
    "needs_code": "This account has a second factor: type the password again, and the code.",
    "other_factor": "This account has a second factor that can't be asked for here: add an app"
    " that makes codes (TOTP) to it.",
    "code": "This is not the code that an app of this account shows now.",
    "no_role": "You have no role here: whoever owns the project gives one, as"
    " app_metadata.coinfleet_role.",
    "too_often": "Too many tries: wait a minute.",
}
USED_CODE = "This code was used already: wait until your app shows the next one."
UNAVAILABLE = "The sign-in service does not answer. Try again in some seconds."


class SignInFailed(Exception):
    """Nobody is signed in; the message is a sentence for the person.

    `cause` is for the audit log; None if nothing was found wrong with who it is.
    """

    def __init__(self, saying: str, cause: str | None = None) -> None:
        super().__init__(saying)
        self.cause = cause


async def sign_in(desk: Desk, fields: Mapping[str, str], *, origin: str, former: str | None) -> str:
    """Begin a session for whoever sent these fields; return its token. Raises SignInFailed.

    `origin` is from where they were sent, `former` the token that the browser had.
    """
    # As the service does, which would take a code with a blank behind it for the same one.
    code = "".join(fields.get("code", "").split())
    account = await _find_account(desk, fields, code, origin=origin)
    if account.role not in set(Role):
        raise SignInFailed(SAYINGS["no_role"], "no_role")
    if account.aal == AAL_WITH_CODE and not desk.used_codes.use(account.user_id, code):
        raise SignInFailed(USED_CODE, "used_code")
    claimant = Claimant(
        subject=f"supabase {account.user_id}",
        name=sessions.name_of(account.email, str(account.user_id)),
        role=account.role,
        aal=account.aal,
        reads_payloads=account.reads_payloads,
    )
    token = await sessions.begin(desk, claimant, "password", origin=origin, former=former)
    if token is None:
        raise SignInFailed(UNAVAILABLE)
    return token


async def _find_account(
    desk: Desk, fields: Mapping[str, str], code: str, *, origin: str
) -> Account:
    """Return whose address, password and code these are. Raises SignInFailed."""
    email = fields.get("email", "")
    password = fields.get("password", "")
    if desk.accounts is None or not email or not password:
        raise SignInFailed(SAYINGS["credentials"])
    attempt = desk.attempts.begin(email, origin)
    if attempt is None:
        raise SignInFailed(SAYINGS["too_often"])
    try:
        account = await desk.accounts.sign_in(email=email, password=password, code=code)
    except SignInRefused as refused:
        desk.sign_in_outage.end()
        if refused.cause not in ("credentials", "code"):
            desk.attempts.forgive(attempt)
        noted = None if refused.cause == "too_often" else refused.cause
        raise SignInFailed(SAYINGS[refused.cause], noted) from None
    except SignInUnavailable as error:
        desk.attempts.forgive(attempt)
        desk.sign_in_outage.begin("sign_in", reason=str(error))
        raise SignInFailed(UNAVAILABLE) from None
    desk.attempts.forgive(attempt)
    desk.sign_in_outage.end()
    return account
