"""The installation that is measured: its Service, its pods, functions made for a while."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import local
from typing import Any

from bench.harness import wait_until

NAMESPACE = os.environ.get("BENCH_NAMESPACE", "default")
SYSTEM = os.environ.get("BENCH_SYSTEM_NAMESPACE", "jupyter-faas")
GATEWAY = "jupyter-faas-gateway"
GATEWAYS = "jupyter-faas.io/role=gateway"
"""Selector of their pods."""
POOL = "jupyter-faas-pool-py311"
SOURCE = "def f(x=0):\n    return x\n"
SLOW = "import time\ndef f(x=0):\n    time.sleep(x)\n    return x\n"
ASLEEP_S = 0.5
"""Scaledown window of functions that are to be at zero again soon."""
REFILL_S = 1.5
"""The pool makes up for the pod that was taken, which rehearses."""


class Cluster:
    """The gateway's Service, a token of the user's account, and what was measured so far."""

    def __init__(self) -> None:
        service = json.loads(kubectl("-n", SYSTEM, "get", "service", GATEWAY, "-o", "json"))
        self.host = str(service["spec"]["clusterIP"])
        self.token = kubectl("-n", SYSTEM, "create", "token", "jupyter-faas-user").strip()
        self.cold_ms: tuple[float, float] = (0.0, 0.0)
        """p50 and p95 of a cold start, once measured."""
        self._own = local()

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    def call(self, name: str, body: Any = 0) -> dict[str, str]:
        """Call a function on this thread's kept-alive connection; return the answer's headers.

        Raises:
            AssertionError: It did not answer with what it was given.
        """
        status, text, headers = self._ask("POST", path_of(name), json.dumps(body))
        assert status == 200, (status, text[:300])
        assert json.loads(text) == body, text[:300]
        return headers

    def control(self, path: str) -> Any:
        """Ask the control API."""
        status, text, _ = self._ask("GET", f"{path}?namespace={NAMESPACE}")
        assert status == 200, (status, text[:300])
        return json.loads(text)

    def replicas(self, name: str) -> list[dict[str, Any]]:
        """Return the replicas of a function there are, also leaving ones."""
        found: list[dict[str, Any]] = self.control(f"/v1/functions/{name}/replicas")["replicas"]
        return found

    def sleeps(self, name: str) -> bool:
        """Return whether a function has no replica."""
        return not self.replicas(name)

    def reconnect(self) -> None:
        """Use a new connection from now on: the gateways are others."""
        self._own.connection = None

    def _ask(
        self, method: str, path: str, body: str | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self.host, 80, timeout=60.0)
        self._own.connection = None  # a failed exchange leaves it in no state to be used again
        connection.request(method, path, body, self.headers)
        answer = connection.getresponse()
        text = answer.read()
        self._own.connection = connection
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}


@contextmanager
def function(cluster: Cluster, name: str, source: str = SOURCE, **spec: Any) -> Iterator[str]:
    """Give a function that has answered once; it is deleted afterwards."""
    try:
        apply(name, source, **spec)
        wait_until(lambda: answers(cluster, name), 60, f"{name} answers")
        yield name
    finally:
        delete(name)


def answers(cluster: Cluster, name: str) -> bool:
    """Return whether a function answers now."""
    try:
        cluster.call(name)
    except (AssertionError, OSError, http.client.HTTPException):
        return False
    return True


def path_of(name: str) -> str:
    """Return where a function is called."""
    return f"/function/{NAMESPACE}/{name}"


def apply(name: str, source: str, **spec: Any) -> None:
    """Apply a Function of inline source."""
    scaling = {"maxContainers": 30, **spec.pop("scaling", {})}
    code = {"source": source, "entry": "f", "python": "3.11"}
    manifest = {
        "apiVersion": "jupyter-faas.io/v1alpha1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"code": code, "scaling": scaling, **spec},
    }
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(manifest))


def delete(*names: str) -> None:
    """Delete Functions."""
    kubectl("-n", NAMESPACE, "delete", "fn", *names, "--ignore-not-found", "--wait=false")


def pods_of(namespace: str, selector: str) -> list[dict[str, Any]]:
    """Return pods as JSON, without those that end."""
    found = json.loads(kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))
    return [one for one in found["items"] if "deletionTimestamp" not in one["metadata"]]


def fill_pool(size: int) -> None:
    """Give the warm pool a size, and wait until it is full and has rehearsed."""
    kubectl("-n", NAMESPACE, "scale", "deployment", POOL, f"--replicas={size}")
    wait_until(lambda: pool_size() == size, 120, f"a pool of {size}")
    time.sleep(REFILL_S)


def pool_size(key: str = "readyReplicas") -> int:
    """Return how many pods of the pool are ready (or, as `replicas`, wanted)."""
    found = json.loads(kubectl("-n", NAMESPACE, "get", "deployment", POOL, "-o", "json"))
    part = found["status"] if key == "readyReplicas" else found["spec"]
    return int(part.get(key) or 0)


def processes(pod: dict[str, Any]) -> list[int]:
    """Return the processes of a pod, if this is its node; the sandbox's own is left out."""
    uid, found = pod["metadata"]["uid"], []
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):
            text = cgroup.read_text()
            is_of_pod = uid in text or uid.replace("-", "_") in text
            if is_of_pod and (cgroup.parent / "comm").read_text().strip() != "pause":
                found.append(int(cgroup.parent.name))
    return found


def kubectl(*args: str, stdin: str | None = None) -> str:
    """Run kubectl; return what it printed.

    Raises:
        RuntimeError: It failed; says what it said.
    """
    done = subprocess.run(
        ["kubectl", *args], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout
