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
    InvocationTimeout,
    PayloadTooLarge,
    QueueFull,
    ReplicaLost,
)
from jupyter_faas.core.ids import random_id
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.kept.callback import tell
from jupyter_faas.gateway.kept.exchange import KeptExchange, KeptInvocation
from jupyter_faas.gateway.kept.intake import Intake, read_call
from jupyter_faas.gateway.kept.taking import Taking
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
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()
        self._telling: set[str] = set()
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether any of them has not ended."""
        return bool(self._open)

    def is_open(self, id: str) -> bool:
        """Whether a kept call has not ended."""
        return id in self._open

    async def start(self) -> None:
        """Go on with what is not finished; the gateway can call."""
        self._begin(self._sweep())
        if self._store.is_shared:  # it may be away: calls do not wait for it
            self._begin(self.taking.keep_looking())
        else:
            await self.taking.once()

    async def close(self) -> None:
        """Stop; what has not ended goes on with the next start."""
        self._is_closed = True
        if self._ending:
            await asyncio.wait(self._ending, timeout=CLOSE_S)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
            self._forget(call)
        self._begin(self._store.let_go([call.id for call in calls]))
        self._give_on()

    def _forget(self, call: KeptCall) -> None:
        """It is another gateway's."""
        self._open.pop(call.id, None)
        self._tries.pop(call.id, None)
        self._backlog.done(call.id)
        self._wake(call.id)

    def _take_up(self, taken: list[Known]) -> None:
        for call, state in taken:
            if call.id in self._open or call.id in self._telling:
                continue
            if state == ENDED:
                self._begin(self._tell(call))
                continue
            self._open[call.id] = call
            if state == STARTED and not self._may_run_again(call):
                lost = "The gateway was ended while this call ran; its code may have run."
                self._fail(call, GatewayLost(lost))
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
            lambda body: self._begin(self._keep(exchange, call, body)),
        )

    async def _keep(self, exchange: Exchange, call: KeptCall, body: bytes) -> None:
        try:
            id = await self._store.add(call, body)
        except FaasError as error:
            exchange.respond(*problems.answer(error))
            return
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
                self._begin(self._run(self._open[id]))

    def _limit(self, place: Any) -> int:
        entry = self._registry.find(*place)
        if entry is None:
            return MOST_OUT  # each is told at once that it is gone
        newest = max(entry.revisions)
        per_replica = entry.revisions[newest].revision.spec.max_inputs
        return entry.function.settings.scaling.max_containers * per_replica

    async def _run(self, call: KeptCall) -> None:
        """Give a call to `Calls`; what comes of it comes by callback."""
        try:
            body = await self._store.body(call.id) or b""
        except FaasError as error:
            self._again(call, error)
            return
        if call.id not in self._open:
            return  # it has gone to another gateway meanwhile
        headers = [*call.headers, (b"faas-invocation-id", call.id.encode())]
        if call.deadline_at:
            left_ms = int((call.deadline_at - self._wall_clock()) * 1000)
            if left_ms <= 0:
                self._fail(call, InvocationTimeout("Its deadline passed while it waited."))
                return
            headers.append((b"faas-deadline-ms", b"%d" % left_ms))
        exchange = KeptExchange(
            headers,
            len(body),
            on_lease=lambda go: self._begin(self._note_start(call, go)),
            on_whole=lambda status, said, data: self._on_whole(call, status, said, data),
            on_cut=lambda: self._fail(
                call, ReplicaLost("The answer broke off in the middle.", reason="cut")
            ),
            on_handed_over=lambda: self.on_handed_over(call),
        )
        try:
            self._calls.take_whole(exchange, body, *_place(call), KeptInvocation)
        except FaasError as error:
            self._on_whole(call, *problems.answer(error, call.id.encode()))

    async def _note_start(self, call: KeptCall, go: Callable[[], None]) -> None:
        try:
            if await self._store.note_started(call.id):
                go()
                return
            why = "another gateway has it"
            self._forget(call)
        except FaasError as error:
            why = error.detail
        invocation = self._calls.find(call.id)
        if invocation is not None:
            full = QueueFull(f"That the call begins cannot be stored: {why}")
            invocation.on_given_up(full)  # nothing was sent: it is tried again

    def _on_whole(
        self, call: KeptCall, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        is_room_missing = any(
            name.lower() == b"faas-fault" and value == b"capacity" for name, value in headers
        )
        if is_room_missing and call.id in self._open:
            self._again(call, None)
        else:
            if len(body) > self._max_answer_bytes:
                status, headers, body = problems.answer(_too_large(body, self._max_answer_bytes))
            answer = KeptAnswer(status, headers, body, self._wall_clock())
            self._begin_end(call, answer)

    def _again(self, call: KeptCall, error: FaasError | None) -> None:
        """Nothing of it ran: have it wait, and go on later."""
        if error is not None:
            _log.warning("kept call %s waits: %s", call.id, error.detail)
        tries = self._tries[call.id] = self._tries.get(call.id, 0) + 1
        self._begin(self._later(call, pause_s(tries)))

    async def _later(self, call: KeptCall, pause: float) -> None:
        await asyncio.sleep(pause)
        self._backlog.done(call.id)
        if call.id in self._open:
            self._backlog.add(_place(call), call.id)
        self._give_on()

    def _fail(self, call: KeptCall, error: FaasError) -> None:
        status, headers, body = problems.answer(error, call.id.encode())
        self._begin_end(call, KeptAnswer(status, headers, body, self._wall_clock()))

    def _begin_end(self, call: KeptCall, answer: KeptAnswer) -> None:
        self._begin(self._end(call, answer), self._ending)

    async def _end(self, call: KeptCall, answer: KeptAnswer) -> None:
        """Keep how a call has ended, however long the store takes, and tell who waits."""
        if self._open.pop(call.id, None) is None:
            return  # cancelled meanwhile, or another gateway's
        self._tries.pop(call.id, None)
        while True:
            try:
                is_ours = await self._store.end(call.id, answer, is_told=not call.callback_url)
                break
            except FaasError as error:
                _log.error("the end of %s cannot be kept yet: %s", call.id, error.detail)
                await asyncio.sleep(STORE_PAUSE_S)
        self._wake(call.id)
        self._backlog.done(call.id)
        self._give_on()
        if call.callback_url and is_ours:
            await self._tell(call)

    def _wake(self, id: str) -> None:
        for future in self._waiting.pop(id, ()):
            if not future.done():
                future.set_result(None)

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
                        await self._ended(id)
                    found = await self._store.answer(id)
                    if found is not None:
                        return found
                    await asyncio.sleep(ASK_S)  # another gateway runs it
        return await self._store.answer(id)

    async def _ended(self, id: str) -> None:
        """Wait until it has ended, or is another gateway's."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(id, set())
        waiting.add(future)
        try:
            await future
        finally:
            waiting.discard(future)

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
            status, headers, body = problems.answer(error, id.encode())
            await self._end(call, KeptAnswer(status, headers, body, self._wall_clock()))
        return True

    # -- inside ---------------------------------------------------------------------------------

    def _may_run_again(self, call: KeptCall) -> bool:
        entry = self._registry.find(call.namespace, call.function)
        if entry is None or not entry.revisions:
            return False
        return entry.revisions[max(entry.revisions)].revision.spec.idempotent is True

    def _begin(
        self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[Any]] | None = None
    ) -> None:
        if self._is_closed:
            work.close()  # the next start goes on with it
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        if among is not None:
            among.add(task)
            task.add_done_callback(among.discard)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a kept call failed in the gateway", exc_info=task.exception())

    async def _sweep(self) -> None:
        while True:
            try:
                await self._store.drop(self._wall_clock() - self._kept_s)
            except FaasError as error:
                _log.warning("old answers of kept calls stay: %s", error.detail)
            await asyncio.sleep(SWEEP_S)


_WORDS = {QUEUED: "queued", STARTED: "running", ENDED: "ended"}


def _too_large(body: bytes, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The answer has {len(body)} bytes and at most {most} are kept: have the function write it "
        "somewhere and return where, or wait for it with .remote()."
    )


def _place(call: KeptCall) -> tuple[str, str]:
    return call.namespace, call.function
