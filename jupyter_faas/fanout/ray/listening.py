"""The host beside the head of a cluster: serves the drivers of all gateways, and scales workers.

Each connection is one driver. Its first line shows the token that only this installation's gateways
have; without it nothing is told but that. A connection that ends ends its driver's replicas.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import signal
import socket
import struct
import threading
import time
from collections.abc import MutableMapping
from typing import BinaryIO

import msgspec

from jupyter_faas.core.model import PROTOCOL_VERSION, speaks
from jupyter_faas.fanout.ray.cluster import LOOK_S, RayCluster
from jupyter_faas.fanout.ray.line import Line
from jupyter_faas.fanout.ray.words import TOKEN_VARIABLE, Failed, HostStart, Seats
from jupyter_faas.fanout.ray.workers import Workers, workers_of
from jupyter_faas.wire.address import parse_address

_RAY_S = 120.0
"""The head may take so long until Ray can be joined."""
_FIRST_LINE_S = 10.0
_FIRST_LINE_BYTES = 1 << 16
_WRITE_S = 5
_MOST_DRIVERS = 64
_log = logging.getLogger(__name__)


def serve(address: str, environ: MutableMapping[str, str]) -> int:
    """Join Ray and serve drivers until told to end; returns the exit code.

    Args:
        address: `HOST:PORT` to listen on.
        environ: This process's; the token is taken out of it: Ray's workers must not have it.
    """
    token = environ.pop(TOKEN_VARIABLE, "")
    if not token:
        _log.error("%s must be set: drivers show it.", TOKEN_VARIABLE)
        return 2
    start = HostStart(address=environ.get("FAAS_RAY_ADDRESS") or "auto")
    cluster = RayCluster(start)
    give_up_s = time.monotonic() + _RAY_S
    while why := cluster.try_to_begin():
        if time.monotonic() > give_up_s:
            _log.error("%s", why)
            return 1
        time.sleep(LOOK_S)
    where = parse_address(address)
    with socket.create_server((where.host, where.port), reuse_port=False) as server:
        host = Listening(cluster, token, workers_of(environ), server)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: host.stop())
        try:
            host.run()
        except Exception:
            _log.exception("Ray has ended")
            return 1
    cluster.end()
    return 0


class Listening:
    """Takes drivers, tells them of seats, and has as many workers as they need.

    Args:
        cluster: Begun.
        token: What drivers show.
        workers: The cluster's; None: nobody scales them.
        server: Listens.
    """

    def __init__(
        self, cluster: RayCluster, token: str, workers: Workers | None, server: socket.socket
    ) -> None:
        self._cluster = cluster
        self._token = token.encode()
        self._workers = workers
        self._server = server
        self._lines: set[Line] = set()
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_MOST_DRIVERS)
        self._poke = threading.Event()
        self._is_over = False

    def run(self) -> None:
        """Serve until `stop`."""
        threading.Thread(target=self._accept, daemon=True).start()
        _log.info("serving drivers at port %d", self._server.getsockname()[1])
        while not self._is_over:
            if self._cluster.look():
                self._tell_seats()
            if self._workers is not None:
                self._scale(self._workers)
            self._poke.wait(LOOK_S)
            self._poke.clear()

    def stop(self) -> None:
        """Have `run` return; safe in a signal handler."""
        self._is_over = True
        self._poke.set()

    # -- inside

    def _scale(self, workers: Workers) -> None:
        lines = tuple(self._lines)
        busy = {seat for line in lines for seat in line.busy}
        wanted = sum(line.wanted for line in lines)
        leaving = workers.look(wanted, self._cluster.workers(busy), time.monotonic())
        if leaving:
            self._cluster.leave([worker.id for worker in leaving])
            self._tell_seats()

    def _tell_seats(self) -> None:
        with self._lock:
            seats = Seats(seats=self._cluster.numbers, leaving=self._cluster.leaving)
            _log.info("%d seats, %d more leave", len(seats.seats), len(seats.leaving))
            for line in self._lines:
                line.say(seats)

    def _accept(self) -> None:
        while True:
            try:
                connection, peer = self._server.accept()
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        try:
            with connection, connection.makefile("rb") as reader, _writer(connection) as writer:
                connection.settimeout(_FIRST_LINE_S)
                first = reader.readline(_FIRST_LINE_BYTES)
                connection.settimeout(None)
                if not first:
                    return  # somebody looks whether anything listens here: a probe
                why = self._why_not(first)
                if why:
                    _log.warning("a driver at %s is refused: %s", peer[0], why)
                    Line(self._cluster, writer).say(Failed(why=why))
                    return
                self._talk(reader, Line(self._cluster, writer, self._poke.set))
        except (OSError, msgspec.MsgspecError) as error:
            _log.info("the line to %s has ended: %s", peer[0], error)
        finally:
            self._room.release()

    def _why_not(self, first: bytes) -> str:
        """Return why a driver is not served; empty: it is."""
        try:
            start = msgspec.json.decode(first, type=HostStart)
        except msgspec.MsgspecError:
            return "This is no driver that is known here."
        if not hmac.compare_digest(start.token.encode(), self._token):
            return "Ray's head does not take this gateway's token: set FAAS_RAY_HOST_TOKEN alike."
        if not speaks(start.protocol):
            return (
                f"Ray's head speaks protocol {PROTOCOL_VERSION}, the gateway {start.protocol}: "
                "install versions that are next to each other."
            )
        return ""

    def _talk(self, reader: BinaryIO, line: Line) -> None:
        with self._lock:
            line.say(self._cluster.up())
            self._lines.add(line)
        try:
            for said in reader:
                line.obey(said)
        finally:
            with self._lock:
                self._lines.discard(line)
            line.leave()
            self._poke.set()


def _writer(connection: socket.socket) -> contextlib.closing[socket.SocketIO]:
    """Return where to write; a driver that does not read is not waited for."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _WRITE_S, 0))
    return contextlib.closing(connection.makefile("wb", buffering=0))
