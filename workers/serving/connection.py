"""One HTTP connection with bounds, which uvicorn leaves open.

Closes a connection that sends headers without end or none at all, chunks and trailers rather than a
body, or requests without waiting for the answers, and one that reads no answer. What all
connections may use together is kept in limits.py; a request above that is answered with 503.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from workers.serving.body import DISCARDED_BYTES_MAX
from workers.serving.limits import ConnectionLimits, Refusal
from workers.serving.protocol import HttpConnection

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from workers.serving.answer import Answer

# Providers and browsers send under 4 KB of headers, proxies add as much; other servers allow 8 to
# 64 KB.
HEAD_BYTES_MAX = 64 * 1024
# A field of six bytes costs 150 once it is read. Browsers send twenty, proxies twenty more.
HEAD_FIELDS_MAX = 128
# Bytes for sizes and extensions of chunks and for trailers, besides one per byte of the body.
# Chunks of ten bytes, which nobody sends, need half of that.
FRAMING_BYTES_MAX = HEAD_BYTES_MAX
# Each costs some microseconds, whatever is in it. One more is accepted per 8 bytes of the body.
CHUNKS_MAX = 4_096
# Headers are sent at once. A silent connection takes the place of another.
HEAD_TIMEOUT_S = 10.0
# Requests that may wait behind the one that is being answered. Providers and browsers wait for
# each answer.
PIPELINED_MAX = 8
# Of a large answer a peer has to read some 50 KB in this time.
WRITE_TIMEOUT_S = 10.0


class _TooManyRequests(Exception):
    """More requests came than may wait on one connection: stop parsing."""


class _AboveBound(Exception):
    """The headers or the chunks are above their bound: stop parsing."""


class BoundedConnection(HttpConnection):
    """A connection with bounds of time, size and number for its requests.

    A process says in a subclass how large a body it reads, and what it answers for want of room.
    """

    body_bytes_max: ClassVar[int]
    not_served: ClassVar[Answer]

    held_bytes = 0
    _awaited_head: asyncio.TimerHandle | None = None
    _awaited_reader: asyncio.TimerHandle | None = None
    # Of the headers: bytes received, bytes counted by the limits, bytes parsed, fields parsed.
    _head_bytes = 0
    _head_held = 0
    _head_size = 0
    _head_fields = 0
    _body_bytes = 0
    _body_parts = 0
    # Bytes of the body that the limits don't count yet.
    _body_unheld = 0
    _framing_bytes = 0
    # Of a request that has its answer already.
    _unasked_bytes = 0
    _in_head = False
    _is_between = False
    # Whether it reads no more requests, and closes once those that it has are answered.
    _is_ending = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # One for all connections. An application without one gets limits that no metric counts.
        if "limits" not in self.app_state:
            self.app_state["limits"] = ConnectionLimits(note_refused=lambda _: None)
        self._limits: ConnectionLimits = self.app_state["limits"]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._begin_head()
        self._await_head()
        self._limits.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers, and stop counting the connection."""
        self._end_head()
        self.resume_writing()
        self._limits.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came. Headers that come in one piece need no timer."""
        if not self._reads_on():
            return
        if self._is_between:
            self._begin_head()
        began_in_head = self._in_head
        if began_in_head:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if not self._reads_on():
            return
        if self._in_head:
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()
            else:
                self._head_held += len(data)
                self._limits.hold(self, len(data))
                self._await_head()
        elif not self._is_between:
            self._hold_body()
            if not began_in_head:
                self._bound_framing(len(data))

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that the parser could not read."""
        if not self._is_ending:
            self._refuse("unreadable", msg)

    def close_for_others(self, cause: Refusal) -> None:
        """Close, and answer 503 first if a request is waiting for an answer."""
        if self.transport.is_closing():
            return
        self._limits.note_refused(cause)
        if self.transport.get_write_buffer_size():
            # The peer reads nothing: a close would wait until it does.
            self.transport.abort()
            return
        cycle = self._answered
        if cycle is not None and not cycle.response_started and not self.pipeline:
            self.transport.write(self.not_served.closing_bytes)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin with the headers of a request, which may have come together with the one before."""
        if self._is_between:
            self._begin_head()
        self._head_size = self._head_fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count and keep a part of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count and keep a field of the headers; ignore fields after a body: nobody needs them."""
        if self._in_head:
            self._head_fields += 1
            self._count_head(len(name) + len(value) + 4)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer the request, or close if too many are waiting."""
        if self._wants_upgrade():
            return
        self._end_head()
        if len(self.pipeline) >= PIPELINED_MAX:
            self._end("too_many_requests")
            raise _TooManyRequests
        self._body_bytes = self._body_parts = self._framing_bytes = self._unasked_bytes = 0
        self._limits.begun(self)
        super().on_headers_complete()
        self._limits.hold(self, max(self._head_size - self._head_held, 0))

    def on_body(self, body: bytes) -> None:
        """Count and keep a part of a body; what is above the largest size is neither."""
        super().on_body(body)
        self._framing_bytes -= len(body)
        self._body_parts += 1
        if self._body_parts > CHUNKS_MAX + self._body_bytes // 8:
            self._refuse_framing()
            raise _AboveBound
        kept = max(min(len(body), self.body_bytes_max - self._body_bytes), 0)
        self._body_bytes += kept
        if not self.cycle.response_complete:
            self._body_unheld += kept

    def on_message_complete(self) -> None:
        """Note that the request is whole: what comes next is another one."""
        if self._wants_upgrade():
            return
        self._hold_body()
        super().on_message_complete()
        self._limits.arrived(self)
        self._is_between = True

    def on_response_complete(self) -> None:
        """Go on with the next request; read no more from the peer while one is waiting."""
        super().on_response_complete()
        if self._is_ending or self.pipeline:
            self.flow.pause_reading()
        if self.cycle.response_complete:
            self._limits.answered(self)
            if self._in_head and self._head_bytes:
                self._head_held = self._head_bytes
                self._limits.hold(self, self._head_bytes)

    def pause_writing(self) -> None:
        """Begin to wait for a peer that reads no answer."""
        super().pause_writing()
        if self._awaited_reader is None:
            self._awaited_reader = self.loop.call_later(WRITE_TIMEOUT_S, self._give_up_writing)

    def resume_writing(self) -> None:
        """Stop waiting: the peer reads, or is gone."""
        if self._awaited_reader is not None:
            self._awaited_reader.cancel()
            self._awaited_reader = None
        super().resume_writing()

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_BYTES_MAX or self._head_fields > HEAD_FIELDS_MAX:
            self._refuse_head()
            raise _AboveBound

    def _refuse_head(self) -> None:
        self._refuse("head_too_large", "The headers are too large.")

    def _hold_body(self) -> None:
        unheld, self._body_unheld = self._body_unheld, 0
        if unheld:
            self._limits.hold(self, unheld)

    def _refuse_framing(self) -> None:
        if self.cycle.response_complete:
            self._end("badly_framed")
        else:
            self._refuse("badly_framed", "Too little of this request is its body.")

    def _bound_framing(self, size: int) -> None:
        """Bound what is not body, and what nobody reads; count what the parser may keep of it."""
        if self.cycle.response_complete:
            self._unasked_bytes += size
        if self._unasked_bytes > DISCARDED_BYTES_MAX:
            self._end("body_unasked")
        elif self._framing_bytes > FRAMING_BYTES_MAX + self._body_bytes:
            self._refuse_framing()
        elif self._framing_bytes > 0 and not self.cycle.response_complete:
            self._limits.hold(self, min(size, self._framing_bytes))

    def _give_up_writing(self) -> None:
        self._limits.note_refused("reads_no_answer")
        self.transport.abort()

    def _refuse(self, cause: Refusal, message: str) -> None:
        """Answer 400, or only close if earlier requests still wait for their answers."""
        cycle: Any = self.cycle
        is_answered = cycle is None or cycle.response_complete
        if is_answered or (cycle.more_body and not self.pipeline):
            self._limits.note_refused(cause)
            self._is_ending = True
            super().send_400_response(message)
        else:
            self._end(cause)

    def _end(self, cause: Refusal) -> None:
        """Close once the requests that are here are answered."""
        self._limits.note_refused(cause)
        self._is_ending = True
        self.cycle.keep_alive = False
        self.flow.pause_reading()
        if self.cycle.more_body:
            self.transport.close()

    def _begin_head(self) -> None:
        self._in_head, self._is_between, self._head_bytes, self._head_held = True, False, 0, 0

    def _reads_on(self) -> bool:
        return not (self._is_ending or self.transport.is_closing())

    def _await_head(self) -> None:
        if self._awaited_head is None:
            self._awaited_head = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up_reading)

    def _give_up_reading(self) -> None:
        if self._head_bytes:
            self._limits.note_refused("slow_head")
        self.transport.close()

    def _end_head(self) -> None:
        self._in_head = False
        if self._awaited_head is not None:
            self._awaited_head.cancel()
            self._awaited_head = None

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._limits.is_over:
            self._limits.note_refused("crowded")
            app = self._send_not_served
        super()._start_asgi_task(cycle, app)

    async def _send_not_served(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await self.not_served.send(send)
