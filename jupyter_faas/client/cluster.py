"""Which cluster's gateway is meant, and whether this process runs inside one. No Kubernetes client.

`connect` asks here first: what `kubernetes://CONTEXT/NAMESPACE` names, whether this is a pod whose
cluster has a gateway, and what the pod's own token is now. The way from a laptop is `client/kube`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from jupyter_faas.core.errors import GatewayUnavailable, InvalidSpec
from jupyter_faas.core.names import check_name

SCHEME = "kubernetes"
EMBEDDED = "embedded"
"""As an address: the embedded gateway, also inside a cluster."""

GATEWAY_NAME = "jupyter-faas-gateway"
"""Of the gateway's Service."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and its namespace."""
ANSWER_S = 2.0
"""So long a cluster's gateway is waited for before a pod without one is believed to be alone."""

_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: faas\r\nConnection: close\r\n\r\n"


class ClusterAddress(NamedTuple):
    """Which gateway is meant: of which kubeconfig context, and where names are looked up."""

    context: str = ""
    """Empty: the current one."""
    namespace: str = ""
    """Empty: the context's own."""
    whole: str = ""
    """Both as they were written: a context's name may hold a `/` itself."""

    @property
    def url(self) -> str:
        """As people write it."""
        if not self.context and not self.namespace:
            return SCHEME
        namespace = f"/{self.namespace}" if self.namespace else ""
        return f"{SCHEME}://{quote(self.context, safe='@:')}{namespace}"

    def among(self, contexts: frozenset[str]) -> ClusterAddress:
        """Return what is meant where these contexts are known: one of that very name wins."""
        if self.context not in contexts and self.whole in contexts:
            return ClusterAddress(self.whole)
        return self


class Pod(NamedTuple):
    """The pod this process runs in."""

    token_file: Path
    namespace: str


def is_cluster(url: str) -> bool:
    """Return whether an address names a cluster's gateway."""
    return url == SCHEME or url.startswith(f"{SCHEME}:")


def parse_cluster(url: str) -> ClusterAddress:
    """Read `kubernetes`, `kubernetes://CONTEXT`, `…/NAMESPACE` or `kubernetes:///NAMESPACE`.

    Raises:
        InvalidSpec: None of these; the text names them.
    """
    if url == SCHEME:
        return ClusterAddress()
    start, _, rest = url.partition("://")
    if start != SCHEME or "?" in rest or "#" in rest:
        raise InvalidSpec(
            f"url={url!r}: allowed is kubernetes, kubernetes://CONTEXT, "
            "kubernetes://CONTEXT/NAMESPACE or kubernetes:///NAMESPACE."
        )
    context, slash, namespace = rest.rstrip("/").rpartition("/")
    if not slash:
        return ClusterAddress(context=unquote(namespace))
    whole = unquote(rest.rstrip("/"))
    try:
        return ClusterAddress(unquote(context), check_name(namespace), whole)
    except InvalidSpec:
        return ClusterAddress(whole)  # `/` belongs to the context's name


def own_pod(environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT) -> Pod | None:
    """Return the pod this process runs in; None: it is in none, or may not use the API."""
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    token_file = directory / "token"
    try:
        namespace = (directory / "namespace").read_text().strip()
        has_token = bool(token_file.read_text().strip())
    except OSError:
        return None
    return Pod(token_file, namespace) if namespace and has_token else None


def service_url(system_namespace: str) -> str:
    """Return where a cluster's gateway is for whoever runs inside."""
    return f"http://{GATEWAY_NAME}.{system_namespace}.svc"


def answers(url: str, timeout_s: float = ANSWER_S) -> bool:
    """Return whether a gateway is there; a name that does not resolve, or silence: there is none.

    Raises:
        GatewayUnavailable: There is one (its Service has an address) and none of its pods is
            ready. Nobody wants another gateway then, where his functions are not.
    """
    found: list[bool | BaseException] = []
    # In a thread: a resolver may take longer than anybody should wait here, and knows no limit.
    asking = threading.Thread(target=_ask, args=(url, timeout_s, found), daemon=True)
    asking.start()
    asking.join(timeout_s)
    outcome = found[0] if found else False
    if isinstance(outcome, ConnectionRefusedError):
        raise GatewayUnavailable(
            f"This cluster has a gateway ({url}) and none of its pods is ready: try again in a few "
            f"seconds. FAAS_GATEWAY_URL={EMBEDDED} uses one of this pod alone, with functions of "
            "its own."
        ) from outcome
    return outcome is True


def _ask(url: str, timeout_s: float, found: list[bool | BaseException]) -> None:
    parts = urlsplit(url)
    try:
        address = (parts.hostname or "", parts.port or 80)
        with socket.create_connection(address, timeout_s) as connection:
            connection.sendall(_HEALTH)
            found.append(connection.recv(64).startswith(b"HTTP/1.1 200"))
    except OSError as error:
        found.append(error)


class TokenFile:
    """A token in a file that somebody else renews, as the kubelet does a pod's.

    Args:
        path: It is there.
        url: Of the gateway it is shown to.
    """

    def __init__(self, path: Path, url: str = "") -> None:
        self._path = path
        self._url = url
        self._seen: tuple[int, int] = (0, 0)

    def url(self) -> str:
        """Return the gateway's address."""
        return self._url

    def close(self) -> None:
        """Nothing is kept open."""

    def is_due(self) -> bool:
        """Return whether the file has been replaced since it was read."""
        try:
            return self._version() != self._seen
        except OSError:
            return False  # between two versions: the one that was read is good for a while

    def token(self) -> str:
        """Return what is in the file now.

        Raises:
            GatewayUnavailable: It cannot be read.
        """
        try:
            self._seen = self._version()
            return self._path.read_text().strip()
        except OSError as error:
            raise GatewayUnavailable(
                f"The pod's token ({self._path}) cannot be read: {error.strerror}."
            ) from error

    def _version(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ino
