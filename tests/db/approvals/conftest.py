"""Fixtures of decisions: people, each with a login of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.clusters import PASSWORD
from tests.db.approvals.decisions import let_people_be_named

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database
    from tests.conftest import Connect

PEOPLE = ("ann", "ben")


class Person(Protocol):
    """Opens a session of somebody who decides."""

    async def __call__(self, name: str) -> Connection:
        """Log in as this person."""
        ...


@pytest.fixture(scope="session")
def logins(cluster: Cluster, template: Database) -> None:
    """Logins of people, which inherit what operators may do; roles belong to the cluster."""

    async def make() -> None:
        superuser = await open_connection(template.url("superuser"), application_name="tests")
        for name in PEOPLE:
            if not await superuser.fetchval("select to_regrole($1)", f"coinfleet_{name}"):
                await superuser.execute(
                    f"create role coinfleet_{name} login password '{PASSWORD}'"
                    " in role coinfleet_operator"
                )
        await superuser.close()

    asyncio.run(make())


@pytest.fixture
def person(logins: None, connect: Connect) -> Person:
    """Sessions of people, closed with the test."""
    return connect


@pytest_asyncio.fixture
async def named(db: Connection) -> Connection:
    """The owner's session, in which everybody is who they say: deciding_person has own tests."""
    await let_people_be_named(db)
    return db
