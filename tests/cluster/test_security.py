"""A real cluster without NetworkPolicies: its tokens and RBAC, its pods, and who gets nowhere."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from jupyter_faas.core.version import VERSION
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.gateway.verdicts import FRESH_S, REFUSED_S
from jupyter_faas.providers.kubernetes.api import KubeApi, Object, path_of
from jupyter_faas.providers.kubernetes.keys import ensure_keys, publish_trust
from jupyter_faas.providers.kubernetes.names import KEYS_SECRET, RUNNER_PORT, TRUST_CONFIG
from jupyter_faas.providers.kubernetes.pods import RunnerShape, runner_pod
from jupyter_faas.providers.kubernetes.reviews import Reviews
from jupyter_faas.wire.upstream import Answer
from tests.cluster.places import closed
from tests.gateway.cluster import ClusterBench, cluster_bench
from tests.gateway.conftest import problem
from tests.runner.pods import SEED, Pod, told

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="no KUBECONFIG"),
]

PREFIX = os.environ.get("FAAS_TEST_PREFIX", "t-security")
IMAGE = os.environ.get("FAAS_TEST_RUNNER_IMAGE", f"jupyter-faas/runner:{VERSION}-py3.11")
RBAC = "rbac.authorization.k8s.io/v1"
SECRET = "s" * 64


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    made = await KubeApi.connect()
    yield made
    await closed(made)


@pytest.fixture
async def namespaces(api: KubeApi) -> AsyncIterator[tuple[str, str]]:
    """Two namespaces; what runs there must pass `restricted`."""
    run = secrets.token_hex(3)
    names = (f"{PREFIX}-{run}-a", f"{PREFIX}-{run}-b")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name in names:
        body = {"metadata": {"name": name, "labels": labels}}
        await api.create(path_of("namespaces"), body)
    yield names
    for name in names:
        await api.delete(path_of("namespaces", name=name))


async def until(ask: Any, what: str, timeout_s: float = 60.0) -> Any:
    """Wait for a true answer of the cluster."""
    async with asyncio.timeout(timeout_s):
        while not (found := await ask()):  # noqa: ASYNC110 - nobody tells: the cluster is asked
            await asyncio.sleep(0.1)
    assert found, what
    return found


# -- keys


async def test_gateways_that_start_at_once_have_the_same_keys(api, namespaces):
    system, _ = namespaces
    made = [Keys.make() for _ in range(5)]
    got = await asyncio.gather(*(ensure_keys(api, system, one.stored()) for one in made))
    keys = [Keys.read(one) for one in got]
    assert len({one.public_key for one in keys}) == 1
    assert keys[0].public_key in {one.public_key for one in made}
    later = Keys.read(await ensure_keys(api, system, Keys.make().stored()))
    assert later.call_token("x") == keys[0].call_token("x")


async def test_trust_is_told_to_every_namespace_and_mended(api, namespaces):
    keys = Keys.make()
    await publish_trust(api, namespaces, keys.public_key)
    paths = [path_of("configmaps", one, TRUST_CONFIG) for one in namespaces]
    first = [await api.get(path) for path in paths]
    await publish_trust(api, namespaces, keys.public_key)
    assert [await api.get(path) for path in paths] == first, "nothing is written twice"
    await api.patch(paths[0], {"data": {"gateway.pub": "forged"}})
    await api.delete(paths[1])
    await publish_trust(api, namespaces, keys.public_key)
    again = [await api.get(path) for path in paths]
    assert [one["data"] for one in again] == [one["data"] for one in first]


# -- people


class People:
    """ServiceAccounts of a namespace, as people."""

    def __init__(self, api: KubeApi, home: str) -> None:
        self.api = api
        self.home = home

    async def add(self, name: str, where: str, verbs: dict[str, list[str]]) -> str:
        """Make somebody who may do `verbs` on these parts of functions; return their token."""
        api = self.api
        await api.create(path_of("serviceaccounts", self.home), {"metadata": {"name": name}})
        rules = [
            {"apiGroups": ["jupyter-faas.io"], "resources": [resource], "verbs": allowed}
            for resource, allowed in verbs.items()
        ]
        if rules:
            role = {"metadata": {"name": name}, "rules": rules}
            await api.create(path_of("roles", where, group=RBAC), role)
            await api.create(path_of("rolebindings", where, group=RBAC), self._binding(name))
            for resource, allowed in verbs.items():
                await until(partial(self._may, name, where, allowed[0], resource), "it is in force")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        made = await api.create(path_of("serviceaccounts", self.home, name, part="token"), body)
        return str(made["status"]["token"])

    async def _may(self, name: str, where: str, verb: str, resource: str) -> bool:
        plural, _, part = resource.partition("/")
        attributes = {
            "group": "jupyter-faas.io", "resource": plural, "subresource": part,
            "verb": verb, "namespace": where,
        }  # fmt: skip
        user = f"system:serviceaccount:{self.home}:{name}"
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        path = path_of("subjectaccessreviews", group="authorization.k8s.io/v1")
        return bool((await self.api.create(path, asked))["status"]["allowed"])

    def _binding(self, name: str) -> Object:
        return {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.home}],
        }


@pytest.fixture
async def bench(api: KubeApi, namespaces: tuple[str, str]) -> AsyncIterator[ClusterBench]:
    """A gateway whose permission model is this cluster's; one function in each namespace."""
    own, other = namespaces
    async with cluster_bench(reviews=Reviews(api), namespace=own) as made:
        made.service.calls.clock = made.clock
        await made.deploy("f", namespace=own)
        await made.deploy("f", namespace=other)
        yield made


