"""Many at once, and what other parts of the cluster do: full pools, an HPA, an API server away."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cluster.conftest import KubectlFailed, run_kubectl
from tests.cluster.system import System, Target, inline
from tests.e2e.load import Load
from tests.support import wait_until

MANY = 30
AWAY_S = 20.0


@pytest.mark.parametrize("cpu", ["10m", "100m"])
def test_thirty_functions_from_zero_at_once_all_answer(system: System, cpu: str) -> None:
    """With 100m each they do not fit on a node of two cores: idle ones yield."""
    names = [f"one-of-{n}" for n in range(MANY)]
    source = "def f(x):\n    return x\n"
    spec = {
        "code": {"entry": "f"},
        "resources": {"cpu": cpu},
        "scaling": {"scaledownWindowSeconds": 2},
        "startupTimeoutSeconds": 240,  # 26 pods are created: a busy machine takes minutes
    }
    system.apply(*(inline(name, source, **spec) for name in names))
    try:
        with ThreadPoolExecutor(MANY) as callers:

            def answer(name: str) -> bytes:
                with suppress(TimeoutError):
                    answer = system.call(name, 7, timeout_s=100.0)
                    return answer.body if answer.status == 200 else b""
                return b""

            def call(name: str) -> int:
                return int(wait_until(lambda: answer(name), 240.0))

            assert list(callers.map(call, names)) == [7] * MANY
    finally:
        system.kubectl("delete", "fn", *names, "--wait=false")
        wait_until(lambda: not system.list("pods", "jupyter-faas.io/role=replica"), 180.0)


def test_an_hpa_moves_the_floor_by_cpu(system: System) -> None:
    try:
        run_kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes")
    except KubectlFailed:
        pytest.skip("the cluster has no metrics-server")
    burn = "import time\ndef burn():\n    t = time.time()\n    while time.time() - t < 0.5: pass\n"
    system.apply(
        inline("burn", burn, resources={"cpu": "100m"}, scaling={"minContainers": 1}),
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "burn"},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "jupyter-faas.io/v1alpha1",
                    "kind": "Function",
                    "name": "burn",
                },
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 50},
                        },
                    }
                ],
            },
        },
    )
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            with suppress(OSError):  # what is told is the CPU, not the answers
                system.call("burn")

    caller = threading.Thread(target=load)
    try:
        system.wait_ready("burn")
        caller.start()

        def floor() -> int:
            return int(system.get("fn", "burn")["spec"]["scaling"].get("minContainers", 0))

        wait_until(lambda: floor() >= 2, 150.0, seen=lambda: system.kubectl("describe", "hpa"))
        wait_until(lambda: len(system.ready_replicas("burn")) >= 2, 60.0)
    finally:
        ended.set()
        caller.join()
        system.kubectl("delete", "hpa", "burn")
        system.delete("burn")


@contextmanager
def api_server_away() -> Iterator[None]:
    """Stop the API server of a cluster that was made on this machine; elsewhere: skip."""
    home = Path(os.environ.get("KUBECONFIG", "")).parent.parent
    try:
        pid = int((home / "run" / "apiserver.pid").read_text())
    except (OSError, ValueError):
        pytest.skip("the API server is no process of this machine's own cluster")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_warm_calls_go_on_while_the_api_server_is_away(system: System) -> None:
    """100 calls/s, all answered; what was changed meanwhile is followed when it is back."""
    system.apply(inline("calm", "def calm(x):\n    return x\n", scaling={"minContainers": 2}))
    system.wait_ready("calm")
    wait_until(lambda: len(system.ready_replicas("calm")) == 2, 60.0)
    try:
        load = Load(Target(system.address, system.token), f"{system.namespace}/calm")
        asyncio.run(load.at_rate(100, 1.0))  # both gateways know the token now
        load.seen.clear()
        with api_server_away():
            asyncio.run(load.at_rate(100, AWAY_S))
        assert load.statuses() == {200: 100 * AWAY_S}
        assert all(one.value == one.sent for one in load.seen)
        wait_until(lambda: system.exists("fn", "calm"), 60.0)
        system.apply(inline("calm", "def calm(x):\n    return x + 1\n"))
        wait_until(lambda: system.call("calm", 3).body == b"4", 60.0)
    finally:
        system.delete("calm")
