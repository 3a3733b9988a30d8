"""Pods that are created for one replica, because no pool has what its function needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, path_of
from jupyter_faas.providers.kubernetes.claims import OwnerReference
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.pod_state import Pod, PodStage
from jupyter_faas.providers.kubernetes.pools import Pool, own_pod
from jupyter_faas.providers.kubernetes.trouble import Trouble, event_trouble, refusal
from jupyter_faas.providers.kubernetes.writing import create_pod

EVENTS_AFTER_S = 1.5
"""A pod that has a node, no trouble and no container for so long is asked about its events."""


class CreatedPods:
    """Creates pods for replicas.

    Args:
        api: Where.
        ledger: Told what keeps them from starting.
        owner_reference: See `OwnerReference`.
        find: Returns the pod of a replica, once it has been seen.
    """

    def __init__(
        self,
        api: KubeApi,
        ledger: Ledger,
        owner_reference: OwnerReference,
        find: Callable[[str], Pod | None],
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._owner_reference = owner_reference
        self._find = find

    async def create(self, want: Want, pool: Pool | None) -> None:
        """Create the pod of a replica, and say what holds it up until it has started.

        Args:
            want: Its id becomes the pod's name.
            pool: See `pools.pool_for`.
        """
        try:
            missing = await self._missing_volume(want)
            if missing is not None:
                self._ledger.failed(want, missing)
                return
            if want.is_ending:
                return
            want.pod = want.id
            body = own_pod(want.revision, want.id, pool, self._owner_reference(want.revision))
            await create_pod(self._api, want.namespace, body)
        except KubeError as error:
            self._ledger.failed(want, refusal(error, want.namespace))
        else:
            await self._watch_events(want)

    async def _missing_volume(self, want: Want) -> Trouble | None:
        for claim in sorted(set(want.revision.spec.volumes.values())):
            path = path_of("persistentvolumeclaims", want.namespace, claim)
            try:
                found = await self._api.find(path)
            except KubeError:
                continue  # may not be read: the scheduler will tell
            if found is None:
                text = f"there is no volume claim `{claim}` in namespace `{want.namespace}`"
                return Trouble(code="VolumeClaimMissing", text=text, is_final=True)
        return None

    async def _watch_events(self, want: Want) -> None:
        """Say what a pod's events tell while it does not start for no reason of its own status."""
        while True:
            await asyncio.sleep(EVENTS_AFTER_S)
            if want.is_started or want.is_ending or self._ledger.get(want.id) is None:
                return
            pod = self._find(want.id)
            if pod is None or not pod.node or pod.stage is not PodStage.STARTING or pod.trouble:
                continue
            query = f"involvedObject.uid={pod.uid},type=Warning"
            try:
                found = await self._api.get(
                    path_of("events", pod.namespace), fieldSelector=query, limit="20"
                )
            except KubeError:
                return  # they may not be read
            told = (
                event_trouble(one.get("reason") or "", one.get("message") or "")
                for one in reversed(found["items"])
            )
            if trouble := next((one for one in told if one is not None), None):
                self._tell(want, trouble)

    def _tell(self, want: Want, trouble: Trouble) -> None:
        if trouble.is_final:
            self._ledger.failed(want, trouble)
        else:
            self._ledger.pending(want, trouble)
