"""Every answer that the sender of a webhook can get, made once and sent many times.

An answer is one line of JSON and says nothing of the request.
"""

from __future__ import annotations

from math import ceil
from typing import get_args

from tasks.providers.signed import Cause
from tasks.sign_in.refusals import Cause as SignInCause
from workers.serving.answer import Answer

# Long enough for a restarted database, short enough for a buyer who waits for coins.
RETRY_AFTER_S = 5
_CLOSE = (b"connection", b"close")
_RETRY_LATER = (b"retry-after", b"%d" % RETRY_AFTER_S)

STORED = Answer(200, "stored")
SEEN = Answer(200, "seen")
MALFORMED = Answer(200, "malformed")
NOT_AUTHENTIC = {cause: Answer(400, "not_authentic", cause=cause) for cause in get_args(Cause)}
UNKNOWN_PROVIDER = Answer(404, "unknown_provider")
UNKNOWN_EVENT = Answer(404, "unknown_event")
TOO_SLOW = Answer(408, "too_slow", _CLOSE)
CONFLICT = Answer(409, "conflict")
TOO_LARGE = Answer(413, "too_large", _CLOSE)
NOT_READ = Answer(503, "not_read", _RETRY_LATER)
NOT_STORED = Answer(503, "not_stored", _RETRY_LATER)
# What the sender of a webhook can be told.
WEBHOOK_RESULTS = sorted(
    {
        answer.result
        for answer in (STORED, SEEN, MALFORMED, TOO_SLOW, CONFLICT, TOO_LARGE, NOT_STORED)
    }
    | {answer.result for answer in NOT_AUTHENTIC.values()}
)

# To a client of the app that submits a purchase.
SUBMITTED = Answer(202, "stored")
SUBMITTED_BEFORE = Answer(202, "seen")
NOT_SIGNED_IN = {
    cause: Answer(401, "not_signed_in", (b"www-authenticate", b"Bearer"), cause=f"token_{cause}")
    for cause in get_args(SignInCause)
}
SIGN_IN_UNKNOWN = Answer(503, "sign_in_unknown", _RETRY_LATER)


def too_often(retry_after_s: float) -> Answer:
    """Return the answer to one request too many; `retry_after_s` until the next is allowed."""
    return Answer(429, "too_often", (b"retry-after", b"%d" % max(1, ceil(retry_after_s))))
