"""Which gateway this process uses: `connect()` chooses, `gateway()` tells, `find()` only looks.

What is given here wins, then `FAAS_GATEWAY_URL` and `faas.toml`. Without any of these a process in
a pod uses the gateway of its cluster, if that has one; everybody else the embedded gateway, which
is started when it is first needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from jupyter_faas.client import cluster
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.core.settings import Settings

T = TypeVar("T")


def connect(
    url: str | None = None,
    token: str | None = None,
    namespace: str | None = None,
    *,
    context: str | None = None,
) -> Gateway:
    """Choose the gateway for this process and return it.

    Args:
        url: `http://host:port`, `https://…` or `unix:/path`; `kubernetes`,
            `kubernetes://CONTEXT/NAMESPACE`: through kubeconfig, by a port-forward of this
            process; `embedded`: the one of this machine. None: `FAAS_GATEWAY_URL`, else in a pod
            that of its cluster, else the embedded gateway, which is started.
        token: Bearer token; None: `FAAS_GATEWAY_TOKEN`; on a cluster else the pod's or kubeconfig's
            own, or one made for you.
        namespace: Where names are looked up; None: the settings', else on a cluster the pod's or
            the context's, else the token's own.
        context: Of kubeconfig; the same as naming it in `url`.

    Raises:
        InvalidSpec: The address is none.
        GatewayUnavailable: The embedded gateway could not be started, or the cluster's not be
            reached; says why and what to do.
        Unauthorized, Forbidden: The cluster does not let you.
    """
    settings = _settings()
    chosen = _choose(
        _named(url, context) or settings.gateway_url,
        token or settings.gateway_token,
        namespace or _namespace(settings),
        settings,
        _embedded,
    )
    with session.lock:
        session.gateway = chosen
    return chosen


def gateway() -> Gateway:
    """Return the gateway of this process; the first use starts the embedded one if none is set.

    Raises:
        GatewayUnavailable: It could not be started.
    """
    if session.gateway is None:
        with session.lock:
            if session.gateway is None:
                return connect()
    return session.gateway


def running() -> Gateway | None:
    """Return the gateway of this process, or one that is there for it already; starts none.

    For who only looks. The gateway found becomes that of this process.

    Raises:
        GatewayUnavailable: One is there and does not answer.
    """
    if session.gateway is not None:
        return session.gateway
    return None if find(_settings()) is None else gateway()


def find(settings: Settings) -> Gateway | None:
    """Return the gateway that these settings mean, without starting it; None: it does not run.

    For who watches: each look is a new one, and this process goes on using what it uses.

    Raises:
        GatewayUnavailable: The embedded gateway runs and does not answer, or a cluster's cannot be
            reached.
        Unauthorized, Forbidden: The cluster does not let you.
    """
    url, token = settings.gateway_url, settings.gateway_token
    return _choose(url, token, _namespace(settings), settings, _running)


def is_asleep() -> bool:
    """Return whether the embedded gateway of this machine has ended by itself."""
    from jupyter_faas.client.state_file import read_state  # noqa: PLC0415 - reads a file
    from jupyter_faas.core.settings import StatePaths  # noqa: PLC0415 - see below

    state = read_state(StatePaths(_settings().state_dir))
    return state is not None and state.pid == 0


def _namespace(settings: Settings) -> str:
    return settings.namespace if settings.namespace != DEFAULT_NAMESPACE else ""


def _named(url: str | None, context: str | None) -> str | None:
    """Return the address that `url=` and `context=` say together."""
    if context is None:
        return url
    if url is not None and url != cluster.SCHEME:
        raise InvalidSpec(f"url={url!r} and context={context!r}: give one of them.")
    return cluster.ClusterAddress(context).url


def _choose(
    url: str,
    token: str,
    namespace: str,
    settings: Settings,
    embedded: Callable[[str, Settings], T],
) -> Gateway | T:
    if cluster.is_cluster(url):
        address = cluster.parse_cluster(url)
        pod = cluster.own_pod(os.environ, cluster.SERVICE_ACCOUNT) if not address.context else None
        if pod is not None:
            return _inside(pod, token, namespace or address.namespace, settings)
        return _through_kubeconfig(address, token, namespace, settings)
    if url and url != cluster.EMBEDDED:
        return _configured(url, token, namespace, settings)
    if not url:
        pod = cluster.own_pod(os.environ, cluster.SERVICE_ACCOUNT)
        if pod is not None and cluster.answers(cluster.service_url(settings.system_namespace)):
            return _inside(pod, token, namespace, settings)
    return embedded(namespace, settings)


def _inside(pod: cluster.Pod, token: str, namespace: str, settings: Settings) -> Gateway:
    """Return the gateway of the cluster that this pod is in."""
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415 - see above

    url = cluster.service_url(settings.system_namespace)
    own = cluster.TokenFile(pod.token_file, url)
    return Gateway(
        lambda: Location(address=url, url=url, token=token or own.token()),
        namespace=namespace or pod.namespace,
        connect_timeout_s=settings.connect_timeout_s,
        access=None if token else lambda: own,
    )


def _through_kubeconfig(
    address: cluster.ClusterAddress, token: str, namespace: str, settings: Settings
) -> Gateway:
    """Return the gateway of a cluster outside of which this process runs."""
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415 - see above
    from jupyter_faas.client.kube.forward import Forward  # noqa: PLC0415 - asyncio, sockets

    key = (address.url, settings.system_namespace, token, os.environ.get("KUBECONFIG", ""))

    def forward() -> Forward:
        found = session.forwards.get(key)
        if found is None or not found.is_open:
            found = session.forwards[key] = Forward(
                address,
                settings.system_namespace,
                token=token,
                reach_s=settings.connect_timeout_s,
            )
        return found

    def locate() -> Location:
        way = forward()
        url = f"{cluster.SCHEME}://{way.context}/{settings.system_namespace}"
        return Location(address=f"unix:{way.socket}", url=url, token=way.token())

    way = forward()
    space = namespace or way.namespace
    return Gateway(
        locate,
        may_start=True,
        namespace=space,
        connect_timeout_s=settings.connect_timeout_s,
        access=forward,
        where=f"cluster {way.context}, namespace {space}",
    )


def _configured(url: str, token: str, namespace: str, settings: Settings) -> Gateway:
    # Sockets are for who connects: decorating loads none of this.
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415

    if not url.startswith(("http://", "https://", "unix:")):
        raise InvalidSpec(
            f"url={url!r}: allowed is http://host:port, https://host:port, unix:/path, kubernetes, "
            "kubernetes://CONTEXT/NAMESPACE or embedded."
        )
    location = Location(address=url.rstrip("/"), url=url.rstrip("/"), token=token)
    return Gateway(
        lambda: location, namespace=namespace, connect_timeout_s=settings.connect_timeout_s
    )


def _embedded(namespace: str, settings: Settings) -> Gateway:
    from jupyter_faas.client.embedded import ensure_gateway  # noqa: PLC0415 - see above
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415 - see above

    def locate() -> Location:
        found = ensure_gateway(settings)
        return Location(address=found.address, url=found.url, token=found.token)

    return Gateway(
        locate,
        may_start=True,
        namespace=namespace,
        connect_timeout_s=settings.connect_timeout_s,
    )


def _running(namespace: str, settings: Settings) -> Gateway | None:
    """Return the embedded gateway if it runs."""
    from jupyter_faas.client.embedded import running_gateway  # noqa: PLC0415 - see above
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415 - see above
    from jupyter_faas.core.settings import StatePaths  # noqa: PLC0415 - see above

    found = running_gateway(StatePaths(settings.state_dir), settings.connect_timeout_s)
    if found is None:
        return None
    location = Location(address=f"unix:{found.socket}", url=found.url, token=found.token)
    return Gateway(
        lambda: location, namespace=namespace, connect_timeout_s=settings.connect_timeout_s
    )


def _settings() -> Settings:
    from jupyter_faas.client.state_file import load_settings  # noqa: PLC0415 - reads a file

    return load_settings()
