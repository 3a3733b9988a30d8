"""What the news of replicas mean: which have started, leave or are gone, whoever made them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from jupyter_faas.providers.base import ReplicaEvent, ReplicaFound, ReplicaGone, ReplicaLeaving
from jupyter_faas.providers.kubernetes.api import KubeApi
from jupyter_faas.providers.kubernetes.claims import Run
from jupyter_faas.providers.kubernetes.greeting import Greeter
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.names import REPLICA
from jupyter_faas.providers.kubernetes.pod_state import Ending, Pod, PodStage, deleted_ending
from jupyter_faas.providers.kubernetes.trouble import Trouble
from jupyter_faas.providers.kubernetes.writing import delete_pod

_PATIENCE = {PodStage.STARTING: 10.0, PodStage.LEAVING: float("inf")}
"""Times longer until a pod counts as abandoned: its image may be on its way; it drains."""


class Replicas:
    """All pods that are replicas, of this gateway and of others.

    Args:
        api: Where pods are deleted.
        ledger: Those of this gateway.
        greeter: Knows which runners listen.
        emit: Takes the events about replicas of others.
        explain: Returns what keeps a pod from starting.
        run: Runs work in the background.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        api: KubeApi,
        ledger: Ledger,
        greeter: Greeter,
        emit: Callable[[ReplicaEvent], None],
        explain: Callable[[Pod], Trouble | None],
        run: Run,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._greeter = greeter
        self._emit = emit
        self._explain = explain
        self._run = run
        self._clock = clock
        self._pods: dict[str, Pod] = {}
        self._since_s: dict[str, float] = {}
        self._strangers: dict[str, PodStage] = {}
        """Replicas of others, and what was last said of them."""
        self._doubles: dict[str, Pod] = {}
        """Second pods of replicas, by name."""

    def find(self, replica: str) -> Pod | None:
        """Return the pod of a replica."""
        return self._pods.get(replica)

    def of(self, namespace: str, function: str) -> list[Pod]:
        """Return the pods of a function."""
        return [
            pod
            for pod in self._pods.values()
            if pod.namespace == namespace and pod.function == function
        ]

    def on_pod(self, pod: Pod) -> None:
        """A replica's pod is new, or has changed."""
        known = self._pods.get(pod.replica)
        want = self._ledger.get(pod.replica)
        if known is not None and known.name != pod.name:
            self._on_second(known, pod, want)
            return
        if known is None:
            self._since_s[pod.replica] = self._clock()
        self._pods[pod.replica] = pod
        if want is not None and want.pod != pod.name:
            return  # its claim has been seen before it was answered
        if pod.stage is PodStage.RESTARTING or (known and _is_another_start(known, pod)):
            self._on_restart(want, pod)
            want = self._ledger.get(pod.replica)
        if want is None:
            self._stranger(pod)
        else:
            self._own(want, pod)

    def on_gone(self, pod: Pod) -> None:
        """A replica's pod is not there any more (or is not a replica's any more)."""
        if self._doubles.pop(pod.name, None) is not None:
            return
        self._pods.pop(pod.replica, None)
        self._since_s.pop(pod.replica, None)
        want = self._ledger.get(pod.replica)
        ending = deleted_ending(pod)
        if want is not None:
            if want.pod == pod.name:
                self._ledger.ended(want, ending)
        else:
            self._say_gone(pod, ending)
            self._strangers.pop(pod.replica, None)
        for double in [one for one in self._doubles.values() if one.replica == pod.replica]:
            del self._doubles[double.name]
            self.on_pod(double)

    def _on_second(self, known: Pod, pod: Pod, want: Want | None) -> None:
        """A replica has two pods: the answer to a claim was lost, and another one was claimed."""
        kept, double = known, pod
        if want is not None and want.pod == pod.name:
            kept, double = pod, known
        self._pods[pod.replica] = kept
        self._doubles[double.name] = double
        if want is not None and want.pod == kept.name:
            self._run(delete_pod(self._api, double, 0.0))
        if kept is pod:
            self.on_pod(pod)

    def _on_restart(self, want: Want | None, pod: Pod) -> None:
        """What a replica's container held is lost; as a generic runner it will be found again."""
        ending = pod.ending or Ending("crashed", "Its container was started again.")
        self._since_s[pod.replica] = self._clock()
        if want is None:
            self._say_gone(pod, ending, is_left=True)
            self._strangers.pop(pod.replica, None)
        elif want.is_started and not want.is_ending:
            self._ledger.ended(want, ending)
        else:
            self._ledger.ended(want, ending)
            self._strangers[pod.replica] = PodStage.GONE
            self._run(delete_pod(self._api, pod, 0.0))

    def disown(self, replica: str) -> None:
        """Say nothing of a replica: its pod is being deleted."""
        self._strangers[replica] = PodStage.GONE

    def on_met(self, pod: Pod) -> None:
        """The runner of a replica's pod has answered."""
        met, want = self._greeter.met(pod), self._ledger.get(pod.replica)
        if want is None:
            self._stranger(pod)
        elif met is not None:
            self._ledger.started(want, pod, met.seal)

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        """Return the running replicas of a function."""
        running = [pod for pod in self.of(namespace, function) if pod.stage is PodStage.RUNNING]
        unmet = [pod for pod in running if self._greeter.met(pod) is None]
        await asyncio.gather(*(self._greeter.ask_now(pod) for pod in unmet))
        return [self._found(pod) for pod in running]

    async def abandoned(self, older_than_s: float) -> list[str]:
        """Return replicas that were claimed or created and that nobody brings up.

        Those are generic still (or do not run, or have never answered) this long after they were
        first seen, and not wanted by this gateway. Second pods of theirs are deleted by the way.

        Args:
            older_than_s: Seconds.
        """
        now_s = self._clock()
        old = [
            pod
            for pod in self._pods.values()
            if self._ledger.get(pod.replica) is None
            and now_s - self._since_s[pod.replica] >= older_than_s * _PATIENCE.get(pod.stage, 1)
        ]
        for pod in self._doubles.values():
            if pod.replica in {one.replica for one in old}:
                self._run(delete_pod(self._api, pod, 0.0))
        states = await asyncio.gather(*(self._state(pod) for pod in old))
        return [pod.replica for pod, state in zip(old, states, strict=True) if state != "busy"]

    async def _state(self, pod: Pod) -> str:
        """Return `busy` for what serves, or may."""
        if pod.stage is not PodStage.RUNNING:
            return pod.stage.name.lower()
        met = await self._greeter.ask_now(pod) or self._greeter.met(pod)
        if met is None:
            return "silent"
        return "generic" if met.hello.state == "generic" else "busy"

    # -- replicas of this gateway

    def _own(self, want: Want, pod: Pod) -> None:
        if pod.stage is PodStage.GONE:
            assert pod.ending is not None
            self._ledger.ended(want, pod.ending)
            self._delete_gone(pod)
        elif want.is_ending:
            if pod.stage is not PodStage.LEAVING:
                self._run(delete_pod(self._api, pod, 0.0))
        elif pod.stage is PodStage.LEAVING:
            self._ledger.leaving(want, pod.leaving)
        elif pod.stage is PodStage.RUNNING:
            self._greeter.meet(pod)
        elif trouble := self._explain(pod):
            self._tell(want, pod, trouble)

    def _tell(self, want: Want, pod: Pod, trouble: Trouble) -> None:
        if trouble.is_final:
            self._ledger.failed(want, trouble)
            self._run(delete_pod(self._api, pod, 0.0))
        else:
            self._ledger.pending(want, trouble)

    # -- replicas of others

    def _stranger(self, pod: Pod) -> None:
        told = self._strangers.get(pod.replica)
        if pod.stage is PodStage.GONE:
            assert pod.ending is not None
            self._say_gone(pod, pod.ending)
        elif told is PodStage.GONE:
            return
        elif pod.stage is PodStage.RUNNING and told is None:
            if self._greeter.met(pod) is None:
                self._greeter.meet(pod)  # a generic one must say what to seal to
                return
            self._strangers[pod.replica] = PodStage.RUNNING
            self._emit(self._found(pod))
        elif pod.stage is PodStage.LEAVING and told is PodStage.RUNNING:
            self._strangers[pod.replica] = PodStage.LEAVING
            self._emit(ReplicaLeaving(replica=pod.replica, reason=pod.leaving))

    def _say_gone(self, pod: Pod, ending: Ending, *, is_left: bool = False) -> None:
        """Say how a replica ended; delete what there is of its pod unless `is_left`."""
        told = self._strangers.get(pod.replica)
        if told not in (None, PodStage.GONE):
            self._strangers[pod.replica] = PodStage.GONE
            self._emit(ReplicaGone(replica=pod.replica, reason=ending.reason, detail=ending.detail))
        if told is not PodStage.GONE and not is_left:
            self._delete_gone(pod)

    def _delete_gone(self, pod: Pod) -> None:
        """Delete what is left of a pod that serves nothing any more."""
        if pod.replica in self._pods:
            is_lost = pod.ending is not None and pod.ending.reason == "node_lost"
            self._run(delete_pod(self._api, pod, None if is_lost else 0.0))

    def _found(self, pod: Pod) -> ReplicaFound:
        met = self._greeter.met(pod)
        return ReplicaFound(
            replica=pod.replica,
            namespace=pod.namespace,
            function=pod.function,
            revision_id=pod.revision_id,
            address=pod.address,
            node=pod.node,
            seal=met.seal if met else None,
        )


def _is_another_start(known: Pod, pod: Pod) -> bool:
    """Return whether a pod's container was started again since it was seen last."""
    before, now = known.container_id, pod.container_id
    return known.stage is not PodStage.RESTARTING and bool(before and now) and before != now


def is_replica(pod: Pod) -> bool:
    """Return whether a pod serves a function."""
    return pod.role == REPLICA and bool(pod.replica)