async def ask(bench: ClusterBench, line: str, token: str | None) -> Answer:
    method, path = line.split(" ")
    return await bench.call(method=method, path=path, token=token, body=b"[1]")


async def test_rbac_decides_who_may_do_what_and_where(api, namespaces, bench):
    own, other = namespaces
    people = People(api, own)
    everything = ["get", "list", "create", "update", "delete"]
    tokens = {
        "caller": await people.add("caller", own, {"functions/invoke": ["create"]}),
        "viewer": await people.add("viewer", own, {"functions": ["get", "list"]}),
        "owner": await people.add(
            "owner", own, {"functions": everything, "functions/invoke": ["create"]}
        ),
        "nobody": await people.add("nobody", own, {}),
    }
    requests = {
        f"POST /function/{own}/f": {"caller", "owner"},
        f"POST /function/{other}/f": set(),
        "GET /v1/functions": {"viewer", "owner"},
        f"GET /v1/functions?namespace={other}": set(),
        "GET /v1/functions/f": {"viewer", "owner"},
        "PATCH /v1/functions/f/scaling": {"owner"},
        "PUT /v1/functions/f": {"owner"},
        "PUT /v1/functions/new": {"owner"},
        f"PUT /v1/functions/new?namespace={other}": set(),
        f"PUT /v1/blobs/{'0' * 64}": {"owner"},
        "DELETE /v1/functions/f": {"owner"},
    }
    for line, allowed in requests.items():
        for who, token in sorted(tokens.items()):
            answer = await ask(bench, line, token)
            assert (answer.status != 403) == (who in allowed), (line, who, answer)
            if who not in allowed:
                detail = problem(answer)["detail"]
                assert f"`system:serviceaccount:{own}:{who}` may not" in detail
                assert f"`{problem(answer)['verb']}` on `functions" in detail
    assert (await ask(bench, "GET /v1/functions", "no-such-token")).status == 401
    assert (await ask(bench, "GET /v1/functions", None)).status == 401


async def test_a_right_and_a_token_that_are_taken_back_end_within_a_minute(api, namespaces, bench):
    own, _ = namespaces
    people = People(api, own)
    token = await people.add("caller", own, {"functions/invoke": ["create"]})
    line = f"POST /function/{own}/f"
    for _ in range(3):
        assert (await ask(bench, line, token)).status == 200
    await api.delete(path_of("rolebindings", own, "caller", group=RBAC))

    async def refused() -> bool:
        bench.clock.ahead_s += FRESH_S + REFUSED_S
        return (await ask(bench, line, token)).status == 403

    await until(refused, "refused")  # RBAC's own caches follow in a moment
    await api.delete(path_of("serviceaccounts", own, "caller"))

    async def unknown() -> bool:
        bench.clock.ahead_s += FRESH_S + REFUSED_S
        return (await ask(bench, line, token)).status == 401

    await until(unknown, "unknown")


# -- runners in pods


async def start_pods(api: KubeApi, namespace: str, names: list[str]) -> list[Pod]:
    """Start generic runners that trust `SEED`; return them once they answer."""
    for name in names:
        pod = runner_pod(RunnerShape(image=IMAGE, python="3.11", preload=()))
        pod["metadata"]["name"] = name
        await api.create(path_of("pods", namespace), {"apiVersion": "v1", "kind": "Pod", **pod})
    return [await _ready(api, namespace, name) for name in names]


