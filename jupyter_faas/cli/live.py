"""The life of one gateway process once it may import what it likes.

Composes provider, store and service, tells clients where they are, and waits for the end: a
signal, nobody needing it any more, or nobody finding it any more. Called by `serve.py` only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop

from jupyter_faas.cli.ending import first_of, told_to_end
from jupyter_faas.client.state_file import GatewayState, mark_ended, read_state, write_state
from jupyter_faas.core.mapping import Seating
from jupyter_faas.core.model import PROTOCOL_VERSION
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.core.version import VERSION
from jupyter_faas.fanout.shelf import has_unfinished
from jupyter_faas.fanout.start import DriverStart, RayHostAt
from jupyter_faas.gateway.driver_host import DriverHost
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.idle import unused
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.sqlite import SqliteStore
from jupyter_faas.providers.local.process import (
    ZygoteProcess,
    birth_of_own,
    pythonpath_of,
    zygote_environ,
)
from jupyter_faas.providers.local.provider import LocalProvider
from jupyter_faas.providers.local.run_dir import run_directory

_LOOK_S = 1.0
_MISSES = 2


def run(
    settings: Settings, first: ZygoteProcess, tell: Callable[[str], None], idle_exit_s: float
) -> None:
    """Run a gateway until it ends.

    Args:
        settings: Effective settings, with a token.
        first: The zygote that has been started already.
        tell: Called with the address once it answers.
        idle_exit_s: Unused for so long, it ends by itself; 0: never.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(settings, first, tell, idle_exit_s))


async def _live(
    settings: Settings, first: ZygoteProcess, tell: Callable[[str], None], idle_exit_s: float
) -> None:
    paths = StatePaths(settings.state_dir)
    told = told_to_end()
    service = _compose(settings, paths, first)
    await service.start()
    service.maps.keep_going(lambda: has_unfinished(paths.maps, service.accounts.tallies.is_over))
    try:
        write_state(paths, _state(service, settings, paths))
        if settings.ray_warm:
            await service.maps.warm()
        tell(service.url)
        await first_of(
            told.wait(), unused(idle_exit_s, service.use, time.monotonic), _displaced(paths)
        )
    finally:
        # First: who comes now must not find this one.
        mark_ended(paths, os.getpid())
        await service.stop()


def _compose(settings: Settings, paths: StatePaths, first: ZygoteProcess) -> GatewayService:
    provider = LocalProvider(settings, first=first)
    store = SqliteStore(paths.database, time.time, kept_records=settings.invocation_retention)
    service = GatewayService(settings, provider, store, time.monotonic)
    service.maps.host = _driver_host(service, paths)
    service.maps.seating = _seating(service, run_directory(paths.run, os.environ))
    return service


def _seating(service: GatewayService, run_dir: Path) -> Callable[[RevisionEntry], Seating]:
    """Return what tells what a revision needs on Ray: its replicas' Python and surroundings."""
    own = birth_of_own(())
    environ = zygote_environ(os.environ, "", run_dir)

    def seating(entry: RevisionEntry) -> Seating:
        place = entry.revision.spec.place
        specialisation = msgspec.msgpack.encode(service.told_elsewhere(entry))
        if service.settings.ray_host:
            return Seating(python=entry.revision.spec.code.python, specialisation=specialisation)
        return Seating(
            interpreter=own.interpreter if place is None else place.interpreter,
            pythonpath=own.pythonpath if place is None else pythonpath_of(place.sys_path),
            environ=environ,
            specialisation=specialisation,
        )

    return seating


def _driver_host(service: GatewayService, paths: StatePaths) -> DriverHost:
    """Return what starts the process of the maps: this program, in the gateway's environment."""
    run_dir = run_directory(paths.run, os.environ)

    def told(listen: str) -> bytes:
        token = service.settings.gateway_token
        settings = service.settings
        at = RayHostAt(settings.ray_host, settings.ray_host_token)
        start = DriverStart(
            listen=listen,
            gateway=service.listeners.address,
            token=token,
            run_dir=str(run_dir),
            ray_hosts={"": at} if at.address else {},
            ray_address=settings.ray_address,
            ray_cpus=settings.ray_cpus,
            ray_memory_bytes=settings.ray_memory_bytes,
            warm=_own_seating(run_dir) if settings.ray_warm else None,
            maps_dir=str(paths.maps),
            keep_s=service.settings.map_retention_s,
        )
        return msgspec.json.encode(start)

    return DriverHost(
        [sys.executable, "-P", "-m", "jupyter_faas", "driver"],
        os.environ,
        lambda number: str(run_dir / f"m{os.getpid()}-{number}.sock"),
        told,
    )


def _own_seating(run_dir: Path) -> Seating:
    own = birth_of_own(())
    environ = zygote_environ(os.environ, "", run_dir)
    return Seating(interpreter=own.interpreter, pythonpath=own.pythonpath, environ=environ)


def _state(service: GatewayService, settings: Settings, paths: StatePaths) -> GatewayState:
    return GatewayState(
        pid=os.getpid(),
        socket=str(paths.socket),
        url=service.url,
        token=settings.gateway_token,
        version=VERSION,
        protocol=PROTOCOL_VERSION,
        started_at=time.time(),
    )


async def _displaced(paths: StatePaths) -> None:
    """Return once the state file is gone or another's: no client can find this gateway."""
    misses = 0
    while misses < _MISSES:
        await asyncio.sleep(_LOOK_S)
        state = read_state(paths)
        misses = 0 if state is not None and state.pid == os.getpid() else misses + 1
