"""The way from a laptop to a gateway on a real cluster; a pod stands in for the gateway."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

import jupyter_faas as faas
from jupyter_faas.client.cluster import ClusterAddress
from jupyter_faas.client.gateway import Gateway
from jupyter_faas.client.kube.forward import Forward
from jupyter_faas.client.session import session
from jupyter_faas.core.version import VERSION
from tests.cluster.conftest import wait_allowed
from tests.support import wait_until

IMAGE = f"jupyter-faas/runner:{VERSION}-py3.11"  # any with a Python
STAND_IN = Path(__file__).with_name("stand_in.py").read_text()
KUBECONFIG = os.environ.get("KUBECONFIG", "")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not KUBECONFIG, reason="KUBECONFIG names no cluster"),
]


class Cluster:
    """What the tests make in their own namespace, through the official client."""

    def __init__(self) -> None:
        from kubernetes import client, config

        config.load_kube_config()
        self.core = client.CoreV1Api()
        self.namespace = f"t-k6-{secrets.token_hex(3)}"
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        for account in ("jupyter-faas-user", "nobody"):
            self.core.create_namespaced_service_account(
                self.namespace, {"metadata": {"name": account}}
            )

    def gateway(self, name: str, image: str = IMAGE) -> None:
        """Create a pod with the gateway's labels."""
        container = {
            "name": "gateway",
            "image": image,
            "imagePullPolicy": "Never",
            "command": ["python", "-c", STAND_IN],
            "readinessProbe": {
                "httpGet": {"path": "/readyz", "port": 8080},
                "periodSeconds": 1,
                "failureThreshold": 1,
            },
        }
        pod = {
            "metadata": {"name": name, "labels": {"jupyter-faas.io/role": "gateway"}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        }
        self.core.create_namespaced_pod(self.namespace, pod)

    def start_another(self) -> str:
        """Start one more gateway and return its name once it is ready."""
        name = f"gateway-{secrets.token_hex(2)}"
        self.gateway(name)
        wait_until(lambda: self.is_ready(name), 90, what=f"{name} is ready")
        return name

    def kill(self, name: str) -> None:
        self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)

    def is_ready(self, name: str) -> bool:
        status = self.core.read_namespaced_pod(name, self.namespace).status
        return any(c.type == "Ready" and c.status == "True" for c in status.conditions or ())

    def waits_for(self, name: str) -> str:
        """Return why a pod's container has not started, as the node says."""
        status = self.core.read_namespaced_pod(name, self.namespace).status
        waiting = [one.state.waiting for one in status.container_statuses or ()]
        return str(waiting[0].reason) if waiting and waiting[0] else ""

    def token(self, account: str, seconds: int = 600) -> str:
        made = self.core.create_namespaced_service_account_token(
            account, self.namespace, {"spec": {"expirationSeconds": seconds}}
        )
        return str(made.status.token)

    def kubeconfig(self, path: Path, user: dict[str, Any]) -> Path:
        """Write a kubeconfig for this cluster with other credentials and a context `mine`."""
        with open(KUBECONFIG) as file:
            known = yaml.safe_load(file)
        cluster = known["clusters"][0]["cluster"]
        context = {"cluster": "c", "user": "u", "namespace": "team-a"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "mine", "context": context}],
            "current-context": "mine",
        }
        path.write_text(yaml.safe_dump(config))
        return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    made.start_another()
    yield made
    made.core.delete_namespace(made.namespace)


@pytest.fixture
def connected(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Gateway]]:
    """`faas.connect` with the stand-in's namespace as the system namespace."""
    monkeypatch.setenv("FAAS_SYSTEM_NAMESPACE", cluster.namespace)
    monkeypatch.delenv("FAAS_GATEWAY_URL", raising=False)
    monkeypatch.delenv("FAAS_GATEWAY_TOKEN", raising=False)
    monkeypatch.setenv("FAAS_CONNECT_TIMEOUT_S", "30")
    monkeypatch.setattr(session, "gateway", None)
    made: list[Gateway] = []

    def connect(*args: Any, **options: Any) -> Gateway:
        made.append(faas.connect(*args, **options))
        return made[-1]

    yield connect
    for gateway in made:
        gateway.close()


def ask(gateway: Gateway, path: str, body: bytes = b"") -> bytes:
    connection, response = gateway.open(
        "POST" if body else "GET", path, (), (body,) if body else ()
    )
    content = response.read()
    gateway.release(connection)
    if response.status >= 400:
        from jupyter_faas.client import answers

        raise answers.problem_of(response.status, response.headers, content)
    return content


