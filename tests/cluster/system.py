"""An installed jupyter_faas on a real cluster, seen as its users see it: kubectl and HTTP."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from tests.cluster.conftest import KubectlFailed, run_kubectl
from tests.support import wait_until

GATEWAY = "jupyter-faas-gateway"
USER = "jupyter-faas-user"
READY_S = 60.0

Object = dict[str, Any]


class Answer(NamedTuple):
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Target(NamedTuple):
    """What `Load` needs to know of a gateway."""

    address: tuple[str, int]
    token: str


class System:
    """The gateway of one installation and one namespace of functions.

    Args:
        system: Namespace of the gateways.
        namespace: Of the functions.
    """

    def __init__(self, system: str, namespace: str) -> None:
        self.system = system
        self.namespace = namespace
        service = self.get("service", GATEWAY, namespace=system)
        self.address = (str(service["spec"]["clusterIP"]), 80)
        self.token = run_kubectl("-n", system, "create", "token", USER, "--duration=2h").strip()

    # -- kubectl

    def kubectl(self, *args: str, stdin: str | None = None, timeout_s: float = 60.0) -> str:
        """Run kubectl in the functions' namespace."""
        return run_kubectl("-n", self.namespace, *args, stdin=stdin, timeout_s=timeout_s)

    def apply(self, *objects: Object) -> None:
        """Apply objects, as a person would."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """Return an object.

        Raises:
            KubectlFailed: There is none.
        """
        text = run_kubectl("-n", namespace or self.namespace, "get", kind, name, "-o", "json")
        return dict(json.loads(text))

    def list(self, kind: str, selector: str = "", namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind."""
        picked = ("-l", selector) if selector else ()
        text = run_kubectl("-n", namespace or self.namespace, "get", kind, *picked, "-o", "json")
        return list(json.loads(text)["items"])

    def living_pods(self) -> int:
        """Return how many pods there are and stay: those on their way out are not counted."""
        return sum(
            "deletionTimestamp" not in pod["metadata"]
            and pod["status"].get("phase") not in ("Succeeded", "Failed")
            for pod in self.list("pods")
        )

    def exists(self, kind: str, name: str) -> bool:
        """Return whether there is an object of this name."""
        try:
            self.get(kind, name)
        except KubectlFailed as error:
            if "NotFound" in str(error):
                return False
            raise
        return True

    # -- functions

    def replicas(self, name: str) -> list[Object]:
        """Return the pods that serve a function and are not on their way out."""
        pods = self.list("pods", f"jupyter-faas.io/function={name}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def ready_replicas(self, name: str) -> list[str]:
        """Return the replicas that the gateway says can be called."""
        shown = self.control("GET", f"/v1/functions/{name}/replicas").json()
        # A function that was applied a moment ago is not known yet.
        return [one["id"] for one in shown.get("replicas", ()) if one["state"] in ("ready", "busy")]

    def condition(self, name: str, kind: str = "Ready") -> Object:
        """Return a condition of a function; empty: it has none."""
        found = self.get("fn", name).get("status", {}).get("conditions", [])
        return next((one for one in found if one["type"] == kind), {})

    def wait_ready(self, name: str, timeout_s: float = READY_S) -> None:
        """Wait with kubectl until a function is ready."""
        wait = f"--timeout={timeout_s:g}s"
        self.kubectl("wait", "--for=condition=Ready", f"fn/{name}", wait, timeout_s=timeout_s + 10)

    def delete(self, name: str) -> None:
        """Delete a function and wait until nothing is left of it."""
        self.kubectl("delete", "fn", name, "--ignore-not-found", "--timeout=60s")
        wait_until(
            lambda: not self.list("pods", f"jupyter-faas.io/function={name}"),
            60.0,
            what=f"the pods of {name} are gone",
        )

    # -- HTTP

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        token: str | None = "",
        timeout_s: float = 30.0,
        address: tuple[str, int] | None = None,
    ) -> Answer:
        """Ask the gateways, or one; `token`: "" is the test user's, None sends none."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        data = None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*(address or self.address), timeout=timeout_s)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, lower, answer.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        """Return whether a gateway is reached: nodes hear of a ready pod last."""
        with suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/readyz", token=None, timeout_s=5.0).status == 200
        return False

    def call(self, name: str, body: Any = None, **more: Any) -> Answer:
        """Call a function."""
        return self.request("POST", f"/function/{self.namespace}/{name}", body, **more)

    def control(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask the control API about the functions' namespace."""
        mark = "&" if "?" in path else "?"
        return self.request(method, f"{path}{mark}namespace={self.namespace}", body)


def inline(name: str, source: str, **spec: Any) -> Object:
    """Return a Function with inline source."""
    code = {"source": source, "python": "3.11", **spec.pop("code", {})}
    return {
        "apiVersion": "jupyter-faas.io/v1alpha1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"code": code, **spec},
    }


def took_s(work: Callable[[], object]) -> float:
    """Return how long `work` took, in seconds."""
    begun_s = time.monotonic()
    work()
    return time.monotonic() - begun_s
