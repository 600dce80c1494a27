"""Who may do what in the console: rights, the roles that have them, and a person who is signed in.

Says nothing of how somebody signed in; the database has its own say on each function and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from workers.sign_in_links import Role


class Right(StrEnum):
    """What a page or an action asks for."""

    LOOK = "look"
    """See how the fleet is, and any story; no payload."""
    OPERATE = "operate"
    """Have events processed again, run a schedule, end sessions."""
    APPROVE = "approve"
    """Decide what is held."""
    READ_PAYLOADS = "read payloads"
    """See what a provider sent. No role includes it: it is given to a person beside the role."""


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.LOOK}),
    Role.OPERATOR: frozenset({Right.LOOK, Right.OPERATE}),
    Role.APPROVER: frozenset({Right.LOOK, Right.OPERATE, Right.APPROVE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is signed in. `aal` is aal2 if that was with a second factor."""

    session_id: int
    subject: str
    name: str
    role: Role
    aal: str
    reads_payloads: bool
    expires_at: datetime

    def is_holder_of(self, profile_id: UUID) -> bool:
        """Return whether the profile is this person's own: the app's users sign in there, too."""
        return self.subject.rpartition(" ")[2].lower() == str(profile_id)

    def may(self, right: Right, *, approval_aal: str = "aal1") -> bool:
        """Return whether this person has the right; approving may ask for a second factor."""
        if right is Right.READ_PAYLOADS:
            return self.reads_payloads
        if right is Right.APPROVE and self.aal < approval_aal:
            return False
        return right in RIGHTS[self.role]
