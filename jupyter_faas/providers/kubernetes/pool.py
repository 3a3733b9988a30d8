"""Who gets which pod of a warm pool. Pure: no I/O, no clock.

A pod is on offer when its runner has answered; replicas wait in lines (`lines.py`). `pair`
brings them together; each pair is a claim under way until it has `landed` or was `refused`, and
neither its pod nor its replica is given to anybody else meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from jupyter_faas.core.model import RevisionSpec
from jupyter_faas.providers.kubernetes.lines import Lines

DEFAULT_RUNTIME = "default"
AT_ONCE = 4
SPREAD = 32
"""Places of the order of age by which one gateway's order of pods may differ from another's."""


class PoolKey(NamedTuple):
    """What makes pods of a pool interchangeable."""

    namespace: str
    python: str
    """Minor version, e.g. `3.11`."""
    runtime_class: str = DEFAULT_RUNTIME


class Pair(NamedTuple):
    """A claim to be made."""

    replica: str
    key: PoolKey
    pod: str
    version: str
    """The pod's `resourceVersion` that the offer was made with."""


def pool_key(spec: RevisionSpec, namespace: str) -> PoolKey:
    """Return the pool that a revision's Python and runtime class belong to."""
    return PoolKey(namespace, spec.code.python, spec.runtime_class or DEFAULT_RUNTIME)


def fits_pool(
    spec: RevisionSpec,
    namespace: str,
    pools: Collection[PoolKey],
    largest: Mapping[str, float] | None = None,
) -> PoolKey | None:
    """Return the pool whose pods can serve a revision; None: it needs pods of its own.

    Secrets travel with the specialisation; CPU and memory are set in place afterwards, if any node
    has as much. What a pod gets at its birth only cannot be had from a pool.

    Args:
        spec: Of the revision.
        namespace: Of the function.
        pools: All there are.
        largest: Most that one node has, in cores and bytes by resource; None: not known.
    """
    if spec.image or spec.volumes or spec.resources.gpu or spec.node_selector:
        return None
    if largest and not _is_possible(spec, largest):
        return None
    key = pool_key(spec, namespace)
    return key if key in pools else None


def _is_possible(spec: RevisionSpec, largest: Mapping[str, float]) -> bool:
    memory_mib = spec.resources.memory_request_mib or spec.resources.memory_mib / 4
    wanted = {"cpu": spec.resources.cpu, "memory": memory_mib * 2.0**20}
    return all(amount <= largest.get(resource, amount) for resource, amount in wanted.items())


def spares_to_make(waiting: int, coming: int, making: int, at_once: int) -> int:
    """Return how many pods to create beside a pool that cannot keep up; negative: too many.

    Args:
        waiting: Replicas without a pod.
        coming: Pods of the pool that are starting.
        making: Spare pods that are starting.
        at_once: Most that start together.
    """
    wanted = min(max(0, waiting - coming), at_once)
    if making > waiting:
        return waiting - making
    return max(0, wanted - making)


class _Offer:
    __slots__ = ("is_retracted", "is_stale", "key", "place", "replica", "version")

    def __init__(self, key: PoolKey, version: str, place: float) -> None:
        self.key = key
        self.version = version
        self.place = place
        """In the order of offers: lower is taken first."""
        self.is_stale = False
        """The version was refused: nothing can be done before another one is offered."""
        self.is_retracted = False
        self.replica = ""
        """Of the claim under way."""

    @property
    def is_free(self) -> bool:
        return not self.replica and not self.is_stale


class Matches:
    """Offers and wishes of all pools.

    Args:
        at_once: Most claims of one pool under way. The API server does no more at a time anyway;
            what waits here keeps its order, and gets its turn between functions.
        chance: Returns numbers from 0 to 1. Gateways share pools: if all took the oldest pod
            first, a single claim of one would lose every race against twenty of another.
    """

    def __init__(self, at_once: int = AT_ONCE, chance: Callable[[], float] = lambda: 0.0) -> None:
        self._at_once = at_once
        self._chance = chance
        self._count = 0
        self._offers: dict[str, _Offer] = {}
        self._lines: Lines[PoolKey] = Lines()

    def offer(self, key: PoolKey, pod: str, version: str) -> None:
        """A pod can be claimed, or has a new version; old offers are taken first, by and large."""
        offer = self._offers.get(pod)
        if offer is None:
            self._count += 1
            self._offers[pod] = _Offer(key, version, self._count + SPREAD * self._chance())
            return
        offer.is_retracted = False
        if offer.version != version:
            offer.version, offer.is_stale = version, False

    def retract(self, pod: str) -> None:
        """A pod cannot be claimed any more; a claim under way will find out."""
        offer = self._offers.get(pod)
        if offer is None:
            return
        offer.is_retracted = True
        if not offer.replica:
            del self._offers[pod]

    def want(self, key: PoolKey, replica: str, function: str = "") -> None:
        """A replica of a function waits for a pod from now on."""
        self._lines.join(key, replica, function)

    def withdraw(self, replica: str) -> bool:
        """A replica is not wanted any more; returns whether it was waiting."""
        return self._lines.leave(replica)

    def waiting(self, key: PoolKey) -> list[str]:
        """Return the replicas without a pod, the first one first; not those being claimed."""
        return self._lines.waiting(key)

    def empty(self) -> list[PoolKey]:
        """Return the pools that somebody waits for, after `pair`: none of their pods can be had."""
        free = {offer.key for offer in self._offers.values() if offer.is_free}
        return [key for key in self._lines.occupied() if key not in free]

    def is_claimed(self, pod: str) -> bool:
        """Return whether a claim of a pod is under way."""
        offer = self._offers.get(pod)
        return offer is not None and bool(offer.replica)

    def pair(self) -> list[Pair]:
        """Return the claims to be made now; each must be answered by `landed` or `refused`."""
        pairs: list[Pair] = []
        room = {key: self._at_once - self._lines.under_way(key) for key in self._lines.occupied()}
        if not room:
            return pairs
        for pod, offer in sorted(self._offers.items(), key=lambda item: item[1].place):
            if not offer.is_free or room.get(offer.key, 0) <= 0:
                continue
            replica = self._lines.call(offer.key)
            if replica is None:
                continue
            room[offer.key] -= 1
            offer.replica = replica
            pairs.append(Pair(replica, offer.key, pod, offer.version))
        return pairs

    def landed(self, pair: Pair) -> bool:
        """A claim has worked: the pod is the replica's; returns whether that is still wanted."""
        self._offers.pop(pair.pod, None)
        return self._lines.done(pair.replica, has_pod=True)

    def refused(self, pair: Pair, *, is_gone: bool = False, is_passing: bool = False) -> None:
        """A claim has not worked: the replica waits in its old place, the pod for a new version.

        Args:
            pair: As it was given.
            is_gone: The pod is not there any more.
            is_passing: It was nobody's fault: the same may be tried again.
        """
        offer = self._offers.get(pair.pod)
        if offer is not None:
            offer.replica = ""
            offer.is_stale = offer.version == pair.version and not is_passing
            if is_gone or offer.is_retracted:
                del self._offers[pair.pod]
        self._lines.done(pair.replica, has_pod=False)