def claims_of(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


def test_a_laptop_reaches_the_gateway_through_kubeconfig(connected, cluster):
    gateway = connected("kubernetes")
    assert gateway.provider == "kubernetes"
    assert gateway.state()["version"] == "9"
    assert gateway.namespace == "default"
    assert "namespace default" in repr(gateway)
    assert ask(gateway, "/whoami").startswith(b"gateway-")


def test_who_has_certificates_shows_a_token_made_for_him(connected, cluster):
    gateway = connected("kubernetes")
    shown = ask(gateway, "/shown").decode()
    assert shown == f"Bearer {gateway.token}"
    account = f"system:serviceaccount:{cluster.namespace}:jupyter-faas-user"
    assert claims_of(gateway.token)["sub"] == account


def test_no_token_is_in_a_repr(connected):
    gateway = connected("kubernetes")
    seen = repr((gateway, gateway.location, gateway.access, gateway.key)) + gateway._repr_html_()
    assert gateway.token not in seen
    assert gateway.token not in repr(vars(gateway.access)["_token"])


def test_an_address_for_other_programs_leads_there_while_the_process_lives(connected):
    gateway = connected("kubernetes")
    assert gateway.url.startswith("http://127.0.0.1:")
    assert "while it runs" in gateway.url_note
    with urlopen(f"{gateway.url}/whoami", timeout=10) as answer:
        assert answer.read().startswith(b"gateway-")


def test_many_connections_at_once(connected):
    gateway = connected("kubernetes")
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(gateway, "/whoami"))) for _ in range(64)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 64
    assert len(set(found)) == 1


async def test_coroutines_use_it_too(connected):
    gateway = connected("kubernetes")

    async def one() -> bytes:
        connection, response = await gateway.aio.open("GET", "/whoami", ())
        content = await response.read()
        gateway.aio.release(connection)
        return content

    assert len(set(await asyncio.gather(*(one() for _ in range(20))))) == 1


def test_large_bodies_arrive_whole_in_both_directions(connected):
    gateway = connected("kubernetes")
    body = secrets.token_bytes(1 << 20) * 30
    assert ask(gateway, "/", body).decode() == hashlib.sha256(body).hexdigest()
    assert ask(gateway, f"/size={len(body)}") == b"x" * len(body)


def test_the_gateway_sees_a_caller_leave(connected):
    gateway = connected("kubernetes")
    before = int(ask(gateway, "/left"))
    with pytest.raises(faas.GatewayLost, match="has not answered"):
        gateway.open("GET", "/slow", (), timeout_s=0.3)
    wait_until(lambda: int(ask(gateway, "/left")) == before + 1, what="the stand-in saw it")


def test_a_context_and_a_namespace_can_be_named(connected, cluster, tmp_path, monkeypatch):
    path = cluster.kubeconfig(tmp_path / "config", _own_user())
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert connected(context="mine").namespace == "team-a"
    assert connected("kubernetes://mine/team-b").namespace == "team-b"
    assert connected("kubernetes", namespace="team-c").namespace == "team-c"
    monkeypatch.setenv("FAAS_GATEWAY_URL", "kubernetes:///team-d")
    assert connected().namespace == "team-d"


def test_a_bearer_token_of_kubeconfig_is_shown_as_it_is(connected, cluster, tmp_path, monkeypatch):
    _allow(cluster, "jupyter-faas-user")
    token = cluster.token("jupyter-faas-user")
    path = cluster.kubeconfig(tmp_path / "config", {"token": token})
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert ask(connected("kubernetes"), "/shown").decode() == f"Bearer {token}"


