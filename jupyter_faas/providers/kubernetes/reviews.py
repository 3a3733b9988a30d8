"""Asks the cluster who bears a token (TokenReview) and what they may do (SubjectAccessReview).

RBAC is the only permission model of a cluster; nothing is decided or remembered here. Called by
`gateway/cluster_auth.py`.
"""

from __future__ import annotations

from typing import Any

from jupyter_faas.core.errors import FaasError, GatewayUnavailable, ProviderError
from jupyter_faas.core.model import Value
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, path_of
from jupyter_faas.providers.kubernetes.names import FUNCTIONS, GROUP

_TOKEN_REVIEWS = path_of("tokenreviews", group="authentication.k8s.io/v1")
_ACCESS_REVIEWS = path_of("subjectaccessreviews", group="authorization.k8s.io/v1")


class Identity(Value, kw_only=True):
    """Who bears a token, as the cluster says."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class Reviews:
    """The two questions.

    Args:
        api: The cluster; its account may create tokenreviews and subjectaccessreviews.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def identify(self, token: str) -> Identity | None:
        """Return who bears a token; None: nobody that the cluster knows (any more).

        Raises:
            GatewayUnavailable: The API server does not answer.
            ProviderError: The gateway may not ask.
        """
        status = await self._ask(_TOKEN_REVIEWS, token_review(token))
        return identity_of(status)

    async def may(
        self, who: Identity, verb: str, namespace: str, part: str = "", path: str = ""
    ) -> bool:
        """Return whether somebody may do something.

        Args:
            who: Of `identify`.
            verb: E.g. `create`.
            namespace: Of the functions.
            part: A subresource of functions, e.g. `invoke`.
            path: Instead of functions: a path that is no resource, e.g. `/metrics`.

        Raises:
            GatewayUnavailable: The API server does not answer.
            ProviderError: The gateway may not ask.
        """
        asked = access_review(who, verb, namespace, part, path)
        status = await self._ask(_ACCESS_REVIEWS, asked)
        return status.get("allowed") is True and status.get("denied") is not True

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            status = (await self._api.create(path, body)).get("status")
        except KubeError as error:
            raise _told(error) from None  # the cause may quote the token
        return status if isinstance(status, dict) else {}


def token_review(token: str) -> dict[str, Any]:
    """Return the question who bears a token."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token},
    }


def identity_of(status: dict[str, Any]) -> Identity | None:
    """Read the answer to it."""
    user = status.get("user") or {}
    if status.get("authenticated") is not True or not user.get("username"):
        return None
    return Identity(
        username=user["username"],
        uid=user.get("uid", ""),
        groups=tuple(user.get("groups") or ()),
        extra={name: tuple(values) for name, values in (user.get("extra") or {}).items()},
    )


def access_review(
    who: Identity, verb: str, namespace: str, part: str = "", path: str = ""
) -> dict[str, Any]:
    """Return the question whether somebody may do something; see `Reviews.may`."""
    wish: dict[str, Any]
    if path:
        wish = {"nonResourceAttributes": {"verb": verb, "path": path}}
    else:
        resource = {"verb": verb, "group": GROUP, "resource": FUNCTIONS, "namespace": namespace}
        wish = {"resourceAttributes": resource | ({"subresource": part} if part else {})}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": wish
        | {
            "user": who.username,
            "uid": who.uid,
            "groups": list(who.groups),
            "extra": {name: list(values) for name, values in who.extra.items()},
        },
    }


def _told(error: KubeError) -> FaasError:
    if error.is_passing:
        return GatewayUnavailable("The Kubernetes API does not answer: tokens cannot be judged.")
    what = f"HTTP {error.status} {error.reason}"
    return ProviderError(f"The gateway may not ask the cluster about tokens ({what}).")
