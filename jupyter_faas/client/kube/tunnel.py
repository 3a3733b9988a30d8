"""One connection to a port of a pod, through the API server: bytes in, bytes out.

The port-forward protocol over a WebSocket (`v4.channel.k8s.io`): each message begins with a
channel, 0 for data and 1 for the text of an error; the first message of each names the port. The
pod's kubelet connects only after the WebSocket is open and says nothing when it has: `probe` is
how one knows that somebody is there before a call is sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_faas.client.kube.pods import Pod
from jupyter_faas.wire.answers import BadAnswer, parse_answer_head

_DATA, _ERROR = 0, 1
_PROBE = b"GET /readyz HTTP/1.1\r\nHost: gateway\r\n\r\n"
_MAX_PROBE_BYTES = 16 * 1024


class NotThere(Exception):
    """The pod does not take calls; says why."""


class Tunnel:
    """An open WebSocket of a port-forward.

    Args:
        web_socket: What `KubeApi.open_port` returns.
        pod: Where it leads.
    """

    def __init__(self, web_socket: Any, pod: Pod) -> None:
        self.pod = pod
        self._socket = web_socket
        self._greeted: set[int] = set()
        self._has_ended = False
        self.error = ""
        """What the kubelet said about a connection that failed."""

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return not self._has_ended and not self._socket.closed

    async def probe(self, timeout_s: float) -> None:
        """See that a gateway that takes calls is at the other end.

        Raises:
            NotThere: There is none; says why.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self.send(_PROBE)
                status = await self._probe_status()
        except (TimeoutError, OSError) as error:
            said = self.error or str(error) or f"no answer within {timeout_s:g} s"
            raise NotThere(said) from error
        if status != 200:
            raise NotThere(f"it says that it is not ready (HTTP {status})")

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while the other side is slow."""
        await self._socket.send_bytes(b"\0" + data)

    async def receive(self) -> memoryview | None:
        """Return the next bytes; None: the other side has closed, or the pod is gone."""
        while True:
            data = (await self._socket.receive()).data
            if not isinstance(data, bytes | bytearray) or not data:
                break
            channel = data[0]
            if channel not in self._greeted:
                self._greeted.add(channel)
            elif channel == _DATA:
                return memoryview(data)[1:]
            elif channel == _ERROR:
                self.error += bytes(data[1:]).decode("utf-8", "replace")
                break
        self._has_ended = True
        return None

    async def close(self) -> None:
        """Close; the gateway sees its caller leave."""
        await self._socket.close()

    async def _probe_status(self) -> int:
        received = b""
        while len(received) < _MAX_PROBE_BYTES:
            piece = await self.receive()
            if piece is None:
                raise BadAnswer(self.error or "it closed the connection")
            received += piece
            head, end, body = received.partition(b"\r\n\r\n")
            if not end:
                continue
            answer = parse_answer_head(head)
            if answer.content_length is None or not answer.is_kept:
                raise BadAnswer("its readiness cannot be read")
            if len(body) >= answer.content_length:
                return answer.status
        raise BadAnswer("its answer does not end")
