"""What an upgrade reads of each older generation: its tables and columns.

More columns may be there; they stay as they are, in the schema that the tables are moved to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from db.release.generations import Generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Columns: TypeAlias = "Mapping[str, str]"

# The types that a column may have, by the family that is required below.
FAMILIES = {
    "integer": ("smallint", "integer", "bigint"),
    "text": ("text", "character varying", "character", "uuid", "USER-DEFINED", "citext"),
    # A reference to a row of another table, whatever the type of its id.
    "key": ("smallint", "integer", "bigint", "text", "character varying", "uuid"),
    "uuid": ("uuid",),
    "boolean": ("boolean",),
    "time": ("timestamp with time zone", "timestamp without time zone", "date"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What an upgrade reads; a table that a platform may lack counts as an empty one."""

    needed: Mapping[str, Columns]
    optional: Mapping[str, Columns]
    # Tables that the current schema has no place for: they are archived, whatever their columns.
    without_place: Sequence[str] = ()
    auth_columns: Sequence[str] = ("id",)

    @property
    def handled(self) -> set[str]:
        """The tables whose rows have a place in the current schema."""
        return {*self.needed, *self.optional}


_GIFT_TYPES = {"code": "text", "name": "text", "coin_cost": "integer"}

SOURCES = {
    Generation.FIRST: Source(
        needed={
            "users": {"id": "integer", "email": "text"},
            "user_profiles": {"user_id": "integer", "username": "text"},
            "coins": {"user_id": "integer", "balance": "integer"},
            "coin_purchases": {
                "id": "integer",
                "user_id": "integer",
                "coins": "integer",
                "amount_cents": "integer",
                "payment_id": "text",
                "status": "text",
                "created_at": "time",
            },
            "gifts": {
                "id": "integer",
                "sender_id": "integer",
                "recipient_id": "integer",
                "stream_id": "integer",
                "gift_type": "text",
                "coins": "integer",
                "created_at": "time",
            },
            "live_streams": {
                "id": "integer",
                "user_id": "integer",
                "title": "text",
                "is_published": "boolean",
            },
        },
        optional={
            "gift_types": _GIFT_TYPES,
            "follows": {"follower_id": "integer", "followee_id": "integer"},
            "user_links": {
                "user_id": "integer",
                "label": "text",
                "url": "text",
                "position": "integer",
            },
            "chat_messages": {
                "id": "integer",
                "stream_id": "integer",
                "user_id": "integer",
                "body": "text",
                "created_at": "time",
            },
        },
        auth_columns=("id", "email"),
    ),
    Generation.SECOND: Source(
        needed={
            "profiles": {"id": "uuid", "username": "text", "coin_balance": "integer"},
            "coin_ledger": {
                "id": "integer",
                "profile_id": "uuid",
                "amount": "integer",
                "type": "text",
                "reference_id": "key",
                "created_at": "time",
            },
            "coin_purchases": {
                "id": "integer",
                "profile_id": "uuid",
                "provider": "text",
                "provider_event_id": "text",
                "provider_payment_id": "text",
                "coin_amount": "integer",
                "amount_cents": "integer",
                "status": "text",
                "created_at": "time",
            },
            "gifts": {
                "id": "integer",
                "sender_id": "uuid",
                "recipient_id": "uuid",
                "stream_id": "integer",
                "gift_type": "text",
                "coin_amount": "integer",
                "box_position": "integer",
                "created_at": "time",
            },
            "live_streams": {
                "id": "integer",
                "profile_id": "uuid",
                "title": "text",
                "is_published": "boolean",
            },
        },
        optional={
            "gift_types": _GIFT_TYPES,
            "follows": {"follower_id": "uuid", "followee_id": "uuid"},
            "user_links": {
                "profile_id": "uuid",
                "label": "text",
                "url": "text",
                "position": "integer",
            },
            "chat_messages": {
                "id": "integer",
                "stream_id": "integer",
                "profile_id": "uuid",
                "body": "text",
                "created_at": "time",
            },
        },
        without_place=("video_boxes", "box_viewers"),
    ),
}