def test_an_exec_plugin_is_asked_again_when_its_token_has_expired(cluster, tmp_path, monkeypatch):
    _allow(cluster, "jupyter-faas-user")
    token = cluster.token("jupyter-faas-user")
    (tmp_path / "credential").write_text(
        json.dumps(
            {
                "apiVersion": "client.authentication.k8s.io/v1",
                "kind": "ExecCredential",
                "status": {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"},
            }
        )
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", f"echo x >> {tmp_path}/runs; cat {tmp_path}/credential"],
        "interactiveMode": "Never",
    }
    path = cluster.kubeconfig(tmp_path / "config", {"exec": plugin})
    monkeypatch.setenv("KUBECONFIG", str(path))
    now = [time.time()]
    forward = _forward(cluster, wall_clock=lambda: now[0])
    try:
        assert forward.token() == token
        runs = (tmp_path / "runs").read_text()
        assert not forward.is_due()
        now[0] += 61
        assert forward.is_due()
        assert forward.token() == token
        assert len((tmp_path / "runs").read_text()) > len(runs)
    finally:
        forward.close()


def test_a_token_is_renewed_before_it_expires(cluster):
    now = [time.time()]
    forward = _forward(cluster, wall_clock=lambda: now[0])
    try:
        first = forward.token()
        left_s = claims_of(first)["exp"] - now[0]
        now[0] += left_s * 0.5
        assert forward.token() == first
        now[0] += left_s * 0.3
        assert forward.is_due()
        assert forward.token() != first
    finally:
        forward.close()


def test_a_lost_pod_ends_what_is_in_flight_and_the_next_call_goes_to_another(connected, cluster):
    gateway = connected("kubernetes")
    used = ask(gateway, "/whoami").decode()
    other = cluster.start_another()
    ended: list[BaseException] = []

    def in_flight() -> None:
        with pytest.raises(faas.GatewayLost) as caught:
            gateway.open("GET", "/slow", ())
        ended.append(caught.value)

    kept = [gateway.open("GET", "/whoami", ()) for _ in range(3)]
    for connection, response in kept:
        response.read()
        gateway.release(connection)
    thread = threading.Thread(target=in_flight)
    thread.start()
    wait_until(lambda: len(gateway._idle) == 2, what="the call has a connection")
    cluster.kill(used)
    thread.join(90)
    assert len(ended) == 1
    assert [ask(gateway, "/whoami").decode() for _ in range(10)] == [other] * 10


def test_a_draining_pod_gets_no_new_connection(connected, cluster):
    gateway = connected("kubernetes")
    used = ask(gateway, "/whoami").decode()
    other = cluster.start_another()
    ask(gateway, "/unready")
    gateway._close_idle()
    assert ask(gateway, "/whoami").decode() == other
    cluster.kill(used)


def test_a_pod_that_does_not_get_ready_is_explained(cluster, monkeypatch):
    broken = Cluster()
    try:
        broken.gateway("gateway-0", image="no-such-image:1")
        wait_until(lambda: broken.waits_for("gateway-0") == "ErrImageNeverPull", 90)
        with pytest.raises(faas.GatewayUnavailable, match="gateway-0: ErrImageNeverPull") as caught:
            _forward(broken, reach_s=3.0)
        assert "Nothing was sent" in str(caught.value)
    finally:
        broken.core.delete_namespace(broken.namespace)


def test_a_cluster_without_a_gateway_says_how_to_install_one(cluster, connected, monkeypatch):
    monkeypatch.setenv("FAAS_SYSTEM_NAMESPACE", "kube-public")
    with pytest.raises(faas.GatewayUnavailable, match="jupyter-faas install"):
        connected("kubernetes")


def test_an_unknown_context_names_those_there_are(connected):
    with pytest.raises(faas.GatewayUnavailable, match=r"no context 'nowhere'\. There are: "):
        connected(context="nowhere")


def test_without_kubeconfig_it_says_what_to_do(connected, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(faas.GatewayUnavailable, match="There is no kubeconfig"):
        connected("kubernetes")


def test_an_api_server_that_is_away_is_told(connected, cluster, monkeypatch, tmp_path):
    path = cluster.kubeconfig(tmp_path / "config", {"token": "t"})
    config = yaml.safe_load(path.read_text())
    config["clusters"][0]["cluster"] = {"server": "http://127.0.0.1:9"}
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(faas.GatewayUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        connected("kubernetes")


def test_who_may_not_see_the_pods_is_told_what_is_needed(connected, cluster, monkeypatch, tmp_path):
    path = cluster.kubeconfig(tmp_path / "config", {"token": cluster.token("nobody")})
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(faas.Forbidden, match="pods/portforward"):
        connected("kubernetes")


def test_bad_credentials_are_told(connected, cluster, monkeypatch, tmp_path):
    path = cluster.kubeconfig(tmp_path / "config", {"token": "wrong"})
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(faas.Unauthorized, match="log in again"):
        connected("kubernetes")


def test_closing_leaves_no_thread_and_no_socket_and_use_opens_anew(connected):
    gateway = connected("kubernetes")
    socket = Path(gateway.access.socket)
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    gateway.close()
    assert not socket.parent.exists()
    assert not [t for t in threading.enumerate() if "port-forward" in t.name]
    assert ask(gateway, "/whoami").startswith(b"gateway-")


def test_two_connections_to_one_cluster_share_the_way(connected):
    first, second = connected("kubernetes"), connected("kubernetes", namespace="team-b")
    assert first.access is second.access


PROGRAM = """
import os, signal, sys, jupyter_faas as faas
gateway = faas.connect("kubernetes")
print(gateway.access.socket, flush=True)
if "die" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_ends_leaves_nothing_and_a_killed_one_is_cleaned_up_after(
    cluster, connected
):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert not Path(done.stdout.strip()).parent.exists()
    assert done.stderr == ""
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, "die"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip()).parent
    assert left.exists()
    connected("kubernetes", token="a token of another connection")
    assert not left.exists()


def _forward(cluster: Cluster, **options: Any) -> Forward:
    return Forward(ClusterAddress(), cluster.namespace, **{"reach_s": 30.0, **options})


def _own_user() -> dict[str, Any]:
    with open(KUBECONFIG) as file:
        user: dict[str, Any] = yaml.safe_load(file)["users"][0]["user"]
    return user


def _allow(cluster: Cluster, account: str) -> None:
    """Let an account reach the gateway's pods."""
    from kubernetes import client

    rbac = client.RbacAuthorizationV1Api()
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create", "get"]},
    ]
    name = {"metadata": {"name": "reach"}}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": cluster.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reach"}
    with contextlib.suppress(client.ApiException):
        rbac.create_namespaced_role(cluster.namespace, {**name, "rules": rules})
        rbac.create_namespaced_role_binding(
            cluster.namespace, {**name, "subjects": [subject], "roleRef": role}
        )
    who = f"system:serviceaccount:{cluster.namespace}:{account}"
    wait_allowed(who, cluster.namespace, "create", "pods", "portforward")
