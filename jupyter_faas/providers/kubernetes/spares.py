"""Spare pods: generic ones that a gateway creates while a pool has too few.

How many is decided in `pool.py`. They are not told apart from the pool's once their runner has
answered; those that nobody waits for any more are deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from jupyter_faas.core.ids import random_id
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError
from jupyter_faas.providers.kubernetes.claims import Claims, OwnerReference, Run, pool_is_empty
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.pod_state import Pod, PodStage
from jupyter_faas.providers.kubernetes.pool import PoolKey, spares_to_make
from jupyter_faas.providers.kubernetes.pools import Pool, spare_pod
from jupyter_faas.providers.kubernetes.trouble import Trouble, refusal
from jupyter_faas.providers.kubernetes.writing import create_pod, delete_pod

WAIT_S = 0.08
"""How long an empty pool is waited for: its ReplicaSet needs a moment to replace claimed pods."""
LOOK_S = 0.5
GIVE_UP_S = 1.5
"""How long a pool without any pod may fail to get one before those who wait are told."""
AT_ONCE = 4
"""Most spare pods of one pool that start together, per node: with more all would be later."""
SLOW_S = 4.0
"""A pod of the pool that has been starting for longer is not counted on."""


class Supply(NamedTuple):
    """What there is of one pool, seen from outside."""

    pool: Pool | None
    coming: int
    """Pods of it that start and have no trouble."""
    trouble: Trouble | None
    """What keeps one of them from starting."""


class _Spare:
    __slots__ = ("key", "name", "pod")

    def __init__(self, key: PoolKey, name: str) -> None:
        self.key = key
        self.name = name
        self.pod: Pod | None = None


class Spares:
    """The spare pods of one gateway.

    Args:
        api: Where they are created.
        ledger: Told what keeps replicas waiting.
        claims: Knows who waits.
        supply: Returns what there is of a pool, and what troubles a pod has.
        at_once: Returns how many spare pods of one pool may start together.
        explain: Returns what keeps a pod from starting.
        owner_reference: Of the revision a spare pod is made for.
        run: Runs work in the background.
        clock: Monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - the parts it stands between
        self,
        api: KubeApi,
        ledger: Ledger,
        claims: Claims,
        *,
        supply: Callable[[PoolKey], Supply],
        at_once: Callable[[], int],
        explain: Callable[[Pod], Trouble | None],
        owner_reference: OwnerReference,
        run: Run,
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._claims = claims
        self._supply = supply
        self._at_once = at_once
        self._explain = explain
        self._owner_reference = owner_reference
        self._run = run
        self._clock = clock
        self._spares: dict[str, _Spare] = {}
        self._troubles: dict[PoolKey, tuple[Trouble, float]] = {}
        self._timers: dict[PoolKey, asyncio.TimerHandle] = {}
        claims.on_empty = self._empty

    def owns(self, pod: Pod) -> bool:
        """Return whether a pod is one of these."""
        return pod.name in self._spares

    def on_pod(self, pod: Pod) -> None:
        """A spare pod has changed."""
        self._spares[pod.name].pod = pod
        if pod.stage is PodStage.STARTING and (trouble := self._explain(pod)):
            self._note(self._spares[pod.name].key, trouble)

    def on_taken(self, pod: Pod) -> None:
        """A pod of this name is not spare any more: it was claimed, or is gone."""
        self._spares.pop(pod.name, None)

    def on_release(self, key: PoolKey) -> None:
        """Somebody does not wait any more."""
        if any(one.key == key for one in self._spares.values()):
            self._look_later(key, 0.0)

    async def close(self) -> None:
        """Delete those that are left."""
        for timer in self._timers.values():
            timer.cancel()
        left = [one.pod for one in self._spares.values() if one.pod is not None]
        deletes = (delete_pod(self._api, pod, 0.0) for pod in left)
        await asyncio.gather(*deletes, return_exceptions=True)

    def _empty(self, key: PoolKey) -> None:
        for want in self._waiting(key):
            self._ledger.pending(want, pool_is_empty(key))
        self._look_later(key, WAIT_S)

    def _look_later(self, key: PoolKey, delay_s: float) -> None:
        if key not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(delay_s, self._look, key)

    def _look(self, key: PoolKey) -> None:
        """Bring the number of spare pods to what it should be."""
        self._timers.pop(key, None)
        waiting = self._waiting(key)
        supply = self._supply(key)
        if supply.trouble is not None:
            self._note(key, supply.trouble)
        making = [
            one for one in self._spares.values() if one.key == key and not self._is_claimed(one)
        ]
        missing = spares_to_make(len(waiting), supply.coming, len(making), self._at_once())
        if missing < 0:
            self._remove(making, -missing)
        elif missing and supply.pool is not None:
            for want in waiting[len(making) : len(making) + missing]:
                spare = _Spare(key, random_id("spare"))
                self._spares[spare.name] = spare
                self._run(self._create(spare, supply.pool, want))
        self._tell_troubles(key, waiting, supply)
        if waiting or any(one.key == key for one in self._spares.values()):
            self._look_later(key, LOOK_S)
        if not waiting:
            self._troubles.pop(key, None)

    def _waiting(self, key: PoolKey) -> list[Want]:
        found = (self._ledger.get(one) for one in self._claims.matches.waiting(key))
        return [want for want in found if want is not None]

    def _remove(self, spares: list[_Spare], count: int) -> None:
        """Delete spare pods, those first that have come least far."""
        spares.sort(key=lambda one: one.pod is not None and one.pod.stage is PodStage.RUNNING)
        for spare in [one for one in spares if one.pod is not None][:count]:
            assert spare.pod is not None
            del self._spares[spare.name]
            self._claims.retract(spare.pod)
            self._run(delete_pod(self._api, spare.pod, 0.0))

    async def _create(self, spare: _Spare, pool: Pool, want: Want) -> None:
        try:
            body = spare_pod(pool, spare.name, self._owner_reference(want.revision))
            await create_pod(self._api, spare.key.namespace, body)
        except KubeError as error:
            self._spares.pop(spare.name, None)
            self._note(spare.key, refusal(error, spare.key.namespace))
            self._look_later(spare.key, LOOK_S)
        except Exception:
            self._spares.pop(spare.name, None)
            raise

    def _note(self, key: PoolKey, trouble: Trouble) -> None:
        _, since_s = self._troubles.get(key, (trouble, self._clock()))
        self._troubles[key] = (trouble, since_s)
        for want in self._waiting(key):
            self._ledger.pending(want, trouble)

    def _tell_troubles(self, key: PoolKey, waiting: list[Want], supply: Supply) -> None:
        """End the wait of those for whom no pod can come: the trouble stays, and nothing starts."""
        trouble, since_s = self._troubles.get(key, (None, 0.0))
        if trouble is None:
            return
        healthy = [one for one in self._spares.values() if one.key == key and self._is_well(one)]
        if supply.coming or healthy:
            return
        now_s = self._clock()
        if not trouble.is_final or now_s - since_s < GIVE_UP_S:
            return
        for want in waiting:
            if now_s - want.since_s >= GIVE_UP_S:
                self._claims.withdraw(want)
                self._ledger.failed(want, trouble)

    def _is_claimed(self, spare: _Spare) -> bool:
        return spare.pod is not None and self._claims.matches.is_claimed(spare.pod.uid)

    def _is_well(self, spare: _Spare) -> bool:
        return spare.pod is not None and not self._explain(spare.pod)
