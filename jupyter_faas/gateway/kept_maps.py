"""Kept maps of a cluster: each goes on at the owner of its function, wherever it was begun.

The blobs service has them (`gateway/store/kept_maps.py`); a driver works with a copy. This says
which gateway's driver that is: it holds the maps of the functions that are owned here, has the
driver take them up, and has it let go of those that are another's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from jupyter_faas.core.errors import FaasError, GatewayUnavailable, InvocationNotFound
from jupyter_faas.core.mapping import PATH
from jupyter_faas.core.ownership import Target
from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.forwarding import is_forwarded
from jupyter_faas.gateway.held import Held
from jupyter_faas.gateway.maps import Maps
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.store.kept_maps import MapPlace, OpenMap
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.kept import KeptLink
from jupyter_faas.wire.upstream import AnswerLost, request

LOOK_S, REST_LOOK_S = 1.0, 15.0
"""Between two looks, while there is something to run, and else."""
HOLD_S, HOLD_PAUSE_S = 10.0, 0.25
"""A map that changes hands is waited for so long."""
SWEEP_S = 600.0
UNBEGUN_S = 86_400.0
"""A map whose inputs have not come within so long is forgotten."""
_TIMEOUT_S = 10.0
_FAILURES = (FaasError, OSError, AnswerLost, TimeoutError, msgspec.MsgspecError, KeyError)
_states = msgspec.json.Decoder(dict[str, list[dict[str, Any]]]).decode
_log = logging.getLogger(__name__)


class KeptMaps:
    """A part of a cluster's gateway; see `service.Part`.

    Args:
        maps: This gateway's.
        link: To the service.
        owns: Whether a function of a namespace and a name is this gateway's.
        keep_s: How long a map is kept after its end.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        maps: Maps,
        link: KeptLink,
        owns: Callable[[str, str], bool],
        keep_s: float,
        wall_clock: Callable[[], float],
    ) -> None:
        self._maps = maps
        self._link = link
        self._owns = owns
        self._keep_s = keep_s
        self._wall_clock = wall_clock
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()
        self._is_busy = True
        self._swept_at = 0.0

    async def start(self) -> None:
        """Begin to see to it that they go on."""
        self._maps.kept = self
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Stop that; the driver writes down how far it is when it ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def on_replica(self, replica: Replica) -> None:
        """Nothing to do."""

    def on_scaled(self, scaled: Scaled) -> None:
        """Nothing to do."""

    def look_now(self) -> None:
        """Functions have changed hands."""
        self._now.set()

    @property
    def is_busy(self) -> bool:
        """Whether there is one here that has not ended."""
        return self._is_busy

    def take(self, exchange: Exchange, namespace: str, id: str) -> None:
        """Take a request about a kept map: it is for the driver of its function's owner."""
        found: list[Target] = []
        held: list[bool] = []

        async def look() -> None:
            place = await self._link.find("map_place", MapPlace, id)
            if place is None or place.namespace != namespace:
                raise InvocationNotFound(f"No map {id} is known here (any more).")
            target = (place.namespace, place.function)
            found.append(target)
            is_guest = is_forwarded(exchange)
            held.append(await self._hold_patiently(id, lambda: is_guest or self._owns(*target)))

        def go_on() -> None:
            if not held[0] and self._owns(*found[0]):
                self.take(exchange, namespace, id)  # it has just become ours: no driver runs it yet
            else:
                self._maps.go(exchange, namespace, None, found[0])

        Held(exchange, look(), go_on)

    async def states(self, namespace: str) -> list[dict[str, Any]]:
        """Return how the kept maps of a namespace go, as was last written down."""
        try:
            told = await self._link.ask("map_states", list[bytes], namespace, tries=1)
            return [msgspec.json.decode(state, type=dict[str, Any]) for state in told]
        except _FAILURES as error:
            _log.warning("kept maps are not listed: %s", error)
            return []

    # -- inside ---------------------------------------------------------------------------------

    async def _hold_patiently(self, id: str, is_ours: Callable[[], bool]) -> bool:
        """Hold a map as soon as nobody else does; False: it is not this gateway's to hold."""
        try:
            async with asyncio.timeout(HOLD_S):
                while is_ours():
                    if await self._hold(id, is_ours):
                        return True
                    await asyncio.sleep(HOLD_PAUSE_S)
                return False
        except TimeoutError:
            raise GatewayUnavailable(
                "The map changes hands: ask again.", retry_after_s=1.0
            ) from None

    async def _hold(self, id: str, is_ours: Callable[[], bool]) -> bool:
        if not await self._link.ask("map_take", bool, id):
            return False
        if is_ours():
            return True
        await self._link.ask("map_let_go", type(None), id)  # it became another's meanwhile
        return False

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self._is_busy else REST_LOOK_S):
                    await self._now.wait()
            self._now.clear()
            try:
                await self._look()
                await self._sweep()
            except _FAILURES as error:
                _log.warning("whether kept maps go on is not known: %s", error)
            except Exception:
                _log.exception("whether kept maps go on is not known")

    async def _look(self) -> None:
        """Have the driver run what is owned here, and let go of what is not."""
        there = await self._link.ask("map_open_maps", list[OpenMap])
        own = {
            one.id: (one.namespace, one.function)
            for one in there
            if self._owns(one.namespace, one.function)
        }
        address = self._maps.driver_address()
        if own and self._maps.host is not None:
            address = await self._maps.host.address()
        known = await self._known(address)
        for id, place in own.items():
            is_here = address is None or id in known
            if not is_here and await self._hold(id, partial(self._owns, *place)):
                await request(str(address), "GET", f"{PATH}/{id}", timeout_s=_TIMEOUT_S)
        for one in there:
            if one.is_ours and one.id not in known and one.id not in own:
                await self._link.ask("map_let_go", type(None), one.id)  # it was not said, or heard
        gone = [id for id, place in known.items() if not self._owns(*place)]
        for id in gone:
            assert address is not None
            headers = [(b"Faas-Release", b"1")]
            target = f"{PATH}/{id}/release"
            await request(address, "POST", target, headers, timeout_s=_TIMEOUT_S)
        self._is_busy = bool(own or gone)

    async def _known(self, address: str | None) -> dict[str, Target]:
        """Return the kept maps that the driver has."""
        if address is None:
            return {}
        answer = await request(address, "GET", PATH, timeout_s=_TIMEOUT_S)
        states = _states(answer.body)["maps"]
        return {one["id"]: (one["namespace"], one["function"]) for one in states if one["isKept"]}

    async def _sweep(self) -> None:
        now = self._wall_clock()
        if now - self._swept_at >= SWEEP_S:
            self._swept_at = now
            await self._link.ask("map_sweep", int, now - self._keep_s, now - UNBEGUN_S)
