"""How fast functions are on a cluster: from zero, by herd, redeployed, warm; what rest costs.

Runs against an installed gateway (`jupyter-faas install`), in the namespace that
`FAAS_BENCH_NAMESPACE` names, with kubectl on the path. The caller must reach Services and pods by
their addresses: a node, or a pod. Functions are made from inline source and deleted afterwards.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bench.harness import Row, percentile, summary, timed_ms, wait_until

NAMESPACE = os.environ.get("FAAS_BENCH_NAMESPACE", "default")
SYSTEM = os.environ.get("FAAS_BENCH_SYSTEM_NAMESPACE", "jupyter-faas")
SOURCE = "def {name}(x=0):\n    return x\n"
COLD_ROUNDS, REDEPLOYS, CREATED_ROUNDS = 30, 20, 5
SCALE_S = 0.5


def run() -> list[Row]:
    """Measure everything in turn; a few minutes."""
    cluster = Cluster()
    return [
        *cold(cluster),
        *herd(cluster),
        *burst(cluster),
        *redeploy(cluster),
        *created(cluster),
        *warm(cluster),
    ]


class Cluster:
    """The gateway's Service, and a token of the user's account."""

    def __init__(self) -> None:
        service = json.loads(
            kubectl("-n", SYSTEM, "get", "service", "jupyter-faas-gateway", "-o", "json")
        )
        self.host = str(service["spec"]["clusterIP"])
        self.token = kubectl("-n", SYSTEM, "create", "token", "jupyter-faas-user").strip()
        self._idle: list[http.client.HTTPConnection] = []

    def call(self, name: str, body: Any = 0, *, timeout_s: float = 60.0) -> dict[str, str]:
        """Call a function on a kept-alive connection; return the answer's headers.

        Raises:
            AssertionError: It did not answer with what it was given.
        """
        connection = (
            self._idle.pop()
            if self._idle
            else http.client.HTTPConnection(self.host, 80, timeout=timeout_s)
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        connection.request("POST", f"/function/{NAMESPACE}/{name}", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (answer.status, text[:300])
        assert json.loads(text) == body, text[:300]
        self._idle.append(connection)
        return {key.lower(): value for key, value in answer.getheaders()}

    def control(self, path: str) -> Any:
        """Ask the control API."""
        connection = http.client.HTTPConnection(self.host, 80, timeout=30.0)
        headers = {"Authorization": f"Bearer {self.token}"}
        connection.request("GET", f"{path}?namespace={NAMESPACE}", headers=headers)
        answer = connection.getresponse()
        try:
            return json.loads(answer.read())
        finally:
            connection.close()

    def replicas(self, name: str) -> int:
        """Return how many replicas of a function there are, also leaving ones."""
        return len(self.control(f"/v1/functions/{name}/replicas")["replicas"])


@contextmanager
def function(cluster: Cluster, name: str, **spec: Any) -> Iterator[str]:
    """Give a function that has answered once; it is deleted afterwards."""
    try:
        apply(name, SOURCE.format(name=name.replace("-", "_")), **spec)
        wait_until(lambda: answers(cluster, name), 60, f"{name} answers")
        yield name
    finally:
        kubectl("-n", NAMESPACE, "delete", "fn", name, "--ignore-not-found")


def answers(cluster: Cluster, name: str) -> bool:
    """Return whether a function answers now."""
    try:
        cluster.call(name)
    except (AssertionError, OSError):
        return False
    return True


def cold(cluster: Cluster) -> list[Row]:
    """From zero through the warm pool."""
    took_ms = []
    scaling = {"scaledownWindowSeconds": SCALE_S}
    with function(cluster, "cold", scaling=scaling) as name:
        for _ in range(COLD_ROUNDS):
            wait_until(lambda: cluster.replicas(name) == 0, 30, "asleep")
            time.sleep(1.5)  # the pool makes up for the pod that was taken
            took_ms.append(timed_ms(lambda: cluster.call(name)))
    p50, p95 = percentile(took_ms, 50), percentile(took_ms, 95)
    return [
        Row(
            "Kubernetes: cold start from zero through the warm pool",
            f"p50 {p50:.1f} ms, p95 {p95:.1f} ms",
            "p50 ≤ 25 ms, p95 ≤ 60 ms",
            p50 <= 25 and p95 <= 60,
            summary(took_ms, "ms"),
        )
    ]


def herd(cluster: Cluster) -> list[Row]:
    """A hundred first calls at once, ten to a replica."""
    with function(
        cluster, "herd", scaling={"scaledownWindowSeconds": SCALE_S, "maxInputs": 10}
    ) as name:
        slow = "import time\ndef herd(x=0):\n    time.sleep(0.5)\n    return x\n"
        apply(name, slow, scaling={"scaledownWindowSeconds": 5, "maxInputs": 10})
        wait_until(lambda: cluster.call(name)["faas-revision"] == "2", 30, "the slow revision")
        wait_until(lambda: cluster.replicas(name) == 0, 60, "asleep")
        with ThreadPoolExecutor(100) as threads:
            begun_s = time.perf_counter()
            list(threads.map(lambda n: cluster.call(name, n), range(100)))
            took_s = time.perf_counter() - begun_s
        count = cluster.replicas(name)
    return [
        Row(
            "Kubernetes: replicas for 100 simultaneous first calls, 10 per replica",
            f"{count} replicas, 0 failures, all answered in {took_s:.1f} s",
            "exactly 10",
            count == 10,
            {"replicas": float(count), "took_s": took_s},
        )
    ]


def burst(cluster: Cluster) -> list[Row]:
    """One replica becomes ten when ten calls need one each."""
    took_ms = []
    slow = "import time\ndef burst(x=0):\n    time.sleep(x)\n    return x\n"
    try:
        apply("burst", slow, scaling={"minContainers": 1, "scaledownWindowSeconds": SCALE_S})
        wait_until(lambda: answers(cluster, "burst"), 60, "burst answers")
        for _ in range(4):
            wait_until(lambda: cluster.replicas("burst") == 1, 60, "back to one")
            time.sleep(4.0)  # the pool fills up again
            with ThreadPoolExecutor(10) as threads:
                begun_s = time.perf_counter()
                done = [threads.submit(cluster.call, "burst", 2.0) for _ in range(10)]
                wait_until(lambda: busy(cluster, "burst") == 10, 10, "ten busy replicas")
                took_ms.append((time.perf_counter() - begun_s) * 1000)
                for one in done:
                    one.result()
    finally:
        kubectl("-n", NAMESPACE, "delete", "fn", "burst", "--ignore-not-found")
    return [
        Row(
            "Kubernetes: 1 → 10 replicas",
            f"p50 {percentile(took_ms, 50):.0f} ms, worst {max(took_ms):.0f} ms",
            "≤ 1 s",
            max(took_ms) <= 1000,
            summary(took_ms, "ms"),
        )
    ]


def busy(cluster: Cluster, name: str) -> int:
    """Return how many replicas work."""
    shown = cluster.control(f"/v1/functions/{name}/replicas")["replicas"]
    return sum(one["state"] == "busy" for one in shown)


def redeploy(cluster: Cluster) -> list[Row]:
    """New source applied through the control plane, until the new code answers."""
    took_ms = []
    with function(cluster, "again") as name:
        for number in range(REDEPLOYS):
            time.sleep(1.5)
            source = SOURCE.format(name=name) + f"# {number}\n"
            revision = str(number + 2)

            def fresh(source: str = source, revision: str = revision) -> None:
                apply(name, source)
                wait_until(
                    lambda: cluster.call(name)["faas-revision"] == revision, 30, "the new code"
                )

            took_ms.append(timed_ms(fresh))
        kubectl_ms = statistics.median(
            timed_ms(lambda: kubectl("-n", NAMESPACE, "get", "fn", name)) for _ in range(5)
        )
    return [
        Row(
            "Kubernetes: kubectl apply of new source → answered by it (kubectl itself included)",
            f"p50 {percentile(took_ms, 50):.0f} ms (a kubectl get: {kubectl_ms:.0f} ms)",
            "≤ 500 ms",
            percentile(took_ms, 50) <= 500,
            summary(took_ms, "ms") | {"kubectl_get_ms": kubectl_ms},
        )
    ]


def created(cluster: Cluster) -> list[Row]:
    """A pod of its own instead of one from the pool; the image is there."""
    took_ms = []
    image = json.loads(
        kubectl("-n", NAMESPACE, "get", "pods", "-l", "jupyter-faas.io/role=pool", "-o", "json")
    )["items"][0]["spec"]["containers"][0]["image"]
    with function(cluster, "own", image=image, scaling={"scaledownWindowSeconds": SCALE_S}) as name:
        for _ in range(CREATED_ROUNDS):
            wait_until(lambda: cluster.replicas(name) == 0, 60, "asleep")
            took_ms.append(timed_ms(lambda: cluster.call(name)))
    p50 = percentile(took_ms, 50)
    return [
        Row(
            "Kubernetes: cold start of a created pod, image present",
            f"p50 {p50 / 1000:.2f} s",
            "p50 ≤ 1.6 s",
            p50 <= 1600,
            summary(took_ms, "ms"),
        )
    ]


def warm(cluster: Cluster) -> list[Row]:
    """A warm no-op by the Service's address."""
    with function(cluster, "warm", scaling={"maxInputs": 64}) as name:
        took_ms = [timed_ms(lambda: cluster.call(name)) for _ in range(2000)]
        run_ms = [float(cluster.call(name)["faas-run-ms"]) for _ in range(50)]
        # Without wrk that row is left out: nothing else here makes 64 callers cheaply enough.
        rates = [rate_at(cluster, name, 64) for _ in range(3)] if shutil.which("wrk") else []
    p50 = percentile(took_ms, 50)
    rows = [
        Row(
            "Kubernetes: warm no-op over HTTP, one connection (Python client)",
            f"p50 {p50:.2f} ms, {1000 / p50:.0f} calls/s",
            "",
            None,
            summary(took_ms, "ms") | {"run_p50_ms": percentile(run_ms, 50)},
        )
    ]
    if rates:
        rows.append(
            Row(
                "Kubernetes: warm no-op over HTTP, 64 connections (wrk), over Knative's 2,700",
                f"{max(rates):,.0f} calls/s ({max(rates) / 2700:.1f} ×)",
                "≥ 2 ×",
                max(rates) >= 5400,
                {"calls_per_s": max(rates)},
            )
        )
    return rows


