"""The life of a driver process: from its first line of input to the end of that input.

Its parent, the gateway, holds the other end of its standard input: when that closes, however the
gateway ended, the driver ends and all it has started with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop

from jupyter_faas.core.mapping import Seating
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.door import Door
from jupyter_faas.fanout.driver import Driver, MakeSeats, cpus_here
from jupyter_faas.fanout.ray.backend import RaySeats
from jupyter_faas.fanout.ray.becoming import DriverKey
from jupyter_faas.fanout.ray.house import RayHouse
from jupyter_faas.fanout.ray.ways import ChildWay, RemoteWay
from jupyter_faas.fanout.ray.words import HostStart
from jupyter_faas.fanout.replicas import Replicas
from jupyter_faas.fanout.shelf import Shelf
from jupyter_faas.fanout.start import DriverStart
from jupyter_faas.wire.kept import KeptLink
from jupyter_faas.wire.limits import Limits
from jupyter_faas.wire.server import HttpServerProtocol

_LOOK_S = 1.0


def main() -> int:
    """Be a driver; returns the exit code."""
    start = msgspec.json.decode(sys.stdin.buffer.readline(), type=DriverStart)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(start))
    return 0


async def _live(start: DriverStart) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    os.set_blocking(0, False)
    loop.add_reader(0, _on_input, over)
    backend = Replicas(start.gateway, start.token, start.tokens)
    cpus = cpus_here() if start.is_one_machine else 0
    driver = Driver(backend, cpus)
    if start.run_dir or start.ray_hosts:
        driver.make_seats = _seats(start, driver.pump)
    warm = None if start.warm is None else driver.seats_of(start.warm, "")
    if warm is not None:
        warm.house.begin()
    driver.used_s = driver.now_s()
    kept_in = Path(start.maps_dir) if start.maps_dir else None
    shelf = Shelf(
        kept_in,
        start.keep_s,
        lambda order, id: driver.begin(order, Caller(), id),
        time.time,
        None if start.kept is None else KeptLink(*msgspec.structs.astuple(start.kept)),
    )
    door = Door(driver, shelf)
    connections: set[HttpServerProtocol] = set()
    limits = Limits(idle_timeout_s=None)
    old = os.umask(0o177)
    try:
        server = await loop.create_unix_server(
            lambda: HttpServerProtocol(door, limits=limits, connections=connections), start.listen
        )
    finally:
        os.umask(old)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    shelf.restore()
    while not over.is_set() and (shelf.is_busy or not _is_unused(driver, start.idle_exit_s)):
        if warm is not None:
            warm.house.begin()  # again, should it have ended
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _LOOK_S)
        shelf.sweep()
    server.close()
    await shelf.leave()
    shelf.close()
    await driver.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(start.listen)


def _seats(start: DriverStart, on_change: Callable[[], None]) -> MakeSeats:
    """Return what makes seats on Ray for one Python; Ray starts when it is wanted."""
    run_dir = Path(start.run_dir)
    # One at most for each driver: replicas elsewhere know it by that.
    key = DriverKey(os.urandom(32)) if start.ray_hosts or start.ray_address else None

    def make(seating: Seating, namespace: str) -> RaySeats | None:
        if start.ray_hosts:
            at = start.ray_hosts.get(namespace) or start.ray_hosts.get("")
            told = HostStart(token="" if at is None else at.token)
            house = None if at is None else RayHouse(RemoteWay(at.address), told, on_change)
            return None if house is None else RaySeats(house, run_dir, key)
        environ = dict(seating.environ)
        if seating.pythonpath:
            environ["PYTHONPATH"] = seating.pythonpath
        told = HostStart(
            environ=environ,
            address=start.ray_address,
            cpus=start.ray_cpus,
            memory_bytes=start.ray_memory_bytes,
        )
        command = [seating.interpreter, "-P", "-m", "jupyter_faas.fanout.ray.host"]
        # What a cluster's own token is told by, which only the host must know.
        own = {name: text for name, text in os.environ.items() if name.startswith("RAY_AUTH_")}
        way = ChildWay(command, environ | own if start.ray_address else environ)
        return RaySeats(RayHouse(way, told, on_change), run_dir, key)

    return make


def _on_input(over: asyncio.Event) -> None:
    """The gateway says nothing more: what can be read is the end."""
    try:
        if os.read(0, 1024):
            return
    except BlockingIOError:
        return
    over.set()


def _is_unused(driver: Driver, idle_exit_s: float) -> bool:
    return bool(idle_exit_s) and not driver.is_busy and driver.now_s() - driver.used_s > idle_exit_s
