"""Signing in at Supabase Auth with a password and, where the account has one, a second factor.

The session that Supabase begins for it is ended at once: the console has its own, and keeps no
token of anybody. A role comes from `app_metadata` alone, which only the project's owner writes.
No password, code or token stands in an error or in a log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import UUID

import msgspec

from db.errors import CoinfleetError
from tasks.providers.calls import CallFailed
from tasks.providers.http import HttpApi
from tasks.providers.reading import UNREADABLE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.providers.http import Answer

# Whoever signs in waits for four answers, and for two more per further app that makes codes.
TIMEOUT_S = 5.0
REQUESTS_PER_S = 20
# More than the service lets anybody have, unless its owner raised that.
FACTORS_MAX = 10
ANSWER_BYTES_MAX = 262_144

T = TypeVar("T")
Cause = Literal["credentials", "needs_code", "other_factor", "code", "no_role", "too_often"]
AAL_WITH_CODE = "aal2"
AAL_WITHOUT = "aal1"


class SignInRefused(CoinfleetError):
    """This is nobody who may sign in; `cause` says what the form tells the person."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


class SignInUnavailable(CoinfleetError):
    """The sign-in service can't be asked just now, or answers what can't be read."""


class _Factor(msgspec.Struct):
    id: UUID
    factor_type: str = ""
    status: str = ""


class _User(msgspec.Struct):
    """What counts of a user. `app_metadata` is written by the project's owner alone."""

    id: UUID
    email: str = ""
    app_metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    factors: list[_Factor] | None = None


class _Granted(msgspec.Struct):
    access_token: str
    user: _User


class _Challenge(msgspec.Struct):
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who has signed in. `role` is what the project's owner wrote, not checked yet."""

    user_id: UUID
    email: str
    role: str
    reads_payloads: bool
    aal: str


class Accounts:
    """The accounts of a project. Belongs to one event loop; close it there."""

    def __init__(self, url: str, anon_key: str) -> None:
        self._api = HttpApi(
            url,
            headers={
                "apikey": anon_key,
                "accept": "application/json",
                "content-type": "application/json",
            },
            requests_per_s=REQUESTS_PER_S,
            timeout_s=TIMEOUT_S,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )

    async def sign_in(self, *, email: str, password: str, code: str) -> Account:
        """Return whose account this is. Raises SignInRefused and SignInUnavailable."""
        granted = await self._with_password(email, password)
        try:
            aal = AAL_WITHOUT
            factors = _code_factors(granted.user)
            if factors:
                if not code:
                    raise SignInRefused("needs_code")
                granted = await self._with_any(granted.access_token, factors, code)
                aal = AAL_WITH_CODE
            return _read_account(granted.user, aal)
        finally:
            await self._sign_out(granted.access_token)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _with_password(self, email: str, password: str) -> _Granted:
        answer = await self._post(
            "/auth/v1/token?grant_type=password", {"email": email, "password": password}
        )
        if answer.status != 200:
            raise SignInRefused(_cause(answer, "credentials"))
        return _read(answer, _Granted)

    async def _with_any(self, token: str, factors: Sequence[UUID], code: str) -> _Granted:
        """Answer a challenge of each factor until one takes the code: it does not say whose it is.

        Raises SignInRefused if none does.
        """
        for factor in factors[:FACTORS_MAX]:
            try:
                return await self._with_code(token, factor, code)
            except SignInRefused as refused:
                if refused.cause != "code":
                    raise
        raise SignInRefused("code")

    async def _with_code(self, token: str, factor: UUID, code: str) -> _Granted:
        """Answer a challenge of the factor. Raises SignInRefused for a wrong or late code."""
        asked = await self._post(f"/auth/v1/factors/{factor}/challenge", {}, token=token)
        if asked.status != 200:
            raise SignInRefused(_cause(asked, "code"))
        challenge = _read(asked, _Challenge)
        answer = await self._post(
            f"/auth/v1/factors/{factor}/verify",
            {"challenge_id": str(challenge.id), "code": code},
            token=token,
        )
        if answer.status != 200:
            raise SignInRefused(_cause(answer, "code"))
        return _read(answer, _Granted)

    async def _sign_out(self, token: str) -> None:
        """End the session there; if that fails, it ends by itself."""
        try:
            await self._post("/auth/v1/logout?scope=local", {}, token=token)
        except SignInUnavailable:
            return

    async def _post(self, path: str, body: dict[str, str], *, token: str | None = None) -> Answer:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        try:
            return await self._api.send(
                "POST", path, headers=headers, body=json.dumps(body).encode()
            )
        except CallFailed as error:
            raise SignInUnavailable(str(error)) from None


def _code_factors(user: _User) -> list[UUID]:
    """Return the apps that make codes for this account; none if it has no second factor.

    Raises SignInRefused if it has one of another kind only: the password alone is too little.
    """
    verified = [factor for factor in user.factors or () if factor.status == "verified"]
    found = [factor.id for factor in verified if factor.factor_type == "totp"]
    if verified and not found:
        raise SignInRefused("other_factor")
    return found


def _read_account(user: _User, aal: str) -> Account:
    role = user.app_metadata.get("coinfleet_role")
    if not isinstance(role, str):
        raise SignInRefused("no_role")
    return Account(
        user_id=user.id,
        email=user.email,
        role=role,
        reads_payloads=user.app_metadata.get("coinfleet_payloads") is True,
        aal=aal,
    )


def _cause(answer: Answer, otherwise: Cause) -> Cause:
    """Return why it was refused. Raises SignInUnavailable if the service is at fault."""
    if answer.status == 429:
        return "too_often"
    if not 400 <= answer.status < 500:
        raise SignInUnavailable(f"answered {answer.status}")
    # A wrong key of the project is no fault of the person.
    if answer.status in (401, 404) and otherwise == "credentials":
        raise SignInUnavailable(f"answered {answer.status}: is SUPABASE_ANON_KEY this project's?")
    return otherwise


def _read(answer: Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except UNREADABLE_ERRORS:
        raise SignInUnavailable("the answer can't be read") from None
