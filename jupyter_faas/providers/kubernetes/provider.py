"""The Kubernetes provider: replicas are pods, claimed from warm pools or created.

Everything is seen by two informers: pods and pools of the namespaces of functions. This module
says what their news are about; claims, spare pods, created pods and replicas have modules of
their own. Nothing is ended by `close`: the gateway that owns a function next finds its pods by
`known`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from jupyter_faas.core.errors import EnvironmentMismatch, ProviderError
from jupyter_faas.core.model import Revision, RevisionSpec
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.providers.background import Background
from jupyter_faas.providers.base import Inventory, ReplicaEvent, ReplicaFound
from jupyter_faas.providers.kubernetes.api import KubeApi, Object
from jupyter_faas.providers.kubernetes.claims import Claims, OwnerReference
from jupyter_faas.providers.kubernetes.created import CreatedPods
from jupyter_faas.providers.kubernetes.greeting import Greet, Greeter
from jupyter_faas.providers.kubernetes.informer import Informer
from jupyter_faas.providers.kubernetes.inventories import Inventories
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.names import (
    MANAGED_LABEL,
    MANAGER,
    POOL,
    ROLE_LABEL,
    SPARE,
)
from jupyter_faas.providers.kubernetes.nodes import Nodes
from jupyter_faas.providers.kubernetes.pod_state import Ending, Pod, PodStage, read_pod
from jupyter_faas.providers.kubernetes.pool import DEFAULT_RUNTIME, PoolKey, fits_pool
from jupyter_faas.providers.kubernetes.pools import Pool, pool_for, read_pool
from jupyter_faas.providers.kubernetes.replicas import Replicas, is_replica
from jupyter_faas.providers.kubernetes.resize import Resizer
from jupyter_faas.providers.kubernetes.secrets import read_secrets
from jupyter_faas.providers.kubernetes.sight import Sight
from jupyter_faas.providers.kubernetes.spares import AT_ONCE, Spares
from jupyter_faas.providers.kubernetes.writing import delete_pod

ABANDONED_S = 180.0
"""A claimed pod that nobody has specialised for so long belongs to nobody."""

OLD_SPARE_S = 60.0
"""A spare pod is claimed long before, or its gateway deletes it."""


class KubernetesProvider:
    """Replicas as pods. See `providers/base.py` for the protocol.

    Args:
        api: Of the cluster; closed by whoever made it.
        namespaces: Of functions.
        owner_reference: Returns the owner reference to a revision's object.
        greet: Asks the runner at an address who it is; with `True`, also what it can import.
        clock: Monotonic seconds.
    """

    name = "kubernetes"
    is_shared = True
    reason_s = 2.0

    def __init__(
        self,
        api: KubeApi,
        namespaces: Sequence[str],
        owner_reference: OwnerReference,
        greet: Callable[[str, bool], Coroutine[Any, Any, Hello]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._namespaces = tuple(namespaces)
        self._greet = greet
        self._clock = clock
        self._events: asyncio.Queue[ReplicaEvent | None] = asyncio.Queue()
        self._background = Background("work on a pod")
        self._pods: Informer[Pod] = Informer(
            api,
            namespaces,
            "pods",
            selector=f"{MANAGED_LABEL}={MANAGER},{ROLE_LABEL}",
            read=read_pod,
            on_change=self._on_pod,
        )
        self._pools: Informer[Pool] = Informer(
            api,
            namespaces,
            "deployments",
            group="apps/v1",
            selector=f"{MANAGED_LABEL}={MANAGER},{ROLE_LABEL}={POOL}",
            read=read_pool,
            on_change=lambda before, now: None,
        )
        self._nodes = Nodes(api, clock)
        self._ledger = Ledger(self._events.put_nowait)
        greet_only: Greet = lambda address: greet(address, False)  # noqa: E731 - one line
        self._greeter = Greeter(greet_only, self._on_met)
        self._inventories = Inventories(greet, self._generic_runners)
        self._sight = Sight(self._pods, self._pools, self._nodes, self._greeter, clock)
        self._claims = Claims(
            api, self._ledger, owner_reference, self._background.run, self._on_claimed
        )
        self._replicas = Replicas(
            api,
            self._ledger,
            self._greeter,
            self._events.put_nowait,
            self._sight.explain,
            self._background.run,
            clock,
        )
        self._resizer = Resizer(api, self._replicas.find, self._events.put_nowait)
        self._created = CreatedPods(api, self._ledger, owner_reference, self._replicas.find)
        self._spares = Spares(
            api,
            self._ledger,
            self._claims,
            supply=self._sight.supply,
            at_once=lambda: AT_ONCE * max(1, len(self._nodes.last)),
            explain=self._sight.explain,
            owner_reference=owner_reference,
            run=self._background.run,
            clock=clock,
        )

    # -- the protocol

    async def open(self) -> None:
        """Learn which pods and pools there are; nothing is changed.

        Raises:
            ProviderError: The cluster cannot be seen.
        """
        await asyncio.gather(self._pools.start(), self._pods.start(), self._nodes.fresh())

    def check(self, spec: RevisionSpec) -> None:
        """Refuse code of a Python that no pool runs, unless it brings its own image."""
        minors = self._minors()
        if spec.image is None and spec.code.python not in minors:
            raise EnvironmentMismatch(_no_pool(spec.code.python, minors), reason="NoPool")

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        """Begin to get pods for replicas, created ones if they are to be `made_to_measure`.

        Raises:
            ProviderError: Functions may not be in this namespace, or nothing can run this code.
        """
        spec = revision.spec
        if revision.namespace not in self._namespaces:
            raise ProviderError(
                f"This gateway runs functions in {', '.join(self._namespaces)}, "
                f"not in `{revision.namespace}`.",
                reason="NamespaceMissing",
                is_final=True,
            )
        pools = self._pools.within(revision.namespace)
        pool = pool_for(pools, revision)
        if pool is None and spec.image is None:
            minors = sorted({one.python for one in pools})
            text = _no_pool(spec.code.python, minors)
            raise ProviderError(text, reason="NoPool", is_final=True)
        if self._nodes.is_old:
            self._background.run(self._nodes.fresh_soon())
        keys = {one.key for one in pools}
        fitting = fits_pool(spec, revision.namespace, keys, self._nodes.largest)
        key = None if made_to_measure else fitting
        for replica_id in replica_ids:
            want = Want(replica_id, revision, key, self._clock())
            self._ledger.add(want)
            if key is None:
                self._background.run(self._created.create(want, pool))
            else:
                self._claims.want(key, want)
        self._claims.turn()

    def adopted(self, revision: Revision, replica_id: str) -> None:
        """See to it that a pod claimed by another gateway gets the size of its function."""
        pod = self._replicas.find(replica_id)
        if pod is not None and pod.is_claimed:
            self._background.run(self._resizer.resize(pod, revision.spec.resources))
            self._resizer.look_again(pod)

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        """End a replica, whoever has made it; unknown ids are ignored."""
        want = self._ledger.get(replica_id)
        pod = self._replicas.find(replica_id)
        if want is not None:
            want.is_ending = True
            if pod is None:
                self._claims.withdraw(want)
                self._ledger.stopped(want)
                if want.key is not None:
                    self._spares.on_release(want.key)
        if pod is not None:
            is_lost = pod.ending is not None and pod.ending.reason == "node_lost"
            self._background.run(delete_pod(self._api, pod, None if is_lost else grace_s))

    async def watch(self) -> AsyncIterator[ReplicaEvent]:
        """Yield what happens to replicas until the provider is closed."""
        while (event := await self._events.get()) is not None:
            yield event

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        """Return the running replicas of a function, whoever has made them."""
        return await self._replicas.known(namespace, function)

    async def abandoned(self, older_than_s: float = ABANDONED_S) -> list[str]:
        """Return replicas that nobody brings up; one gateway of all ends them by `stop`.

        Spare pods that a gateway has left behind are deleted by the way.
        """
        for pod in self._pods.all():
            is_ours = self._spares.owns(pod) or pod.stage is PodStage.LEAVING
            if pod.role == SPARE and not is_ours and self._sight.age_s(pod) > OLD_SPARE_S:
                self._background.run(delete_pod(self._api, pod, 0.0))
        return await self._replicas.abandoned(older_than_s)

    async def secrets(self, namespace: str, names: Sequence[str]) -> dict[str, str]:
        """Return the variables that these secrets give to a function of `namespace`.

        Raises:
            ProviderError: A secret is missing, or functions may not use it.
        """
        return await read_secrets(self._api, namespace, names)

    async def inventory(self, revision_python: str, interpreter: str | None) -> Inventory:
        """Return what runners of a Python minor can import: of a pool's image, asked once.

        Raises:
            EnvironmentMismatch: No pool has this Python.
            ProviderError: No runner of it is up just now.
        """
        pools = [one for one in self._pools.all() if one.python == revision_python]
        if not pools:
            raise EnvironmentMismatch(_no_pool(revision_python, self._minors()))
        return await self._inventories.of(pools[0].image, revision_python)

    async def close(self) -> None:
        """Stop watching; replicas stay for the gateway that comes next."""
        await self._spares.close()
        self._resizer.close()
        await self._background.close()
        await asyncio.gather(self._pods.close(), self._pools.close(), self._greeter.close())
        self._events.put_nowait(None)

    # -- news of pods

    def _on_pod(self, before: Pod | None, now: Pod | None) -> None:
        if before is not None and is_replica(before) and _has_left(before, now):
            self._replicas.on_gone(before)
            self._resizer.on_gone(before)
        if now is None:
            assert before is not None
            self._on_removed(before)
            return
        self._sight.note(now)
        if now.unschedulable:
            self._background.run(self._look_at_nodes(now))
        if is_replica(now):
            if before is None or not is_replica(before):
                self._claims.retract(now)
                self._spares.on_taken(now)
            self._replicas.on_pod(now)
            self._resizer.on_pod(now)
        elif now.role == POOL or self._spares.owns(now):
            self._on_generic(now)

    def _on_removed(self, pod: Pod) -> None:
        self._greeter.forget(pod)
        self._claims.retract(pod)
        self._spares.on_taken(pod)
        self._sight.forget(pod)

    def _on_generic(self, pod: Pod) -> None:
        if pod.role == SPARE:
            self._spares.on_pod(pod)
        if pod.stage is not PodStage.RUNNING:
            self._claims.retract(pod)
            return
        self._greeter.meet(pod)
        self._offer(pod)

    def _on_met(self, pod: Pod) -> None:
        now = self._pods.get(pod.namespace, pod.name)
        if now is None or now.uid != pod.uid:
            return
        if is_replica(now):
            self._replicas.on_met(now)
        elif now.role == POOL or self._spares.owns(now):
            self._on_generic(now)

    def _offer(self, pod: Pod) -> None:
        met = self._greeter.met(pod)
        if met is not None and met.hello.state == "generic":
            key = PoolKey(pod.namespace, pod.python, pod.runtime_class or DEFAULT_RUNTIME)
            self._claims.offer(key, pod, met.seal)

    def _on_claimed(self, want: Want, pod: Pod, stored: Object) -> None:
        if self._ledger.get(want.id) is None:  # stopped while the claim was under way
            self._replicas.disown(want.id)
            self._background.run(delete_pod(self._api, pod, 0.0))
            return
        want.pod = pod.name
        self._spares.on_taken(pod)
        met = self._greeter.met(pod)
        self._ledger.started(want, pod, met.seal if met else None)
        self._pods.take(stored)
        now = self._pods.get(pod.namespace, pod.name)
        if now is None:  # its end has been seen before the claim was answered
            self._ledger.ended(want, Ending("stopped"))
            return
        self._replicas.on_pod(now)
        self._background.run(self._resizer.resize(now, want.revision.spec.resources))

    async def _look_at_nodes(self, pod: Pod) -> None:
        """Find out what the nodes have, then look at the pod again."""
        await self._nodes.fresh()
        now = self._pods.get(pod.namespace, pod.name)
        if now is None or now.uid != pod.uid:
            return
        if is_replica(now):
            self._replicas.on_pod(now)
        elif self._spares.owns(now):
            self._spares.on_pod(now)

    # -- small things

    def _generic_runners(self, python: str) -> list[Pod]:
        return [
            pod
            for pod in self._pods.all()
            if pod.python == python and pod.role in (POOL, SPARE) and pod.address
        ]

    def _minors(self) -> list[str]:
        return sorted({pool.python for pool in self._pools.all()})


def _has_left(before: Pod, now: Pod | None) -> bool:
    """Return whether a replica's pod is not there any more, or not this replica's."""
    return now is None or now.replica != before.replica or not is_replica(now)


def _no_pool(python: str, minors: Sequence[str]) -> str:
    have = f"there are pools of {', '.join(minors)}" if minors else "there is no pool at all"
    return f"No warm pool runs Python {python}; {have}."
