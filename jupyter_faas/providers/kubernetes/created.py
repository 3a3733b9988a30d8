"""Pods that are created for one replica, because no pool has what its function needs."""

from __future__ import annotations

import asyncio

from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, path_of
from jupyter_faas.providers.kubernetes.claims import OwnerReference
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.pod_state import Pod
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
    """

    def __init__(self, api: KubeApi, ledger: Ledger, owner_reference: OwnerReference) -> None:
        self._api = api
        self._ledger = ledger
        self._owner_reference = owner_reference

    async def create(self, want: Want, pool: Pool | None) -> None:
        """Create the pod of a replica; what becomes of it is seen by the informer.

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

    async def _missing_volume(self, want: Want) -> Trouble | None:
        for claim in sorted(set(want.revision.spec.volumes.values())):
            path = path_of("persistentvolumeclaims", want.namespace, claim)
            try:
                found = await self._api.find(path)
            except KubeError:
                continue  # may not be read: the scheduler will tell
            if found is None:
                text = f"there is no volume claim `{claim}` in namespace `{want.namespace}`"
                return Trouble(code="VolumeMissing", text=text, is_final=True)
        return None

    async def watch_events(self, want: Want, pod: Pod) -> None:
        """Say what a pod's events tell while it does not start for no visible reason."""
        query = f"involvedObject.uid={pod.uid},type=Warning"
        while True:
            await asyncio.sleep(EVENTS_AFTER_S)
            if want.is_started or want.is_ending or self._ledger.get(want.id) is None:
                return
            try:
                found = await self._api.get(
                    path_of("events", pod.namespace), fieldSelector=query, limit="20"
                )
            except KubeError:
                return  # they may not be read
            for event in reversed(found["items"]):
                trouble = event_trouble(event.get("reason") or "", event.get("message") or "")
                if trouble is not None:
                    self._tell(want, trouble)
                    break

    def _tell(self, want: Want, trouble: Trouble) -> None:
        if trouble.is_final:
            self._ledger.failed(want, trouble)
        else:
            self._ledger.pending(want, trouble)
