"""What three hundred functions cost that nobody calls: memory, and requests to the API server.

They are put into the cluster as a backup would: as Functions and FunctionRevisions that are ready,
while no gateway runs. Requests are counted by the API server itself, by a FlowSchema of the
gateways' account.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from bench.cluster.world import (
    ASLEEP_S,
    GATEWAY,
    GATEWAYS,
    NAMESPACE,
    SYSTEM,
    Cluster,
    delete,
    function,
    kubectl,
    pods_of,
    processes,
)
from bench.harness import Row, resident_kib, wait_until

COUNT, REST_S, SETTLE_S = 300, 20.0, 8.0
AT_ONCE, TRIES = 4, 5
_NAME, _SCHEMA = "rest-0", "jupyter-faas-bench"
_COUNTER = "apiserver_flowcontrol_dispatched_requests_total{"


def resting(cluster: Cluster) -> list[Row]:
    """Memory and API requests of both gateways with all functions at zero."""
    gateways = len(pods_of(SYSTEM, GATEWAYS))
    try:
        with function(cluster, _NAME, scaling={"scaledownWindowSeconds": ASLEEP_S}):
            wait_until(lambda: cluster.sleeps(_NAME), 30, "asleep")
            time.sleep(1.0)
            _restart(0)
            _restart(gateways)
            before_kib = _memory_kib()
            _restart(0)
            asyncio.run(_fill())
            _restart(gateways)
            after_kib = _memory_kib()
            cluster.reconnect()
            shown = cluster.control("/v1/functions")["functions"]
            assert len(shown) >= COUNT, f"only {len(shown)} functions are seen"
            per_s = _requests_per_s()
    finally:
        _restart(gateways)
        cluster.reconnect()
        delete(*(f"rest-{number}" for number in range(1, COUNT)))
    rows = [
        Row(
            f"Kubernetes: requests to the API server at rest, {COUNT} functions, {gateways} "
            "gateways together",
            f"{per_s:.1f}/s",
            "≤ 2/s",
            per_s <= 2.05,
            {"per_s": per_s},
        )
    ]
    if before_kib and after_kib:
        each_kib = (max(after_kib) - max(before_kib)) / (COUNT - 1)
        row = Row(
            f"Kubernetes: memory of a gateway per function, {COUNT} functions",
            f"{each_kib:.1f} KB ({max(before_kib) / 1024:.0f} → {max(after_kib) / 1024:.0f} MiB)",
            "≤ 15 KB",
            each_kib <= 15,
            {"kib_each": each_kib, "before_kib": max(before_kib), "after_kib": max(after_kib)},
        )
        rows.append(row)
    return rows


def _restart(count: int) -> None:
    """Have so many gateways, the others gone, and let them settle."""
    kubectl("-n", SYSTEM, "scale", "deployment", GATEWAY, f"--replicas={count}")
    wait_until(lambda: len(pods_of(SYSTEM, GATEWAYS)) == count, 60, f"{count} gateways")
    if count:
        kubectl("-n", SYSTEM, "rollout", "status", f"deployment/{GATEWAY}", "--timeout=60s")
        time.sleep(SETTLE_S)
    else:
        kubectl("-n", SYSTEM, "wait", "pod", "-l", GATEWAYS, "--for=delete", "--timeout=60s")


def _memory_kib() -> list[float]:
    """Return what each gateway has resident; empty: this is not their node."""
    pods = pods_of(SYSTEM, GATEWAYS)
    found = [float(sum(resident_kib(pid) for pid in processes(pod))) for pod in pods]
    return [one for one in found if one]


async def _fill() -> None:
    """Copy the one function and its revision, with their statuses."""
    from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
    from jupyter_faas.providers.kubernetes.names import (
        API_VERSION,
        FUNCTIONS,
        REVISIONS,
    )

    api = await KubeApi.connect()
    functions = path_of(FUNCTIONS, NAMESPACE, group=API_VERSION)
    revisions = path_of(REVISIONS, NAMESPACE, group=API_VERSION)
    turns = asyncio.Semaphore(AT_ONCE)
    one = await api.get(f"{functions}/{_NAME}")
    its = await api.get(f"{revisions}/{_NAME}-1")

    async def put(collection: str, body: Object) -> Object:
        path = f"{collection}/{body['metadata']['name']}"
        for tries_left in reversed(range(TRIES)):
            try:
                made = await api.find(path) or await api.create(collection, body)
                await api.patch(f"{path}/status", {"status": body["status"]})
            except KubeError as error:
                if not (tries_left and error.is_passing):
                    raise
            else:
                return made
        raise AssertionError("not reached")

    async def copy(number: int) -> None:
        async with turns:
            made = await put(functions, _renamed(one, number))
            revision = _renamed(its, number)
            revision["metadata"]["ownerReferences"][0]["uid"] = made["metadata"]["uid"]
            await put(revisions, revision)

    try:
        await asyncio.gather(*(copy(number) for number in range(1, COUNT)))
    finally:
        await api.close()


def _renamed(stored: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a stored object under another function's name, ready to be created."""
    made: dict[str, Any] = json.loads(json.dumps(stored).replace(_NAME, f"rest-{number}"))
    meta = made["metadata"]
    kept = ("name", "namespace", "labels", "ownerReferences")
    made["metadata"] = {key: meta[key] for key in kept if key in meta}
    return made


def _requests_per_s() -> float:
    """Return how often the gateways ask the API server for something."""
    account = {"name": GATEWAY, "namespace": SYSTEM}
    schema = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": _SCHEMA},
        "spec": {
            "matchingPrecedence": 850,
            "priorityLevelConfiguration": {"name": "workload-low"},
            "rules": [
                {
                    "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
                    "resourceRules": [
                        {
                            "verbs": ["*"],
                            "apiGroups": ["*"],
                            "resources": ["*"],
                            "clusterScope": True,
                            "namespaces": ["*"],
                        }
                    ],
                }
            ],
        },
    }
    try:
        kubectl("apply", "-f", "-", stdin=json.dumps(schema))
        time.sleep(5.0)
        before, begun_s = _dispatched(), time.monotonic()
        time.sleep(REST_S)
        return (_dispatched() - before) / (time.monotonic() - begun_s)
    finally:
        kubectl("delete", "flowschema", _SCHEMA, "--ignore-not-found")


def _dispatched() -> float:
    lines = kubectl("get", "--raw", "/metrics").splitlines()
    ours = [one for one in lines if one.startswith(_COUNTER) and f'"{_SCHEMA}"' in one]
    return sum(float(one.rpartition(" ")[2]) for one in ours)