def rate_at(cluster: Cluster, name: str, connections: int) -> float:
    """Return calls per second that wrk sees in 4 s over so many connections."""
    script = (
        'wrk.method="POST" wrk.body="0" wrk.headers["Content-Type"]="application/json" '
        f'wrk.headers["Authorization"]="Bearer {cluster.token}"'
    )
    path = f"/tmp/faas-bench-{os.getpid()}.lua"
    with open(path, "w") as file:
        os.chmod(path, 0o600)
        file.write(script)
    try:
        url = f"http://{cluster.host}/function/{NAMESPACE}/{name}"
        shown = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", "-d4s", "-s", path, url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        os.unlink(path)
    assert "Non-2xx" not in shown, shown
    return float(next(line for line in shown.splitlines() if "Requests/sec" in line).split()[1])


def apply(name: str, source: str, **spec: Any) -> None:
    """Apply a Function of inline source."""
    scaling = {"maxContainers": 30, **spec.pop("scaling", {})}
    manifest = {
        "apiVersion": "jupyter-faas.io/v1alpha1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"code": {"source": source, "python": "3.11"}, "scaling": scaling, **spec},
    }
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(manifest))


def kubectl(*args: str, stdin: str | None = None) -> str:
    """Run kubectl; return what it printed."""
    return subprocess.run(
        ["kubectl", *args], input=stdin, capture_output=True, text=True, check=True
    ).stdout
