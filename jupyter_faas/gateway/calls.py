"""Lets calls in: who asks, for which function and revision, until when; and sees them out.

The front door gives every exchange on an invocation path to `Calls`. What is refused here was
never accepted and is only counted. Everything else lives as an `Invocation` in `active` until it
is settled: then it is recorded exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    InvocationTimeout,
    NotImplementedYet,
    QueueFull,
)
from jupyter_faas.core.model import Outcome, RevisionState
from jupyter_faas.core.slots import Replica as SlotsReplica
from jupyter_faas.gateway import heads, lineage, problems
from jupyter_faas.gateway.acts import call_of
from jupyter_faas.gateway.auth import Judge
from jupyter_faas.gateway.call_plan import Plan, plan_of
from jupyter_faas.gateway.endings import failure_of, too_large
from jupyter_faas.gateway.forwarding import is_forwarded
from jupyter_faas.gateway.held import Held
from jupyter_faas.gateway.invocation import Invocation
from jupyter_faas.gateway.passage import BUFFER_BYTES, FOREVER
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.detail import joined
from jupyter_faas.wire.exchange import Exchange

if TYPE_CHECKING:
    from jupyter_faas.core.ids import InvocationIds
    from jupyter_faas.core.specialisation import CallEnd
    from jupyter_faas.gateway.activator import Activator, Pool
    from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
    from jupyter_faas.gateway.metering import Metering
    from jupyter_faas.gateway.registry import Registry

CHECK_S = 0.5
"""How often waits without a deadline of their own are looked at."""

SLACK_S = 15.0
"""What a front may take beyond a function's own time-outs before it is given up."""


_OUTCOMES = {outcome.value: outcome for outcome in Outcome}

CANCELLED = Outcome.CANCELLED
"""Members of an enum are slow to look up on the class (Python 3.11)."""


