"""The kept calls of one gateway: taken in, run when there is room, their ends kept and told.

    taken in (202) ─▶ waits in the backlog ─▶ with `Calls`, as any call ─▶ ended, told
                        ▲                        │ no room: nothing ran
                        └────────────────────────┘

A 202 is sent when the store has the call. That its code begins is stored before its replica hears
of it, so that after a kill it is known which calls may have run: those run again only if their
function is idempotent, all others as if nothing had been.

Where there are several gateways the store is shared, and each call is held by the owner of its
function: what has not begun goes with the function to its next owner, what runs ends here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_faas.core.backlog import Backlog, pause_s
from jupyter_faas.core.errors import (
    FaasError,
    GatewayLost,
    GatewayUnavailable,
    InvocationCancelled,
    known,
)
from jupyter_faas.core.ids import random_id
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.kept.attempt import Attempt, failure
from jupyter_faas.gateway.kept.callback import tell
from jupyter_faas.gateway.kept.intake import Intake, read_call
from jupyter_faas.gateway.kept.taking import Taking
from jupyter_faas.gateway.kept.waiters import Waiters
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store.kept_base import (
    ENDED,
    QUEUED,
    STARTED,
    KeptAnswer,
    KeptCall,
    KeptStore,
    Known,
)
from jupyter_faas.wire.answered import answered
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.exchange import Exchange

MOST_OUT = 500
"""Kept calls that are with `Calls` at once, of all functions together."""
SWEEP_S = 60.0
STORE_PAUSE_S = 1.0
"""Between two tries to write down how a call has ended."""
ASK_S = 0.1
"""So often it is asked how a call has ended that another gateway runs."""
CLOSE_S = 2.0
"""What has ended may take so long to be written down when the gateway ends."""

_JSON = (b"Content-Type", b"application/json")
_log = logging.getLogger(__name__)


class KeptCalls:
    """See above.

    Args:
        store: Keeps them.
        calls: Runs them.
        registry: Knows the functions.
        kept_s: How long an answer is kept.
        max_body_bytes: Largest body taken in.
        max_answer_bytes: Largest answer kept.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        store: KeptStore,
        calls: Calls,
        registry: Registry,
        *,
        kept_s: float,
        max_body_bytes: int,
        max_answer_bytes: int,
        wall_clock: Callable[[], float],
    ) -> None:
        self.taking = Taking(store, self._take_up, lambda: self.is_busy)
        """Says which calls are this gateway's to run."""
        self._store = store
        self._calls = calls
        self._registry = registry
        self._kept_s = kept_s
        self._max_body_bytes = max_body_bytes
        self._max_answer_bytes = max_answer_bytes
        self._wall_clock = wall_clock
        self._backlog = Backlog(MOST_OUT)
        self._open: dict[str, KeptCall] = {}
        self._tries: dict[str, int] = {}
        self._waiters = Waiters()
        self._background = Background("work on a kept call")
        self._ending = Background("the end of a kept call")
        self._telling: set[str] = set()
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether any of them has not ended."""
        return bool(self._open)

    def is_open(self, id: str) -> bool:
        """Whether a kept call is here and has not ended."""
        return id in self._open

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside, unless this gateway ends."""
        if self._is_closed:
            work.close()  # the next start goes on with it
        else:
            self._background.run(work)

    async def start(self) -> None:
        """Go on with what is not finished; the gateway can call."""
        self.begin(self._sweep())
        if self._store.is_shared:  # it may be away: calls do not wait for it
            self.begin(self.taking.keep_looking())
        else:
            await self.taking.once()

    async def close(self) -> None:
        """Stop; what has not ended goes on with the next start."""
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._ending.ended()
        await self._ending.close()
        await self._background.close()

    # -- changing hands -------------------------------------------------------------------------

    def on_moves(self) -> None:
        """Other functions are this gateway's: let go of what is not, and look what has come."""
        gone = [call for call in self._open.values() if not self.taking.owns(*_place(call))]
        waiting = [call for call in gone if self._backlog.remove(_place(call), call.id)]
        if waiting:
            self._let_go(waiting)
        self.taking.look_now()

    def on_handed_over(self, call: KeptCall) -> None:
        """It waited with `Calls` while its function became another gateway's."""
        self._let_go([call])

    def _let_go(self, calls: list[KeptCall]) -> None:
        for call in calls:
            self.forget(call)
        self.begin(self._store.let_go([call.id for call in calls]))
        self._give_on()

    def forget(self, call: KeptCall) -> None:
        """It is another gateway's."""
        self._open.pop(call.id, None)
        self._tries.pop(call.id, None)
        self._backlog.done(call.id)
        self._waiters.wake(call.id)

    def _take_up(self, taken: list[Known]) -> None:
        for call, state in taken:
            if call.id in self._open or call.id in self._telling:
                continue
            if state == ENDED:
                self.begin(self._tell(call))
                continue
            self._open[call.id] = call
            if state == STARTED and not self._may_run_again(call):
                lost = "The gateway was ended while this call ran; its code may have run."
                self.end(call, failure(call, GatewayLost(lost), self._wall_clock()))
            else:
                self._backlog.add(_place(call), call.id)
        self._give_on()

    # -- taking in ------------------------------------------------------------------------------

    def __call__(self, exchange: Exchange, namespace: str, name: str) -> None:
        """Take a request; the bearer may call this function.

        Raises:
            FaasError: It cannot be kept.
        """
        self._registry.get(namespace, name)
        call = read_call(exchange, random_id("c"), namespace, name, self._wall_clock())
        Intake(
            exchange,
            self._max_body_bytes,
            lambda body: self.begin(answered(exchange, lambda: self._keep(exchange, call, body))),
        )

    async def _keep(self, exchange: Exchange, call: KeptCall, body: bytes) -> None:
        id = await self._store.add(call, body)
        if id == call.id:
            self._open[id] = call
            self._backlog.add(_place(call), id)
        location = f"/v1/invocations/{id}"
        if not exchange.is_over:
            headers = [
                _JSON,
                (b"Faas-Invocation-Id", id.encode()),
                (b"Location", location.encode()),
            ]
            said = {"id": id, "location": location, "result": f"{location}/result"}
            exchange.respond(202, headers, msgspec.json.encode(said))
        self._give_on()

    # -- running --------------------------------------------------------------------------------

    def _give_on(self) -> None:
        if not self._is_closed:
            for id in self._backlog.take(self._limit):
                self.begin(self._attempt(self._open[id]).run())

    def _limit(self, place: Any) -> int:
        entry = self._registry.find(*place)
        if entry is None:
            return MOST_OUT  # each is told at once that it is gone
        newest = max(entry.revisions)
        per_replica = entry.revisions[newest].revision.spec.max_inputs
        return entry.function.settings.scaling.max_containers * per_replica

    def _attempt(self, call: KeptCall) -> Attempt:
        return Attempt(
            call,
            self,
            self._store,
            self._calls,
            max_answer_bytes=self._max_answer_bytes,
            wall_clock=self._wall_clock,
        )

    def again(self, call: KeptCall, error: FaasError | None) -> None:
        """Nothing of it ran: have it wait, and go on later."""
        if error is not None:
            _log.warning("kept call %s waits: %s", call.id, error.detail)
        tries = self._tries[call.id] = self._tries.get(call.id, 0) + 1
        self.begin(self._later(call, pause_s(tries)))

    async def _later(self, call: KeptCall, pause: float) -> None:
        await asyncio.sleep(pause)
        self._backlog.done(call.id)
        if call.id in self._open:
            self._backlog.add(_place(call), call.id)
        self._give_on()

    def end(self, call: KeptCall, answer: KeptAnswer) -> None:
        """It has ended."""
        if not self._is_closed:
            self._ending.run(self._end(call, answer))

    async def _end(self, call: KeptCall, answer: KeptAnswer) -> None:
        """Keep how a call has ended, however long the store takes, and tell who waits."""
        if self._open.pop(call.id, None) is None:
            return  # cancelled meanwhile, or another gateway's
        self._tries.pop(call.id, None)
        while True:
            try:
                is_ours = await self._store.end(call.id, answer, is_told=not call.callback_url)
                break
            except Exception as error:
                _log.error("the end of %s cannot be kept yet: %s", call.id, known(error).detail)
                await asyncio.sleep(STORE_PAUSE_S)
        self._waiters.wake(call.id)
        self._backlog.done(call.id)
        self._give_on()
        if call.callback_url and is_ours:
            await self._tell(call)

    async def _tell(self, call: KeptCall) -> None:
        self._telling.add(call.id)
        try:
            answer = await self._store.answer(call.id)
            if answer is not None:
                await tell(call, answer)
            await self._store.note_told(call.id)
        finally:
            self._telling.discard(call.id)

    # -- for the control API --------------------------------------------------------------------

    async def place_of(self, id: str) -> tuple[str, str] | None:
        """Return namespace and name of the function of a kept call; None: there is no such call."""
        call = self._open.get(id)
        if call is None:
            known = await self._store.find(id)
            call = None if known is None else known.call
        return None if call is None else _place(call)

    async def find(self, id: str) -> tuple[KeptCall, str] | None:
        """Return a kept call and `queued`, `running` or `ended`."""
        known = await self._store.find(id)
        if known is None:
            return None
        if id not in self._open:
            return known.call, _WORDS[known.state]
        running = self._calls.find(id)
        is_running = running is not None and running.replica is not None
        return known.call, "running" if is_running else "queued"

    async def answer(self, id: str, wait_s: float) -> KeptAnswer | None:
        """Return how a kept call has ended, waiting at most so long for it; None: not yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not self._is_closed:
                    if id in self._open:
                        await self._waiters.wait(id)
                    found = await self._store.answer(id)
                    if found is not None:
                        return found
                    await asyncio.sleep(ASK_S)  # another gateway runs it
        return await self._store.answer(id)

    async def cancel(self, id: str) -> bool:
        """End a kept call that waits or runs; False: it has ended.

        Raises:
            GatewayUnavailable: Another gateway has it at the moment.
        """
        call = self._open.get(id)
        if call is None:
            known = await self._store.find(id)
            if known is not None and known.state != ENDED:
                raise GatewayUnavailable("The call changes hands: try again.", retry_after_s=1.0)
            return False
        if not self._calls.cancel(id):
            self._backlog.remove(_place(call), id)
            error = InvocationCancelled("The call was cancelled.")
            await self._end(call, failure(call, error, self._wall_clock()))
        return True

    # -- inside ---------------------------------------------------------------------------------

    def _may_run_again(self, call: KeptCall) -> bool:
        entry = self._registry.find(call.namespace, call.function)
        if entry is None or not entry.revisions:
            return False
        return entry.revisions[max(entry.revisions)].revision.spec.idempotent is True

    async def _sweep(self) -> None:
        while True:
            try:
                await self._store.drop(self._wall_clock() - self._kept_s)
            except FaasError as error:
                _log.warning("old answers of kept calls stay: %s", error.detail)
            await asyncio.sleep(SWEEP_S)


_WORDS = {QUEUED: "queued", STARTED: "running", ENDED: "ended"}


def _place(call: KeptCall) -> tuple[str, str]:
    return call.namespace, call.function
