"""Supabase Auth (GoTrue) on the event loop of a test: passwords, second factors, sign-out, faults.

Written from its HTTP API: POST /token?grant_type=password, /factors/{id}/challenge and /verify,
/logout; errors as {"code", "error_code", "msg"}.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

ANON_KEY = "the project's public key"
CODE = "123456"


@dataclass(slots=True)
class Member:
    """An account. `app_metadata` is the owner's to write, `user_metadata` the person's own."""

    email: str
    password: str = "correct horse"
    app_metadata: dict[str, Any] = field(default_factory=dict)
    user_metadata: dict[str, Any] = field(default_factory=dict)
    has_factor: bool = False
    is_factor_verified: bool = True
    factor_type: str = "totp"
    told_email: str | None = None
    """What it says instead of `email`."""
    user_id: UUID = field(default_factory=uuid4)
    factor_id: UUID = field(default_factory=uuid4)
    further_codes: dict[UUID, str] = field(default_factory=dict)
    """The codes of further apps, by their factors."""

    @property
    def codes(self) -> dict[UUID, str]:
        return {self.factor_id: CODE, **self.further_codes}

    @property
    def told(self) -> dict[str, Any]:
        state = "verified" if self.is_factor_verified else "unverified"
        factors = [
            {"id": str(each), "factor_type": self.factor_type, "status": state}
            for each in self.codes
        ]
        return {
            "id": str(self.user_id),
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.email if self.told_email is None else self.told_email,
            "app_metadata": {"provider": "email", **self.app_metadata},
            "user_metadata": self.user_metadata,
            **({"factors": factors} if self.has_factor else {}),
        }


Fault = Literal["unavailable", "too_often", "no_json", "bad_json", "wrong_key"]


@dataclass(slots=True)
class SignInService:
    """The project's sign-in. `open_tokens` are the sessions that nobody has ended."""

    url: str = ""
    members: list[Member] = field(default_factory=list)
    fault: Fault | None = None
    open_tokens: dict[str, Member] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answers_after: asyncio.Event | None = None
    """Passwords are judged when it is set."""
    _challenges: dict[str, tuple[Member, UUID]] = field(default_factory=dict)

    def add(self, email: str, **values: Any) -> Member:
        member = Member(email, **values)
        self.members.append(member)
        return member

    async def token(self, request: Request) -> Response:
        fault = self._faulty(request)
        if self.answers_after is not None:
            await self.answers_after.wait()
        if fault is not None:
            return fault
        if request.query_params.get("grant_type") != "password":
            return refused(400, "validation_failed")
        sent = await request.json()
        for member in self.members:
            if (member.email, member.password) == (sent["email"].lower(), sent["password"]):
                return self._granted(member)
        return refused(400, "invalid_credentials")

    async def challenge(self, request: Request) -> Response:
        member, factor = self._member(request), UUID(request.path_params["factor"])
        if member is None or factor not in member.codes:
            return refused(404, "mfa_factor_not_found")
        challenge = str(uuid4())
        self._challenges[challenge] = member, factor
        return JSONResponse({"id": challenge, "type": "totp", "expires_at": 4_000_000_000})

    async def verify(self, request: Request) -> Response:
        member, sent = self._member(request), await request.json()
        factor = UUID(request.path_params["factor"])
        asked = self._challenges.pop(sent.get("challenge_id", ""), None)
        if member is None or asked != (member, factor):
            return refused(422, "mfa_challenge_expired")
        if sent.get("code") != member.codes[factor]:
            return refused(422, "mfa_verification_failed")
        del self.open_tokens[self._bearer(request)]
        return self._granted(member)

    async def logout(self, request: Request) -> Response:
        self.asked.append("logout")
        self.open_tokens.pop(self._bearer(request), None)
        return Response(status_code=204)

    def _faulty(self, request: Request) -> Response | None:
        self.asked.append(request.url.path)
        if request.headers.get("apikey") != ANON_KEY or self.fault == "wrong_key":
            return JSONResponse({"message": "Invalid API key"}, 401)
        match self.fault:
            case "unavailable":
                return Response("upstream", 503)
            case "too_often":
                return refused(429, "over_request_rate_limit")
            case "no_json":
                return Response("<html>")
            case "bad_json":
                return JSONResponse({"access_token": 1})
        return None

    def _granted(self, member: Member) -> Response:
        token = f"token of {uuid4()}"
        self.open_tokens[token] = member
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": 3600,
                "refresh_token": "never used",
                "user": member.told,
            }
        )

    def _member(self, request: Request) -> Member | None:
        return self.open_tokens.get(self._bearer(request))

    def _bearer(self, request: Request) -> str:
        return request.headers.get("authorization", "").removeprefix("Bearer ")


def refused(status: int, code: str) -> Response:
    """An error as the service tells it."""
    return JSONResponse({"code": status, "error_code": code, "msg": code}, status)


@asynccontextmanager
async def sign_in_service() -> AsyncIterator[SignInService]:
    """Serve it."""
    found = SignInService()
    routes = [
        Route("/auth/v1/token", found.token, methods=["POST"]),
        Route("/auth/v1/factors/{factor}/challenge", found.challenge, methods=["POST"]),
        Route("/auth/v1/factors/{factor}/verify", found.verify, methods=["POST"]),
        Route("/auth/v1/logout", found.logout, methods=["POST"]),
    ]
    async with serving(Starlette(routes=routes)) as base:
        found.url = base
        yield found
