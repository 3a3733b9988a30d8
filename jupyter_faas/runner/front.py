"""The front: the process of a replica that answers HTTP, so that user code never has to.

One asyncio loop on uvloop. It gets its workers from the zygote over a socket (descriptors come
along) and ends when that closes, taking its worker with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

import msgspec
import uvloop

from jupyter_faas.runner import family
from jupyter_faas.runner.admission import Trust, admission_of
from jupyter_faas.runner.app import App
from jupyter_faas.runner.channel import received_fds
from jupyter_faas.runner.replica import FrontReplica
from jupyter_faas.runner.usage import UsageTimer
from jupyter_faas.wire.address import parse_address
from jupyter_faas.wire.limits import Limits
from jupyter_faas.wire.server import HttpServerProtocol

_LIMITS = Limits(idle_timeout_s=None)
_MAX_MESSAGE_BYTES = 64 << 10
_MAX_FDS = 8
_BACKLOG = 128
_TELL_TAKEN_S = 0.05
"""Off the way of the first call: the zygote would wake up, and want a processor."""


def main(link: socket.socket, address: str, trust: Trust | None = None) -> int:
    """Be a front until drained or until the zygote is gone; returns the exit code."""
    family.name_process("faas-front")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    front = Front(loop, link, trust)
    loop.add_signal_handler(signal.SIGTERM, front.replica.drain)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    # One run: between two, uvloop takes no signals, and a SIGTERM would be lost.
    listening = loop.create_task(front.listen(address))
    listening.add_done_callback(lambda task: loop.stop() if task.exception() else None)
    loop.run_forever()
    if listening.done():
        listening.result()
    return front.exit_code


class Front:
    """Server, zygote link and replica of this process.

    Args:
        loop: Of this process.
        link: To the zygote (SOCK_SEQPACKET, msgpack).
        trust: Whose specialisations it takes; None: those of whoever reaches it.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: socket.socket, trust: Trust | None
    ) -> None:
        self.exit_code = 0
        self.replica = FrontReplica(
            loop,
            ask_worker=lambda: self._say({"op": "worker"}),
            give_up=self._give_up,
            on_idle=self._leave,
            on_taken=self._tell_taken,
        )
        self._loop = loop
        self._server: asyncio.Server | None = None
        """Held: uvloop closes a listener that the garbage collector finds unreferenced."""
        self._link = link
        self._app = App(self.replica, admission_of(trust))
        self._usage = UsageTimer(loop, self.replica)
        link.setblocking(False)
        loop.add_reader(link.fileno(), self._hear)

    async def listen(self, address: str) -> None:
        """Begin to answer, and tell the zygote where."""
        where = parse_address(address)

        def connect() -> HttpServerProtocol:
            return HttpServerProtocol(self._app.on_head, limits=_LIMITS)

        if where.kind == "unix":
            os.umask(0o077)
            self._server = await self._loop.create_unix_server(
                connect, where.path, backlog=_BACKLOG
            )
            self._say({"op": "listening", "address": address})
            return
        self._server = await self._loop.create_server(
            connect, where.host, where.port, backlog=_BACKLOG
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._say({"op": "listening", "address": f"{shown}:{port}"})

    def _hear(self) -> None:
        try:
            data, ancillary, _, _ = self._link.recvmsg(
                _MAX_MESSAGE_BYTES, socket.CMSG_SPACE(_MAX_FDS * 4)
            )
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        if not data:
            self._orphaned()
            return
        said: dict[str, Any] = msgspec.msgpack.decode(data)
        if said["ev"] == "worker":
            self.replica.on_worker(said["pid"], received_fds(ancillary))
        elif said["ev"] == "worker_gone":
            self.replica.on_worker_gone(said["pid"], said["status"])
        elif said["ev"] == "no_worker":
            self._give_up("start_failed", said["detail"])

    def _orphaned(self) -> None:
        """The zygote is gone: nobody else would end the worker and what it has started."""
        self._loop.remove_reader(self._link.fileno())
        self.replica.kill_worker_family()
        os._exit(1)

    def _give_up(self, reason: str, detail: str) -> None:
        self._say({"op": "failed", "reason": reason, "detail": detail})
        self.exit_code = 1
        self._loop.call_later(0.1, self._leave)  # the last answers go out

    def _tell_taken(self) -> None:
        self._loop.call_later(_TELL_TAKEN_S, self._say, {"op": "taken"})

    def _leave(self) -> None:
        self.replica.watchers.close()
        self._loop.call_soon(self._loop.stop)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._link.send(msgspec.msgpack.encode(message))
        except OSError:
            self._orphaned()
