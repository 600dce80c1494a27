"""A Supabase project's key set on the event loop of a test, and the tokens that it signs."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

PATH = "/auth/v1/.well-known/jwks.json"
USER = UUID("7d5c0a8e-2f7b-4f0e-9f53-2a7d3b1c9e10")


@dataclass(slots=True)
class SigningKey:
    """A private key and its entry in the set."""

    kid: str
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    algorithm: str = "ES256"

    @property
    def entry(self) -> dict[str, Any]:
        kinds: dict[str, Any] = {
            "ES256": jwt.algorithms.ECAlgorithm,
            "RS256": jwt.algorithms.RSAAlgorithm,
        }
        told = json.loads(kinds[self.algorithm].to_jwk(self.private.public_key()))
        return told | {"kid": self.kid, "alg": self.algorithm, "use": "sig"}


def rsa_key(kid: str, bits: int = 2_048) -> SigningKey:
    return SigningKey(kid, rsa.generate_private_key(65_537, bits), "RS256")


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of Supabase's access token of a user who signed in just now."""
    now = int(time.time())
    told = {
        "iss": "https://project.supabase.co/auth/v1",
        "sub": str(USER),
        "aud": "authenticated",
        "exp": now + 3_600,
        "iat": now,
        "email": "viewer@example.com",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {},
        "role": "authenticated",
        "aal": "aal1",
        "session_id": "b6a1b0a7-4d63-4d0a-8a52-3f7d0a3f2f11",
        "is_anonymous": False,
    }
    return {name: value for name, value in (told | changes).items() if value is not None}


def signed(key: SigningKey, **changes: Any) -> str:
    """A token that this key signed."""
    return jwt.encode(
        claims(**changes), key.private, algorithm=key.algorithm, headers={"kid": key.kid}
    )


Fault = Literal["unavailable", "redirect", "no_json", "no_set"]


@dataclass(slots=True)
class KeySet:
    """The project's public keys; `fetches` counts who asked."""

    url: str = ""
    entries: list[dict[str, Any]] = field(default_factory=list)
    fault: Fault | None = None
    cache_control: str = "public, max-age=600"
    fetches: int = 0

    async def answer(self, _request: Request) -> Response:
        self.fetches += 1
        match self.fault:
            case "unavailable":
                return Response(b"", 503)
            case "redirect":
                return RedirectResponse("http://127.0.0.1:1/")
            case "no_json":
                return Response(b"<html>")
            case "no_set":
                return JSONResponse([{"kid": "1"}])
            case None:
                headers = {"cache-control": self.cache_control}
                return JSONResponse({"keys": self.entries}, headers=headers)


@asynccontextmanager
async def key_set(*keys: SigningKey) -> AsyncIterator[KeySet]:
    """Serve a set with these keys."""
    found = KeySet(entries=[key.entry for key in keys])
    async with serving(Starlette(routes=[Route(PATH, found.answer)])) as base:
        found.url = base + PATH
        yield found