async def _ready(api: KubeApi, namespace: str, name: str) -> Pod:
    async def there() -> Pod | None:
        pod = await api.get(path_of("pods", namespace, name))
        conditions = pod["status"].get("conditions") or ()
        if not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            return None
        return Pod(pod["metadata"]["uid"], pod["status"]["podIP"], RUNNER_PORT)

    made: Pod = await until(there, f"pod {name} is ready", 120.0)
    return made


async def test_a_function_in_a_pod_reaches_no_other_runner(api, namespaces):
    """The attacker is code in a pod of the same namespace that has seen all that was sent."""
    own, _ = namespaces
    keys = Keys(SEED, SEED, SEED)
    await publish_trust(api, [own], keys.public_key)
    evil, victim, generic = await start_pods(api, own, ["evil", "victim", "generic"])
    seen = victim.hello()

    def attack(port: int, victim: str, generic: str, envelope: str, blob: str) -> list:
        import base64
        import urllib.error
        import urllib.request

        def send(where: str, method: str, path: str, body: bytes = b"", **headers: str) -> object:
            url = f"http://{where}:{port}{path}"
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            request = urllib.request.Request(url, body or None, told, method=method)
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, ""

        head = base64.b64decode(envelope)
        sealed = len(head).to_bytes(4, "little") + head + base64.b64decode(blob)
        kind = "application/vnd.faas.sealed-specialisation"
        call = {"Faas_Revision_Id": "r1", "Faas_Invocation_Id": "x"}
        return [
            send(victim, "POST", "/v1/call", b"[]", **call)[0],
            send(victim, "POST", "/v1/call", b"[]", Faas_Secret="guess", **call)[0],
            send(victim, "GET", "/v1/watch")[0],
            send(victim, "POST", "/v1/drain")[0],
            send(victim, "POST", "/v1/specialise", sealed, Content_Type=kind)[0],
            send(generic, "POST", "/v1/specialise", sealed, Content_Type=kind)[0],
            send(generic, "POST", "/v1/specialise", sealed)[0],
            send(generic, "POST", "/v1/specialise", b"\x01\0\0\0x")[0],
            send(victim, "GET", "/v1/runner")[1],
        ]

    head, blob = told(lambda: "secret of the victim", SECRET)
    envelope = victim.seal(head)
    assert victim.send(envelope, blob).status == 200
    evil_head, evil_blob = told(attack, "e" * 64, timeout_s=60.0)
    assert evil.send(evil.seal(evil_head), evil_blob).status == 200
    statuses, hello = await _attack(evil, victim, generic, envelope, blob)
    assert statuses == [401, 401, 401, 401, 403, 403, 401, 401]
    assert "default" not in hello
    assert "r1" not in hello
    assert generic.hello()["state"] == "generic"
    assert victim.call(SECRET).body == b"secret of the victim"

    # The same pod after a restart of its container is another start: nothing old opens.
    victim.request("POST", "/v1/drain", {"Faas-Secret": SECRET})

    async def again() -> bool:
        try:
            return victim.hello().get("nonce", seen["nonce"]) != seen["nonce"]
        except OSError:
            return False

    await until(again, "its container has been started anew", 120.0)
    assert victim.send(envelope, blob).status == 403
    assert victim.send(victim.seal(head), blob).status == 200


async def _attack(
    evil: Pod, victim: Pod, generic: Pod, envelope: bytes, blob: bytes
) -> tuple[list[int], str]:
    import base64

    import msgspec

    encoded = [base64.b64encode(one).decode() for one in (envelope, blob)]
    body = msgspec.json.encode([RUNNER_PORT, victim.host, generic.host, *encoded])
    answer = evil.call("e" * 64, body=body)
    assert answer.status == 200, answer
    *statuses, hello = msgspec.json.decode(answer.body)
    return statuses, hello


async def test_the_secret_of_the_keys_is_what_the_gateway_alone_may_read(api, namespaces, bench):
    """Who has every right on functions still has none on the gateway's keys."""
    own, _ = namespaces
    await ensure_keys(api, own, Keys.make().stored())
    await People(api, own).add("owner", own, {"functions": ["*"], "functions/invoke": ["create"]})
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{own}:owner",
            "resourceAttributes": {
                "verb": "get", "resource": "secrets", "name": KEYS_SECRET, "namespace": own,
            },
        },
    }  # fmt: skip
    path = path_of("subjectaccessreviews", group="authorization.k8s.io/v1")
    assert (await api.create(path, asked))["status"]["allowed"] is False
