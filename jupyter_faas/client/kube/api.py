"""The client's door to the Kubernetes API: kubeconfig, plain JSON requests, port-forward sockets.

Made on the official client's asyncio half: its configuration, authentication and connections,
without its models. Its threaded port-forward is not used: one thread per connection, and 100 MiB
took 100 s where this way takes 0.6 s. Everything runs in one loop; see `forward`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlencode

import msgspec

from jupyter_faas.client.cluster import ClusterAddress
from jupyter_faas.core.errors import GatewayUnavailable, Unauthorized

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""

TIMEOUT_S = 10.0
_HEARTBEAT_S = 20.0
"""A socket whose other end says nothing for so long is asked whether it lives: load balancers
drop quiet connections, laptops sleep."""
_GOODBYE_S, _GOODBYE_TRIES = 0.5, 100
_PROTOCOL = "v4.channel.k8s.io"


class Refusal(Exception):
    """The API server has refused something, or cannot be reached (status 0).

    Attributes:
        status: HTTP status; 0: no answer.
        message: Its sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Choice(NamedTuple):
    """What kubeconfig says about the context that was chosen."""

    context: str
    namespace: str


class KubeApi:
    """Requests to one API server. Made by `connect`, closed with `close`.

    Attributes:
        context: Name of the context in kubeconfig.
        namespace: The context's own.
        server: Its address, for people.
    """

    def __init__(self, client: Any, loader: Any, choice: Choice) -> None:
        self.context, self.namespace = choice
        self._client = client
        self._loader = loader
        self._configuration = client.configuration
        self._sockets: list[Any] = []
        self.server: str = self._configuration.host.rstrip("/")

    @classmethod
    async def connect(cls, address: ClusterAddress) -> KubeApi:
        """Return the API of a context of kubeconfig.

        Raises:
            GatewayUnavailable: There is no kubeconfig, no such context, or no Kubernetes client;
                says what to do.
        """
        kube, config = _official_client()
        file = _kubeconfig(os.environ)
        configuration = kube.Configuration()
        configuration.connection_pool_maxsize = 0  # no limit: each socket is a call's
        try:
            choice = _choose(config, file, address)
            loader = await config.load_kube_config(
                file, choice.context, client_configuration=configuration
            )
            return cls(kube.ApiClient(configuration), loader, choice)
        except GatewayUnavailable:
            raise
        except (config.ConfigException, OSError, ValueError) as error:
            raise GatewayUnavailable(f"kubeconfig cannot be used: {error}") from error

    async def close(self) -> None:
        """Close every connection; returns when they are."""
        await self._client.close()
        # TLS says good-bye after the client has forgotten a connection.
        for _ in range(_GOODBYE_TRIES):
            if all(one.fileno() == -1 for one in self._sockets):
                return
            await asyncio.sleep(_GOODBYE_S / _GOODBYE_TRIES)

    async def get(self, path: str, **query: str) -> Object:
        """Return an object or a list.

        Raises:
            Refusal: It is not there, may not be read, or nobody answers.
        """
        return await self._json("GET", path, query, None)

    async def post(self, path: str, body: Object) -> Object:
        """Create something; return it.

        Raises:
            Refusal: It may not be made, or nobody answers.
        """
        return await self._json("POST", path, {}, body)

    async def bearer(self) -> str:
        """Return the person's own bearer token as it is now; empty: he has certificates.

        Renewed by whatever made it (an exec plugin, OIDC, a token file) when it has expired.

        Raises:
            Unauthorized: It could not be renewed.
        """
        _, config = _official_client()
        try:
            await self._loader.load_and_set(self._configuration)
        except (config.ConfigException, OSError, ValueError) as error:
            raise Unauthorized(f"The credentials of kubeconfig are of no use: {error}") from error
        scheme, _, token = str(self._configuration.api_key.get("BearerToken", "")).partition(" ")
        return token if scheme.lower() == "bearer" else ""

    async def open_port(self, namespace: str, pod: str, port: int) -> Any:
        """Return a WebSocket that carries one connection to a port of a pod.

        Raises:
            Refusal: The pod is gone, or may not be reached.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        headers = {"Sec-WebSocket-Protocol": _PROTOCOL}
        await self._sign(headers, "GET", path)
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        options: dict[str, Any] = {"heartbeat": _HEARTBEAT_S, "headers": headers}
        if self._configuration.tls_server_name:
            options["server_hostname"] = self._configuration.tls_server_name
        if rest.proxy:
            options |= {"proxy": rest.proxy, "proxy_headers": rest.proxy_headers}
        url = f"{self.server}{path}?ports={port}"
        try:
            web_socket = await rest.pool_manager.ws_connect(url, **options)
        except Exception as error:
            _refuse(error, self.server)
        still_open = [one for one in self._sockets if one.fileno() != -1]
        self._sockets = [*still_open, web_socket.get_extra_info("socket")]
        return web_socket

    async def _json(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None
    ) -> Object:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        await self._sign(headers, method, path)
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=TIMEOUT_S
            )
            content, status = await answer.response.read(), answer.response.status
        except Exception as error:
            _refuse(error, self.server)
        if status >= 400:
            raise Refusal(status, _sentence(content))
        found: Object = msgspec.json.decode(content, type=dict[str, Any])
        return found

    async def _sign(self, headers: dict[str, str], method: str, path: str) -> None:
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)


def _official_client() -> tuple[Any, Any]:
    """Return `kubernetes.aio.client` and `.config`: 1.2 s for whoever has a cluster, once."""
    try:
        from kubernetes.aio import client, config  # noqa: PLC0415 - heavy, and an extra
    except ImportError as error:
        raise GatewayUnavailable(
            "A cluster is reached with the Kubernetes client, which is not installed here: "
            "pip install 'jupyter_faas[kubernetes]'."
        ) from error
    return client, config


def _kubeconfig(environ: Mapping[str, str]) -> str:
    """Return where kubeconfig is now (the official client looks at KUBECONFIG only once).

    Raises:
        GatewayUnavailable: There is none.
    """
    named = [path for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    paths = [Path(path).expanduser() for path in named or ["~/.kube/config"]]
    if any(path.exists() for path in paths):
        return os.pathsep.join(map(str, paths))
    shown = ", ".join(named) or "~/.kube/config"
    raise GatewayUnavailable(
        f"There is no kubeconfig ({shown}): log in to your cluster first so that `kubectl get "
        "pods` works, or set KUBECONFIG, or give the gateway's address: faas.connect('https://…')."
    )


def _choose(config: Any, file: str, address: ClusterAddress) -> Choice:
    """Return the context that is meant.

    Raises:
        GatewayUnavailable: There is none of that name; lists those that are.
    """
    try:
        contexts, current = config.list_kube_config_contexts(file)
    except config.ConfigException:
        # No current context: one that is named may be there all the same.
        return Choice(address.context or address.whole, address.namespace or "default")
    known = {context["name"]: context.get("context") or {} for context in contexts}
    address = address.among(frozenset(known))
    name = address.context or current["name"]
    if name not in known:
        raise GatewayUnavailable(
            f"kubeconfig has no context {name!r}. There are: {', '.join(sorted(known))}."
        )
    return Choice(name, address.namespace or known[name].get("namespace") or "default")


def _sentence(content: bytes) -> str:
    """Return what a `Status` object says."""
    try:
        said = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content[:300].decode("utf-8", "replace")
    return str(said.get("message") or "") if isinstance(said, dict) else str(said)


def _refuse(error: Exception, server: str) -> NoReturn:
    """Raise what a failed exchange is to our callers; a defect stays what it is."""
    is_aiohttp = type(error).__module__.partition(".")[0] == "aiohttp"
    status = getattr(error, "status", 0)
    if is_aiohttp and isinstance(status, int) and status:
        raise Refusal(status, str(getattr(error, "message", "") or error)) from error
    if is_aiohttp or isinstance(error, OSError | TimeoutError):
        said = str(error) or type(error).__name__
        raise Refusal(0, f"The Kubernetes API at {server} does not answer: {said}.") from error
    raise error
