"""Claims pods of warm pools, and creates spare ones where a pool cannot keep up.

A claim is one patch that gives the pod a replica's labels and owner; the pool's ReplicaSet lets it
go and starts another. Spare pods are generic as well: whichever pod is there first, the pool's or
a spare one, goes to whoever has waited longest, and spare pods that nobody needs go at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.model import Revision
from jupyter_faas.providers.base import Seal
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.names import REVISION_ID_ANNOTATION
from jupyter_faas.providers.kubernetes.pod_state import Pod
from jupyter_faas.providers.kubernetes.pool import Matches, Pair, PoolKey
from jupyter_faas.providers.kubernetes.pools import replica_labels
from jupyter_faas.providers.kubernetes.trouble import Trouble, refusal
from jupyter_faas.providers.kubernetes.writing import claim_pod

OwnerReference = Callable[[Revision], Object]
"""Returns the owner reference to a revision's object, with `controller: true`."""

_AGAIN_S = 0.5

Run = Callable[[Coroutine[Any, Any, None]], object]


class Claims:
    """All claims of one gateway.

    Args:
        api: Where pods are patched.
        ledger: Told what becomes of replicas.
        owner_reference: See `OwnerReference`.
        run: Runs work in the background.
        on_claimed: Told the want, the pod before, the pod as stored.
    """

    def __init__(
        self,
        api: KubeApi,
        ledger: Ledger,
        owner_reference: OwnerReference,
        run: Run,
        on_claimed: Callable[[Want, Pod, Object], None],
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._owner_reference = owner_reference
        self._run = run
        self._on_claimed = on_claimed
        self.matches = Matches(chance=random.random)
        self._pods: dict[str, tuple[Pod, Seal | None]] = {}
        self.on_empty: Callable[[PoolKey], None] = lambda key: None
        """Called when replicas wait and no pod is on offer."""

    def offer(self, key: PoolKey, pod: Pod, seal: Seal | None) -> None:
        """A generic runner has answered, or its pod has changed since."""
        self._pods[pod.uid] = (pod, seal)
        self.matches.offer(key, pod.uid, pod.version)
        self.turn()

    def retract(self, pod: Pod) -> None:
        """A pod cannot be claimed any more."""
        if self._pods.pop(pod.uid, None) is not None:
            self.matches.retract(pod.uid)

    def want(self, key: PoolKey, want: Want) -> None:
        """Get a pod for a replica."""
        self.matches.want(key, want.id, want.revision.function)

    def withdraw(self, want: Want) -> None:
        """A replica is not wanted any more; a claim under way is undone when it has landed."""
        self.matches.withdraw(want.id)

    def turn(self) -> None:
        """Make the claims that can be made; tell which pools are empty."""
        for pair in self.matches.pair():
            self._run(self._claim(pair))
        for key in self.matches.empty():
            self.on_empty(key)

    async def _claim(self, pair: Pair) -> None:
        want = self._ledger.get(pair.replica)
        found = self._pods.get(pair.pod)
        if want is None or found is None:
            self.matches.refused(pair, is_gone=found is None, is_passing=True)
            self.turn()
            return
        pod, seal = found
        try:
            owner = self._owner_reference(want.revision)
            patch = claim_patch(want.revision, want.id, pair.version, owner)
            self._ledger.coming(want, pod, seal)
            stored = await claim_pod(self._api, pod, want.id, patch)
        except KubeError as error:
            await self._refused(pair, want, error)
        except FaasError as error:
            # There is no revision to own the pod: the pod is as good as before.
            self.matches.refused(pair, is_passing=True)
            self.matches.withdraw(want.id)
            self._ledger.failed(want, Trouble(code="ProviderError", text=error.detail))
        except Exception:
            self.matches.refused(pair, is_passing=True)
            raise
        else:
            self.matches.landed(pair)
            self._pods.pop(pair.pod, None)
            self._on_claimed(want, pod, stored)
        self.turn()

    async def _refused(self, pair: Pair, want: Want, error: KubeError) -> None:
        if error.is_missing or error.is_conflict:
            self.matches.refused(pair, is_gone=error.is_missing)
        elif error.is_passing:
            self._ledger.pending(want, refusal(error, want.namespace))
            await asyncio.sleep(_AGAIN_S)
            self.matches.refused(pair, is_passing=True)
        else:
            # Not this pod's fault: the next one would be refused as well.
            self.matches.withdraw(want.id)
            self.matches.refused(pair, is_passing=True)
            self._ledger.failed(want, refusal(error, want.namespace))


def claim_patch(revision: Revision, replica: str, version: str, owner: Object) -> Object:
    """Return the merge patch that makes a generic pod a replica."""
    return {
        "metadata": {
            "resourceVersion": version,
            "labels": {**replica_labels(revision, replica), "pod-template-hash": None},
            "annotations": {REVISION_ID_ANNOTATION: revision.id},
            "ownerReferences": [owner],
        }
    }


def pool_is_empty(key: PoolKey) -> Trouble:
    """Return what is said while a pool has no pod to give."""
    which = f"Python {key.python}"
    if key.runtime_class != "default":
        which += f", {key.runtime_class}"
    text = f"the warm pool ({which}) is empty: a pod is being created"
    return Trouble(code="PoolEmpty", text=text)
