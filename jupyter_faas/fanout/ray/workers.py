"""The workers of a Ray cluster on Kubernetes: told how many there should be, through one PATCH.

With the pod's own service account, which may patch that and nothing else; the image of a Ray pod
need not have a Kubernetes client.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_faas.fanout.ray.scaling import Limits, Scaling, Worker, needed_by_busy, sent_away

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KINDS = ("statefulset", "deployment", "raycluster")
_TIMEOUT_S = 5.0
_AGAIN_S = 5.0
_log = logging.getLogger(__name__)


class ScaleRefused(Exception):
    """The API server does not take it; the text says why."""


class Scale:
    """The number of workers, as Kubernetes has it.

    Args:
        target: `statefulset/NAME`, `deployment/NAME` or `raycluster/NAME`, in the pod's namespace.
        environ: Of a pod: where the API server is.
        account: Directory of the service account.

    Raises:
        ValueError: `target` is neither.
    """

    def __init__(self, target: str, environ: Mapping[str, str], account: Path = ACCOUNT) -> None:
        self._kind, _, self._name = target.partition("/")
        if self._kind not in _KINDS or not self._name:
            shown = ", ".join(f"{kind}/NAME" for kind in _KINDS)
            raise ValueError(f"FAAS_RAY_WORKERS={target!r}: one of {shown} is meant.")
        self._host = environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        self._port = int(environ.get("KUBERNETES_SERVICE_PORT", "443"))
        self._account = account

    @property
    def takes_highest(self) -> bool:
        """Whether fewer means those with the highest numbers."""
        return self._kind == "statefulset"

    def set(self, workers: int) -> None:
        """Have so many workers.

        Raises:
            ScaleRefused: It may not, or there is no such object.
            OSError: The API server cannot be reached.
        """
        path, content_type, body = self._patch(workers)
        context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_TIMEOUT_S, context=context
        )
        token = (self._account / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        try:
            connection.request("PATCH", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read(4096).decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"the API server broke off: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise ScaleRefused(f"{answer.status} {text[:300]}")

    def _patch(self, workers: int) -> tuple[str, str, object]:
        namespace = (self._account / "namespace").read_text().strip()
        if self._kind != "raycluster":
            path = f"/apis/apps/v1/namespaces/{namespace}/{self._kind}s/{self._name}/scale"
            return path, "application/merge-patch+json", {"spec": {"replicas": workers}}
        path = f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters/{self._name}"
        change = {"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": workers}
        return path, "application/json-patch+json", [change]


class Workers:
    """Keeps as many workers as are needed.

    Args:
        scale: How many there are is said here.
        scaling: Decides.
        cpus: Of one worker, until one has been seen.
    """

    def __init__(self, scale: Scale, scaling: Scaling, cpus: int) -> None:
        self._scale = scale
        self._scaling = scaling
        self._cpus = cpus
        self._told: int | None = None
        self._not_before_s = 0.0

    def look(self, seats_wanted: int, workers: Sequence[Worker], now_s: float) -> Sequence[Worker]:
        """See to it that there are enough, and not more for long; returns whom it sends away.

        Args:
            seats_wanted: By all maps together.
            workers: Those that are there.
            now_s: Monotonic seconds.
        """
        takes_highest = self._scale.takes_highest
        self._cpus = max((worker.seats for worker in workers), default=self._cpus)
        busy = needed_by_busy(workers, takes_highest=takes_highest)
        count = self._scaling.look(seats_wanted, busy, self._cpus, len(workers), now_s)
        if count is None or count == self._told or now_s < self._not_before_s:
            return ()
        try:
            self._scale.set(count)
        except (OSError, ScaleRefused) as error:
            self._not_before_s = now_s + _AGAIN_S
            _log.warning("there are to be %d workers, but: %s", count, error)
            return ()
        self._told = count
        _log.info("there are to be %d workers: %d seats are wanted", count, seats_wanted)
        return sent_away(workers, count, takes_highest=takes_highest)


def workers_of(environ: Mapping[str, str]) -> Workers | None:
    """Return the workers that `FAAS_RAY_WORKERS` names; None: nobody scales them.

    Raises:
        ValueError: A variable cannot be used.
    """
    target = environ.get("FAAS_RAY_WORKERS", "")
    if not target:
        return None
    limits = Limits(
        least=int(environ.get("FAAS_RAY_MIN_WORKERS") or 0),
        most=int(environ.get("FAAS_RAY_MAX_WORKERS") or 4),
        idle_s=float(environ.get("FAAS_RAY_IDLE_S") or 60.0),
    )
    cpus = int(environ.get("FAAS_RAY_WORKER_SEATS") or 1)
    return Workers(Scale(target, environ), Scaling(limits), cpus)