class Calls:
    """All calls of one gateway.

    Args:
        registry: Finds functions.
        activator: Slots and queues.
        authority: Judges tokens.
        metering: Gets a record of each settled call.
        ids: Makes invocation ids.
        max_body_bytes: Largest body let in.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch; read once.
    """

    def __init__(  # noqa: PLR0913 — the parts it ties together
        self,
        registry: Registry,
        activator: Activator,
        authority: Judge,
        metering: Metering,
        ids: InvocationIds,
        *,
        max_body_bytes: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.activator = activator
        self.clock = clock
        self.max_body_bytes = max_body_bytes
        self.active: dict[bytes, Invocation] = {}
        self.rejected = 0
        self.handed_over = 0
        """Calls that waited here and went to another gateway; counted as cancelled too."""
        self.suspect: Callable[[SlotsReplica, str], None] = lambda _replica, _detail: None
        """Told of a replica that does not answer; the fleet decides what it is."""
        self.reason_s = 0.1
        """How long a cut connection waits to be told what became of the replica."""
        self.watch_over: Callable[[SlotsReplica, float], None] = lambda _replica, _busy_s: None
        """Told now and then for how long a call has been with a replica."""
        self.can_grow: Callable[[Pool], bool] = lambda _pool: True
        """Whether a revision has, or may get, replicas beyond those that serve."""
        self._registry = registry
        self._authority = authority
        self._metering = metering
        self._ids = ids
        self._epoch_s = wall_clock() - clock()
        self._connecting = Background("a connection to a replica")
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None

    # -- letting in -----------------------------------------------------------------------------

    def __call__(self, exchange: Exchange, namespace: str, name: str) -> None:
        """Take a request for a function; whatever is wrong with it is answered at once."""
        try:
            self._begin(exchange, namespace, name)
        except FaasError as error:
            exchange.respond(*problems.answer(error))

    def _begin(self, exchange: Exchange, namespace: str, name: str) -> None:
        function = self._registry.find(namespace, name)
        if function is None or not function.function.settings.public:
            header, act = exchange.header(b"authorization"), call_of(namespace)
            if self._authority.judge(header, act) is None:
                verdict = self._authority.review(header, act)
                Held(exchange, verdict, lambda: self._let_in(exchange, namespace, name))
                return
        self._let_in(exchange, namespace, name)

    def take_whole(
        self, exchange: Exchange, body: bytes, namespace: str, name: str, kind: type[Invocation]
    ) -> None:
        """Take a request whose bearer was judged before and whose body is here.

        Raises:
            FaasError: What is wrong with it; nothing was answered.
        """
        invocation = self._let_in(exchange, namespace, name, kind)
        invocation.body.append(body)
        invocation.body_bytes = len(body)
        invocation.is_body_whole = invocation.is_admitted = True
        self.admit(invocation)

    def _let_in(
        self, exchange: Exchange, namespace: str, name: str, kind: type[Invocation] = Invocation
    ) -> Invocation:
        """Take a request from somebody who may call."""
        function = self._registry.find(namespace, name) or self._registry.get(namespace, name)
        told = dict(exchange.headers)
        if exchange.method != b"POST":
            raise BadRequest("A function is called with POST.", status=405)
        size = exchange.content_length
        if size is not None and size > self.max_body_bytes:
            raise too_large(size, self.max_body_bytes)
        pool = self.activator.pool(self._revision(function, told))
        now_s = self.clock()
        invocation = kind(self, exchange, pool, self._id(told), now_s)
        invocation.lines = heads.forwarded(told)
        if b"faas-parent" in told or b"faas-deadline-ms" in told:
            self._bound(invocation, told)
        self.active[invocation.id] = invocation
        exchange.receiver = invocation
        return invocation

    def plan(self, exchange: Exchange, namespace: str, name: str) -> Plan | None:
        """Return what there is to know about calls with this head; None: each is looked at."""
        if (exchange.content_length or 0) > min(BUFFER_BYTES, self.max_body_bytes):
            return None
        return plan_of(exchange, namespace, name, self._authority)

    def repeat(self, exchange: Exchange, plan: Plan, body: bytes) -> bool:
        """Take a call whose head was seen before; False: it has to go the long way.

        What may have changed since is looked up again: the function, its traffic, its state.
        """
        function = self._registry.find(plan.namespace, plan.name)
        now_s = self.clock()
        if function is None:
            return False
        if plan.passed.until_s <= now_s and not function.function.settings.public:
            return False
        entry = function.route(plan.route_key)
        if entry.revision.state is RevisionState.FAILED:
            return False
        if plan.seen and self._registry.is_strangers(entry, plan.seen):
            return False
        id = self._ids.next()
        pool: Any = entry.pool or self.activator.pool(entry)
        invocation = Invocation(self, exchange, pool, id, now_s)
        invocation.lines = plan.lines
        invocation.framing = plan.framing
        invocation.body.append(body)
        invocation.body_bytes = len(body)
        invocation.is_body_whole = invocation.is_admitted = True
        self.active[id] = invocation
        exchange.receiver = invocation
        self._admit(invocation, now_s)
        return True

    def _revision(self, function: FunctionEntry, told: dict[bytes, bytes]) -> RevisionEntry:
        """Return the revision the call goes to: the pinned one, or by traffic."""
        if b"idempotency-key" in told:
            raise NotImplementedYet("Idempotency-Key is not supported yet.")
        pin = told.get(b"faas-revision")
        if pin is None:
            entry = function.route(told.get(b"faas-route-key"))
        else:
            entry = self._registry.get_revision(function, heads.revision_number(pin))
        if entry.revision.state is RevisionState.FAILED:
            raise failure_of(entry)
        seen = told.get(b"faas-seen")
        if seen is not None:
            self._registry.check_seen(entry, heads.revision_number(seen))
        return entry

    def _id(self, told: dict[bytes, bytes]) -> bytes:
        chosen = told.get(b"faas-invocation-id")
        if chosen is None:
            return self._ids.next()
        chosen = heads.invocation_id(chosen)
        if chosen in self.active:
            raise BadRequest(f"An invocation with the id {chosen.decode()} is running.", status=409)
        return chosen

    def _bound(self, invocation: Invocation, told: dict[bytes, bytes]) -> None:
        """Apply what the caller, and the call it was made from, leave of time."""
        limit_s = FOREVER
        given = told.get(b"faas-deadline-ms")
        if given is not None:
            limit_s = invocation.received_s + heads.deadline_ms(given) / 1000
        if b"faas-parent" in told:
            ancestor = self._bear(invocation, told)
            if ancestor is not None:
                spec = ancestor.pool.entry.revision.spec
                limit_s = min(limit_s, ancestor.limit_s, ancestor.leased_s + spec.timeout_s)
        if limit_s <= invocation.received_s:
            lineage.disown(invocation)
            raise InvocationTimeout("The caller's deadline had passed when the call came.")
        invocation.limit_s = limit_s

    def _bear(self, invocation: Invocation, told: dict[bytes, bytes]) -> Invocation | None:
        """Tie a nested call to the nearest invocation it is made in that runs at this gateway.

        Those between the two, if any, run at others; of them no more is known than their ids.
        """
        invocation.ancestry = told[b"faas-parent"]
        ids = heads.ancestry(invocation.ancestry)
        ancestor = next((self.active[one] for one in ids if one in self.active), None)
        depth = heads.depth(told.get(b"faas-depth", b"0"))
        if ancestor is not None:
            depth = max(depth, ancestor.depth)
        lineage.descend(invocation, depth)
        if ancestor is not None:
            lineage.adopt(ancestor, invocation)
        return ancestor

    # -- what invocations ask for ---------------------------------------------------------------

    def admit(self, invocation: Invocation) -> None:
        """Lease a replica to an invocation, or queue it."""
        self._admit(invocation, self.clock())

    def _admit(self, invocation: Invocation, now_s: float) -> None:
        pool = invocation.pool
        try:
            replica = self.activator.acquire(pool, invocation, now_s, invocation.limit_s)
        except QueueFull as full:
            self.rejected += 1
            pool.rejected += 1
            invocation.is_admitted = False
            invocation.on_given_up(full)
            return
        if replica is not None:
            invocation.lease(replica, now_s)  # type: ignore[arg-type]  # no other are made
        else:
            self._check_stuck(invocation)

    def _check_stuck(self, invocation: Invocation) -> None:
        if invocation.parent is not None and lineage.is_stuck(invocation.pool, self.can_grow):
            invocation.on_given_up(lineage.deadlock(invocation))

    def connect(self, invocation: Invocation, replica: Replica) -> None:
        """Connect to the replica an invocation was given; the one task a call may need."""
        self._connecting.run(self._connect(invocation, replica))

    async def _connect(self, invocation: Invocation, replica: Replica) -> None:
        upstream = replica.upstream
        assert upstream is not None
        try:
            connection = await upstream.connect()
        except OSError as error:
            if invocation.replica is replica:
                invocation.on_unreachable(str(error))
            return
        if invocation.replica is replica and not invocation.is_answered:
            invocation.send(replica, connection)
        else:
            upstream.keep(connection)

    def withdraw(self, invocation: Invocation, *, is_cancelled: bool) -> None:
        """Take an invocation out of the queue."""
        now_s = self.clock()
        self.activator.withdraw(invocation.pool, invocation, now_s, is_cancelled=is_cancelled)
        self._settle(invocation, now_s)

    def release(self, invocation: Invocation) -> None:
        """End the lease of an invocation, and settle it if its caller is done with it too."""
        now_s = self.clock()
        replica = invocation.replica
        if replica is not None:
            replica.last_used_s = now_s  # type: ignore[attr-defined]  # no other are made
            is_cancelled = invocation.outcome is CANCELLED
            self.activator.release(invocation.pool, invocation, now_s, is_cancelled=is_cancelled)
        if invocation.is_answered:
            self._settle(invocation, now_s)

    def longest_s(self, invocation: Invocation) -> float:
        """Return after how long a front that says nothing is given up."""
        spec = invocation.pool.entry.revision.spec
        tries = 1 + spec.retries.max_retries
        return (
            tries * (spec.timeout_s + spec.retries.max_delay_s) + spec.startup_timeout_s + SLACK_S
        )

    def hand_over(
        self, function: FunctionEntry, take: Callable[[Invocation], None], *, guests: bool = True
    ) -> None:
        """Give away the calls of a function that have no replica yet.

        Args:
            function: Belongs to another gateway now.
            take: Gets each of them; its exchange is not answered, its body so far in `body`.
            guests: Also those that another gateway has passed on to this one.
        """
        if all(one.pool is None for one in function.revisions.values()):
            return
        now_s = self.clock()
        for invocation in tuple(self.active.values()):
            is_ours = invocation.pool.entry.function is function and not invocation.is_answered
            if not is_ours or invocation.replica is not None:
                continue
            if not guests and is_forwarded(invocation.exchange):
                continue
            if invocation.is_queued:
                # Counted as cancelled here, and once more as accepted where it goes.
                self.activator.withdraw(invocation.pool, invocation, now_s, is_cancelled=True)
                self.handed_over += 1
            invocation.is_answered = invocation.is_settled = True
            self.active.pop(invocation.id, None)
            lineage.disown(invocation)
            take(invocation)
        self._note_drained()

    # -- for the control API --------------------------------------------------------------------

    def find(self, invocation_id: str) -> Invocation | None:
        """Return an invocation that has not been settled."""
        return self.active.get(invocation_id.encode("ascii", "replace"))

    def cancel(self, invocation_id: str, detail: str = "The call was cancelled.") -> bool:
        """Cancel an invocation; False: none of this id waits or runs."""
        invocation = self.find(invocation_id)
        return invocation is not None and invocation.cancel(detail)

    def on_ended(self, replica: Replica, ended: CallEnd) -> None:
        """The front of `replica` says that the code of a call has ended."""
        holder = replica.leases.get(ended.id.encode("ascii", "replace"))
        if isinstance(holder, Invocation):
            problem = ended.problem or {}
            code = str(problem.get("code", ""))[:64]
            why = joined(str(problem.get("detail", "")), str(problem.get("traceback", "")))
            holder.on_ended(ended.run_ms, _OUTCOMES.get(ended.outcome), code, why)

    # -- seeing out -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look after waits without a deadline of their own."""
        self._timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)

    async def drained(self) -> None:
        """Wait until no call waits or runs."""
        self._drained = asyncio.get_running_loop().create_future()
        if self.active:
            await self._drained

    def close(self) -> None:
        """Stop that."""
        if self._timer is not None:
            self._timer.cancel()
        self._connecting.cancel()

    def _check(self) -> None:
        now_s = self.clock()
        for invocation in tuple(self.active.values()):
            if invocation.is_queued:
                self._check_stuck(invocation)
            else:
                if invocation.replica is not None:
                    self.watch_over(invocation.replica, now_s - invocation.leased_s)
                invocation.check(now_s)
        self.start()

    def _note_drained(self) -> None:
        if self._drained is not None and not self.active and not self._drained.done():
            self._drained.set_result(None)

    def _settle(self, invocation: Invocation, now_s: float) -> None:
        """Count and record an invocation whose caller and whose code are both done."""
        if invocation.is_settled:
            return
        invocation.is_settled = True
        self.active.pop(invocation.id, None)
        self._note_drained()
        if invocation.parent is not None:
            lineage.disown(invocation)
        if invocation.children:
            for nested in tuple(lineage.descendants(invocation)):
                nested.cancel("The call it was made from has ended.")
        if not invocation.is_admitted:
            return
        pool = invocation.pool
        is_leased = invocation.replica_id != ""
        outcome = invocation.outcome
        if not is_leased and outcome is not CANCELLED:
            outcome = Outcome.DEAD
        received_s = invocation.received_s
        waited_s = (invocation.leased_s if is_leased else now_s) - received_s
        pool.count(outcome, now_s - received_s, waited_s, is_cold=invocation.is_cold)
        self._metering.add(
            (
                invocation.id.decode("ascii"),
                pool.name,
                pool.namespace,
                pool.number,
                invocation.replica_id,
                outcome,
                invocation.code,
                invocation.detail,
                self._epoch_s + received_s,
                waited_s * 1000,
                invocation.run_ms,
                pool.memory_mib,
                invocation.is_cold,
            )
        )
