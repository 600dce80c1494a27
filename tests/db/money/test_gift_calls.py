"""Gifts by calls of `process_gift`: as each API role, with each refusal, and repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from db.errors import (
    IdempotencyConflict,
    InsufficientCoins,
    Refused,
    SelfGift,
    UnknownGiftType,
    UnknownProfile,
    UnknownStream,
)
from tests.db.books import Books
from tests.db.money.calls import give
from tests.db.money.refusals import refused

if TYPE_CHECKING:
    from tests.conftest import SignIn


async def test_a_viewer_gives_what_they_have(books: Books, signed_in: SignIn) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    viewer = await signed_in(sender)
    assert await give(viewer, streamer, quantity=10, slot=3) == (0, False)
    assert await books.earnings(streamer) == 7


@pytest.mark.requirement("C5")
async def test_a_gift_told_again_is_given_once(books: Books, signed_in: SignIn) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    viewer = await signed_in(sender)
    await give(viewer, streamer, quantity=4)
    assert await give(viewer, streamer, quantity=4) == (6, True)


@pytest.mark.requirement("C5")
async def test_a_gift_told_again_is_known_when_it_could_not_be_given_any_more(
    books: Books, signed_in: SignIn
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    viewer = await signed_in(sender)
    await give(viewer, streamer, quantity=10)
    await books.db.execute("update public.gift_types set active = false")
    assert await give(viewer, streamer, quantity=10) == (0, True)


async def test_each_sender_has_keys_of_their_own(books: Books, signed_in: SignIn) -> None:
    first, second = await books.profile(coins=10), await books.profile(coins=10)
    assert await give(await signed_in(first), second) == (9, False)
    assert await give(await signed_in(second), first) == (9, False)


@pytest.mark.requirement("C5")
@pytest.mark.parametrize("changed", [{"quantity": 2}, {"gift_type": "cake"}])
async def test_a_gifts_key_for_another_gift_is_a_conflict(
    books: Books, signed_in: SignIn, changed: dict[str, Any]
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    viewer = await signed_in(sender)
    await give(viewer, streamer)
    assert isinstance(await refused(give(viewer, streamer, **changed)), IdempotencyConflict)
    assert isinstance(await refused(give(viewer, await books.profile())), IdempotencyConflict)


@pytest.mark.requirement("C5")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"quantity": 11}, InsufficientCoins),
        ({"gift_type": "nothing"}, UnknownGiftType),
        ({"gift_type": "gone"}, UnknownGiftType),
        ({"stream": 404}, UnknownStream),
        ({"recipient": uuid4()}, UnknownProfile),
    ],
)
async def test_a_gift_that_can_not_be_given_is_refused(
    books: Books, signed_in: SignIn, arguments: dict[str, Any], error: type[Refused]
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    viewer = await signed_in(sender)
    recipient = arguments.pop("recipient", streamer)
    assert isinstance(await refused(give(viewer, recipient, **arguments)), error)
    assert await books.coins(sender) == 10


async def test_a_viewer_gives_nothing_to_themselves(books: Books, signed_in: SignIn) -> None:
    sender = await books.profile(coins=10)
    assert isinstance(await refused(give(await signed_in(sender), sender)), SelfGift)


async def test_a_token_without_a_profile_gives_nothing(books: Books, signed_in: SignIn) -> None:
    stranger = await signed_in(uuid4())
    assert isinstance(await refused(give(stranger, await books.profile())), UnknownProfile)


SENSELESS: tuple[dict[str, Any], ...] = (
    {"recipient": None},
    {"gift_type": None},
    {"key": ""},
    {"key": "k" * 201},
    {"quantity": 0},
    {"quantity": -1},
    {"quantity": 1_000_001},
    {"quantity": None},
    {"slot": 0},
    {"slot": 13},
)


@pytest.mark.requirement("C5")
async def test_a_gift_needs_sensible_arguments(
    books: Books, signed_in: SignIn, subtests: pytest.Subtests
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    viewer = await signed_in(sender)
    for arguments in SENSELESS:
        with subtests.test(**arguments), pytest.raises(asyncpg.InvalidParameterValueError):
            await give(viewer, **({"recipient": streamer} | arguments))
    assert await books.coins(sender) == 10


async def test_nobody_gives_without_signing_in(books: Books, signed_in: SignIn) -> None:
    streamer = await books.profile()
    for role in ("anon", "service_role", "authenticated"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await give(await signed_in(role=role), streamer)
