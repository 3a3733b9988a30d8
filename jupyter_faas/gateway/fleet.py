"""The replicas of all revisions, from the wish to have one until its end.

    wanted ─▶ starting ─(provider: started)─▶ specialised ─▶ watched ─▶ ready ─▶ draining ─▶ gone
                  └──────────── failed, or lost at any point, each with a reason ──────────▶ gone

How many is the autoscaler's business; what a call does is the activator's. Here the provider's
events are followed, each said to whom it concerns: a ready replica takes invocations, a lost one
ends those it held with the reason, a first start that fails makes the revision failed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_faas.core.errors import (
    ColdStartTimeout,
    FaasError,
    to_problem,
)
from jupyter_faas.core.ids import random_id
from jupyter_faas.core.model import ReplicaState, RevisionState
from jupyter_faas.core.slots import Replica as SlotsReplica
from jupyter_faas.core.specialisation import CallEnd, Hello
from jupyter_faas.gateway import adoption
from jupyter_faas.gateway.activator import Activator
from jupyter_faas.gateway.adoption import Fate
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.fleet_ports import (
    FleetSettings,
    Observer,
    Outlook,
    is_passing,
    start_error,
)
from jupyter_faas.gateway.letters import Letters
from jupyter_faas.gateway.link import Link
from jupyter_faas.gateway.repeats import RepeatingUpstream
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.roster import Roster
from jupyter_faas.gateway.specialise import SLACK_S, Surroundings, specialise
from jupyter_faas.gateway.succession import Succession
from jupyter_faas.providers.base import (
    Provider,
    ReplicaComing,
    ReplicaEvent,
    ReplicaFound,
    ReplicaGone,
    ReplicaLeaving,
    ReplicaMisfit,
    ReplicaPending,
    ReplicaStarted,
)
from jupyter_faas.wire.background import Background

if TYPE_CHECKING:
    from jupyter_faas.gateway.keys import Keys

TRIES = 3
"""Starts that fail for reasons of the platform before the revision is given up."""

_log = logging.getLogger(__name__)


class Fleet:
    """Every replica of one gateway.

    Args:
        provider: Opened.
        activator: Gives ready replicas their invocations.
        registry: Learns whether revisions get ready.
        observer: Told of everything that people or other parts see.
        surroundings: What replicas are told of the gateway.
        settings: Graces and paths.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch, for people.
        keys: Of a cluster's gateways: secrets of replicas come from them, and specialisations are
            sealed with them. None: secrets are random, and nobody else knows them.
    """

    def __init__(  # noqa: PLR0913 — the parts it ties together
        self,
        provider: Provider,
        activator: Activator,
        registry: Outlook,
        observer: Observer,
        *,
        surroundings: Surroundings,
        settings: FleetSettings,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        keys: Keys | None = None,
    ) -> None:
        self._provider = provider
        self._activator = activator
        self._registry = registry
        self._observer = observer
        self.letters = Letters(provider, settings, surroundings, keys)
        self._settings = settings
        self._clock = clock
        self._wall_clock = wall_clock
        self._keys = keys
        self.owns: Callable[[FunctionEntry], bool] = lambda _function: True
        """Whether the replicas of a function are this gateway's to care for."""
        self._roster = Roster()
        self._succession = Succession(self._start_made_to_measure, self.stop, observer.on_change)
        self._failures: dict[str, int] = {}
        self._given_away: set[str] = set()  # let go while they were starting
        self._links: dict[str, Link] = {}
        self._background = Background("work on a replica")
        activator.on_idle = self._on_idle

    # -- for the autoscaler and people ----------------------------------------------------------

    def replicas(self, entry: RevisionEntry) -> Sequence[Replica]:
        """Return the replicas of a revision that have not ended, draining ones too."""
        return self._roster.of(entry)

    def all(self) -> Sequence[Replica]:
        """Return every replica that has not ended."""
        return self._roster.all()

    def find(self, replica_id: str) -> Replica | None:
        """Return a replica by id."""
        return self._roster.find(replica_id)

    def start(self, entry: RevisionEntry, count: int) -> None:
        """Begin to start replicas; they are among `replicas` at once, as starting."""
        fresh = [self._wanted(entry) for _ in range(count)]
        self._background.run(self._ask(entry, [replica.id for replica in fresh]))

    def stop(self, replica: Replica) -> None:
        """Let a replica finish what it does, then end it."""
        if replica.is_leaving:
            return
        was_starting = replica.state is ReplicaState.STARTING
        self._succession.on_stop(replica)
        self._change(replica, ReplicaState.DRAINING)
        self._activator.close_replica(replica.entry, replica)
        if was_starting or not replica.leases:
            self._end(replica)
            return
        spec = replica.entry.revision.spec
        grace_s = max(self._settings.drain_grace_s, spec.timeout_s + SLACK_S)
        self._roster.alarm(replica, grace_s, self._end)

    def let_go(self, entry: RevisionEntry) -> None:
        """Give nothing more to the replicas of a revision that another gateway owns now.

        Calls in flight go on. Where the other one can adopt replicas they are forgotten, not
        ended; where each gateway has its own they drain and end.
        """
        for replica in self.replicas(entry):
            if not self._provider.is_shared:
                self.stop(replica)
            elif not replica.is_leaving:
                replica.is_let_go = True
                if replica.state is ReplicaState.STARTING:
                    self._given_away.add(replica.id)
                replica.state = ReplicaState.DRAINING
                self._activator.close_replica(entry, replica)
                if not replica.leases:
                    self._end(replica)

    def suspect(self, replica: SlotsReplica, detail: str) -> None:
        """Take a replica out that does not answer any more; the provider ends what is left."""
        assert isinstance(replica, Replica)
        if replica.state is ReplicaState.LOST:
            return
        _log.warning("replica %s is given up: %s", replica.id, detail)
        self._background.run(self._provider.stop(replica.id, grace_s=0.0))
        self._lose(replica, "crashed", detail)

    # -- following the provider -----------------------------------------------------------------

    async def follow(self) -> None:
        """Read the provider's events until it is closed."""
        async for event in self._provider.watch():
            try:
                self._take(event)
            except Exception:
                # One replica's trouble must not stop the news of all others.
                _log.exception("an event of the provider could not be followed: %r", event)

    async def close(self) -> None:
        """Forget everything without waiting; the provider ends the replicas."""
        self._roster.close()
        for link in self._links.values():
            link.close()
        for replica in self._roster.all():
            replica.forget_place()
        await self._background.close()

    def _take(self, event: ReplicaEvent) -> None:
        replica = self._roster.find(event.replica)
        if replica is None:
            self._take_unknown(event)
        elif isinstance(event, ReplicaComing):
            self._foresee(replica, event)
        elif isinstance(event, ReplicaStarted):
            self._reachable(replica, event)
        elif isinstance(event, ReplicaPending):
            replica.reason = event.reason
            self._observer.on_change(replica)
        elif isinstance(event, ReplicaMisfit):
            self._succession.on_misfit(replica, event.reason)
        elif isinstance(event, ReplicaLeaving):
            replica.reason = event.reason
            self._leave(replica)
        elif isinstance(event, ReplicaGone):
            self._gone(replica, event)

    def _take_unknown(self, event: ReplicaEvent) -> None:
        was_given_away = event.replica in self._given_away
        if isinstance(event, (ReplicaStarted, ReplicaGone)):
            self._given_away.discard(event.replica)
        if isinstance(event, ReplicaStarted) and not was_given_away:
            self._background.run(self._provider.stop(event.replica, grace_s=0.0))
        elif isinstance(event, ReplicaFound):
            self._find_a_place(event)

    def _leave(self, replica: Replica) -> None:
        """A replica drains that nobody here has stopped: another one is needed at once."""
        self.stop(replica)
        self._observer.on_gone(replica.entry, has_been_ready=True)

    def _start_made_to_measure(self, entry: RevisionEntry) -> Replica:
        replica = self._wanted(entry)
        self._background.run(self._ask(entry, [replica.id], made_to_measure=True))
        return replica

    def _wanted(self, entry: RevisionEntry) -> Replica:
        return self._enter(random_id("r"), entry)

    def _enter(self, replica_id: str, entry: RevisionEntry) -> Replica:
        """Note a replica that is to be, or that is there and unknown here."""
        replica = Replica(replica_id, entry, self._secret(replica_id), self._wall_clock())
        replica.last_used_s = self._clock()
        self._roster.enter(replica)
        self._roster.alarm(replica, entry.revision.spec.startup_timeout_s + SLACK_S, self._late)
        self._observer.on_change(replica)
        return replica

    def _secret(self, replica_id: str) -> str:
        return self._keys.replica_secret(replica_id) if self._keys else secrets.token_hex(16)

    async def _ask(
        self, entry: RevisionEntry, replica_ids: list[str], *, made_to_measure: bool = False
    ) -> None:
        start = self._provider.start
        try:
            await start(entry.revision, replica_ids, made_to_measure=made_to_measure)
        except FaasError as error:
            for replica_id in replica_ids:
                replica = self._roster.find(replica_id)
                if replica is not None:
                    self._fail(replica, error)

    def _foresee(self, replica: Replica, event: ReplicaComing) -> None:
        """Write the letter and connect while the provider still works: nothing is sent yet."""
        if replica.state is ReplicaState.STARTING:
            self._place(replica, event)
            replica.letter = asyncio.get_running_loop().create_task(
                self.letters.write_ahead(replica)
            )

    def _reachable(self, replica: Replica, event: ReplicaStarted) -> None:
        if replica.state is not ReplicaState.STARTING:
            return
        is_foreseen = (replica.address, replica.seal) == (event.address, event.seal)
        if replica.letter is None or not is_foreseen:
            self._place(replica, event)
        if replica.reason:
            replica.reason = ""  # what it has waited for is there: from now on it is the code
            self._observer.on_change(replica)
        replica.node, replica.pid, replica.how = event.node, event.pid, event.how
        replica.start_ms = round((self._clock() - replica.last_used_s) * 1000, 3)
        replica.task = self._background.run(self._bring_up(replica))

    def _place(self, replica: Replica, event: ReplicaComing | ReplicaStarted) -> None:
        """Learn where a replica is; what was made ready for another place is of no use."""
        replica.forget_place()
        replica.address, replica.seal = event.address, event.seal
        replica.upstream = RepeatingUpstream(event.address)

    # -- replicas of others ---------------------------------------------------------------------

    async def restore(self, function: FunctionEntry) -> None:
        """Adopt the replicas that a function has: this gateway has just come to own it."""
        try:
            found = await self._provider.known(function.namespace, function.name)
        except FaasError:
            _log.exception("replicas of %s cannot be looked for", function)
            return
        for one in found:
            if one.replica not in self._roster:
                self._find_a_place(one)

    def adopt(self, entry: RevisionEntry, found: ReplicaFound) -> Replica:
        """Take over a replica of a revision that another gateway, or an earlier one, has started.

        It is among `replicas` at once, as starting. Calls that it runs for others go on: its front
        says whether it has room for more.
        """
        self._give_way(entry)
        replica = self._enter(found.replica, entry)
        replica.is_adopted = True
        self._provider.adopted(entry.revision, replica.id)
        replica.address, replica.node, replica.seal = found.address, found.node, found.seal
        replica.upstream = RepeatingUpstream(found.address)
        replica.task = self._background.run(self._take_over(replica))
        return replica

    def _give_way(self, entry: RevisionEntry) -> None:
        """Take back the wish for a replica that there is no pod for yet: here is one."""
        for replica in self.replicas(entry):
            is_waiting = replica.state is ReplicaState.STARTING and replica.upstream is None
            if is_waiting and not self._succession.is_successor(replica):
                self.stop(replica)
                return

    def _find_a_place(self, found: ReplicaFound) -> None:
        """Adopt what serves a revision that is there; end what serves one that is not."""
        function = self._registry.find(found.namespace, found.function)
        if function is None or not self.owns(function):
            return
        for entry in function.revisions.values():
            is_usable = entry.revision.state is not RevisionState.FAILED
            if entry.revision.id == found.revision_id and is_usable:
                self.adopt(entry, found)
                return
        self._background.run(
            self._provider.stop(found.replica, grace_s=self._settings.drain_grace_s)
        )

    async def _take_over(self, replica: Replica) -> None:
        met = await adoption.meet(replica, self._listen_to)
        if met.fate is Fate.STOP or met.hello is None:
            self._turn_away(replica, met.why)
        elif met.fate is Fate.SPECIALISE:
            replica.seal = met.seal
            await self._bring_up(replica)
        else:
            await self._let_serve(replica, met.hello)

    def _turn_away(self, replica: Replica, why: str) -> None:
        """End a replica that cannot be adopted; that is no fault of its revision.

        It may be draining, and run calls for the gateway that had it before.
        """
        if replica.state is not ReplicaState.STARTING:
            return
        _log.warning("replica %s is not adopted: %s", replica.id, why)
        self._background.run(self._provider.stop(replica.id, grace_s=self._settings.drain_grace_s))
        self._lose(replica, "stopped", why)

    # -- up -------------------------------------------------------------------------------------

    async def _bring_up(self, replica: Replica) -> None:
        """Specialise a replica, begin to listen to it, and let it serve."""
        try:
            letter = await (replica.letter or self.letters.write(replica))
            hello = await specialise(replica, letter)
            await self._listen_to(replica)
        except FaasError as error:
            if replica.state is ReplicaState.STARTING:
                self._fail(replica, error)
        else:
            await self._let_serve(replica, hello)

    async def _listen_to(self, replica: Replica) -> None:
        link = self._links[replica.id] = Link(replica, self)
        await link.open()

    async def _let_serve(self, replica: Replica, hello: Hello) -> None:
        if replica.entry.is_pending:
            await self._mark_ready(replica.entry)
        if replica.state is ReplicaState.STARTING:
            self._serve(replica, hello)

    async def _mark_ready(self, entry: RevisionEntry) -> None:
        """Move traffic before the first answer: after a new one nobody gets an old one."""
        try:
            await self._registry.mark_ready(entry)
        except FaasError:
            # The store is in trouble; calls that wait for this revision need not be.
            _log.exception("revision %s could not be marked ready", entry.key)

    def _serve(self, replica: Replica, hello: Hello) -> None:
        entry = replica.entry
        self._roster.quiet(replica)
        replica.load_ms = round(hello.load_ms, 3)
        if hello.worker_pid is not None:
            replica.pid = hello.worker_pid
        replica.ready_at_s = replica.last_used_s = self._clock()
        replica.reason = ""
        self._failures.pop(entry.key, None)
        self._change(replica, ReplicaState.READY)
        self._activator.add_replica(entry, replica)
        self._succession.on_ready(replica)
        self._observer.on_ready(entry)

    def _late(self, replica: Replica) -> None:
        limit_s = replica.entry.revision.spec.startup_timeout_s
        why = f": {replica.reason}" if replica.reason else ""
        name = replica.entry.function.name
        self._fail(
            replica,
            ColdStartTimeout(
                f"No replica of `{name}` was ready within startup_timeout={limit_s:g} s{why}.",
                **({"waited_for": replica.reason} if replica.reason else {}),
            ),
        )

    def _fail(self, replica: Replica, error: FaasError) -> None:
        """A start did not work out: end what there is of it, and judge the revision."""
        if replica.state is not ReplicaState.STARTING:
            return
        self._background.run(self._provider.stop(replica.id, grace_s=0.0))
        self._lose(replica, "start_failed", error.detail, error)

    def _judge(self, entry: RevisionEntry, error: FaasError) -> None:
        """After a failed start: is it the revision's fault, and must those who wait know?"""
        failures = self._failures[entry.key] = self._failures.get(entry.key, 0) + 1
        if is_passing(error) and failures < TRIES:
            return
        if entry.is_pending:
            self._background.run(self._registry.mark_failed(entry, to_problem(error)))
            self._activator.fail(entry, error)
        elif (failures > 1 or error.extra.get("is_final")) and not self._serving(entry):
            self._activator.fail(entry, error)

    def _serving(self, entry: RevisionEntry) -> bool:
        return any(one.state is ReplicaState.READY for one in self.replicas(entry))

    # -- down -----------------------------------------------------------------------------------

    def _on_idle(self, _entry: RevisionEntry, replica: SlotsReplica) -> None:
        if isinstance(replica, Replica) and replica.state is ReplicaState.DRAINING:
            self._end(replica)

    def _end(self, replica: Replica) -> None:
        """Have the provider end a replica that has drained, or whose time to drain is over."""
        if replica.is_let_go:
            self._lose(replica, "moved", "another gateway has it now")
            return
        settings = self._settings
        grace_s = settings.drain_grace_s if replica.is_adopted else settings.stop_grace_s
        self._background.run(self._provider.stop(replica.id, grace_s=grace_s))
        self._roster.alarm(replica, grace_s + 10.0, self._overdue)

    def _overdue(self, replica: Replica) -> None:
        self._lose(replica, "stopped", "it did not say that it ended")

    def _gone(self, replica: Replica, event: ReplicaGone) -> None:
        error: FaasError | None = None
        if replica.state is ReplicaState.STARTING:
            error = start_error(event)
        is_wanted = replica.state is ReplicaState.DRAINING and event.reason in ("stopped", "")
        self._lose(replica, "stopped" if is_wanted else event.reason, event.detail, error)

    def _lose(
        self, replica: Replica, reason: str, detail: str, error: FaasError | None = None
    ) -> None:
        """A replica has ended: tell those it concerns; nothing happens the second time."""
        if not self._roster.strike(replica):
            return
        entry = replica.entry
        self._hang_up(replica)
        is_harmless = self._succession.is_successor(replica)
        self._succession.on_lost(replica, detail)
        has_been_ready = replica.ready_at_s > float("-inf")
        # What was asked to end says just that: pages do not show it as lost.
        replica.reason = reason if reason == "stopped" else detail or reason
        self._change(replica, ReplicaState.LOST)
        self._activator.remove_replica(entry, replica, reason, detail)
        if error is not None and not is_harmless:
            self._judge(entry, error)
        is_passing = has_been_ready or error is None or is_harmless
        self._observer.on_gone(entry, has_been_ready=is_passing)
        if entry.is_removed:
            self._failures.pop(entry.key, None)
            self._activator.forget(entry)

    def _hang_up(self, replica: Replica) -> None:
        link = self._links.pop(replica.id, None)
        if link is not None:
            link.close()
        replica.forget_place()

    # -- what a front says ----------------------------------------------------------------------

    def on_log(self, replica: Replica, stream: int, invocation_id: str, text: bytes) -> None:
        """Output of the user's code."""
        self._observer.on_log(replica, stream, invocation_id, text)

    def on_ended(self, replica: Replica, end: CallEnd) -> None:
        """The code of a call has ended."""
        self._observer.on_ended(replica, end)

    def on_state(self, replica: Replica, hello: Hello) -> None:
        """A front that drains by itself takes nothing new."""
        if hello.worker_pid is not None:
            replica.pid = hello.worker_pid
        if hello.state in ("draining", "failed") and not replica.is_leaving:
            self._leave(replica)

    def on_usage(self, replica: Replica, usage: dict[str, Any]) -> None:
        """What the replica uses."""
        memory = usage.get("rss_mib")
        if isinstance(memory, (int, float)):
            replica.memory_mib = float(memory)

    def on_cut(self, replica: Replica, detail: str) -> None:
        """The front is gone: take nothing more to it, and wait a moment for the reason."""
        self._activator.close_replica(replica.entry, replica)
        if replica.upstream is not None:
            replica.upstream.close()
        was_wanted = replica.state is ReplicaState.DRAINING
        self._roster.alarm(
            replica, self._provider.reason_s, lambda one: self._unexplained(one, detail, was_wanted)
        )
        if replica.state is ReplicaState.READY:
            # Its calls wait for the reason; whoever comes meanwhile gets another replica.
            self._change(replica, ReplicaState.DRAINING)
            self._observer.on_gone(replica.entry, has_been_ready=True)

    def _unexplained(self, replica: Replica, detail: str, was_wanted: bool) -> None:
        if was_wanted:
            self._lose(replica, "stopped", detail)
            return
        self._background.run(self._provider.stop(replica.id, grace_s=0.0))
        self._lose(replica, "crashed", detail)

    def _change(self, replica: Replica, state: ReplicaState) -> None:
        replica.state = state
        self._observer.on_change(replica)
