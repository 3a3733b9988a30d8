"""Chunks as invocations of a function's own replicas, through the gateway.

Each chunk is one call whose body is a batch (core/batch.py) and whose answer is a stream of
batches. Queueing, scaling, deadlines, cancellation and lost replicas are the gateway's work as for
every call; what is different is only that an answer tells of many items.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.batch import BatchError, Head
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import (
    ExecutionError,
    FaasError,
    GatewayLost,
    GatewayUnavailable,
    InternalError,
    ReplicaLost,
    from_problem,
)
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.sections import Buffer, total_bytes
from jupyter_faas.execution.failure import Fault
from jupyter_faas.fanout.base import Caller, Report
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.frames import CONTENT_TYPE, FrameKind, FrameReader
from jupyter_faas.wire.heads import JOIN_BELOW_BYTES, encode_request
from jupyter_faas.wire.upstream import Upstream, UpstreamConnection

MOST_SLOTS = 512
"""Chunks of one map under way at once: fewer than may wait at the gateway for one function."""

_NONE: Mapping[str, str] = {}
_fault = msgspec.msgpack.Decoder(Fault).decode
_LOG, _ITEM, _ERROR, _END = (
    int(kind) for kind in (FrameKind.LOG, FrameKind.ITEM, FrameKind.ERROR, FrameKind.END)
)


class Replicas:
    """The backend.

    Args:
        address: Of the gateway.
        token: Of the gateway; may call functions.
        tokens: The same by namespace, where no one token is good for all.
    """

    name = "replicas"
    note = ""
    is_metered = True

    def __init__(self, address: str, token: str, tokens: Mapping[str, str] = _NONE) -> None:
        self._upstream = Upstream(address)
        self._token = token
        self._tokens = tokens
        self._connecting = Background("a connection to the gateway")

    def most_slots(self, order: MapOrder) -> int:
        """All that its replicas may have in flight."""
        assert order.of is not None
        return max(1, min(MOST_SLOTS, order.of.max_containers * order.of.max_inputs))

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> ReplicaErrand:
        """Send a chunk as one call."""
        body = body_of(given, budget_s)
        length = total_bytes(body)
        request = encode_request(
            b"POST",
            f"/function/{order.namespace}/{order.function}".encode(),
            self._upstream.authority,
            self._headers(order, caller),
            length,
        )
        parts = [request, *body]
        if length <= JOIN_BELOW_BYTES:
            parts = [b"".join(parts)]
        errand = ReplicaErrand(self._upstream, parts, length, report)
        connection = self._upstream.take()
        if connection is not None:
            errand.begin(connection)
        else:
            self._connecting.run(errand.connect())
        return errand

    async def close(self) -> None:
        """Close idle connections."""
        self._upstream.close()

    def _headers(self, order: MapOrder, caller: Caller) -> list[tuple[bytes, bytes]]:
        token = self._tokens.get(order.namespace, self._token)
        headers = [
            (b"Authorization", f"Bearer {token}".encode()),
            (b"Content-Type", batch.CONTENT_TYPE.encode()),
            (b"Accept", CONTENT_TYPE.encode()),
            (b"Faas-Revision", str(order.revision).encode()),
            *caller.headers,
        ]
        if order.method:
            headers.append((b"Faas-Method", order.method.encode()))
        if caller.until_s is not None:
            left_s = caller.until_s - asyncio.get_running_loop().time()
            headers.append((b"Faas-Deadline-Ms", b"%d" % max(0, int(left_s * 1000))))
        return headers


class ReplicaErrand:
    """One chunk at a replica: receives the answer of its call.

    Args:
        upstream: Connections to the gateway.
        parts: The request.
        length: Of its body.
        report: Told what the answer says.
    """

    def __init__(self, upstream: Upstream, parts: list[Any], length: int, report: Report) -> None:
        self._upstream = upstream
        self._parts = parts
        self._length = length
        self._report: Report | None = report
        self._connection: UpstreamConnection | None = None
        self._reader = FrameReader()
        self._status = 0
        self._body: list[bytes] = []
        self._error: FaasError | None = None
        self._traceback = ""
        self._is_ended = False

    async def connect(self) -> None:
        """Connect, and begin."""
        try:
            connection = await self._upstream.connect()
        except OSError as error:
            if self._report is not None:
                self._finish().on_refused(GatewayUnavailable(f"The gateway is gone: {error}."))
            return
        if self._report is None:
            connection.close()
        else:
            self.begin(connection)

    def begin(self, connection: UpstreamConnection) -> None:
        """Send the call."""
        self._connection = connection
        first, *rest = self._parts
        self._parts = []
        connection.send(first, self, owed_bytes=self._length if rest else 0)
        for part in rest:
            connection.write(part)

    def cancel(self) -> None:
        """Cut the connection: the gateway ends the call."""
        self._report = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # -- the answer

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """Take the status: 200 is a stream of frames, everything else a problem."""
        self._status = status

    def on_answer_body(self, data: bytes) -> None:
        """Take frames as they come."""
        if self._status != 200:
            self._body.append(data)
            return
        try:
            for frame in self._reader.feed(data):
                self._take(frame.kind, frame.stream, frame.body)
        except (BatchError, ValueError) as error:
            self._broken(f"A replica answered what cannot be read: {error}.")

    def _take(self, kind: int, stream: int, body: bytes | bytearray | memoryview) -> None:
        report = self._report
        if report is None:
            return
        if kind == _ITEM:
            report.on_batch(*batch.unpack(body))
        elif kind == _LOG:
            report.on_log(stream, body)
        elif kind == _ERROR:
            fault = _fault(body)
            self._error, self._traceback = from_problem(fault.problem), fault.traceback
        elif kind == _END:
            self._is_ended = True

    def on_answer_end(self) -> None:
        """The call has ended."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._upstream.give_back(connection)
        if self._report is None:
            return
        report = self._finish()
        if self._status != 200:
            _tell_problem(report, _problem(b"".join(self._body), self._status))
        elif not self._is_ended:
            report.on_died(
                ReplicaLost("The answer of a replica was cut.", reason="cut"), is_own=True
            )
        elif isinstance(self._error, ReplicaLost):
            report.on_died(self._error, is_own=True, is_told=True)
        else:
            report.on_end(self._error, self._traceback)

    def on_answer_lost(self, exc: Exception | None) -> None:
        """The answer was cut: the replica is gone, or the gateway."""
        if self._report is not None:
            lost = ReplicaLost("The replica went away while it ran the item.", reason="cut")
            self._finish().on_died(lost, is_own=True)

    def on_upstream_writable(self) -> None:
        """Everything has been handed over already."""

    def _broken(self, text: str) -> None:
        report = self._report
        self.cancel()
        if report is not None:
            report.on_died(InternalError(text), is_own=True)

    def _finish(self) -> Report:
        report, self._report = self._report, None
        assert report is not None
        return report


def body_of(given: Given, budget_s: float) -> list[Buffer]:
    """Return a chunk as the body of a call, in parts.

    Args:
        given: The chunk.
        budget_s: After so long the worker gives back what it has not begun, in seconds.
    """
    head = Head(
        given.indices,
        bytes(len(given.indices)),
        [len(payload) for payload in given.payloads],
        is_exact=given.chunk.is_exact,
        budget_s=budget_s,
    )
    return batch.pack(head, given.payloads)


def _problem(body: bytes, status: int) -> FaasError:
    try:
        return from_problem(msgspec.json.decode(body, type=dict[str, Any]))
    except msgspec.MsgspecError:
        return InternalError(f"The gateway answered {status} without a reason.")


def _tell_problem(report: Report, error: FaasError) -> None:
    if isinstance(error, ReplicaLost):
        report.on_died(error, is_own=True)
    elif isinstance(error, GatewayLost):
        report.on_died(error, is_own=False)  # of several gateways the one that had the replica
    elif isinstance(error, ExecutionError):
        report.on_end(error)
    else:
        report.on_refused(error)
