"""What is seen of pods beyond one pod: why they do not start, and what a pool will have soon."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_faas.providers.kubernetes.greeting import Greeter
from jupyter_faas.providers.kubernetes.informer import Informer
from jupyter_faas.providers.kubernetes.names import POOL
from jupyter_faas.providers.kubernetes.nodes import Nodes
from jupyter_faas.providers.kubernetes.pod_state import Pod, PodStage
from jupyter_faas.providers.kubernetes.pool import PoolKey
from jupyter_faas.providers.kubernetes.pools import Pool
from jupyter_faas.providers.kubernetes.spares import SLOW_S, Supply
from jupyter_faas.providers.kubernetes.trouble import Trouble, schedule_trouble


class Sight:
    """Puts together what the informers, the nodes and the runners tell.

    Args:
        pods: Of all namespaces of functions.
        pools: Likewise.
        nodes: Asked about when a pod finds none.
        greeter: Knows which runners listen.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        pods: Informer[Pod],
        pools: Informer[Pool],
        nodes: Nodes,
        greeter: Greeter,
        clock: Callable[[], float],
    ) -> None:
        self._pods = pods
        self._pools = pools
        self._nodes = nodes
        self._greeter = greeter
        self._clock = clock
        self._since_s: dict[str, float] = {}

    def note(self, pod: Pod) -> None:
        """A pod was seen."""
        self._since_s.setdefault(pod.uid, self._clock())

    def forget(self, pod: Pod) -> None:
        """A pod is not there any more."""
        self._since_s.pop(pod.uid, None)

    def age_s(self, pod: Pod) -> float:
        """Return for how long a pod has been seen, in seconds."""
        return self._clock() - self._since_s.get(pod.uid, self._clock())

    def explain(self, pod: Pod) -> Trouble | None:
        """Return why a pod does not start; None: it does, or why is being found out."""
        if not pod.unschedulable or not self._nodes.is_asked:
            return pod.trouble
        return schedule_trouble(pod.unschedulable, pod.requests, pod.selector, self._nodes.last)

    def supply(self, key: PoolKey) -> Supply:
        """Return what a pool has and will have soon."""
        pool = next((one for one in self._pools.within(key.namespace) if one.key == key), None)
        coming, trouble = 0, None
        for pod in self._pods.within(key.namespace):
            if pod.role != POOL or (pod.python, pod.runtime_class) != key[1:]:
                continue
            why = self.explain(pod) if pod.stage is PodStage.STARTING else None
            trouble = trouble or why
            coming += why is None and self._is_coming(pod)
        return Supply(pool, coming, trouble)

    def _is_coming(self, pod: Pod) -> bool:
        if pod.stage not in (PodStage.STARTING, PodStage.RUNNING) or self._greeter.met(pod):
            return False
        return self.age_s(pod) < SLOW_S
