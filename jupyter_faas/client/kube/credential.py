"""The token a person shows to a cluster's gateway: his own, or one made for him.

Who has a bearer token in kubeconfig (also from an exec plugin) shows that. Who has certificates,
which a gateway never sees, gets a token of the ServiceAccount `jupyter-faas-user`, renewed long
before it expires.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jupyter_faas.client.kube.api import KubeApi, Refusal
from jupyter_faas.core.errors import FaasError, Forbidden, GatewayUnavailable, Unauthorized

USER_ACCOUNT = "jupyter-faas-user"
LIFETIME_S = 3600
OWN_S = 60.0
"""So often the person's own token is looked at again: its maker knows when it expires."""
_USED_SHARE = 0.75
"""Of its lifetime a token is used before the next one is made."""


class Token(NamedTuple):
    """A token and until when to use it."""

    value: str
    due_at: float
    """Wall clock, seconds: a laptop's monotonic clock stands still while it sleeps."""

    def __repr__(self) -> str:
        return f"Token(due_at={self.due_at:.0f})"


async def new_token(api: KubeApi, system_namespace: str, wall_clock: Callable[[], float]) -> Token:
    """Return a token for the gateway.

    Raises:
        Unauthorized: The cluster does not accept the person's credentials.
        Forbidden: The person may not have a token made.
        GatewayUnavailable: There is no account to make it for, or no answer.
    """
    now = wall_clock()
    if own := await api.bearer():
        return Token(own, now + OWN_S)
    path = f"/api/v1/namespaces/{system_namespace}/serviceaccounts/{USER_ACCOUNT}/token"
    wish = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": LIFETIME_S},
    }
    try:
        made = await api.post(path, wish)
    except Refusal as refusal:
        raise _told(refusal, f"context {api.context}, namespace {system_namespace}") from refusal
    granted_s = float(made["spec"].get("expirationSeconds") or LIFETIME_S)
    return Token(made["status"]["token"], now + granted_s * _USED_SHARE)


def _told(refusal: Refusal, where: str) -> FaasError:
    if refusal.status == 401:
        return Unauthorized(
            f"The cluster does not accept the credentials of kubeconfig ({where}): log in again so "
            "that `kubectl get pods` works."
        )
    if refusal.status == 403:
        return Forbidden(
            f"kubeconfig has no bearer token, and you may not have one made for {USER_ACCOUNT} "
            f"({where}): {refusal.message}. Give one: faas.connect('kubernetes', token=…)."
        )
    if refusal.status == 404:
        return GatewayUnavailable(
            f"The cluster has no ServiceAccount {USER_ACCOUNT} ({where}): "
            "`jupyter-faas install | kubectl apply -f -` makes it."
        )
    return GatewayUnavailable(f"{refusal.message} ({where})")
